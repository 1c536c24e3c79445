"""The spans of runs, made by the real SDK: what is inside of what, and what each of them says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from tests.telemetry.conftest import Kept

import flowlang
from flowlang.exceptions import FlowExecutionError

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def run(kept: Kept, text: str, **options: Any) -> flowlang.RunResult:
    result = flowlang.run_sync(text=text, file="flow.yaml", on_event=kept.sink, **options)
    assert result.status != "invalid", [str(each) for each in result.findings]
    return result


def test_a_run_has_steps_with_attempts_with_leases(kept: Kept) -> None:
    """Each span is inside of the one that caused it, and says so in the words of the conventions."""
    result = run(
        kept,
        """
flow: orders
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: one, query: SELECT 1 AS one}
""",
    )
    assert result.status == "succeeded"
    assert sorted(each.name for each in kept.spans) == ["connect db", "lease db", "one", "run orders", "sqlite_query"]
    assert kept.above(kept.one("lease db")) == ["sqlite_query", "one", "run orders"]
    assert kept.above(kept.one("connect db")) == ["run orders"]
    whole, attempt = kept.one("run orders"), kept.one("sqlite_query")
    assert whole.attributes == {
        "flowlang.run.id": result.run_id,
        "flowlang.flow.name": "orders",
        "code.file.path": "flow.yaml",
        "flowlang.state": "succeeded",
    }
    assert attempt.kind is SpanKind.CLIENT
    assert attempt.attributes["db.system.name"] == "sqlite"
    assert attempt.attributes["flowlang.attempt.number"] == 1
    assert kept.one("one").kind is SpanKind.INTERNAL
    lease = kept.one("lease db").attributes
    assert (lease["flowlang.pool.in_use"], lease["flowlang.pool.capacity"]) == (1, 1)
    assert lease["flowlang.lease.waited"] >= 0
    assert all(each.start_time <= each.end_time for each in kept.spans)


def test_a_failure_is_told_with_its_class_and_its_place(kept: Kept) -> None:
    """Of the step, its attempt and the run; a failure that is handled leaves the run as it is."""
    text = """
flow: orders
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - {sqlite_query: {id: bad, query: SELECT nope}%s}
"""
    run(kept, text % "")
    for name in ("run orders", "bad", "sqlite_query"):
        span = kept.one(name)
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "no such column: nope"
        assert (span.attributes["error.type"], span.attributes["flowlang.state"]) == ("not_found", "failed")
    assert kept.one("bad").attributes["code.line.number"] == 5
    kept.exporter.clear()
    run(kept, text % ", continue_on_error: true")
    assert kept.one("bad").status.status_code is StatusCode.ERROR
    assert kept.one("run orders").status.status_code is StatusCode.UNSET


def failing(times: int) -> Any:
    left = [times]

    @flowlang.task(effect="read", name="look")
    async def look() -> dict[str, int]:
        left[0] -= 1
        if left[0] >= 0:
            raise FlowExecutionError("not now", error_class="unavailable")
        return {"left": 0}

    return look


def test_each_attempt_has_a_span(kept: Kept) -> None:
    text = """
flow: patient
steps:
  - look: {id: it, retry: {max_attempts: 3, delay: 2ms}}
"""
    run(kept, text, tasks=[failing(2)])
    attempts = kept.named("look")
    assert [each.attributes["flowlang.attempt.number"] for each in attempts] == [1, 2, 3]
    assert [each.attributes["flowlang.state"] for each in attempts] == ["failed", "failed", "succeeded"]
    assert [each.attributes.get("error.type") for each in attempts] == ["unavailable", "unavailable", None]
    assert "flowlang.attempt.retry_delay" in attempts[1].attributes
    assert all(kept.above(each) == ["it", "run patient"] for each in attempts)
    assert kept.one("it").attributes["flowlang.step.attempts"] == 3
    assert attempts[0].end_time < attempts[1].start_time


async def test_an_attempt_that_was_only_waited_for_is_not_told(kept: Kept) -> None:
    """The run is cancelled in the delay after the first attempt."""
    text = """
flow: patient
steps:
  - look: {id: it, retry: {max_attempts: 3, delay: 1h}}
"""
    failed = asyncio.Event()

    def hears(event: object) -> None:
        if type(event).__name__ == "AttemptFailed":
            failed.set()

    flow = flowlang.load(text=text, tasks=[failing(2)])
    handle = flowlang.start(flow, on_event=[kept.sink, hears])
    await failed.wait()
    handle.cancel()
    assert (await handle).status == "cancelled"
    assert len(kept.named("look")) == 1
    assert kept.one("it").attributes["flowlang.state"] == "cancelled"
    assert kept.one("run patient").status.status_code is StatusCode.UNSET


def test_blocks_hold_the_spans_of_their_steps(kept: Kept) -> None:
    """Also where branches and turns go on at the same time, each in a task of its own; a name has no index in it."""
    run(
        kept,
        """
flow: blocks
steps:
  - id: all
    parallel:
      - {id: left, set: {n: 1}}
      - id: each
        for_each: [1, 2, 3]
        max_concurrency: 2
        do:
          - {id: turn, set: {n: "${item}"}}
  - {id: last, set: {n: 2}}
