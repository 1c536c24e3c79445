"""What a plugin costs on top of its service, and what it leaves behind when it is used for long."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from statistics import median

from flowlang.conformance.calls import Call, Steps
from flowlang.conformance.model import Failed
from flowlang.conformance.subject import NAME, Opened, Subject, flow_text
from flowlang.conformance.watching import holdings, settle
from flowlang.records import frozen

OPENINGS = 5
LEASES = 1_000
CALLS = 200


@frozen
class Measured:
    """Times in seconds. `call` is an operation on a handle that is held, `step` the same in a flow: the
    difference is what the lease, the check of arguments and the events cost.

    `left`: what the soak left behind, in words; `growth`: bytes that the second half of it kept for each operation.
    """

    plugin: str
    open: float
    lease: float
    operation: str
    call: float
    step: float
    soaked: int
    left: tuple[str, ...]
    growth: float


async def measured(subject: Subject, operations: int) -> Measured:
    """Measure, then soak the plugin in at least this many operations, over connections opened one after the other."""
    call = await subject.reading()
    opening = median([await _timed(lambda: _used(subject, call)) for _ in range(OPENINGS)])
    async with subject.opened() as opened:
        lease = median([await _timed(lambda: _leased(opened)) for _ in range(LEASES)])
        async with opened.leased() as handle:
            bare = median([await _timed(lambda: opened.on(handle, call)) for _ in range(CALLS)])
    step = await _of_a_step(subject, call)
    left, growth = await _soak(subject, call, operations)
    return Measured(subject.plugin.name, opening - bare, lease, call.task, bare, step, operations, tuple(left), growth)


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def _leased(opened: Opened) -> None:
    async with opened.leased():
        pass


async def _used(subject: Subject, call: Call) -> None:
    async with subject.opened() as opened:
        await opened.call(call)


async def _of_a_step(subject: Subject, call: Call) -> float:
    """The time of one step in a loop: that of a short loop, with which it opens and closes too, is taken off."""
    short, long = [await _of_a_loop(subject, call, turns) for turns in (1, CALLS + 1)]
    return (long - short) / CALLS


async def _of_a_loop(subject: Subject, call: Call, turns: int) -> float:
    steps = Steps(NAME)
    steps.add(call)
    (step,) = steps.lines
    steps.lines = ["  - for_each: ${range(" + str(turns) + ")}", "    do:", f"    {step}"]
    text = flow_text(subject.plugin.name, subject.config, steps)
    times = []
    for _ in range(6):  # the first one compiles
        started = time.perf_counter()
        ran = await subject.run(text, steps.inputs)
        times.append(time.perf_counter() - started)
        if not ran.result.succeeded:
            failure = ran.result.failure
            raise Failed(f"`{call.task}` fails in a flow: {failure.detail if failure else ran.result.findings}")
    return min(times[1:])


async def _soak(subject: Subject, call: Call, operations: int) -> tuple[list[str], float]:
    """What is left after many operations, and how much memory the second half of them kept for each."""
    each = max(operations // 20, 1)
    for _ in range(2):
        await _round(subject, call, each)
    before = holdings()
    tracemalloc.start()
    try:
        kept = []
        for _ in range(2):
            for _ in range(10):
                await _round(subject, call, each)
            gc.collect()
            kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    await settle(lambda: not holdings().beyond(before))
    return holdings().beyond(before), (kept[1] - kept[0]) / (10 * each)


async def _round(subject: Subject, call: Call, count: int) -> None:
    """Open, make `count` calls, four at a time, close."""
    async with subject.opened() as opened:
        for start in range(0, count, 4):
            await asyncio.gather(*(opened.call(call) for _ in range(min(4, count - start))))
