"""Time that jumps: an event loop whose clock moves only when everything waits for it.

    nothing is ready, a timer is due in an hour, nothing real is under way  →  it is an hour later, at once

What is carried out for real (a driver's call, a thread, opening a connection) says so with `VirtualLoop.really`:
while that goes on, time stands still, so that it takes no time at all in the eyes of the flow, and after `PATIENCE`
it runs as it does on a wall, so that a limit ends also what really hangs. See `docs/design/011-virtual-time.md`.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

from flowlang.engine.clock import Clock

PATIENCE = 0.5  # seconds of real work before time begins to run along
START = datetime(2026, 1, 1, tzinfo=UTC)
_REAL: ContextVar[bool] = ContextVar("_REAL", default=False)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`on_stuck` is called when nothing will ever happen again: nothing ready, no timer, nothing real under way."""

    def __init__(self) -> None:
        self.elapsed = 0.0  # seconds
        self.on_stuck: Callable[[], None] | None = None
        self.under_way = 0  # real operations
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.elapsed

    @contextmanager
    def really(self) -> Iterator[None]:
        """Something real goes on in this block; a part of it that only waits for the clock is `waiting`."""
        if _REAL.get():
            yield
            return
        token = _REAL.set(True)
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1
            _REAL.reset(token)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The opposite, inside of what goes on for real: a back-off between two attempts to open a connection."""
        if not _REAL.get():
            yield
            return
        token = _REAL.set(False)
        self.under_way -= 1
        try:
            yield
        finally:
            self.under_way += 1
            _REAL.reset(token)


class _Selector(selectors.BaseSelector):
    """The real selector, asked first; what is left of a wait is not waited for, but added to the loop's clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._inner = selectors.DefaultSelector()
        self._patience = PATIENCE

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Called by the loop when nothing is ready for `timeout` seconds (None: no timer; 0: something is)."""
        loop = self._loop
        if timeout is not None and timeout <= 0:
            return self._inner.select(0)
        if loop.under_way:
            return self._along(timeout)
        self._patience = PATIENCE
        if timeout is None and loop.on_stuck is None:
            return self._inner.select(None)
        events = self._inner.select(0)
        if events:
            return events
        if timeout is not None:
            loop.elapsed += timeout
        elif loop.on_stuck is not None:
            loop.on_stuck()
        return []

    def _along(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for what is real. The clock stands until the patience is used up, then it runs."""
        if timeout is None:
            return self._inner.select(None)
        began = time.monotonic()
        events = self._inner.select(self._patience if self._patience > 0 else timeout)
        waited = time.monotonic() - began
        if self._patience > 0:
            self._patience -= waited
        else:
            self._loop.elapsed += timeout if not events else min(waited, timeout)
        return events

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def close(self) -> None:
        self._inner.close()

    def get_map(self) -> Any:
        return self._inner.get_map()


class VirtualClock(Clock):
    """The clock of a run in a `VirtualLoop`: it begins at `start`, and its chance repeats itself with `seed`."""

    def __init__(self, loop: VirtualLoop, start: datetime = START, seed: int = 0) -> None:
        self._loop = loop
        self._start = start
        self._began = loop.time()
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be kept secret

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def time(self) -> float:
        return self._start.timestamp() + self.monotonic()

    def monotonic(self) -> float:
        return self._loop.time() - self._began

    async def sleep(self, seconds: float) -> None:
        with self._loop.waiting():
            await asyncio.sleep(seconds)

    def uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self._chance.getrandbits(128), version=4)

    def random(self) -> float:
        return self._chance.random()