""",
    )
    assert kept.above(kept.one("all.left")) == ["all", "run blocks"]
    turns = kept.named("all.each.turn")
    assert sorted(each.attributes["flowlang.step.path"] for each in turns) == [
        "all.each[0].turn",
        "all.each[1].turn",
        "all.each[2].turn",
    ]
    assert all(kept.above(each) == ["all.each", "all", "run blocks"] for each in turns)
    assert kept.above(kept.one("last")) == ["run blocks"]


def test_streams_and_transactions_keep_their_lease(kept: Kept) -> None:
    """That of a stream is over with its last row, long after its step; that of a transaction with its end."""
    run(
        kept,
        """
flow: held
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - id: all
    transaction: db
    do:
      - sqlite_execute: {query: CREATE TABLE t (a INTEGER)}
  - sqlite_stream: {id: rows, query: SELECT 1 AS a}
  - {id: loop, for_each: "${rows.rows}", do: [{id: turn, set: {a: "${item.a}"}}]}
""",
    )
    transaction, stream = kept.named("lease db")
    assert kept.above(transaction) == ["all", "run held"]
    assert transaction.end_time >= kept.one("all.sqlite_execute#1").end_time
    assert kept.above(stream) == ["sqlite_stream", "rows", "run held"]
    assert stream.end_time > kept.one("loop.turn").end_time > kept.one("rows").end_time
    assert kept.one("sqlite_execute").attributes["db.system.name"] == "sqlite"


def test_an_answer_from_the_cache_has_no_attempt(kept: Kept) -> None:
    text = """
flow: cached
steps:
  - look: {id: first, cache: {key: k, ttl: 1h}}
"""
    flow = flowlang.load(text=text, tasks=[failing(0)])
    for _ in range(2):
        flowlang.run_sync(flow, on_event=kept.sink)
    assert len(kept.named("look")) == 1
    assert [each.attributes.get("flowlang.step.cached") for each in kept.named("first")] == [None, True]


def test_a_trace_goes_on_in_the_run_and_behind_it(kept: Kept) -> None:
    """The trace that the caller names, else the span that is current there; afterwards that is still current."""
    text = "flow: f\nsteps:\n  - log: hello\n"
    tracer = kept.tracers.get_tracer("caller")

    async def called() -> None:
        with tracer.start_as_current_span("around") as around:
            await flowlang.run(text=text, on_event=kept.sink)
            assert trace.get_current_span() is around
            await flowlang.run(text=text, on_event=kept.sink, trace_parent=PARENT, trace_state="a=1")

    asyncio.run(called())
    inside, named = kept.named("run f")
    assert kept.above(inside) == ["around"]
    assert f"{named.context.trace_id:032x}-{named.parent.span_id:016x}" in PARENT
    assert named.context.trace_state.to_header() == "a=1"
    kept.exporter.clear()
    run(kept, text, trace_parent="not one")
    assert kept.one("run f").parent is None


def test_tasks_run_in_the_span_of_their_attempt(kept: Kept) -> None:
    """Async ones and those in threads; what they begin is inside of it."""
    tracer = kept.tracers.get_tracer("own")

    @flowlang.task(effect="none")
    async def in_loop() -> None:
        with tracer.start_as_current_span("of the loop"):
            await asyncio.sleep(0)

    @flowlang.task(effect="none")
    def in_thread() -> None:
        tracer.start_span("of the thread").end()

    run(kept, "flow: f\nsteps:\n  - in_loop: {id: a}\n  - in_thread: {id: b}\n", tasks=[in_loop, in_thread])
    assert kept.above(kept.one("of the loop")) == ["in_loop", "a", "run f"]
    assert kept.above(kept.one("of the thread")) == ["in_thread", "b", "run f"]


async def test_one_listener_serves_many_runs_at_once(kept: Kept) -> None:
    """No span is in another run's trace, and nothing is kept of runs that are over."""
    flow = flowlang.load(text="flow: f\nsteps:\n  - {id: a, set: {n: 1}}\n  - {id: b, set: {n: 2}}\n")
    results = await asyncio.gather(*(flowlang.run(flow, on_event=kept.sink) for _ in range(20)))
    roots = kept.named("run f")
    assert {each.attributes["flowlang.run.id"] for each in roots} == {each.run_id for each in results}
    assert len({each.context.trace_id for each in roots}) == 20
    for name in ("a", "b"):
        assert {each.context.trace_id for each in kept.named(name)} == {each.context.trace_id for each in roots}
        assert all(kept.above(each) == ["run f"] for each in kept.named(name))
    assert not kept.sink._spans._runs
    assert not kept.sink._meters._runs


@pytest.mark.parametrize("end", ["log: done", "boom: {token: '${inputs.pin}'}"])
def test_no_span_and_no_label_holds_a_secret(kept: Kept, end: str) -> None:
    canary = "kanarien/vogel+7e1"

    @flowlang.task(effect="none")
    async def echo(token: str) -> dict[str, str]:
        return {"said": f"token {token}"}

    @flowlang.task(effect="none")
    async def boom(token: str) -> None:
        raise ValueError(f"refused {token}")

    text = f"""
flow: sealed
inputs: [{{name: pin, type: string, secret: true, required: true}}]
steps:
  - echo: {{id: a, token: "${{inputs.pin}}"}}
  - log: "it said ${{a.said}}"
  - {end}
"""
    run(kept, text, inputs={"pin": canary}, tasks=[echo, boom])
    told = "\n".join(each.to_json() for each in kept.spans) + str(kept.points())
    assert "sealed" in told
    assert canary not in told
    if "boom" in end:
        assert "refused ***" in told
