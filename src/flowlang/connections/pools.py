"""Connections that several runs share. Their owner is a `Pools`, which a program opens and closes.

    Pools ── sharing key ──▶ _Shared (a slot that belongs to no run) ── lend ──▶ the slots of many runs

The first run that needs a connection has it opened, in a task of the owner's, so that a run which is cancelled takes
nothing from the others that wait for it. The last run to give it back starts its time of rest.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Hashable
from types import TracebackType
from typing import Any, Self

from flowlang.connections.config import scrubbed
from flowlang.connections.lifecycle import ConnectionSlot, Live, uninterrupted
from flowlang.exceptions import ConnectionError


class _Shared:
    """One connection for all runs that need just it. `users`: the slots that have it or wait for it. `opened`: when the
    instance was, by the clock of the loop."""

    __slots__ = ("key", "opened", "opening", "rest", "slot", "users")

    def __init__(self, key: Hashable, slot: ConnectionSlot) -> None:
        self.key = key
        self.slot = slot
        self.users: set[ConnectionSlot] = set()
        self.opening: asyncio.Task[Live] | None = None
        self.opened = 0.0
        self.rest: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """It is needed again."""
        if self.rest is not None:
            self.rest.cancel()
            self.rest = None


class Pools:
    """Keeps connections open from run to run, and shares them between runs that go on at the same time.

    async with flowlang.Pools() as pools:
        for order in orders:
            await flowlang.run("ship.yaml", {"order": order}, pools=pools)

    Runs share a connection when its type and all of its settings are the same, and its plugin is `shareable`. `idle`:
    seconds that one which no run uses stays open (0: the last run closes it). `lifetime`: seconds after which no
    further run is given it. At the end of the block runs that still go on are waited for, and everything is closed;
    when the block ends by an exception it is closed at once. The runs have to be in the event loop of the block.
    """

    def __init__(self, *, idle: float = 60.0, lifetime: float = 3600.0) -> None:
        if idle < 0 or lifetime <= 0:
            raise ValueError("`idle` must be at least 0 and `lifetime` more than 0 seconds")
        self._idle = idle
        self._lifetime = lifetime
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._current: dict[Hashable, _Shared] = {}
        self._used: dict[ConnectionSlot, set[_Shared]] = {}  # by the slot of a run
        self._open: set[_Shared] = set()  # also those that no further run is given
        self._runs: set[asyncio.Task[Any]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._context = contextvars.Context()

    # ------------------------------------------------------------ the block

    async def __aenter__(self) -> Self:
        if self._loop is not None:
            raise RuntimeError("these `Pools` have been opened before: make new ones for each `async with`")
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while kind is None and self._runs:
                await asyncio.wait(self._runs)
        finally:
            self._closed = True
            await uninterrupted(self._close())

    async def _close(self) -> None:
        for shared in list(self._open):
            self._retire(shared)
        while self._ending:
            await asyncio.wait(self._ending)

    # ------------------------------------------------------------ for those who start runs

    def admit(self) -> None:
        """Raises `RuntimeError` unless a run may begin with them here and now."""
        if self._loop is None:
            raise RuntimeError("the `Pools` are not open: `async with flowlang.Pools() as pools:`")
        if self._closed:
            raise RuntimeError("the `Pools` are closed: the run has to begin inside of their `async with`")
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError("the `Pools` were opened in another event loop than the run's: each loop needs its own")

    def accompany(self, run: asyncio.Task[Any]) -> None:
        """A run has begun with them."""
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    # ------------------------------------------------------------ for slots

    async def lend(self, slot: ConnectionSlot) -> Live:
        """The instance for `slot`, opened if need be: once, however many ask, and who asks is told how that ended."""
        while True:
            if self._closed:
                raise ConnectionError("the shared connections are closed", retryable=False)
            shared = self._found(slot)
            shared.users.add(slot)
            self._used.setdefault(slot, set()).add(shared)
            try:
                live = await asyncio.shield(shared.opening or self._begun(shared))
            except asyncio.CancelledError:
                if self._cut_off():
                    raise ConnectionError("the shared connections were closed meanwhile", retryable=False) from None
                raise
            if shared.slot.live is live:  # else it was closed, or broke, before we came to our turn
                live.lend(slot)
                return live

    def _begun(self, shared: _Shared) -> asyncio.Task[Live]:
        assert self._loop is not None
        shared.opening = self._loop.create_task(self._opened(shared), context=self._context.copy())
        shared.opening.add_done_callback(_seen)
        return shared.opening

    def _cut_off(self) -> bool:
        """Whether a cancellation means that everything is closed, and not that the run is to stop."""
        task = asyncio.current_task()
        return self._closed and not (task is not None and task.cancelling())

    def _found(self, slot: ConnectionSlot) -> _Shared:
        key = slot.sharing_key
        shared = self._current.get(key)
        if shared is not None and shared.opening is not None and shared.opening.done():
            if shared.slot.live is None:
                shared.opening = None  # its single client broke
            elif _now() - shared.opened >= self._lifetime:
                del self._current[key]
                self._left(shared)
                shared = None
        if shared is None:
            secrets = slot.secrets
            shared = self._current[key] = _Shared(key, slot.shared(lambda text: scrubbed(text, secrets)))
            self._open.add(shared)
        shared.wake()
        return shared

    async def _opened(self, shared: _Shared) -> Live:
        try:
            live = await shared.slot.open()
        except BaseException:
            shared.opening = None  # whoever asks next tries anew
            raise
        shared.opened = _now()
        return live

    async def take_back(self, slot: ConnectionSlot) -> None:
        """`slot` needs no connection any longer. What the last one closes is closed when this returns."""
        for shared in self._used.pop(slot, ()):
            shared.users.discard(slot)
            if shared.slot.live is not None:
                shared.slot.live.borrowers.discard(slot)
            ending = self._left(shared)
            if ending is not None:
                await asyncio.wait([ending])

    # ------------------------------------------------------------ the end of one

    def _left(self, shared: _Shared) -> asyncio.Task[None] | None:
        """What nobody uses any more rests for a while; or ends, when no further run is to have it."""
        if shared.users or shared not in self._open:
            return None
        kept = self._current.get(shared.key) is shared and shared.slot.live is not None
        if not kept or self._idle == 0:
            return self._retire(shared)
        assert self._loop is not None
        shared.wake()
        shared.rest = self._loop.call_later(self._idle, self._retire, shared, context=self._context)
        return None

    def _retire(self, shared: _Shared) -> asyncio.Task[None]:
        """Close it, whoever uses it, and let no further run have it."""
        assert self._loop is not None
        shared.wake()
        self._open.discard(shared)
        if self._current.get(shared.key) is shared:
            del self._current[shared.key]
        ending = self._loop.create_task(_ended(shared), context=self._context.copy())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        return ending


async def _ended(shared: _Shared) -> None:
    opening = shared.opening
    if opening is not None and not opening.done():
        opening.cancel()
        await asyncio.wait([opening])
    await shared.slot.close()


def _seen(opening: asyncio.Task[Live]) -> None:
    """Who waited is told; when nobody waits any more there is nobody to tell."""
    if not opening.cancelled():
        opening.exception()


def _now() -> float:
    return asyncio.get_running_loop().time()
