"""The figures of what steers a run: how soon a cancellation is answered, and what a turn of a loop costs."""

from __future__ import annotations

import asyncio
import gc
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import flowlang
from flowlang.events import Event, StepStarted
from harness import Figure, in_turn, run, seconds
from plugin import op, waiting_op

# ---------------------------------------------------------------- cancel

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
INTERRUPTED = {
    "a task that sleeps": "  - nap: {id: it}\n",
    "a query of SQLite": f"  - sqlite_query: {{id: it, query: {ENDLESS}}}\n",
    "a `wait`": "  - {id: it, wait: 1h}\n",
    "100 turns at once": "  - {for_each: '${range(100)}', max_concurrency: 100, do: [{nap: {id: it}}]}\n",
    "a transaction": (
        "  - transaction: db\n    do:\n"
        "      - sqlite_execute: {query: INSERT INTO t VALUES (1)}\n"
        f"      - sqlite_query: {{id: it, query: {ENDLESS}}}\n"
    ),
}
INTERRUPTIONS = 40


async def nap() -> dict[str, Any]:
    """A task of a user's that takes for ever."""
    await asyncio.sleep(3600)
    return {}


def cancel() -> list[Figure]:
    """From `RunHandle.cancel()` until the result is there."""
    with tempfile.TemporaryDirectory() as folder:
        bare, slowest = asyncio.run(_slowest(str(Path(folder, "cancel.db"))))
    how = (
        "from `RunHandle.cancel()` to the result, connections closed; the step interrupted 1 to 20 ms after it began; "
        f"the slowest of {INTERRUPTIONS} runs of each"
    )
    each = ", ".join(f"{what} {seconds(taken)}" for what, taken in slowest.items())
    floor = f"a task of asyncio that sleeps: {seconds(bare)}"
    return [Figure("cancel, the slowest", floor, each, max(slowest.values()) * 1e3, "ms", 100, how)]


async def _slowest(database: str) -> tuple[float, dict[str, float]]:
    """Seconds: of a bare task, which tells what the machine itself adds, and of each flow."""
    head = f"flow: cancel\nconnections: {{db: {{type: sqlite, database: {database}}}}}\nsteps:\n"
    await run(flowlang.load(text=head + "  - sqlite_execute: {query: CREATE TABLE t (n INTEGER)}\n"))
    flows = {what: flowlang.load(text=head + steps, tasks={"nap": nap}) for what, steps in INTERRUPTED.items()}
    bare, slowest = 0.0, dict.fromkeys(flows, 0.0)
    gc.collect()
    gc.freeze()  # what earlier figures have left in this process is not looked through while these runs are timed
    for number in range(INTERRUPTIONS):
        later = 0.001 + 0.019 * number / INTERRUPTIONS
        bare = max(bare, await _bare(later))
        for what, flow in flows.items():
            slowest[what] = max(slowest[what], await _answered(flow, later))
    return bare, slowest


async def _bare(later: float) -> float:
    task = asyncio.create_task(nap())
    await asyncio.sleep(later)
    began = time.perf_counter()
    task.cancel()
    await asyncio.wait([task])
    return time.perf_counter() - began


async def _answered(flow: flowlang.Flow, later: float) -> float:
    """Seconds from the cancellation of a run to its result, `later` seconds after its step `it` has begun."""
    begun = asyncio.Event()

    def listener(event: Event) -> None:
        if isinstance(event, StepStarted) and event.path.endswith("it"):
            begun.set()

    handle = flowlang.start(flow, on_event=listener)
    await begun.wait()
    await asyncio.sleep(later)
    began = time.perf_counter()
    handle.cancel()
    result = await handle
    taken = time.perf_counter() - began
    if result.status != "cancelled":
        raise RuntimeError(f"the flow ended as {result.status}: {result.failure}")
    return taken


# ---------------------------------------------------------------- turns

TURNS = 1000
AT_ONCE = 20


def turns() -> list[Figure]:
    """The cost of a turn of `for_each` with several at once, for operations that return at once and that wait."""
    return [_turns("turn, 20 at once, that waits once", waiting_op), _turns("turn, 20 at once, that returns", op)]


def _turns(what: str, operation: Any) -> Figure:
    task = {op: "bench_op", waiting_op: "bench_waiting_op"}[operation]
    flow = flowlang.load(
        text="flow: bench\nconnections: {b: {type: bench}}\ndefaults: {timeout: 30s}\nsteps:\n"
        f"  - for_each: ${{range({TURNS})}}\n    max_concurrency: {AT_ONCE}\n"
        f'    do: [{{{task}: {{id: s, connection: b, first: "${{item}}", second: x, third: []}}}}]\n'
    )

    async def floor() -> None:
        free = asyncio.Semaphore(AT_ONCE)

        async def turn(number: int) -> None:
            async with free:
                await operation(first=number, second="x", third=[])

        await asyncio.gather(*map(turn, range(TURNS)))

    async def workers() -> None:
        numbers = iter(range(TURNS))

        async def worker() -> None:
            for number in numbers:
                await operation(first=number, second="x", third=[])

        await asyncio.gather(*itertools.starmap(worker, itertools.repeat((), AT_ONCE)))

    async def ours() -> None:
        await run(flow)

    measured = in_turn(40, floor, ours, workers, times=2)
    how = f"`for_each` over {TURNS:,} numbers, leased, each turn with a timeout; whole run / turns; 40 rounds of 2 runs"
    gathered, worked = (seconds(measured.of(place) / TURNS) for place in (0, 2))
    floor_text = f"`asyncio.gather` of the same with a semaphore: {gathered} ({AT_ONCE} workers: {worked})"
    return Figure(what, floor_text, seconds(measured.of(1) / TURNS), measured.ratio(1), "×", 1.6, how)
