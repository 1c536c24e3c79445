"""A run and what is around it: event loops, listeners, the order of events."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.engine.support import Service, registry_of, run, tasks, until

import flowlang
from flowlang.engine import told
from flowlang.events import Event, RunFinished, RunStarted, StepStarted, StepSucceeded

FLOW = "flow: f\nconnections: {c: {type: fake}}\nsteps: [{fake_op: {id: a, value: 7}}]\n"
FLOW += "outputs: [{name: n, value: '${a.value}'}]\n"


def test_one_flow_in_two_event_loops() -> None:
    service = Service()
    registry = registry_of(service)
    flow = flowlang.load(text=FLOW, registry=registry)
    assert [flowlang.run_sync(flow, registry=registry).outputs for _ in range(2)] == [{"n": 7}] * 2
    assert service.count("connect") == service.count("disconnect") == 2
    assert service.clean()


async def test_inside_a_running_loop_and_inside_a_task_of_another_run() -> None:
    service = Service()
    registry = registry_of(service)

    @flowlang.task
    async def inner() -> dict[str, Any]:
        return {"value": (await flowlang.run(text=FLOW, registry=registry)).outputs["n"]}

    result, _ = await run(
        "flow: f\nsteps: [{inner: {id: i}}]\noutputs: [{name: n, value: '${i.value}'}]\n", tasks=[inner]
    )
    assert result.outputs == {"n": 7}
    assert service.clean()


async def test_a_cancelled_outer_run_cancels_the_one_that_its_task_runs() -> None:
    service = Service()
    registry = registry_of(service)
    slow = FLOW.replace("fake_op: {id: a, value: 7}", "fake_nap: {id: a}").replace("a.value", "a")

    @flowlang.task
    async def inner() -> dict[str, Any]:
        await flowlang.run(text=slow, registry=registry)
        return {}

    handle = flowlang.start(None, text="flow: f\nsteps: [{inner: {}}]\n", tasks=[inner])  # type: ignore[arg-type]
    await until(lambda: "nap" in service.log)
    handle.cancel()
    assert (await handle).status == "cancelled"
    assert service.clean()


async def test_a_listener_that_fails_disturbs_neither_the_run_nor_the_others(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError("the disk of the log is full")

    result, _ = await run(FLOW, Service(), on_event=[broken, heard.append])
    assert result.succeeded
    assert isinstance(heard[0], RunStarted)
    assert isinstance(heard[-1], RunFinished)
    assert caplog.text.count("the disk of the log is full") == 1


async def test_events_carry_inputs_outputs_attempts_and_durations() -> None:
    _, events = await run(FLOW, Service())
    kinds = [type(each).__name__ for each in events]
    assert kinds == [
        "RunStarted",
        "ConnectionOpened",
        "StepStarted",
        "StepSucceeded",
        "ConnectionClosed",
        "RunFinished",
    ]
    started = next(each for each in events if isinstance(each, StepStarted))
    ended = next(each for each in events if isinstance(each, StepSucceeded))
    assert (started.path, started.operation, started.connection, started.inputs) == ("a", "fake_op", "c", {"value": 7})
    assert ended.outputs == {"value": 7, "label": None, "instance": 1}
    assert ended.duration >= 0
    assert all(each.run_id == events[0].run_id for each in events)


async def test_without_a_listener_no_event_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowlang.engine import activation, loops, modifiers, runners, steps
    from flowlang.engine import run as runs

    def refuse(*args: Any) -> None:
        raise AssertionError("an event was made")

    for module in (activation, loops, modifiers, runners, steps, told, runs):
        for name in vars(flowlang.events):  # type: ignore[attr-defined]
            kind = getattr(flowlang.events, name)  # type: ignore[attr-defined]
            if hasattr(kind, "_fields") and hasattr(module, name):
                monkeypatch.setattr(module, name, refuse)
    flow = """flow: f
connections: {c: {type: fake}}
steps:
  - fake_op: {id: a}
  - {fail: {id: b, times: 1}, retry: {delay: 0s}}
  - {fail: {id: c}, continue_on_error: true}
  - {log: never, if: false}
  - for_each: [1]
    do: [parallel: [{log: hi}, {set: {x: 1}, id: s}]]
finally: [{log: end}]
"""
    result, _ = await run(flow, Service(), tasks=tasks(), on_event=None)
    assert result.succeeded, result.failure


async def test_an_internal_defect_is_told_as_one_and_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowlang.engine import run as runs

    async def broken(*args: Any) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(runs, "run_block", broken)
    service = Service()
    result, _ = await run(FLOW, service)
    assert result.failure is not None
    assert result.failure.type == "internal"
    assert service.clean()
    assert "please report it" in result.failure.notes[0]


async def test_strange_values_do_not_break_the_telling() -> None:
    from collections import namedtuple

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]

    @flowlang.task
    async def strange() -> dict[str, Any]:
        pair = namedtuple("pair", "a b")
        return {"pair": pair("s3cret-value", 1), "odd": Odd(), "deep": deep, "many": {"s3cret-value", 2}}

    flow = "flow: f\ninputs: [{name: k, type: string, secret: true}]\nsteps: [{strange: {id: s}}]\n"
    result, events = await run(flow, tasks=[strange], inputs={"k": "s3cret-value"})
    assert result.succeeded, result.failure
    ended = next(each for each in events if isinstance(each, StepSucceeded))
    assert ended.outputs is not None
    assert "s3cret" not in str(ended.outputs["pair"] if isinstance(ended.outputs, dict) else ended)


async def test_the_logger_of_a_task_masks_and_never_fails(caplog: pytest.LogCaptureFixture) -> None:
    @flowlang.task
    async def talks(k: str, context: flowlang.Context) -> dict[str, Any]:
        context.logger.info("key %s", k)
        context.logger.info("%(a)s", {"a": k})
        context.logger.info("%d of %s", "wrong")  # noqa: PLE1206 - on purpose
        try:
            raise ValueError(f"bad {k}")
        except ValueError:
            context.logger.exception("caught")
        return {}

    caplog.set_level(logging.DEBUG)
    flow = "flow: f\ninputs: [{name: k, type: string, required: true, secret: true}]\n"
    flow += "steps: [{talks: {id: t, k: '${inputs.k}'}}]\n"
    result, _ = await run(flow, tasks=[talks], inputs={"k": "s3cret-value"})
    assert result.succeeded
    assert "s3cret" not in caplog.text
    assert "key ***" in caplog.text
    assert "ValueError: bad ***" in caplog.text
    assert "%d of %s" in caplog.text
