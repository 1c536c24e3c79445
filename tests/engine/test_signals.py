"""Signals to a run: before the wait, twice, after the time is over; each ends one wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.engine.support import JumpingClock, story, tasks, until

import flowlang
from flowlang.events import Event, StepWaiting
from flowlang.views.progress import Live

TWO = """\
flow: f
steps:
  - {id: a, wait: {signal: go}}
  - {id: b, wait: {signal: go}}
outputs: [{name: got, value: ["${a.payload}", "${b.payload}"]}]
"""


def started(text: str, **options: Any) -> tuple[flowlang.RunHandle, list[Event]]:
    events: list[Event] = []
    handle = flowlang.start(flowlang.load(text=text, tasks=tasks()), on_event=events.append, **options)
    return handle, events


def waiting(events: list[Event]) -> list[str]:
    return [event.path for event in events if isinstance(event, StepWaiting)]


async def test_signals_that_come_before_the_wait_are_kept_in_order() -> None:
    handle, events = started(TWO)
    handle.signal("go", 1)
    handle.signal("other", "nobody waits for this one")
    handle.signal("go", 2)
    assert (await handle).outputs == {"got": [1, 2]}
    assert waiting(events) == []


async def test_a_run_that_is_over_takes_no_signal() -> None:
    """Nobody will get it, and whoever sends it gets to know."""
    handle, _ = started(TWO)
    assert handle.signal("go", 1)
    assert handle.signal("go", 2)
    assert handle.signal("go", "one too many, and nobody can tell yet")
    await handle
    assert not handle.signal("go", 3)


async def test_each_signal_ends_one_wait() -> None:
    handle, events = started(TWO)
    await until(lambda: waiting(events) == ["a"])
    handle.signal("go", {"by": "Ada"})
    await until(lambda: waiting(events) == ["a", "b"])
    assert not handle.done
    handle.signal("go")
    assert (await handle).outputs == {"got": [{"by": "Ada"}, None]}


async def test_those_who_wait_for_the_same_are_served_in_order() -> None:
    flow = "flow: f\nsteps:\n  - parallel: [{id: a, wait: {signal: go}}, {id: b, wait: {signal: go}}]\n"
    handle, events = started(flow + "outputs: [{name: got, value: ['${a.payload}', '${b.payload}']}]\n")
    await until(lambda: waiting(events) == ["parallel#1.a", "parallel#1.b"])
    handle.signal("go", 1)
    handle.signal("go", 2)
    assert (await handle).outputs == {"got": [1, 2]}


async def test_a_signal_after_the_timeout_is_there_for_the_next_wait() -> None:
    flow = (
        "flow: f\nsteps:\n  - {id: a, wait: {signal: go, timeout: 1h}, continue_on_error: true}\n"
        "  - {id: late, nap: {seconds: 0.01}}\n  - {id: b, wait: {signal: go, timeout: 1h}}\n"
        "outputs: [{name: got, value: '${b.payload}'}]\n"
    )
    handle, events = started(flow, clock=JumpingClock())
    await until(lambda: "start late (nap)" in story(events))
    handle.signal("go", 7)
    assert (await handle).outputs == {"got": 7}
    assert "failed a: timeout" in story(events)


@pytest.mark.parametrize("order", ["signal first", "cancel first"])
async def test_a_signal_to_a_wait_that_is_cancelled_goes_to_the_next(order: str) -> None:
    flow = (
        "flow: f\nsteps:\n  - parallel:\n      - {id: a, wait: {signal: go}}\n"
        "      - do: [{wait: {signal: stop}}, {raise: {message: enough}}]\n"
        "    continue_on_error: true\n  - {id: b, wait: {signal: go}}\n"
        "outputs: [{name: got, value: '${b.payload}'}]\n"
    )
    handle, events = started(flow)
    await until(lambda: len(waiting(events)) == 2)
    if order == "cancel first":
        handle.signal("stop")
        await until(lambda: "cancelled parallel#1.a" in story(events))
        handle.signal("go", 1)
    else:
        handle.signal("stop")
        await until(lambda: "failed parallel#1.branch2.raise#2: task" in story(events))
        handle.signal("go", 1)
    result = await asyncio.wait_for(handle._wait(), 20)
    assert result.outputs == {"got": 1}


async def test_a_wait_can_be_cancelled_and_the_progress_says_what_it_waits_for() -> None:
    handle, events = started("flow: f\nsteps: [{id: a, wait: {signal: go, timeout: 1h}}]\nfinally: [{log: finally}]\n")
    await until(lambda: waiting(events) == ["a"])
    live = Live(unicode=False)
    lines = [line for event in events for line in live.feed(event)]
    assert lines == ["wait a  waits for signal `go`, at most 1 h 0 min"]
    now = events[-1].at + 3
    assert "signal go" in live.lines(now)[-1]
    handle.cancel()
    assert (await handle).status == "cancelled"
    assert story(events)[-1] == "ok finally.log#1"
