"""Leases that are told of: had after a wait, given back after a use.

A run binds its operations to these classes when somebody listens to leases, so that no other run pays for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flowlang.connections.lifecycle import ConnectionSlot, Live
from flowlang.engine.operations import LeasedCall, opened
from flowlang.engine.streams import StreamCall
from flowlang.events import LeaseReturned, LeaseTaken
from flowlang.tasks.stream import OnClose

if TYPE_CHECKING:
    from flowlang.engine.fiber import Fiber
    from flowlang.engine.run import Run


class Lease:
    """One lease of the step at `path`, from the moment it is asked for. `since`: when that was; once there is a handle,
    when that came, and at last when it went."""

    __slots__ = ("out", "path", "run", "since", "slot")

    def __init__(self, run: Run, path: str, slot: ConnectionSlot) -> None:
        self.run = run
        self.path = path
        self.slot = slot
        self.out = False
        self.since = run.clock.monotonic()

    def taken(self, live: Live) -> None:
        """The handle is there, and counted in `live.leases`."""
        asked, self.since, self.out = self.since, self.run.clock.monotonic(), True
        where = self.slot.whereabouts
        numbers = (self.since - asked, live.leases, live.plugin.capacity)
        self._tell(LeaseTaken, *numbers, where.server, where.port, where.database)

    def returned(self) -> None:
        """It has been given back, or there never was one. Calling it twice does nothing."""
        if self.out:
            self.out, taken, self.since = False, self.since, self.run.clock.monotonic()
            self._tell(LeaseReturned, self.since - taken)

    def _tell(self, kind: type[LeaseTaken | LeaseReturned], *more: Any) -> None:
        run, slot = self.run, self.slot
        assert run.detail is not None
        run.detail(kind(run.run_id, run.epoch + self.since, self.path, slot.name, slot.type, *more))


_LEASE: ContextVar[Lease] = ContextVar("_LEASE")  # that of the operation which was begun last in this context


class ToldCall(LeasedCall):
    """A task on a connection, with the events of its lease."""

    __slots__ = ()

    async def call(self, fiber: Fiber, path: str, kwargs: dict[str, Any]) -> Any:
        if self.slot.live is None:
            await opened(self.slot, fiber, path)  # apart: opening is not waiting for a lease
        lease = Lease(fiber.run, path, self.slot)
        _LEASE.set(lease)
        try:
            return await super().call(fiber, path, kwargs)
        finally:
            lease.returned()

    def task(self, live: Live) -> Callable[..., Any]:
        function = super().task(live)

        def told(*args: Any, **kwargs: Any) -> Any:
            _LEASE.get().taken(live)
            return function(*args, **kwargs)

        return told


class ToldStream(StreamCall):
    """A task that yields batches, with the events of its lease, which the end of the stream gives back."""

    __slots__ = ()

    async def call(self, fiber: Fiber, path: str, kwargs: dict[str, Any]) -> Any:
        assert self.slot is not None
        if self.slot.live is None:
            await opened(self.slot, fiber, path)
        lease = Lease(fiber.run, path, self.slot)
        _LEASE.set(lease)
        try:
            return await super().call(fiber, path, kwargs)
        except BaseException:
            lease.returned()
            raise

    def task(self, live: Live | None) -> Callable[..., Any]:
        assert live is not None
        _LEASE.get().taken(live)
        return super().task(live)

    def last(self, closed: OnClose) -> OnClose:
        lease = _LEASE.get()

        async def told(error: BaseException | None) -> None:
            try:
                await closed(error)
            finally:
                lease.returned()

        return told
