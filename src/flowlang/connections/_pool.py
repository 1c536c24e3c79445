"""A pool of handles that are opened as they are needed, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Generic, Protocol, TypeVar

from flowlang.exceptions import ConnectionError

TENANT: ContextVar[object] = ContextVar("TENANT", default=None)
"""The run that asks, where runs share connections."""


class Pooled(Protocol):
    """What a pool asks of its handles."""

    async def open(self) -> None:
        """Open it. Whatever goes wrong, nothing stays open."""

    @property
    def closed(self) -> bool:
        """Whether it is closed, by us or as far as we know by the other end."""

    async def close(self) -> None:
        """Close it. Closing twice does nothing."""

    async def reset(self, *, thorough: bool = False) -> bool:
        """Undo what a task left open. Returns whether the session is as good as new. `thorough`: the session passes
        from one run to another, so also what cannot be seen to have been left."""


Handle = TypeVar("Handle", bound=Pooled)


class Pool(Generic[Handle]):
    """At most `size` handles. A waiter is handed either an idle handle or the right to open one (None).

    `make(number)` gives an unopened handle; the numbers count from 1, for the names of threads and the like. An idle
    handle that is closed by now is thrown away. One that has been idle for `idle` seconds, or open for `lifetime`
    seconds, is closed when the pool is used next, as long as `least` remain. `in_turn`: handles close one after the
    other. One that another run has used is reset thoroughly before it is given out.
    """

    def __init__(
        self,
        make: Callable[[int], Handle],
        size: int,
        *,
        least: int = 0,
        idle: float | None = None,
        lifetime: float | None = None,
        in_turn: bool = False,
    ) -> None:
        self._make = make
        self.size = size
        self._least = least
        self._idle_limit = idle
        self._lifetime = lifetime
        self._idle: deque[tuple[Handle, float]] = deque()  # with the time of the release, the latest last
        self._all: dict[Handle, float] = {}  # with the time of the opening
        self._tenants: dict[Handle, object] = {}  # who had it last
        self._opening = 0
        self._waiters: deque[asyncio.Future[Handle | None]] = deque()
        self._closed = False
        self._opened = 0  # ever
        # One closes at a time: the last handle of a SQLite file removes its write-ahead log, and two that close at once
        # would each leave it to the other.
        self._closing = asyncio.Lock() if in_turn else None

    async def fill(self) -> None:
        """Open handles until there are `least`, and one at least, at the same time. Raises what opening one raised; the
        others stay open."""
        missing = max(max(self._least, 1) - len(self._all) - self._opening, 0)
        self._opening += missing
        opened = await asyncio.gather(*(self._open() for _ in range(missing)), return_exceptions=True)
        errors = [each for each in opened if isinstance(each, BaseException)]
        for each in opened:
            if not isinstance(each, BaseException):
                self._pass_on(each)
        if errors:
            raise errors[0]

    async def acquire(self) -> Handle:
        """A handle for the caller alone. Waits when all are in use. Raises what opening one raised."""
        tenant = TENANT.get()
        while True:
            handle = self._at_hand() or await self._next()
            if self._tenants.get(handle, tenant) is tenant or await self._passed_on(handle):
                self._tenants[handle] = tenant
                return handle

    async def _passed_on(self, handle: Handle) -> bool:
        """Whether a handle that another run has used is as good as new. If not it is closed."""
        try:
            clean = await handle.reset(thorough=True)
        except Exception:  # noqa: BLE001 - it is closed, and another one opened, whose failure tells more
            clean = False
        except BaseException:
            await self.discard(handle)
            raise
        if not clean:
            await self.discard(handle)
        return clean

    def _at_hand(self) -> Handle | None:
        """An idle handle, if there is one."""
        if self._closed:
            raise ConnectionError("the connection is closed")
        while self._idle:
            idle = self._idle.pop()[0]
            if not idle.closed:
                return idle
            self._forget(idle)
        return None

    async def _next(self) -> Handle:
        """One that is opened, or that comes back."""
        if len(self._all) + self._opening < self.size:
            self._opening += 1
        else:
            handle = await self._turn()
            if handle is not None:
                return handle
        return await self._open()

    def _forget(self, handle: Handle) -> bool:
        """The handle is none of the pool's any more. Returns whether it was."""
        self._tenants.pop(handle, None)
        return self._all.pop(handle, None) is not None

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
        task = asyncio.current_task()
        asked = task.cancelling() if task is not None else 0
        try:
            await handle.open()
            if task is not None and task.cancelling() > asked:
                await handle.close()
                raise asyncio.CancelledError  # some drivers keep one to themselves that comes while they log in
        except BaseException:
            self._pass_on(None)
            raise
        self._opening -= 1
        if self._closed:
            await handle.close()
            raise ConnectionError("the connection was closed meanwhile")
        self._all[handle] = _now()
        return handle

    def _pass_on(self, handle: Handle | None, now: float | None = None) -> None:
        """Give a handle, or the place for one (counted in `_opening`), to the one who waits longest."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(handle)
                return
        if handle is None:
            self._opening -= 1
        else:
            self._idle.append((handle, _now() if now is None else now))

    async def release(self, handle: Handle) -> None:
        """Take a handle back, reset; closed where resetting is not enough."""
        if handle not in self._all:
            return
        try:
            clean = await handle.reset()
        except BaseException:
            await self.discard(handle)
            raise
        opened = self._all.get(handle)
        if opened is None:
            return  # the pool was closed meanwhile, and the handle with it
        now = _now()
        if clean and (self._lifetime is None or now - opened < self._lifetime):
            self._pass_on(handle, now)
        else:
            await self.discard(handle)
        while self._outlived(now):
            await self.discard(self._idle.popleft()[0])

    def _outlived(self, now: float) -> bool:
        """Whether the handle that has been idle longest need not be kept."""
        limit, idle = self._idle_limit, self._idle
        return limit is not None and bool(idle) and now - idle[0][1] > limit and len(self._all) > self._least

    async def discard(self, handle: Handle) -> None:
        """Close a handle and let another be opened in its place."""
        if not self._forget(handle):
            return
        self._opening += 1
        try:
            await self._close(handle)
        finally:
            self._pass_on(None)

    async def _close(self, handle: Handle) -> None:
        if self._closing is None:
            await handle.close()
        else:
            async with self._closing:
                await handle.close()

    async def close(self) -> None:
        """Close every handle, also those that are out. Closing twice does nothing. The first error is raised when all
        have been closed."""
        self._closed = True
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(ConnectionError("the connection was closed while waiting for a handle"))
        self._idle.clear()
        handles = list(self._all)
        self._all.clear()
        self._tenants.clear()
        closing = asyncio.gather(*map(self._close, handles), return_exceptions=True)
        try:
            ended = await asyncio.shield(closing)
        except asyncio.CancelledError:
            await closing  # cut short, those whose turn had not come would stay open
            raise
        for each in ended:
            if isinstance(each, BaseException):
                raise each


def _now() -> float:
    return asyncio.get_running_loop().time()
