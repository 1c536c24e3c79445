"""PyMongo's client, with other locks, and no socket left behind by a cancellation.

For each operation the driver takes the lock of its pool six times and that of its view of the servers once, for a few
assignments each time. Its locks are fair: while one task waits, whoever comes has to wait too, a turn of the event loop
for each time. Once several operations meet there, which opening the first sockets sees to, they queue at every step of
every operation: 1,000 reads, 16 at once, took 6,000 turns of the loop, and take 700 with locks that are given to
whoever comes when they are free. In which order tasks wait for a socket is not for the locks to say but for the pool's
conditions, and stays.

`AsyncMongoClient` has `_pool_class` "for deep customization of PyMongo"; the other attributes are those of the versions
from 4.13 on (`pymongo/asynchronous/pool.py` and `topology.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from traceback import walk_tb
from typing import Any, Literal

from pymongo import AsyncMongoClient
from pymongo.asynchronous.pool import Pool as DriversPool


class Lock:
    """`asyncio.Lock` without the queue: whoever comes when it is free has it at once."""

    def __init__(self) -> None:
        self._locked = False
        self._waiters: deque[asyncio.Future[None]] = deque()

    def locked(self) -> bool:
        return self._locked

    async def acquire(self) -> Literal[True]:
        while self._locked:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(turn)
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():
                    self._wake()  # it was our turn at the very moment we left
                raise
            finally:
                if turn in self._waiters:
                    self._waiters.remove(turn)
        self._locked = True
        return True

    def release(self) -> None:
        if not self._locked:
            raise RuntimeError("the lock is not held")
        self._locked = False
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        self.release()


class _Pool(DriversPool):
    """Made by the driver, one for each server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lock: Any = Lock()
        self.lock = lock
        self.size_cond = type(self.size_cond)(lock)
        self._max_connecting_cond = type(self._max_connecting_cond)(lock)

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().connect(*args, **kwargs)
        except asyncio.CancelledError as error:
            _close_unconnected(error)
            raise


def _close_unconnected(error: BaseException) -> None:
    """Close the socket that was being connected when `error` came. The driver does so for errors, and lets go of it in
    a cancellation (`pymongo/pool_shared.py`): its function alone knew of it."""
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code.co_name == "_async_create_connection":
            unconnected = frame.f_locals.get("sock")
            if unconnected is not None:
                unconnected.close()


def client(url: str, **options: Any) -> AsyncMongoClient[dict[str, Any]]:
    """A client, unopened. Raises what the driver raises for a URL or options that it does not take."""
    made: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(url, **options, _pool_class=_Pool)
    topology: Any = made._topology  # noqa: SLF001 - there is no other way to its lock
    if topology is not None:  # else the servers have still to be looked up, for a `mongodb+srv` URL
        lock = Lock()
        topology._condition = type(topology._condition)(lock)  # noqa: SLF001
        topology._lock = lock  # noqa: SLF001
    return made
