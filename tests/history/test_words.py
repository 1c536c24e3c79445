"""Words from a command line that are no names, no JSON and no addresses: each is refused, and nothing is stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowlang.durable.store import Store

LONG = "x" * 10_000


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--queue", ""], "`` cannot be a queue: write 1 to 200 characters"),
        (["--queue", "\x1b[31mq\n"], "`\\x1b[31mq\\x0a` cannot be a queue"),
        (["--queue", "mail:2"], "`mail:2` cannot be a queue: what is behind a `:`"),
        (["--queue", LONG], "xxx…` cannot be a queue"),
        (["--dedup", ""], "`` cannot be a key"),
        (["--priority", "99999999999999999999"], "a priority is from -2147483647 to 2147483647"),
    ],
    ids=["empty", "escape", "colon", "long", "key", "priority"],
)
async def test_submitted(
    words: list[str], told: str, store: Store, store_url: str, flows: Any, cli: Callable[..., Any]
) -> None:
    code, shown, err = await cli("submit", flows.write("- look: {}"), *words, "--store", store_url)
    assert (code, shown) == (1, "")
    assert told in err
    assert await store.database.fetch("SELECT 1 FROM flowlang_runs") == []


async def test_queues_and_schedules(store: Store, store_url: str, flows: Any, cli: Callable[..., Any]) -> None:
    code, _, err = await cli("queue", "set", "", "--concurrency", "1", "--store", store_url)
    assert (code, "cannot be a queue" in err) == (1, True)
    file = flows.write("- look: {}", more="triggers:\n  - every: {interval: 1h}\n")
    code, _, err = await cli("schedule", "add", file, "--queue", "a:b", "--store", store_url)
    assert (code, "cannot be a queue" in err) == (1, True)
    code, shown, _ = await cli("schedule", "add", file, "--queue", "a 'b'/é", "--store", store_url)
    assert (code, "every 3600 s, next 20" in shown) == (0, True)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ("NaN", "NaN is not part of JSON"),
        ("1e999", "the number 1e999 is too large"),
        ('{"a": 1, "a": 2}', "the key `a` is there twice"),
        ("[" * 5000 + "]" * 5000, "it is nested too deeply"),
        ("1" * 5000, "a number in it is too long"),
        ('{"by": ann}', "at character 8"),
    ],
    ids=["nan", "infinite", "twice", "deep", "digits", "bare"],
)
async def test_payloads(payload: str, told: str, cli: Callable[..., Any], file_store: Store, flows: Any) -> None:
    code, _, err = await cli("runs", "signal", "x", "go", "--json", payload, "--store", file_store.url)
    assert code == 2
    assert f"this is no JSON: {told}" in err or told in err


async def test_inputs_that_no_store_can_keep(file_store: Store, flows: Any, cli: Callable[..., Any]) -> None:
    file = flows.write("- look: {}", more="inputs: [{name: x, type: any}]\n")
    deep = "x=" + "[" * 950 + "]" * 950
    for words in (["submit", file], ["run", file, "--durable"]):
        code, shown, err = await cli(*words, "-i", deep, "--store", file_store.url)
        assert (code, shown) == (1, "")
        assert err == "error: the inputs cannot be kept in the store: it is nested too deeply\n"
    assert await file_store.database.fetch("SELECT 1 FROM flowlang_runs") == []
    _, shown, _ = await cli("submit", flows.write("- wait: {signal: go}"), "--store", file_store.url)
    code, _, err = await cli("runs", "signal", shown.strip(), "go", "--json", deep[2:], "--store", file_store.url)
    assert (code, err) == (1, "error: what the signal brings cannot be kept in the store: it is nested too deeply\n")


async def test_signals(store: Store, store_url: str, flows: Any, cli: Callable[..., Any]) -> None:
    file = flows.write("- wait: {signal: approved}")
    _, shown, _ = await cli("submit", file, "--store", store_url)
    run_id = shown.strip()
    for name in ("", LONG, "go\x1b"):
        code, _, err = await cli("runs", "signal", run_id, name, "--store", store_url)
        assert (code, "cannot be a signal" in err) == (1, True)
    await store.database.execute("UPDATE flowlang_runs SET state = 'waiting', waits_for = 'approved'")
    _, _, err = await cli("runs", "signal", run_id, "aproved", "--json", '"\\ud800 \\u0000"', "--store", store_url)
    assert err == "sent to a run that waits for `approved`; `aproved` is kept until it waits for that\n"
    _, _, err = await cli("runs", "signal", run_id, "approved", "--store", store_url)
    assert err == "sent to a run that is waiting\n"
    await store.database.execute("UPDATE flowlang_runs SET waits_for = 'concurrency@orders'")
    _, shown, _ = await cli("runs", "list", "--store", store_url)
    assert "for its turn" in shown
    _, shown, _ = await cli("runs", "show", run_id, "--store", store_url)
    assert "for its turn" in shown
    assert "runs signal" not in shown


@pytest.mark.parametrize("address", ["postgres://u:s3cret@[::1/x", "sqlite://[/x"])
async def test_addresses(address: str, cli: Callable[..., Any]) -> None:
    code, _, err = await cli("runs", "list", "--store", address)
    assert code == 1
    assert "no address of a store: Invalid IPv6 URL" in err
    assert "s3cret" not in err


async def test_to_look_makes_no_store(flows: Any, cli: Callable[..., Any], folder: Path) -> None:
    for words in (["list"], ["show", "x"], ["resume"], ["prune", "--keep", "0"], ["signal", "x", "go"]):
        code, shown, err = await cli("runs", *words, "--store", "sqlite:///typo/runs.db")
        assert (code, shown) == (1, "")
        assert (
            err
            == f"error: there is no store {folder}/typo/runs.db: it is made by the first run, or `--store` is another\n"
        )
    assert not (folder / "typo").exists()
    code, shown, err = await cli("runs", "list")
    assert (code, shown, err) == (0, "", "no runs\n")
    assert not (folder / "data").exists()


async def test_without_an_address_the_store_is_a_file_of_the_user(
    flows: Any, cli: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = flows.write("- look: {}")
    code, _, err = await cli("run", file, "--durable")
    told = err.splitlines()[0].split()
    assert (code, told[0], told[2:]) == (0, "run", ["in", f"sqlite:///{folder}/data/flowlang/runs.db"])
    _, shown, _ = await cli("runs", "list")
    assert told[1][:8] in shown
    monkeypatch.setenv("FLOWLANG_STORE", "sqlite:///other.db")
    assert (await cli("run", file, "--durable"))[0] == 0
    _, shown, _ = await cli("runs", "list", "--json")
    assert told[1] not in shown
    assert (folder / "other.db").exists()
