"""`flowlang runs retry`: a new run that takes over what was done and is still the same, and does the rest again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import flowlang
from flowlang import runs
from flowlang.durable.records import StoredStep
from flowlang.durable.reuse import Reuse
from flowlang.durable.run import DurableRun
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError
from flowlang.history.story import story, told_by
from flowlang.history.told import event_of
from flowlang.masking import MASK
from flowlang.views.progress import Live
from flowlang.views.story import story_text


async def retry(store: Store, run_id: str, file: str, start: str | None = None) -> tuple[Any, DurableRun]:
    async with runs.hosting(store) as host:
        run = await runs.retried(host, run_id, flowlang.load(file), start=start)
        return await runs.handle_of(host, run), run


async def test_what_was_done_is_taken_over_and_the_rest_done_again(store: Store, flows: Any) -> None:
    flows.broken("c")
    steps = "- charge: {id: a, value: 1}\n- charge: {id: b, value: 2}\n- look: {id: c, value: 3}\n- charge: {id: d}"
    first = await runs.run(flows.write(steps), store=store)
    assert first.status == "failed"
    flows.broken("c", on=False)
    file = flows.write(steps.replace("value: 2", "value: 20"))
    before = len(flows.effects())
    result, run = await retry(store, str(first.run_id), file)
    assert result.status == "succeeded"
    assert flows.effects()[before:] == ["b", "c", "d"]
    assert run.reuse is not None
    assert run.reuse.taken == 1
    assert run.reuse.why == {
        "b": "its inputs are others now",
        "c": "`b`, which comes before it, was done again",
        "d": "`b`, which comes before it, was done again",
    }
    told = await story(store, result.run_id, runs.steps_of)
    assert (told.run.origin, told.run.attempt) == (first.run_id, 2)
    assert [(each.taken_over, each.again) for each in told.steps] == [
        (True, None),
        *((False, why) for why in run.reuse.why.values()),
    ]
    shown = story_text(told, 0.0).splitlines()
    assert [line.split("  ")[4] for line in shown if "charge" in line][:2] == [
        "taken over",
        "done again: its inputs are others now",
    ]
    live = Live(told=None)
    lines = [
        line for each in await told_by(store, result.run_id) if (event := event_of(each)) for line in live.feed(event)
    ]
    assert any("taken over" in line for line in lines)
    assert any("done again: `b`, which comes before it, was done again" in line for line in lines)


async def test_from_a_step_on_all_is_done_again(file_store: Store, flows: Any) -> None:
    file = flows.write("- charge: {id: a}\n- charge: {id: b}\n- charge: {id: c}")
    first = await runs.run(file, store=file_store)
    result, run = await retry(file_store, str(first.run_id), file, "b")
    assert result.status == "succeeded"
    assert flows.effects() == ["a", "b", "c", "b", "c"]
    assert run.reuse is not None
    assert run.reuse.why == {"b": "asked for", "c": "`b`, which comes before it, was done again"}
    with pytest.raises(StoreError, match="no step `nope`"):
        await retry(file_store, str(first.run_id), file, "nope")


async def test_another_operation_is_not_taken_over(file_store: Store, flows: Any) -> None:
    first = await runs.run(flows.write("- charge: {id: a, value: 1}"), store=file_store)
    result, run = await retry(file_store, str(first.run_id), flows.write("- pay: {id: a, value: 1}"))
    assert result.status == "succeeded"
    assert flows.effects() == ["a", "a"]
    assert run.reuse is not None
    assert run.reuse.why == {"a": "it was `charge` then, and is `pay` now"}


async def test_from_a_loop_on_all_of_its_turns_are_done_again(file_store: Store, flows: Any) -> None:
    file = flows.write("- id: loop\n  for_each: [1, 2]\n  do:\n    - charge: {id: a}\n")
    first = await runs.run(file, store=file_store)
    _, run = await retry(file_store, str(first.run_id), file, "loop")
    assert flows.effects() == ["loop[0].a", "loop[1].a"] * 2
    assert run.reuse is not None
    assert set(run.reuse.why.values()) == {"asked for"}


async def test_inputs_with_a_secret_are_not_compared(file_store: Store, flows: Any) -> None:
    """Where it stood is the same mask for every secret."""
    file = flows.write("- charge: {id: a, value: 1}")
    plan = flowlang.load(file).plan
    for inputs, why in (('{"value":"x"}', None), (f'{{"value":"{MASK}"}}', "cannot be compared")):
        known = StoredStep("a", 0, "succeeded", "{}", "charge", inputs, 1.0, 2.0)
        reuse = Reuse([known], plan, None, [])
        assert reuse.take("a", 0, "charge", inputs) == (None if why else known)
        assert (why or "") in reuse.why.get("a", "")


async def test_turns_and_branches_at_once_do_not_hang_on_each_other(store: Store, flows: Any) -> None:
    steps = """
    - id: each
      for_each: [0, 1, 2, 3, 4, 5]
      max_concurrency: 2
      max_failures: 6
      do:
        - look: {id: seen, value: "${item}"}
        - charge: {id: pay, value: "${item}"}
    - parallel:
        - charge: {id: left, value: 1}
        - charge: {id: right, value: 2}
    """
    flows.broken("each[1].seen")
    file = flows.write(steps)
    first = await runs.run(file, store=store)
    assert first.status == "succeeded"
    flows.broken("each[1].seen", on=False)
    before = len(flows.effects())
    result, _ = await retry(store, str(first.run_id), file)
    assert result.status == "succeeded"
    done = flows.effects()[before:]
    assert done[:2] == ["each[1].seen", "each[1].pay"], "the other turns are not behind it"
    assert sorted(done[2:]) == ["parallel#2.left", "parallel#2.right"], "what follows the loop is"
    before = len(flows.effects())
    file = flows.write(steps.replace("id: left, value: 1", "id: left, value: 9"))
    await retry(store, str(result.run_id), file)
    assert flows.effects()[before:] == ["parallel#2.left"]


async def test_a_transaction_is_taken_over_whole_or_not_at_all(file_store: Store, flows: Any) -> None:
    steps = """
    - sqlite_execute: {id: table, connection: db, query: "CREATE TABLE t (x INTEGER)"}
    - transaction: db
      id: tx
      do:
        - sqlite_execute: {id: put, connection: db, query: "INSERT INTO t VALUES (1)"}
    - look: {id: after, value: 1}
    - sqlite_query: {id: all, connection: db, query: "SELECT x FROM t ORDER BY x"}
    """
    more = 'connections:\n  db: {type: sqlite, database: orders.db}\noutputs:\n  - {name: all, value: "${all.rows}"}\n'
    flows.broken("after")
    file = flows.write(steps, more=more)
    first = await runs.run(file, store=file_store)
    flows.broken("after", on=False)
    changed = flows.write(steps.replace("VALUES (1)", "VALUES (2)"), more=more, file="changed.yaml")
    refused, _ = await retry(file_store, str(first.run_id), changed)
    assert refused.status == "failed"
    assert "its transaction was committed" in refused.failure.detail
    result, _ = await retry(file_store, str(first.run_id), file)
    assert result.outputs == {"all": [{"x": 1}]}
    result, _ = await retry(file_store, str(result.run_id), changed, "tx")
    assert result.outputs == {"all": [{"x": 1}, {"x": 2}]}


async def test_a_retry_that_is_lost_goes_on_as_it_would_have(store: Store, flows: Any) -> None:
    flows.broken("b")
    file = flows.write("- charge: {id: a}\n- look: {id: b}\n- look: {id: c}\n- charge: {id: d}\n- charge: {id: e}")
    first = await runs.run(file, store=store)
    flows.broken("b", on=False)
    flows.hang("c")
    from flowlang.durable.run import Left

    async with runs.hosting(store) as host:
        run = await runs.retried(host, str(first.run_id), flowlang.load(file))
        handle = runs.handle_of(host, run)
        async with asyncio.timeout(20):
            while "c" not in flows.effects():  # noqa: ASYNC110 - tasks tell by a file
                await asyncio.sleep(0.005)
        await run.journal.flushed()
        run.abandon(Left("lost", "the test takes it for dead"))
        await handle
    flows.hang("c", on=False)
    assert (await runs.resume(run.run_id, store=store)).status == "succeeded"
    assert flows.effects() == ["a", "b", "b", "c", "c", "d", "e"]


async def test_what_a_lost_retry_did_again_is_before_all_that_follows(store: Store, flows: Any) -> None:
    """Also in its next life, in which that is in its own journal."""
    file = flows.write("- charge: {id: a}\n- charge: {id: b}\n- look: {id: c}\n- charge: {id: d}")
    first = await runs.run(file, store=store)
    flows.hang("c")
    before = len(flows.effects())
    from flowlang.durable.run import Left

    async with runs.hosting(store) as host:
        run = await runs.retried(host, str(first.run_id), flowlang.load(file), start="b")
        handle = runs.handle_of(host, run)
        async with asyncio.timeout(20):
            while "c" not in flows.effects()[before:]:  # noqa: ASYNC110 - tasks tell by a file
                await asyncio.sleep(0.005)
        await run.journal.flushed()
        run.abandon(Left("lost", "the test takes it for dead"))
        await handle
    flows.hang("c", on=False)
    assert (await runs.resume(run.run_id, store=store)).status == "succeeded"
    assert flows.effects()[before:] == ["b", "c", "c", "d"]


async def test_the_command_says_what_it_took_over_and_why_not(
    file_store: Store, flows: Any, cli: Callable[..., Any]
) -> None:
    flows.broken("b")
    first = await runs.run(flows.write("- charge: {id: a}\n- look: {id: b}"), store=file_store)
    _, shown, _ = await cli("runs", "show", str(first.run_id), "--store", file_store.url)
    assert f"flowlang runs retry {first.run_id}" in shown
    flows.broken("b", on=False)
    code, _, err = await cli("runs", "retry", str(first.run_id)[:8], "--store", file_store.url)
    assert code == 0
    assert "1 step taken over" in err
    assert "b: it failed then" in err
    again = err.split()[1]
    assert err.startswith(f"run {again} in {file_store.url}\n")
    _, _, err = await cli("runs", "retry", again, "--store", file_store.url)
    assert ": 2 steps taken over; none was done again\n" in err
    _, shown, _ = await cli("runs", "show", str(first.run_id), "--store", file_store.url)
    assert "retried as" in shown
    edited = flows.write("- charge: {id: a, value: 5}\n- look: {id: b}", file="edited.yaml")
    words = ("runs", "retry", str(first.run_id)[:8], "--flow", edited, "--from", "a", "--store", file_store.url)
    code, _, err = await cli(*words)
    assert code == 0
    assert "a: asked for" in err


async def test_what_has_not_ended_is_not_retried(file_store: Store, flows: Any) -> None:
    file = flows.write("- look: {id: a}")
    run_id = await flows.lost(file_store, file, "a")
    with pytest.raises(StoreError, match="has not ended"):
        await retry(file_store, run_id, file)


async def test_a_step_to_begin_from_has_to_be_one_that_was(
    file_store: Store, flows: Any, cli: Callable[..., Any]
) -> None:
    """With what there is instead; nothing is begun."""
    loop = "- id: {}\n  for_each: {}\n  as: it\n  do:\n    - look: {{id: {}, value: '${{it}}'}}\n"
    first = loop.format("loop", "[1, 2, 3]", "x") + loop.format("none", "[]", "w")
    file = flows.write(first + "- look: {id: end}\n")
    flows.broken("end")
    run_id = str((await runs.run(file, store=file_store)).run_id)
    flows.broken("end", on=False)
    for start, told in (
        ("loop[9].x", f"run `{run_id}` had no turn `loop[9]`: the last one was `loop[2]`"),
        ("none[0].w", f"run `{run_id}` had no turn `none[0]`: `none` had no turns"),
        ("loop[1].y", "there is no step `loop[1].y` in the flow `orders`: did you mean `loop[1].x`?"),
        ("loop[*].x", "`loop[*].x` is a step of every turn"),
    ):
        code, _, err = await cli("runs", "retry", run_id, "--from", start, "--store", file_store.url)
        assert (code, told in err) == (1, True), err
    assert len(await file_store.database.fetch("SELECT id FROM flowlang_runs")) == 1
    before = len(flows.effects())
    code, _, _ = await cli("runs", "retry", run_id, "--from", "loop[2].x", "--store", file_store.url)
    assert code == 0
    assert flows.effects()[before:] == ["loop[2].x", "end"]
