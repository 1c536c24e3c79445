"""Leases that are told of: had after a wait, given back after a use; and the requests sent while they are out.

A run binds its operations to these classes when somebody listens to leases, so that no other run pays for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from flowlang.connections.lifecycle import ConnectionSlot, Live
from flowlang.engine.failures import secrets_of
from flowlang.engine.operations import LeasedCall, opened
from flowlang.engine.streams import StreamCall
from flowlang.events import LeaseReturned, LeaseTaken, RequestEnded, RequestSent
from flowlang.masking import WITHHELD
from flowlang.tasks.stream import OnClose
from flowlang.tracecontext import WATCHER

if TYPE_CHECKING:
    from flowlang.engine.fiber import Fiber


class Lease:
    """One lease of the step at `path`, from the moment it is asked for. `since`: when that was; once there is a handle,
    when that came, and at last when it went. It is the watcher of its task's requests."""

    __slots__ = ("arguments", "fiber", "out", "path", "requests", "run", "since", "slot", "step")

    def __init__(
        self, fiber: Fiber, path: str, slot: ConnectionSlot, arguments: Mapping[str, Any] | None = None
    ) -> None:
        self.fiber = fiber
        self.run = fiber.run
        self.step = fiber.step if arguments is not None else None
        self.path = path
        self.slot = slot
        self.arguments = arguments
        self.out = False
        self.requests = 0
        self.since = self.run.clock.monotonic()

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

    def sent(
        self, method: str, url: str, server: str, port: int, resent: int
    ) -> Callable[[int | None, str | None], None]:
        """A request leaves; to be called at its end."""
        run, tell, began = self.run, self.run.detail, self.run.clock.monotonic()
        assert tell is not None
        self.requests += 1
        which = (self.path, self.slot.name, self.requests)
        url, server = self._shown(url), self._shown(server)
        tell(RequestSent(run.run_id, run.epoch + began, *which, method, url, server, port, resent))

        def ended(status: int | None, error: str | None) -> None:
            now = run.clock.monotonic()
            if error == "cancelled" and self.fiber.late:
                error = "timeout"
            tell(RequestEnded(run.run_id, run.epoch + now, *which, now - began, status, error))

        return ended

    def _shown(self, text: str) -> str:
        """`text` without what the step was given of secrets, as a failure is told."""
        given = secrets_of(self.step, self.arguments) if self.step is not None and self.arguments is not None else ()
        masker = self.run.masker.over(given)
        return WITHHELD if masker is None else self.slot.describe(masker.text(text))

    def _tell(self, kind: type[LeaseTaken | LeaseReturned], *more: Any) -> None:
        run, slot = self.run, self.slot
        assert run.detail is not None
        run.detail(kind(run.run_id, run.epoch + self.since, self.path, slot.name, slot.type, *more))


class ToldCall(LeasedCall):
    """A task on a connection, with the events of its lease."""

    __slots__ = ()

    async def call(self, fiber: Fiber, path: str, kwargs: dict[str, Any]) -> Any:
        if self.slot.live is None:
            await opened(self.slot, fiber, path)  # apart: opening is not waiting for a lease
        lease, outer = Lease(fiber, path, self.slot, kwargs), WATCHER.get()
        WATCHER.set(lease)
        try:
            return await super().call(fiber, path, kwargs)
        finally:
            WATCHER.set(outer)
            lease.returned()

    def task(self, live: Live) -> Callable[..., Any]:
        function = super().task(live)

        def told(*args: Any, **kwargs: Any) -> Any:
            _lease().taken(live)
            return function(*args, **kwargs)

        return told


class ToldStream(StreamCall):
    """A task that yields batches, with the events of its lease, which the end of the stream gives back."""

    __slots__ = ()

    async def call(self, fiber: Fiber, path: str, kwargs: dict[str, Any]) -> Any:
        assert self.slot is not None
        if self.slot.live is None:
            await opened(self.slot, fiber, path)
        lease, outer = Lease(fiber, path, self.slot, kwargs), WATCHER.get()
        WATCHER.set(lease)
        try:
            return await super().call(fiber, path, kwargs)
        except BaseException:
            lease.returned()
            raise
        finally:
            WATCHER.set(outer)

    def task(self, live: Live | None) -> Callable[..., Any]:
        assert live is not None
        lease, function = _lease(), super().task(live)
        lease.taken(live)
        return lambda **kwargs: _Watched(aiter(function(**kwargs)), lease)

    def last(self, closed: OnClose) -> OnClose:
        lease = _lease()

        async def told(error: BaseException | None) -> None:
            try:
                await closed(error)
            finally:
                lease.returned()

        return told


def _lease() -> Lease:
    """That of the operation which is under way."""
    lease = WATCHER.get()
    assert isinstance(lease, Lease)
    return lease


class _Watched:
    """The batches of a stream. Whoever asks for one, the requests that bring it are those of the stream's lease."""

    __slots__ = ("_lease", "_source")

    def __init__(self, source: AsyncIterator[Any], lease: Lease) -> None:
        self._source = source
        self._lease = lease

    def __aiter__(self) -> _Watched:
        return self

    async def __anext__(self) -> Any:
        outer = WATCHER.get()
        WATCHER.set(self._lease)
        try:
            return await anext(self._source)
        finally:
            WATCHER.set(outer)

    async def aclose(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
