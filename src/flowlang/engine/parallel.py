"""`parallel`: each branch is a task. Nothing outlives the block."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from flowlang.connections.errors import Classified
from flowlang.engine.activation import cancel_all
from flowlang.engine.failures import OperationError, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.steps import Ended, run_block, run_steps
from flowlang.exceptions import StepError
from flowlang.plan import Call, Frame, Parallel, Step

SHOWN_FAILURES = 5


async def run_parallel(step: Parallel, frame: Frame, fiber: Fiber) -> Ended | None:
    """Run the branches, wait until all are over or one decides for the others, and leave nothing behind."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(step.max_concurrency) if step.max_concurrency else None
    join = _Join(len(step.branches), loop, fail_fast=step.fail_fast)
    kind, run, activation, prefix = type(fiber), fiber.run, fiber.activation, fiber.prefix
    create, done = loop.create_task, join.done
    fibers: list[Fiber] = []
    settled: list[asyncio.Task[Ended | None]] = []
    try:
        for steps in step.branches:
            own = kind(run, activation, prefix, fiber)
            own.task = task = create(_branch(steps, frame, own, gate))
            task.add_done_callback(done)
            fibers.append(own)
        await join.all()
        if not join.clean:
            settled = [task for task in _tasks(fibers) if task.done()]  # what the others do once cancelled is void
    finally:
        try:
            if join.left:
                await cancel_all(_tasks(fibers))
        finally:
            for own in fibers:
                if own.streams:
                    await own.close_streams(0)
    return None if join.clean else _outcome(settled, step, fiber)


def _tasks(fibers: Sequence[Fiber]) -> list[asyncio.Task[Any]]:
    return [own.task for own in fibers if own.task is not None]


def _outcome(settled: Sequence[asyncio.Task[Ended | None]], step: Parallel, fiber: Fiber) -> Ended | None:
    """What the block comes to: the failures, or else the first `exit` in source order."""
    failures = [error for task in settled if not task.cancelled() and (error := task.exception()) is not None]
    if failures:
        raise joined(failures)
    if any(task.cancelled() for task in settled):
        detail = "a branch was cancelled from outside the run"
        stray = OperationError(Classified("cancelled", False), None, detail=detail)
        raise step_error(stray, step.site, fiber)
    return next((ended for task in settled if (ended := task.result()) is not None), None)


def _branch(
    steps: Sequence[Step], frame: Frame, fiber: Fiber, gate: asyncio.Semaphore | None
) -> Coroutine[Any, Any, Ended | None]:
    if gate is not None:
        return _gated(steps, frame, fiber, gate)
    if len(steps) == 1 and type(steps[0]) is Call:
        return run_steps(steps, frame, fiber)  # what it opens, if anything, `run_parallel` closes
    return run_block(steps, frame, fiber)


async def _gated(steps: Sequence[Step], frame: Frame, fiber: Fiber, gate: asyncio.Semaphore) -> Ended | None:
    async with gate:
        return await run_block(steps, frame, fiber)


class _Join:
    """Waits for the branches of a `parallel`: until all are done, or one decides for the others."""

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop, *, fail_fast: bool) -> None:
        self.left = count
        self.clean = True  # every branch succeeded and none ends the flow
        self._fail_fast = fail_fast
        self._decided: asyncio.Future[None] = loop.create_future()

    def done(self, task: asyncio.Task[Ended | None]) -> None:
        self.left -= 1
        try:
            if task.result() is not None:
                self._unclean(decides=True)
        except asyncio.CancelledError:
            self._unclean(decides=True)
        except BaseException:  # noqa: BLE001 - only counted here; `run_parallel` raises it
            self._unclean(decides=self._fail_fast)
        if not self.left and not self._decided.done():
            self._decided.set_result(None)

    def _unclean(self, *, decides: bool) -> None:
        self.clean = False
        if decides and not self._decided.done():
            self._decided.set_result(None)

    async def all(self) -> None:
        if self.left:
            await self._decided


def joined(errors: Sequence[BaseException]) -> BaseException:
    """One bounded error for those of several branches: the first in source order, the others as notes."""
    first = errors[0]
    for error in errors:
        if not isinstance(error, StepError):
            return error
    assert isinstance(first, StepError)
    if len(errors) == 1:
        return first
    others = [error.failure for error in errors[1:] if isinstance(error, StepError)]
    notes = [f"also failed: `{each.step}`: {_short(each.detail)}" for each in others[:SHOWN_FAILURES]]
    if len(others) > SHOWN_FAILURES:
        notes.append(f"and {len(others) - SHOWN_FAILURES} more branches failed")
    merged = StepError(replace(first.failure, notes=(*first.failure.notes, *notes)))
    merged.__cause__ = first.__cause__
    return merged


def _short(text: str, width: int = 200) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
