"""A request as those hear of it who listen to the operation under way (see `flowlang.tracecontext`)."""

from __future__ import annotations

from asyncio import Timeout
from collections.abc import Callable
from types import TracebackType

from flowlang.connections.http import urls
from flowlang.connections.http.calls import Call
from flowlang.connections.http.errors import reason_of
from flowlang.connections.http.urls import Place
from flowlang.tracecontext import WATCHER


class Watched:
    """Around the wait for one reply, in the task of the operation. Inside, `CURRENT` is the trace of the request.

    `place` is where `call` goes, with what its credentials add; `hidden` are the names in its query that nobody may see
    the values of, `timer` is the time limit. `status` is set by whoever sees the head of the reply.
    """

    __slots__ = ("_call", "_ended", "_place", "_resent", "_timer", "shown", "status")

    def __init__(
        self, call: Call, place: Place, timer: Timeout | None, hidden: tuple[str, ...] = (), resent: int = 0
    ) -> None:
        self.shown = urls.shown(place, hidden)
        self.status: int | None = None
        self._call = call
        self._place = place
        self._timer = timer
        self._resent = resent
        self._ended: Callable[[int | None, str | None], None] | None = None

    def __enter__(self) -> Watched:
        watcher, place = WATCHER.get(), self._place
        if watcher is not None:
            self._ended = watcher.sent(self._call.method, self.shown, place.host, place.port, self._resent)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ended is None:
            return
        if self.status is not None:
            failed = self.status >= 400 and not self._call.wants(self.status)
            self._ended(self.status, str(self.status) if failed else None)
        else:
            self._ended(None, reason_of(error, self._timer) if error is not None else None)
