"""Threat 16: no secret in what the commands show of runs, nor in any row of the store, in whatever form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowlang import runs
from flowlang.durable.opening import open_store
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.masking import forms

READ, GIVEN = "canary-of-the-environment-81", "canary/of the input+82"
STEPS = """
- look: {id: read, value: "${'token ' + secrets.TOKEN}"}
- charge: {id: given, value: {nested: ["${inputs.key}"]}}
- log: "with ${secrets.TOKEN} and ${inputs.key}"
- wait: {signal: go}
  timeout: 10ms
  continue_on_error: true
- parallel:
    - look: {id: left, value: "${given.receipt}"}
    - look: {id: right, value: "${inputs.key}"}
- look: {id: fails, value: "${secrets.TOKEN}", retry: {max_attempts: 2, delay: 1ms}}
"""
INPUTS = "inputs:\n  - {name: key, type: string, secret: true}\n"


def assert_clean(text: bytes, what: str) -> None:
    for secret in (READ, GIVEN):
        for form in forms(secret):
            assert form.encode() not in text, f"{what} has a secret as {form!r}"


@pytest.fixture
def store_url(request: pytest.FixtureRequest, folder: Path) -> str:
    """A file, unless a test wants both databases."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{folder}/runs.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def secretive(flows: Any, folder: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options of a run that is given secrets, in a place where others would be told of them."""
    monkeypatch.setenv("FLOWLANG_STORE_KEY", runs.new_key())
    monkeypatch.setenv("FLOWLANG_STORE", store_url)
    (folder / "secrets.env").write_text(f"TOKEN={READ}\n")
    return [flows.write(STEPS, more=INPUTS), "--secrets", "secrets.env", "-i", f"key={GIVEN}"]


async def look_everywhere(cli: Callable[..., Any], run_id: str) -> None:
    for words in (
        ("list",), ("list", "--json"), ("show", run_id), ("show", run_id, "--full"), ("show", run_id, "--json"),
        ("logs", run_id), ("logs", run_id, "--json"), ("watch", run_id),
    ):  # fmt: skip
        await clean(cli, *words)
    await look_into_the_store()


async def clean(cli: Callable[..., Any], *words: str) -> tuple[int, str]:
    """What a command answers; no secret is in it."""
    code, out, err = await cli("runs", *words)
    assert_clean((out + err).encode(), f"`runs {' '.join(words)}`")
    return code, out or err


async def look_into_the_store() -> None:
    """Every row of every table, and the files of the store where it has some."""
    async with await open_store() as store:
        listed = "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
        if isinstance(store.database, SqliteDatabase):
            listed = "SELECT name FROM sqlite_master WHERE type = 'table'"
            for file in Path(store.database.path).parent.glob("runs.db*"):
                if file.is_file():
                    assert_clean(file.read_bytes(), file.name)
        tables = [row["name"] for row in await store.database.fetch(listed)]
        assert "flowlang_journal" in tables
        for table in tables:
            rows = await store.database.fetch(f"SELECT * FROM {table}")
            assert_clean("\n".join(str(value) for row in rows for value in tuple(row)).encode(), table)


async def ids() -> list[str]:
    async with await open_store() as store:
        return [row["id"] for row in await store.database.fetch("SELECT id FROM flowlang_runs ORDER BY created_at")]


@pytest.mark.parametrize("how", ["--durable", "--record"])
async def test_a_run_that_failed(how: str, secretive: list[str], flows: Any, cli: Callable[..., Any]) -> None:
    flows.broken("fails")
    code, out, err = await cli("run", *secretive, how)
    assert code == 1, err
    assert_clean((out + err).encode(), "the run itself")
    (run_id,) = await ids()
    await look_everywhere(cli, run_id)


async def test_a_run_that_was_lost_and_stopped_for_a_decision(
    secretive: list[str], flows: Any, folder: Path, cli: Callable[..., Any]
) -> None:
    async with await open_store(f"sqlite:///{folder}/runs.db") as store:
        given = {"secrets": {"TOKEN": READ}, "secrets_file": "secrets.env"}
        run_id = await flows.lost(store, secretive[0], "given", inputs={"key": GIVEN}, **given)
        await look_everywhere(cli, run_id)
        assert (await runs.resume(run_id, store=store)).status == "needs_attention"
        await look_everywhere(cli, run_id)
        skipped = {"given": {"receipt": f"for {GIVEN}"}}
        await runs.resume(run_id, skip=skipped, store=store)
    await look_everywhere(cli, run_id)


@pytest.mark.parametrize("store_url", ["sqlite", "postgres"], indirect=True)
async def test_the_commands_that_change_runs(secretive: list[str], flows: Any, cli: Callable[..., Any]) -> None:
    """A run that failed is retried; another one is signalled with a secret, goes on, and both are deleted."""
    flows.broken("fails")
    assert (await cli("run", *secretive, "--durable"))[0] == 1
    (first,) = await ids()
    assert (await clean(cli, "retry", first))[0] == 1
    assert (await clean(cli, "retry", first, "--from", "given", "--json"))[0] == 1
    flows.broken("fails", on=False)
    async with await open_store() as store:
        given = {"secrets": {"TOKEN": READ}, "secrets_file": "secrets.env"}
        lost = await flows.lost(store, secretive[0], "read", inputs={"key": GIVEN}, **given)
    assert (await clean(cli, "signal", lost, "go", "--json", json.dumps({"said": GIVEN, "and": [READ]})))[0] == 0
    await look_into_the_store()
    assert (await clean(cli, "resume", lost))[0] == 0
    await look_everywhere(cli, lost)
    async with await open_store() as store:
        other = await flows.lost(store, secretive[0], "read", inputs={"key": GIVEN}, **given)
    await clean(cli, "cancel", other)
    await clean(cli, "resume", other)
    for each in (other, (await ids())[1]):
        await look_everywhere(cli, each)
    assert (await clean(cli, "delete", first))[0] == 0
    assert (await clean(cli, "prune", "--keep", "0"))[0] == 0
    await look_into_the_store()
    assert await ids() == []


async def test_a_signal_that_holds_a_secret_needs_a_key(
    secretive: list[str], flows: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await open_store() as store:
        given = {"secrets": {"TOKEN": READ}, "secrets_file": "secrets.env"}
        lost = await flows.lost(store, secretive[0], "read", inputs={"key": "none"}, **given)
    monkeypatch.delenv("FLOWLANG_STORE_KEY")
    code, said = await clean(cli, "signal", lost, "go", "--json", json.dumps(READ))
    assert code == 1
    assert "FLOWLANG_STORE_KEY" in said
    assert (await clean(cli, "signal", lost, "go", "--json", '"no secret"'))[0] == 0
