"""FlowLang itself. Variants: memory, full and normal (SQLite, by `synchronous`), postgres.

    python -m durable.on_flowlang FOLDER VARIANT        one turn
    python -m durable.on_flowlang --doomed URL FLOW     a run that kills its process with its last step

The steps are those of a flow file with tasks in Python, written out one by one; each names the one before it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import flowlang
from durable import floors
from durable.engine import Engine, main, process, script, until
from durable.servers import DurablePostgres, running
from durable.work import BRANCHES, PATIENCE, STEPS, timed
from flowlang import runs, workers

TASKS = """
import asyncio, os, signal
import flowlang
from durable.work import result

@flowlang.task(effect="write")
async def step(number: int) -> dict:
    return result(number)

@flowlang.task(effect="write", idempotent=True)
async def hold(file: str) -> None:
    try:
        with open(file, "x") as mine:
            mine.write(str(os.getpid()))
    except FileExistsError:
        return
    await asyncio.sleep(600)

@flowlang.task(effect="write", idempotent=True)
async def die() -> None:
    if "BENCH_DIE" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
"""
DIE = "BENCH_DIE"
REPLAYED = (100, 1100)
KILLED = 5
HELD = "flow: held\ntasks: [tasks.py]\nsteps:\n  - hold: {{file: {file}}}\n"


def chain(steps: int, last: str = "") -> str:
    """A flow of steps one after the other."""
    lines = ["  - step: {id: s0, number: 0}"]
    lines += [f'  - step: {{id: s{each}, number: "${{s{each - 1}.number + 1}}"}}' for each in range(1, steps)]
    return "flow: chain\ntasks: [tasks.py]\nsteps:\n" + "\n".join([*lines, last]) + "\n"


def fan(branches: int) -> str:
    """A flow of one step whose branches are side by side."""
    lines = [f"      - step: {{id: s{each}, number: {each}}}" for each in range(branches)]
    return "flow: fan\ntasks: [tasks.py]\nsteps:\n  - parallel:\n" + "\n".join(lines) + "\n"


class OnFlowLang(Engine):
    """The client runs the single runs itself; the many runs go through the queue to `flowlang worker`."""

    def __init__(self, folder: Path, variant: str) -> None:
        super().__init__(folder, variant)
        self.has_workers = variant != "memory"
        self.times = {"memory": 100, "normal": 10}.get(variant, 1)
        self.flows: dict[str, flowlang.Flow] = {}

    async def warm(self) -> None:
        """A flow is loaded and compiled once, and then run as often as one likes."""
        await self.sequential(STEPS)
        await self.fan_out(BRANCHES)

    @contextmanager
    def servers(self) -> Iterator[None]:
        (self.folder / "tasks.py").write_text(TASKS)
        os.environ["XDG_DATA_HOME"] = str(self.folder / "data")  # where flows are laid out to be resumed
        with ExitStack() as stack:
            if self.variant == "postgres":
                server = DurablePostgres(self.folder / "postgres")
                stack.enter_context(running(server))
                self.url = server.url
            else:
                self.url = f"sqlite:///{self.folder / 'runs.db'}?synchronous={self.variant}"
            yield

    @contextmanager
    def worker(self, name: str) -> Iterator[None]:
        words = [sys.executable, "-m", "flowlang", "worker", "--store", self.url, "--concurrency", "32"]
        log, deadline = self.folder / f"{name}.log", time.monotonic() + PATIENCE
        with process(words, log) as child:
            while " serves " not in log.read_text():
                if child.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the worker did not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.05)
            yield

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if self.variant != "memory":
                self.store = await stack.enter_async_context(runs.opened(self.url))
                self.host = await stack.enter_async_context(runs.hosting(self.store))
            yield

    async def floor(self) -> float:
        if self.variant == "memory":
            return await floors.awaits()
        if self.variant == "postgres":
            return (await floors.postgres_commit(self.url))[0]
        return await floors.sqlite_commit(self.folder / "floor.db", self.variant.upper())

    def flow(self, text: str) -> flowlang.Flow:
        """It is loaded once, as by a service that goes on running."""
        if text not in self.flows:
            file = self.folder / f"flow{len(self.flows)}.yaml"
            file.write_text(text)
            self.flows[text] = flowlang.load(file)
        return self.flows[text]

    async def sequential(self, steps: int) -> None:
        await self.one(chain(steps))

    async def fan_out(self, branches: int) -> None:
        await self.one(fan(branches))

    async def one(self, text: str) -> None:
        flow = self.flow(text)
        ended = flowlang.run(flow) if self.variant == "memory" else await runs.begin(self.host, flow)
        succeeded(await ended)

    async def runs(self, count: int, steps: int) -> None:
        await asyncio.gather(*(self.submit(chain(steps)) for _ in range(count)))
        await until(self.idle)

    async def submit(self, text: str) -> None:
        await workers.submit(self.flow(text), store=self.store)

    async def idle(self) -> bool:
        rows = await self.store.database.fetch("SELECT count(*) AS n, count(ended_at) AS over FROM flowlang_runs")
        return bool(rows[0]["n"] == rows[0]["over"])

    # ---------------------------------------------------------------- after a crash

    async def more(self) -> Mapping[str, float]:
        """Seconds to go through a recorded step again, which is what a thousand of them add to a run that is resumed;
        and seconds from the kill of a worker to the end of its run in another."""
        if self.variant == "memory":
            return {}
        few, many = [await self.replay(steps) for steps in REPLAYED]
        found = {"replay": (many - few) / (REPLAYED[1] - REPLAYED[0])}
        return found | ({"takeover": await self.takeover()} if self.has_workers else {})

    async def takeover(self) -> float:
        held = self.folder / "held"

        async def begun() -> bool:
            return held.exists() and bool(held.read_text())

        with self.worker("three"), self.worker("four"):
            async with self.client():
                await self.submit(HELD.format(file=held))
                await until(begun)
                os.kill(int(held.read_text()), signal.SIGKILL)
                return await timed(until(self.idle))

    async def replay(self, steps: int) -> float:
        """Seconds from the claim of a killed run to its end, the median of some. The plan of the flow is there: another
        run of it, that was killed as well, was resumed before."""
        file = self.folder / f"doomed{steps}.yaml"
        file.write_text(chain(steps, "  - die: {}"))
        for _ in range(1 + KILLED):
            self.kill(file)
        taken = []
        async with self.client():
            for each in await runs.interrupted(self.store):
                began = time.perf_counter()
                record = await runs.taken(self.host, each.id)
                succeeded(await runs.handle_of(self.host, await runs.again(self.host, record)))
                taken.append(time.perf_counter() - began)
        return statistics.median(taken[1:])

    def kill(self, file: Path) -> None:
        words = script("on_flowlang", "--doomed", self.url, str(file))
        with process(words, self.folder / "doomed.log", **{DIE: "yes"}) as child:
            if child.wait(PATIENCE) != -signal.SIGKILL:
                raise RuntimeError(f"the run did not kill itself:\n{(self.folder / 'doomed.log').read_text()[-2000:]}")


def succeeded(result: flowlang.RunResult) -> None:
    if result.status != "succeeded":
        raise RuntimeError(f"the run ended as {result.status}: {result.failure or result.findings}")


if __name__ == "__main__":
    if sys.argv[1] == "--doomed":
        assert DIE in os.environ
        asyncio.run(runs.run(sys.argv[3], store=sys.argv[2]))
    else:
        main(OnFlowLang)
