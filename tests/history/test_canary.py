"""Threat 16: no secret in what the commands show of runs, nor in the file of the store, in whatever form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowlang import runs
from flowlang.durable.store import open_store
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
def secretive(flows: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options of a run that is given secrets, in a place where others would be told of them."""
    monkeypatch.setenv("FLOWLANG_STORE_KEY", runs.new_key())
    monkeypatch.setenv("FLOWLANG_STORE", f"sqlite:///{folder}/runs.db")
    (folder / "secrets.env").write_text(f"TOKEN={READ}\n")
    return [flows.write(STEPS, more=INPUTS), "--secrets", "secrets.env", "-i", f"key={GIVEN}"]


async def look_everywhere(cli: Callable[..., Any], folder: Path, run_id: str) -> None:
    for words in (
        ("list",), ("list", "--json"), ("show", run_id), ("show", run_id, "--full"), ("show", run_id, "--json"),
        ("logs", run_id), ("logs", run_id, "--json"), ("watch", run_id),
    ):  # fmt: skip
        _, out, err = await cli("runs", *words)
        assert_clean((out + err).encode(), f"`runs {' '.join(words)}`")
    for name in ("runs.db", "runs.db-wal"):
        assert_clean(contents(folder / name), name)


def contents(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


async def ids(folder: Path) -> list[str]:
    async with await open_store(f"sqlite:///{folder}/runs.db") as store:
        return [row["id"] for row in await store.database.fetch("SELECT id FROM flowlang_runs")]


@pytest.mark.parametrize("how", ["--durable", "--record"])
async def test_a_run_that_failed(
    how: str, secretive: list[str], flows: Any, folder: Path, cli: Callable[..., Any]
) -> None:
    flows.broken("fails")
    code, out, err = await cli("run", *secretive, how)
    assert code == 1, err
    assert_clean((out + err).encode(), "the run itself")
    (run_id,) = await ids(folder)
    await look_everywhere(cli, folder, run_id)


async def test_a_run_that_was_lost_and_stopped_for_a_decision(
    secretive: list[str], flows: Any, folder: Path, cli: Callable[..., Any]
) -> None:
    async with await open_store(f"sqlite:///{folder}/runs.db") as store:
        given = {"secrets": {"TOKEN": READ}, "secrets_file": "secrets.env"}
        run_id = await flows.lost(store, secretive[0], "given", inputs={"key": GIVEN}, **given)
        await look_everywhere(cli, folder, run_id)
        assert (await runs.resume(run_id, store=store)).status == "needs_attention"
        await look_everywhere(cli, folder, run_id)
        skipped = {"given": {"receipt": f"for {GIVEN}"}}
        await runs.resume(run_id, skip=skipped, store=store)
    await look_everywhere(cli, folder, run_id)
