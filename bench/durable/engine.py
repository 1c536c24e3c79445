"""One turn of an engine: its servers started, its workers started, the same work timed, all of it stopped again.

Each engine is a script (`python -m durable.on_NAME FOLDER [VARIANT]`) that prints what it measured as one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from pathlib import Path

from durable import floors
from durable.work import BRANCHES, RUNS, STEPS, STEPS_OF_RUN, timed


class Engine(ABC):
    """How one engine does the work. Each method returns when the work is done and its results are known."""

    def __init__(self, folder: Path, variant: str) -> None:
        self.folder = folder
        self.variant = variant

    @abstractmethod
    def servers(self) -> AbstractContextManager[None]:
        """The servers it needs, private and on free ports."""

    @abstractmethod
    def worker(self, name: str) -> AbstractContextManager[None]:
        """One more worker process, ready for work."""

    @abstractmethod
    def client(self) -> AbstractAsyncContextManager[None]:
        """What the methods below need to submit work."""

    async def floor(self) -> float:
        """Seconds of the least that keeps a step: a commit of one row by SQLite, `synchronous = FULL`."""
        return await floors.sqlite_commit(self.folder / "floor.db", "FULL")

    has_workers = True
    """Whether many runs are spread over workers."""
    times = 1
    """How often a single run is done while it is timed; more where one is over before the clock has moved much."""

    async def warm(self) -> None:
        """Do all that is timed once before, on a small scale."""
        await timed(self.sequential(STEPS // 10))
        await timed(self.fan_out(BRANCHES // 10))

    async def more(self) -> Mapping[str, float]:
        """What else is measured of it, by name; after the rest, with nothing under way."""
        return {}

    @abstractmethod
    async def sequential(self, steps: int) -> None:
        """One run of so many steps, each after the one before it."""

    @abstractmethod
    async def fan_out(self, branches: int) -> None:
        """One run of so many steps side by side."""

    @abstractmethod
    async def runs(self, count: int, steps: int) -> None:
        """So many runs at once, of so many steps one after the other, to the end of the last one."""


def main(kind: type[Engine]) -> None:
    """The face of an engine's script."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers and workers are stopped on the way out
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("variant", nargs="?", default="")
    options = parser.parse_args()
    engine = kind(options.folder, options.variant)
    with engine.servers():
        measured = turn(engine)
    sys.stdout.write(json.dumps(measured) + "\n")


def turn(engine: Engine) -> dict[str, float]:
    """Seconds a step, and runs a second with one worker and with two. What is timed has been done once before."""
    if not engine.has_workers:
        return asyncio.run(_alone(engine)) | asyncio.run(_more(engine))
    with engine.worker("one"):
        found = asyncio.run(_alone(engine))
        found["runs 1"] = asyncio.run(_together(engine))
        with engine.worker("two"):
            found["runs 2"] = asyncio.run(_together(engine))
    return found | asyncio.run(_more(engine))


async def _more(engine: Engine) -> dict[str, float]:
    return dict(await engine.more())


async def _alone(engine: Engine) -> dict[str, float]:
    async with engine.client():
        await engine.warm()
        before = await engine.floor()
        sequential = await repeated(engine.sequential, STEPS, engine.times) / STEPS
        between = await engine.floor()
        parallel = await repeated(engine.fan_out, BRANCHES, engine.times) / BRANCHES
        after = await engine.floor()
    return {"floor": statistics.median([before, between, after]), "sequential": sequential, "parallel": parallel}


async def repeated(run: Callable[[int], Awaitable[None]], size: int, times: int) -> float:
    """Seconds of a run, one after the other so many times."""

    async def all_of_them() -> None:
        for _ in range(times):
            await run(size)

    return await timed(all_of_them()) / times


async def _together(engine: Engine) -> float:
    async with engine.client():
        await timed(engine.runs(RUNS // 10, STEPS_OF_RUN))
        return RUNS / await timed(engine.runs(RUNS, STEPS_OF_RUN))


@contextmanager
def process(words: Sequence[str], log: Path, *, ready: str = "", **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A child in a process group of its own, which is killed in the end. With `ready`: waits for that line of it."""
    with log.open("w") as errors:
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if ready else errors, stderr=errors, text=True,
            start_new_session=True, env=os.environ | environment,
        )  # fmt: skip
    try:
        if ready and child.stdout is not None and child.stdout.readline().strip() != ready:
            raise RuntimeError(f"{' '.join(words)} did not start; its log ends with:\n{log.read_text()[-2000:]}")
        yield child
    finally:
        end(child)


def end(child: subprocess.Popen[str]) -> None:
    """Ask a group of processes to end, then kill what is left of it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            pass  # the whole group is gone
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            pass  # it is killed next
    if child.stdout is not None:
        child.stdout.close()


async def until(done: Callable[[], Awaitable[bool]], every: float = 0.01) -> None:
    """Wait until `await done()` is true."""
    while not await done():  # noqa: ASYNC110 - the engine has no event to wait for
        await asyncio.sleep(every)


async def ready() -> None:
    """Tell whoever started this worker that it works, which it does until it is told to end."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def script(module: str, *words: str) -> list[str]:
    """The command of a module of this folder under the Python that runs now."""
    return [sys.executable, "-m", f"durable.{module}", *words]
