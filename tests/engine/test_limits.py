"""Time limits, and what happens when one meets a cancellation, another limit, or code that swallows it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.engine.support import Service, run, tasks, until

import flowlang

HEAD = "flow: f\nconnections: {c: {type: fake}}\nsteps:\n"


def hang(service: Service, what: str) -> None:
    async def wait(number: int) -> None:
        await asyncio.sleep(3600)

    service.hooks[what] = wait


@pytest.mark.parametrize("limit", ["10ms", "250ms"], ids=["armed at once", "armed by the watch"])
@pytest.mark.parametrize("where", ["lease", "operation"])
async def test_a_limit_holds_in_each_phase(where: str, limit: str) -> None:
    service = Service()
    if where == "lease":
        hang(service, "get")
    task = "fake_op" if where == "lease" else "fake_nap"
    result, _ = await run(f"{HEAD}  - {task}: {{id: a}}\n    timeout: {limit}\n", service)
    failure = result.failure
    assert failure is not None
    assert failure.type == "timeout"
    assert service.clean()
    assert failure.outcome_unknown is (where == "operation")


async def test_the_time_spent_on_the_lease_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is the step's, not that of each phase: what is left for the second is what the first did not take."""
    from flowlang.engine.fiber import Fiber

    given: list[float] = []
    arm = Fiber.set_timer

    def watched(self: Fiber) -> None:
        given.append(self.limit)
        arm(self)

    monkeypatch.setattr(Fiber, "set_timer", watched)
    service = Service()

    async def slowly(number: int) -> None:
        await asyncio.sleep(0.03)

    service.hooks["get"] = slowly
    result, _ = await run(f"{HEAD}  - fake_nap: {{id: a}}\n    timeout: 60ms\n", service)
    assert result.failure is not None
    assert result.failure.type == "timeout"
    limits = [each for each in given if each]
    assert limits[0] == 0.06
    assert 0 < limits[-1] < 0.05


async def test_a_task_that_answers_in_spite_of_its_limit_has_answered() -> None:
    @flowlang.task
    async def stubborn() -> dict[str, Any]:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return {"n": 1}
        return {}

    flow = "flow: f\nsteps: [{stubborn: {id: s}, timeout: 10ms}, {nap: {seconds: 0.001}}]\n"
    result, _ = await run(flow + "outputs: [{name: n, value: '${s.n}'}]\n", tasks={**tasks(), "stubborn": stubborn})
    assert result.outputs == {"n": 1}


async def test_a_driver_that_wraps_the_interruption_has_timed_out_all_the_same() -> None:
    @flowlang.task
    async def wraps() -> dict[str, Any]:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            raise RuntimeError("interrupted") from error
        return {}

    result, _ = await run("flow: f\nsteps: [{wraps: {id: s}, timeout: 10ms}]\n", tasks=[wraps])
    assert result.failure is not None
    assert result.failure.type == "timeout"
    assert result.failure.cause[0] == "RuntimeError: interrupted"


async def test_a_limit_inside_the_task_is_the_tasks_own_failure() -> None:
    @flowlang.task
    async def inner() -> dict[str, Any]:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(3600)
        return {}

    result, _ = await run("flow: f\nsteps: [{inner: {id: s}, timeout: 30s}]\n", tasks=[inner])
    assert result.failure is not None
    assert result.failure.type == "timeout"
    assert result.failure.cause


@pytest.mark.parametrize("outer_first", [True, False])
async def test_two_limits_at_once_end_the_step_and_not_only_the_attempt(outer_first: bool) -> None:
    """Both pass while the loop is busy, so both are seen in one turn of it."""
    from time import sleep

    @flowlang.task(effect="none")
    async def blocks() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        sleep(0.05)  # noqa: ASYNC251 - on purpose: the loop sees nothing until both have passed
        await asyncio.sleep(3600)
        return {}

    outer, inner = ("20ms", "25ms") if outer_first else ("25ms", "20ms")
    policy = f"{{delay: 0s, attempt_timeout: {inner}}}"
    flow = f"flow: f\nsteps:\n  - blocks: {{id: b}}\n    timeout: {outer}\n    retry: {policy}\n"
    result, _ = await run(flow, tasks=[blocks])
    assert result.failure is not None
    assert result.failure.detail == f"the step took longer than its limit of {'0.02' if outer_first else '0.025'} s"


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_cancellation_in_the_same_turn_as_a_limit_wins(cancel_first: bool) -> None:
    from flowlang.engine.fiber import Fiber

    fibers: list[Fiber] = []

    class Seen(Fiber):
        def do(self, path: str, operation: Any, kwargs: dict[str, Any]) -> Any:
            fibers.append(self)
            return super().do(path, operation, kwargs)

    flow = flowlang.load(text="flow: f\nsteps: [{nap: {id: n}, timeout: 30s}, {log: never}]\n", tasks=tasks())
    from flowlang.engine.run import Run

    one = Run(flow.plan, {}, run_id="r", env={}, secrets={}, fiber_type=Seen)
    task = asyncio.ensure_future(one.execute())
    await until(lambda: fibers)
    await asyncio.sleep(0)
    fibers[0].set_timer()
    for act in (task.cancel, fibers[0]._expire) if cancel_first else (fibers[0]._expire, task.cancel):
        act()
    result = await task
    assert result.status == "cancelled"


@pytest.mark.parametrize("limit", ["20ms", "30s"])
async def test_a_limit_around_a_subflow_and_a_cancellation_are_told_apart(limit: str, tmp_path: Any) -> None:
    (tmp_path / "sub.yaml").write_text("flow: sub\nsteps: [{nap: {id: n}}]\nfinally: [{nap: {seconds: 0.001}}]\n")
    path = tmp_path / "flow.yaml"
    path.write_text(f"flow: f\nsteps: [{{id: s, subflow: sub.yaml, timeout: {limit}}}]\n")
    handle = flowlang.start(str(path), tasks=tasks())
    if limit == "30s":
        for _ in range(30):
            await asyncio.sleep(0)
        handle.cancel()
    result = await handle
    assert result.status == ("failed" if limit == "20ms" else "cancelled")
    assert result.failure is not None
    assert result.failure.type == ("timeout" if limit == "20ms" else "cancelled")


async def test_the_grace_period_of_finally_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowlang.engine import cleanup as module

    monkeypatch.setattr(module, "GRACE", 0.01)
    result, _ = await run("flow: f\nsteps: [{log: hi}]\nfinally: [{nap: {id: n}}]\n", tasks=tasks())
    assert result.failure is not None
    assert result.failure.detail == "`finally` took longer than its grace period of 0.01 s"
