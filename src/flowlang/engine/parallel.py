"""`parallel`: each branch is a task. Nothing outlives the block."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flowlang.connections.errors import Classified
from flowlang.engine.activation import cancel_all
from flowlang.engine.failures import OperationError, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.steps import Ended, run_block, run_steps
from flowlang.exceptions import StepError
from flowlang.plan import Frame, Parallel, Step

SHOWN_FAILURES = 5
_LOOK = 1.0  # seconds


async def run_parallel(step: Parallel, frame: Frame, fiber: Fiber) -> Ended | None:
    """Run the branches, wait until all are over or one decides for the others, and leave nothing behind."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(step.max_concurrency) if step.max_concurrency else None
    join = _Join(len(step.branches), loop, fail_fast=step.fail_fast)
    kind, run, activation, prefix = type(fiber), fiber.run, fiber.activation, fiber.prefix
    create = loop.create_task
    fibers: list[Fiber] = []
    settled: list[asyncio.Task[Ended | None]] = []
    try:
        for steps in step.branches:
            own = kind(run, activation, prefix, fiber)
            own.task = create(_branch(steps, frame, own, gate, join))
            fibers.append(own)
        await join.all(fibers)
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


async def _branch(
    steps: Sequence[Step], frame: Frame, fiber: Fiber, gate: asyncio.Semaphore | None, join: _Join
) -> Ended | None:
    """One branch. It reports its own end: a callback of the task for that would cost as much as half a step."""
    try:
        if gate is not None:
            async with gate:
                ended = await run_block(steps, frame, fiber)
        else:
            ended = await run_steps(steps, frame, fiber)  # what it opens and leaves, `run_parallel` closes
    except asyncio.CancelledError:
        join.over(clean=False, decides=True)
        raise
    except BaseException:
        join.over(clean=False, decides=join.fail_fast)
        raise
    join.over(clean=ended is None, decides=ended is not None)
    return ended


class _Join:
    """Waits for the branches of a `parallel`: until all are over, or one decides for the others."""

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop, *, fail_fast: bool) -> None:
        self.left = count
        self.clean = True  # every branch succeeded and none ends the flow
        self.fail_fast = fail_fast
        self._decided: asyncio.Future[None] = loop.create_future()

    def over(self, *, clean: bool, decides: bool) -> None:
        self.left -= 1
        if not clean:
            self.clean = False
        if (decides or not self.left) and not self._decided.done():
            self._decided.set_result(None)

    async def all(self, fibers: Sequence[Fiber]) -> None:
        """Wait. A branch that somebody cancels before its first turn never reports: that is seen within a second."""
        while self.left and not self._decided.done():
            await asyncio.wait([self._decided], timeout=_LOOK)
            if any(task.done() and task.cancelled() for task in _tasks(fibers)):
                self.clean = False
                return


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
