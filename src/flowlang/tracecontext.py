"""Which trace the work under way belongs to: what is sent along with a request (W3C Trace Context), and who hears.

    trace_parent of the caller ──▶ CURRENT of the run ──▶ a listener that makes spans puts its own there ──▶ requests

Formats: https://www.w3.org/TR/trace-context/. Nothing of OpenTelemetry is needed for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol

from flowlang.records import frozen

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_STATE = re.compile(r"[\x20-\x7e]{1,512}")


@frozen
class Trace:
    """`parent` is a `traceparent`: version, trace, span and flags. `state` is a `tracestate`: what systems of tracing
    keep for themselves, handed on as it came."""

    parent: str
    state: str | None = None

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        parent = ("traceparent", self.parent)
        return (parent,) if self.state is None else (parent, ("tracestate", self.state))


CURRENT: ContextVar[Trace | None] = ContextVar("CURRENT", default=None)
"""That of the attempt or request under way; of the run, outside of one; None when nobody traces."""


class Watcher(Protocol):
    """Who hears of the requests of an operation."""

    def sent(
        self, method: str, url: str, server: str, port: int, resent: int
    ) -> Callable[[int | None, str | None], None]:
        """A request is about to be sent, to follow `resent` others. From now on `CURRENT` may be a trace of its own.

        Returns what hears of its end: the status of the reply, and what was wrong.
        """


WATCHER: ContextVar[Watcher | None] = ContextVar("WATCHER", default=None)
"""That of the operation under way; None when nobody listens."""


def parsed(parent: str | None, state: str | None = None) -> Trace | None:
    """The trace that a caller names. None for what is no `traceparent`: the standard asks to go on as if there were
    none, since it comes from strangers. A `tracestate` that cannot be one is left out."""
    parent = (parent or "").strip()
    if _PARENT.fullmatch(parent) is None:
        return None
    state = (state or "").strip()
    return Trace(parent, state if _STATE.fullmatch(state) else None)
