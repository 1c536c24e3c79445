"""A run that stops because nobody knows whether a step was done: it says so, and goes on as somebody decides."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from tests.durable.journals import rewrite

from flowlang import runs
from flowlang.durable.records import StoredStep
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError
from flowlang.history.story import story, told_by

FLOW = """
- look: {id: before, value: 1}
- charge: {id: pay, value: 2}
- charge: {id: ship, value: "${pay.receipt}"}
"""


async def stopped(store: Store, flows: Any, steps: str = FLOW, *paths: str) -> str:
    """A run that lost its process in `paths`, and was resumed without a decision."""
    run_id = await flows.lost(store, flows.write(steps), *(paths or ("pay",)))
    result = await runs.resume(run_id, store=store)
    assert result.status == "needs_attention"
    return str(run_id)


async def test_a_step_that_was_not_done_is_done_again(store: Store, flows: Any) -> None:
    run_id = await stopped(store, flows)
    assert flows.effects() == ["before", "pay"]
    result = await runs.resume(run_id[:9], retry=["pay"], store=store)
    assert result.status == "succeeded"
    assert flows.effects() == ["before", "pay", "pay", "ship"]
    assert not [each for each in await store.steps(run_id) if each.state == "started"]


async def test_a_step_that_was_done_gets_its_outputs(store: Store, flows: Any) -> None:
    run_id = await stopped(store, flows)
    result = await runs.resume(run_id, skip={"pay": {"receipt": "by phone"}}, store=store)
    assert result.status == "succeeded"
    assert flows.effects() == ["before", "pay", "ship"]
    told = await story(store, run_id, runs.steps_of)
    assert told.steps[-1].inputs == {"value": "by phone"}


async def test_what_is_left_undecided_stops_the_run_again(store: Store, flows: Any) -> None:
    steps = """
    - parallel:
        - charge: {id: a, value: 1}
        - charge: {id: b, value: 2}
    """
    run_id = await stopped(store, flows, steps, "parallel#1.a", "parallel#1.b")
    result = await runs.resume(run_id, retry=["parallel#1.a"], store=store)
    assert result.status == "needs_attention"
    assert result.failure is not None
    assert result.failure.step == "parallel#1.b"
    result = await runs.resume(run_id, skip={"parallel#1.b": {"receipt": "x"}}, store=store)
    if result.status == "needs_attention":  # `a` may have begun, and been left when the run stopped for `b`
        result = await runs.resume(run_id, retry=["parallel#1.a"], store=store)
    assert result.status == "succeeded"
    assert flows.effects().count("parallel#1.b") == 1


async def test_a_transaction_is_done_again_whole(store: Store, flows: Any) -> None:
    steps = """
    - sqlite_execute: {id: table, connection: db, query: "CREATE TABLE IF NOT EXISTS t (x INTEGER)"}
    - id: turns
      for_each: [1, 2]
      do:
        - transaction: db
          id: tx
          do:
            - sqlite_execute: {id: put, connection: db, query: "INSERT INTO t VALUES (${item})"}
    - charge: {id: after, value: 1}
    """
    more = "connections:\n  db: {type: sqlite, database: orders.db}\n"
    run_id = await flows.lost(store, flows.write(steps, more=more), "after")

    # As if the process had been lost in the commit of the second turn, which did not reach the database.
    def lost(each: StoredStep) -> StoredStep | None:
        if each.path == "after":
            return None
        return replace(each, state="started", ended_at=None) if each.path == "turns[1].tx" else each

    assert await rewrite(store, run_id, lost)
    import sqlite3

    with sqlite3.connect("orders.db") as base:
        base.execute("DELETE FROM t WHERE x = 2")
    base.close()
    assert (await runs.resume(run_id, store=store)).status == "needs_attention"
    assert (await runs.resume(run_id, retry=["turns[1].tx"], store=store)).status == "succeeded"
    with sqlite3.connect("orders.db") as base:
        assert base.execute("SELECT x FROM t ORDER BY x").fetchall() == [(1,), (2,)]
    base.close()


async def test_there_has_to_be_something_to_decide(file_store: Store, flows: Any) -> None:
    run_id = await stopped(file_store, flows)
    with pytest.raises(StoreError, match=r"nothing to decide about `before` .* no end: `pay`"):
        await runs.resume(run_id, retry=["before"], store=file_store)
    with pytest.raises(StoreError, match=r"`pay` cannot be retried and skipped at once"):
        await runs.resume(run_id, retry=["pay"], skip={"pay": {}}, store=file_store)
    with pytest.raises(StoreError, match=r"outputs of `pay` are an object"):
        await runs.resume(run_id, skip={"pay": [1]}, store=file_store)
    record = await file_store.run(run_id)
    assert record is not None
    assert record.state == "needs_attention"


async def test_what_a_step_says_that_it_gives_has_to_be_said_when_it_is_skipped(file_store: Store, flows: Any) -> None:
    run_id = await stopped(file_store, flows, '- pay: {id: pay, value: 2}\n- look: {value: "${pay.receipt}"}\n')
    with pytest.raises(StoreError, match=r"`pay` gives `receipt`, .* say what with --outputs '\{\"receipt\":null\}'"):
        await runs.resume(run_id, skip={"pay": {"recipt": "R-1"}}, store=file_store)
    assert (await runs.resume(run_id, skip={"pay": {"receipt": "R-1"}}, store=file_store)).status == "succeeded"


async def test_why_a_run_stopped_is_told_with_its_place(file_store: Store, flows: Any, cli: Callable[..., Any]) -> None:
    run_id = await flows.lost(file_store, flows.write(FLOW), "pay")
    code, _, err = await cli("runs", "resume", run_id, "--store", file_store.url, "--events", "events.jsonl")
    assert code == 1
    assert "cancelled" not in err, "the step has begun, and nobody knows more"
    told_of = (flows.folder / "events.jsonl").read_text().splitlines()
    (left,) = [json.loads(line) for line in told_of if '"step_cancelled"' in line]
    assert (left["path"], left["left"]) == ("pay", True)
    assert "orders.yaml:6:5\n" in err
    assert "6 |   - charge: {id: pay, value: 2}" in err
    assert "done before  look  taken over" in err, "it was only looked up"
    assert "needs_attention in 0 " not in err
    assert f"`flowlang runs resume {run_id} --retry 'pay'`" in err, "as a shell takes any path"
    told = await story(file_store, run_id, runs.steps_of)
    assert told.run.error is not None
    assert (told.run.error.line, told.run.error.column) == (6, 5)


async def test_the_end_of_a_run_is_told_where_nothing_new_was_done(store: Store, flows: Any) -> None:
    steps = "- charge: {id: pay}\n- id: bad\n  set: {x: '${pay.receipt + 1}'}\n"
    run_id = await stopped(store, flows, steps)
    result = await runs.resume(run_id, skip={"pay": {"receipt": "R-1"}}, store=store)
    assert result.status == "failed"
    events = await told_by(store, run_id)
    assert [each["event"] for each in events[-3:]] == ["step_started", "step_failed", "run_finished"]
    assert [(each.path, each.state) for each in (await story(store, run_id, runs.steps_of)).steps] == [
        ("pay", "succeeded"),
        ("bad", "failed"),
    ]


async def test_a_run_whose_workers_died_may_go_on(store: Store, flows: Any) -> None:
    run_id = await flows.lost(store, flows.write("- look: {id: a}"), "a")
    await store.database.execute(
        "UPDATE flowlang_runs SET state = 'parked', owner = NULL, token = NULL, takeovers = 9 WHERE id = :id", id=run_id
    )
    assert (await runs.resume(run_id, store=store)).status == "succeeded"
    record = await store.run(run_id)
    assert record is not None
    assert record.takeovers == 0


async def test_a_run_that_stops_for_a_person_is_no_defect(
    store_url: str, store: Store, flows: Any, cli: Callable[..., Any]
) -> None:
    run_id = await stopped(store, flows)
    code, _, err = await cli("runs", "resume", run_id, "--store", store_url)
    assert code == 1
    assert "error[needs_attention]: " in err
    assert "--retry 'pay'" in err
    assert "flowlang explain" not in err  # what `internal` means is a defect of ours


async def test_a_signal_to_a_run_whose_process_is_gone_says_so(
    store_url: str, store: Store, flows: Any, cli: Callable[..., Any]
) -> None:
    run_id = await flows.lost(store, flows.write("- look: {id: a}"), "a")
    code, _, err = await cli("runs", "signal", run_id[:8], "go", "--store", store_url)
    assert code == 0
    assert err == f"sent to a run whose process is gone: `flowlang runs resume {run_id}` lets it go on\n"


async def test_inputs_are_shown_as_the_values_that_they_are(
    file_store: Store, flows: Any, cli: Callable[..., Any]
) -> None:
    file = flows.write(
        "- sqlite_query: {id: made, query: 'SELECT ${uuid()} AS it'}",
        more="connections: {db: {type: sqlite, database: ':memory:'}}\n",
    )
    code, _, err = await cli("run", file, "--durable", "--store", file_store.url)
    assert code == 0, err
    run_id = err.split()[1]
    _, shown, _ = await cli("runs", "show", run_id, "--store", file_store.url)
    assert "query = SELECT ? AS it with [" in shown
    assert "$uuid" not in shown


async def test_the_commands_that_show_names_are_those_that_help(
    store_url: str, store: Store, flows: Any, cli: Callable[..., Any]
) -> None:
    run_id = await stopped(store, flows)
    code, shown, _ = await cli("runs", "show", run_id[:8], "--store", store_url)
    assert code == 0
    assert "needs_attention" in shown
    assert f"flowlang runs resume {run_id} --retry 'pay'" in shown
    assert f"flowlang runs resume {run_id} --skip 'pay' --outputs JSON" in shown
    words = ("runs", "resume", run_id[:8], "--skip", "pay", "--outputs", '{"receipt": "r"}', "--json")
    code, shown, _ = await cli(*words, "--store", store_url)
    assert code == 0
    assert json.loads(shown)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--retry", "pay"], "which run?"),
        (["x", "--skip", "a", "--outputs", "{", "--store", "sqlite:///x.db"], "no JSON"),
        (["x", "--skip", "a", "--outputs", "[]"], "an object with the outputs by name"),
        (["x", "--outputs", "{}"], "--outputs is there 1×, --skip 0×"),
    ],
)
async def test_a_decision_that_makes_no_sense_is_refused(words: list[str], told: str, cli: Callable[..., Any]) -> None:
    code, _, err = await cli("runs", "resume", *words)
    assert code == 2
    assert told in err
