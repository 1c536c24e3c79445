"""A thread that does one job after another for an event loop.

SQLite's calls block, and a connection wants one thread: each handle gets a worker of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_NUDGE = 0.02  # seconds between two attempts to interrupt a job that was given up


class Job:
    """One call on its way: settled on the event loop, when the thread has done with it."""

    __slots__ = ("_call", "_loop", "abandoned", "ended", "result", "settled")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> None:
        self._loop = loop
        self._call = call
        self.result: asyncio.Future[Any] = loop.create_future()
        self.ended: asyncio.Future[None] | None = None
        self.settled = False
        self.abandoned = False

    def do(self) -> None:
        """In the thread: run, and tell the loop. A job given up before its turn is not begun."""
        value: Any = None
        error: BaseException | None = None
        if self.abandoned:
            error = InterruptedError("given up before it began")
        else:
            try:
                value = self._call()
            except BaseException as raised:  # noqa: BLE001 - it belongs to the one who waits, not to the thread
                error = raised
        try:
            self._loop.call_soon_threadsafe(self._settle, value, error)
        except RuntimeError:
            return  # the loop was closed under us: nobody is left to be told

    def _settle(self, value: Any, error: BaseException | None) -> None:
        self.settled = True
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)
        if self.result.done():
            return
        if error is None:
            self.result.set_result(value)
        else:
            self.result.set_exception(error)


class Worker:
    """The thread. `interrupt` is called from the loop's thread to make a running job end early."""

    def __init__(self, name: str, interrupt: Callable[[], None]) -> None:
        self._interrupt = interrupt
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._current: Job | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._current = job
            job.do()
            self._current = None
            del job  # keeps its result alive otherwise, until the next one comes

    @property
    def giving_up(self) -> bool:
        """In the thread: whether the job at hand is no longer wanted. Long jobs ask between statements."""
        job = self._current
        return job is not None and job.abandoned

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Job:
        """Hand over a call without waiting for it."""
        job = Job(asyncio.get_running_loop(), lambda: function(*args, **kwargs))
        self._jobs.put(job)
        return job

    async def wait(self, job: Job) -> Any:
        """The job's result. Cancelled meanwhile, it ends the job before it lets the cancellation through."""
        try:
            return await job.result
        except asyncio.CancelledError:
            await self.abandon(job)
            raise

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do a call in the thread and give its result."""
        result: T = await self.wait(self.submit(function, *args, **kwargs))
        return result

    async def abandon(self, job: Job) -> None:
        """Make the job end, and wait until it has. Whoever comes next finds the thread idle."""
        job.abandoned = True
        cancelled: asyncio.CancelledError | None = None
        while not job.settled:
            if self._current is job:
                self._interrupt()
            if job.ended is None:
                job.ended = job.result.get_loop().create_future()
            try:
                await asyncio.wait({job.ended}, timeout=_NUDGE)
            except asyncio.CancelledError as again:
                cancelled = again  # the thread still uses the handle: leaving now would let two use it
        if not job.result.cancelled() and job.result.done():
            job.result.exception()  # seen; asyncio need not warn of it
        if cancelled is not None:
            raise cancelled

    async def abandon_current(self) -> None:
        """Make the job at hand end, if there is one; whoever waits for it gets its error."""
        job = self._current
        if job is not None:
            await self.abandon(job)

    def stop(self) -> None:
        """End the thread after the jobs already handed over. Call it when they have settled: it waits."""
        self._jobs.put(None)
        self._thread.join()
