"""Who runs: a process that holds a lock and shows again and again that it lives, so that others know when it does not.

The lock is free the moment that the process is dead. The beats are for what keeps it and yet does nothing: a process
that is frozen, a host that is gone. A thread of its own gives them, since a task that holds the event loop for long is
no reason to take the runs of its process away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import Future

from flowlang.durable.liveness import forget
from flowlang.durable.locks import lock_of
from flowlang.durable.schema import FORMAT
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError

VARIABLE = "FLOWLANG_LEASE"
LEASE = 10.0
"""Seconds without a beat after which a process is no longer believed to live. It beats four times as often, and has
half of it to get an answer: who gets none stops its runs before others may begin them."""


class Executor:
    """This process, as the store knows it. Close it to say that it runs nothing any more."""

    def __init__(self, store: Store, lease: float | None = None) -> None:
        self.store = store
        self.id = uuid.uuid4().hex
        self.lease = lease if lease is not None else lease_of(os.environ)
        self._stirred, self._closing = asyncio.Event(), False
        self._lock = lock_of(store.database, self.id, self.lease, self._stirred.set)
        self._told = False  # whether others know of it, and can take it for dead
        self._lost = False
        self._loop: asyncio.AbstractEventLoop | None = None  # of the thread
        self._taken, self._given_back = Future[None](), Future[None]()
        for each in (self._taken, self._given_back):
            each.set_running_or_notify_cancel()  # who stops waiting for it does not cancel it

    @property
    def alive(self) -> bool:
        """Whether others still believe that this process lives; it stops its runs when they do not."""
        return self._lock.held and not self._lost

    async def open(self) -> None:
        """Take the lock, then tell that there is somebody of this id. Raises `StoreError`."""
        try:
            self._loop = asyncio.new_event_loop()
        except OSError as error:
            raise StoreError(f"the thread that shows others that this process lives cannot begin: {error}") from error
        thread = threading.Thread(target=self._work, args=(self._loop,), name="flowlang-beats", daemon=True)
        thread.start()
        try:
            await asyncio.wrap_future(self._taken)
            await self._tell()
        except BaseException:
            await self._end()
            raise
        self._told = True

    async def _tell(self) -> None:
        database = self.store.database
        told = await database.execute(  # not where the store was brought to a later format since it was opened
            """INSERT INTO flowlang_executors (id, host, pid, started_at, seen_at, lease)
            SELECT :id, :host, :pid::int, {now}, {now}, :lease::float8 FROM flowlang_meta
            WHERE key = 'format' AND value = :format FOR SHARE""",
            id=self.id, host=socket.gethostname(), pid=os.getpid(), lease=self.lease, format=str(FORMAT),
        )  # fmt: skip
        if not told:
            raise StoreError(f"the store {database.url} is not of format {FORMAT} any more: use the later FlowLang")

    async def close(self) -> None:
        try:
            await forget(self.store, self.id)
        finally:
            await self._end()

    async def _end(self) -> None:
        if self._loop is not None:
            self._closing = True
            self._loop.call_soon_threadsafe(self._stirred.set)
            await asyncio.wrap_future(self._given_back)
            self._loop = None

    # ------------------------------------------------------------ the thread

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._keep())
        finally:
            self._given_back.set_result(None)

    async def _keep(self) -> None:
        """Hold the lock, and beat, until it is closed."""
        try:
            await self._lock.take()
        except BaseException as error:  # noqa: BLE001 - whoever waits for the lock is told
            self._taken.set_exception(error)
        else:
            self._taken.set_result(None)
        while not self._closing:
            await self._stir(self._lock.rest)
            if self._told and not self._closing:
                self._lost = not await self._lock.beat()
        await self._lock.give_back()

    async def _stir(self, seconds: float) -> None:
        """Until it is closed, or its lock is lost, or for so long."""
        self._stirred.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stirred.wait()


def lease_of(env: Mapping[str, str]) -> float:
    """Raises `StoreError` for one that is no number of seconds above 0."""
    text = env.get(VARIABLE)
    try:
        seconds = LEASE if text is None else float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise StoreError(f"{VARIABLE} is `{text}`; it has to be a number of seconds, like {LEASE:g}")
    return seconds
