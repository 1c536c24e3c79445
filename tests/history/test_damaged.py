"""A run of which the store cannot be read whole: what there is of it is shown, and where it is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flowlang import runs
from flowlang.durable.store import Store

STEPS = "- charge: {id: a}\n- charge: {id: c}\n- charge: {id: d}\n- look: {id: b}\n"
ROW = "damaged: its {} cannot be read"


async def failed(store: Store, flows: Any) -> str:
    """A run that was whole up to its failure, and one that nothing happened to."""
    await runs.run(flows.write("- charge: {id: z}", name="other", file="other.yaml"), store=store)
    flows.broken("b")
    result = await runs.run(flows.write(STEPS, more="inputs: [{name: n, default: 3}]\n"), {"n": 3}, store=store)
    await store.database.execute(
        "INSERT INTO flowlang_signals (run_id, name, payload, sent_at) VALUES (:run, 'go', '1', 1.0)", run=result.run_id
    )
    return str(result.run_id)


async def test_a_journal_up_to_its_damage(store: Store, store_url: str, flows: Any, cli: Callable[..., Any]) -> None:
    """And events for what lies behind. What the journal would be needed for is not offered."""
    run_id = await failed(store, flows)
    rows = await store.database.fetch("SELECT seq FROM flowlang_journal WHERE run_id = :run ORDER BY seq", run=run_id)
    at = rows[1]["seq"]  # brings the end of `a`, and that `c` has begun
    for change in ("checksum = checksum + 1", "entries = '[' || entries"):
        statement = f"UPDATE flowlang_journal SET {change} WHERE run_id = :run AND seq = :at"
        await store.database.execute(statement, run=run_id, at=at)
        code, shown, _ = await cli("runs", "show", run_id, "--store", store_url)
        assert code == 1
        assert f"damaged\n  its journal from commit {at} on\n" in shown
        assert "a  charge" in shown
        assert "b  look" in shown
        assert "runs retry" not in shown
        code, shown, _ = await cli("runs", "show", run_id, "--json", "--store", store_url)
        told = json.loads(shown)
        assert (code, told["damages"]) == (1, [f"its journal from commit {at} on"])
        states = {each["path"]: each["state"] for each in told["steps"]}
        assert states == {"a": "succeeded", "c": "succeeded", "d": "succeeded", "b": "failed"}
        code, shown, _ = await cli("runs", "list", "--store", store_url)
        assert (code, len(shown.splitlines())) == (0, 3)


async def test_what_stands_before_a_damage_is_told_by_the_journal(
    store: Store, store_url: str, flows: Any, cli: Callable[..., Any]
) -> None:
    """Where there are no events that would tell it."""
    run_id = await failed(store, flows)
    await store.database.execute("DELETE FROM flowlang_events WHERE run_id = :run", run=run_id)
    await store.database.execute(
        "UPDATE flowlang_journal SET checksum = 0 WHERE run_id = :run AND seq = 2", run=run_id
    )  # brings the end of `c`
    code, shown, _ = await cli("runs", "show", run_id, "--json", "--store", store_url)
    states = {each["path"]: each["state"] for each in json.loads(shown)["steps"]}
    assert (code, states) == (1, {"a": "succeeded", "c": "unknown"})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("runs SET inputs = '{\"n'", "its inputs"),
        ("runs SET outputs = '{\"$table\": 1}'", "its outputs"),
        ("runs SET options = '{'", ROW.format("options")),
        ("runs SET error = '[1]'", ROW.format("error")),
        ("events SET lines = substr(lines, 1, length(lines) - 30)", "1 of the lines that it told"),
        ("events SET lines = '{}'", "1 of the lines that it told"),
        ("signals SET payload = '{'", "the payload of signal `go`"),
    ],
)
async def test_anything_else(file_store: Store, flows: Any, cli: Callable[..., Any], change: str, told: str) -> None:
    """Each command that only looks shows the rest."""
    run_id = await failed(file_store, flows)
    key = "id" if change.startswith("runs") else "run_id"
    await file_store.database.execute(f"UPDATE flowlang_{change} WHERE {key} = :run", run=run_id)
    at = ("--store", file_store.url)
    code, shown, _ = await cli("runs", "show", run_id, *at)
    assert told in shown
    assert "b  look" in shown
    assert code == 1
    code, shown, _ = await cli("runs", "show", run_id, "--json", *at)
    assert told in json.loads(shown)["damages"]
    code, shown, _ = await cli("runs", "list", *at)
    assert (code, len(shown.splitlines())) == (0, 3)
    code, shown, _ = await cli("runs", "logs", run_id, *at)
    assert code == 0
    assert ("damaged" in shown) == change.startswith("events")
    assert (await cli("runs", "logs", run_id, "--json", *at))[0] == 0
    assert (await cli("runs", "watch", run_id, *at))[0] == 1
