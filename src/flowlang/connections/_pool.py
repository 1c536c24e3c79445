"""A pool of handles that are opened as they are needed, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from flowlang.exceptions import ConnectionError


class Pooled(Protocol):
    """What a pool asks of its handles."""

    async def open(self) -> None:
        """Open it. Whatever goes wrong, nothing stays open."""

    async def close(self) -> None:
        """Close it. Closing twice does nothing."""

    async def reset(self) -> bool:
        """Undo what a task left open. Returns whether the session is as good as new."""


Handle = TypeVar("Handle", bound=Pooled)


class Pool(Generic[Handle]):
    """At most `size` handles. A waiter is handed either an idle handle or the right to open one (None).

    `make(number)` gives an unopened handle; the numbers count from 1, for the names of threads and the like.
    """

    def __init__(self, make: Callable[[int], Handle], size: int) -> None:
        self._make = make
        self._size = size
        self._idle: list[Handle] = []
        self._all: set[Handle] = set()
        self._opening = 0
        self._waiters: deque[asyncio.Future[Handle | None]] = deque()
        self._closed = False
        self._opened = 0  # ever
        # One closes at a time: the last handle of a SQLite file removes its write-ahead log, and two that close at once
        # would each leave it to the other.
        self._closing = asyncio.Lock()

    async def acquire(self) -> Handle:
        """A handle for the caller alone. Waits when all are in use. Raises the driver's error when opening fails."""
        if self._closed:
            raise ConnectionError("the connection is closed")
        if self._idle:
            return self._idle.pop()
        if len(self._all) + self._opening < self._size:
            self._opening += 1
        else:
            handle = await self._turn()
            if handle is not None:
                return handle
        return await self._open()

    async def _turn(self) -> Handle | None:
        waiter: asyncio.Future[Handle | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())  # it was our turn at the very moment we left
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    async def _open(self) -> Handle:
        """Open one more; its place is counted in `_opening` already."""
        self._opened += 1
        handle = self._make(self._opened)
        try:
            await handle.open()
        except BaseException:
            self._pass_on(None)
            raise
        self._opening -= 1
        if self._closed:
            await handle.close()
            raise ConnectionError("the connection was closed meanwhile")
        self._all.add(handle)
        return handle

    def _pass_on(self, handle: Handle | None) -> None:
        """Give a handle, or the place for one (counted in `_opening`), to the one who waits longest."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(handle)
                return
        if handle is None:
            self._opening -= 1
        else:
            self._idle.append(handle)

    async def release(self, handle: Handle) -> None:
        """Take a handle back, reset; closed where resetting is not enough."""
        if handle not in self._all:
            return
        try:
            clean = await handle.reset()
        except BaseException:
            await self.discard(handle)
            raise
        if clean:
            self._pass_on(handle)
        else:
            await self.discard(handle)

    async def discard(self, handle: Handle) -> None:
        """Close a handle and let another be opened in its place."""
        if handle not in self._all:
            return
        self._all.remove(handle)
        self._opening += 1
        try:
            async with self._closing:
                await handle.close()
        finally:
            self._pass_on(None)

    async def close(self) -> None:
        """Close every handle, also those that are out. Closing twice does nothing."""
        self._closed = True
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(ConnectionError("the connection was closed while waiting for a handle"))
        self._idle.clear()
        errors: list[BaseException] = []
        while self._all:
            try:
                async with self._closing:
                    await self._all.pop().close()
            except BaseException as error:  # noqa: BLE001 - the others are closed first, then the first error is raised
                errors.append(error)
        if errors:
            raise errors[0]
