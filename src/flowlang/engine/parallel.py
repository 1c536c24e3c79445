"""`parallel`: each branch is a task. Nothing outlives the block."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from flowlang.engine.fiber import Fiber
from flowlang.engine.join import Join, failures_of, joined, stray
from flowlang.engine.steps import Ended, run_block, run_steps
from flowlang.plan import Frame, Parallel, Step


async def run_parallel(step: Parallel, frame: Frame, fiber: Fiber) -> Ended | None:
    """Run the branches, wait until all are over or one decides for the others, and leave nothing behind."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(step.max_concurrency) if step.max_concurrency else None
    join, fail_fast = Join(len(step.branches), loop), step.fail_fast
    kind, run, activation, prefix = type(fiber), fiber.run, fiber.activation, fiber.prefix
    create = _creator(loop)
    fibers: list[Fiber] = []
    for steps in step.branches:
        own = kind(run, activation, prefix, fiber)
        own.task = create(_branch(steps, frame, own, gate, join, fail_fast))
        fibers.append(own)
    settled = await join.all(fibers)
    return None if join.clean else _outcome(settled, step, fiber)


def _creator(loop: asyncio.AbstractEventLoop) -> Callable[[Coroutine[Any, Any, Ended | None]], asyncio.Task[Any]]:
    """What asyncio's own `create_task` does, in one call to C and without a number in words for each task's name: of a
    branch that waits once that is a tenth. A loop that makes its tasks otherwise does so here too."""
    if type(loop).create_task is asyncio.BaseEventLoop.create_task and loop.get_task_factory() is None:
        return partial(asyncio.Task, loop=loop, name="branch")
    return loop.create_task


def _outcome(settled: Sequence[asyncio.Task[Ended | None]], step: Parallel, fiber: Fiber) -> Ended | None:
    """What the block comes to: the failures, or else the first `exit` in source order."""
    failures = failures_of(settled)
    if failures:
        raise joined(failures, len(failures), "branches")
    if any(task.cancelled() for task in settled):
        raise stray("branch", step.site, fiber)
    return next((ended for task in settled if (ended := task.result()) is not None), None)


async def _branch(
    steps: Sequence[Step], frame: Frame, fiber: Fiber, gate: asyncio.Semaphore | None, join: Join, fail_fast: bool
) -> Ended | None:
    try:
        if gate is not None:
            async with gate:
                ended = await run_block(steps, frame, fiber)
        else:
            ended = await run_steps(steps, frame, fiber)  # what it opens and leaves, the join closes
    except asyncio.CancelledError:
        join.over(clean=False, decides=True)
        raise
    except BaseException:
        join.over(clean=False, decides=fail_fast)
        raise
    join.over(clean=ended is None, decides=ended is not None)
    return ended
