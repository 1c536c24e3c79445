"""Events as spans: run → step → attempt → lease, request.

The context of the task that runs a step says what is around it, as everywhere in OpenTelemetry: a step's event arrives
in that very task, so its span becomes the current one there, and what the step begins inherits it. Nothing is ever
*detached*: the end of a step makes what was current before it current again.
"""

from __future__ import annotations

import re
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from flowlang import events
from flowlang.exceptions import Failure
from flowlang.telemetry import databases, names, requests
from flowlang.telemetry.folds import Folds, hears
from flowlang.tracecontext import CURRENT, Trace

LONGEST = 1000  # characters of a failure that a span's status shows
_INDEX = re.compile(r"\[\d+\]")
_W3C = TraceContextTextMapPropagator()


class _Attempt:
    """An attempt under way, or that a retry waits for: `since` may lie ahead (nanoseconds, as all times here)."""

    __slots__ = ("inside", "since", "span")

    def __init__(self, span: Span, inside: Context, since: int) -> None:
        self.span = span
        self.inside = inside
        self.since = since


class _Step:
    """A step under way. `outer` was current before it, with its trace; `inside` is the step's own context."""

    __slots__ = ("attempt", "inside", "operation", "outer", "outer_trace", "shown", "span")

    def __init__(self, span: Span, outer: Context, operation: str, shown: dict[str, Any]) -> None:
        self.span = span
        self.outer = outer
        self.outer_trace = CURRENT.get()
        self.inside = trace.set_span_in_context(span, outer)
        self.operation = operation
        self.shown = shown  # the attributes of each attempt
        self.attempt: _Attempt | None = None


class _Lease:
    """A handle that a step has. `inside` is the context that it was taken in; `requests` are those under way on it, by
    number, each with the trace that was current before."""

    __slots__ = ("inside", "requests", "span")

    def __init__(self, span: Span, inside: Context) -> None:
        self.span = span
        self.inside = inside
        self.requests: dict[int, tuple[Span, Trace | None]] = {}


class _Run:
    """A run under way, with its steps by path and its leases by path and connection."""

    __slots__ = ("kinds", "leases", "span", "steps")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.kinds: dict[str, str] = {}  # the types of connections; of two with one name, that of the later
        self.steps: dict[str, _Step] = {}
        self.leases: dict[tuple[str, str], _Lease] = {}


class Spans(Folds[_Run]):
    """Makes the spans of any number of runs."""

    def __init__(self, provider: trace.TracerProvider | None, version: str) -> None:
        super().__init__()
        self._tracer = (provider or trace.get_tracer_provider()).get_tracer("flowlang", version)

    # ------------------------------------------------------------ runs and connections

    def begun(self, event: events.RunStarted) -> _Run:
        around = _around()
        known = {names.RUN_ID: event.run_id, names.FLOW: event.flow, names.FILE: event.file}
        span = self._tracer.start_span(f"run {event.flow}", around, attributes=known, start_time=_ns(event.at))
        _enter(trace.set_span_in_context(span, around), span)
        return _Run(span)

    @hears(events.RunFinished)
    def _run_finished(self, run: _Run, event: events.RunFinished) -> None:
        for lease in run.leases.values():
            lease.span.end(_ns(event.at))
        failure = event.failure if event.status in ("failed", "timed_out") else None
        _end(run.span, event.at, event.status, failure)

    @hears(events.ConnectionOpened)
    def _opened(self, run: _Run, event: events.ConnectionOpened) -> None:
        run.kinds[event.connection] = event.type
        known = _connection(event.connection, event.type) | _place(event)
        began = _ns(event.at - event.duration)
        name = f"connect {event.connection}"
        self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=known, start_time=began).end(_ns(event.at))

    # ------------------------------------------------------------ steps

    @hears(events.StepStarted)
    def _started(self, run: _Run, event: events.StepStarted) -> None:
        outer = contexts.get_current()
        known: dict[str, Any] = {names.PATH: event.path, names.OPERATION: event.operation}
        shown: dict[str, Any] = {names.OPERATION: event.operation}
        if event.connection is not None:
            known[names.CONNECTION] = event.connection
            shown |= _connection(event.connection, run.kinds.get(event.connection))
            if shown.get(names.SYSTEM) is not None and event.inputs is not None:
                shown |= databases.asked(event.operation, event.inputs)
        name = _INDEX.sub("", event.path)
        span = self._tracer.start_span(name, outer, attributes=known, start_time=_ns(event.at))
        step = run.steps[event.path] = _Step(span, outer, event.operation, shown)
        if event.inputs is None:
            _enter(step.inside, span)
        else:
            self._attempt(step, 1, _ns(event.at))

    def _attempt(self, step: _Step, number: int, since: int) -> None:
        kind = SpanKind.CLIENT if names.CONNECTION in step.shown else SpanKind.INTERNAL
        known = {**step.shown, names.ATTEMPT: number}
        span = self._tracer.start_span(step.operation, step.inside, kind, known, start_time=since)
        step.attempt = _Attempt(span, trace.set_span_in_context(span, step.inside), since)
        _enter(step.attempt.inside, span)

    @hears(events.AttemptFailed)
    def _retried(self, run: _Run, event: events.AttemptFailed) -> None:
        step = run.steps.get(event.path)
        if step is None:
            return
        if step.attempt is not None:
            step.attempt.span.set_attribute(names.DELAY, event.delay)
            self._coded(run, step, event.failure)
            _end(step.attempt.span, event.at, "failed", event.failure)
        self._attempt(step, event.attempt + 1, _ns(event.at + event.delay))

    @hears(events.StepSucceeded)
    def _succeeded(self, run: _Run, event: events.StepSucceeded) -> None:
        step = self._left(run, event.path)
        if step is None:
            return
        step.span.set_attribute(names.ATTEMPTS, event.attempts)
        if event.cached:
            step.span.set_attribute(names.CACHED, value=True)
        elif step.attempt is not None:
            self._ended(step.attempt, event.at, "succeeded", None)
        _end(step.span, event.at, "succeeded", None)

    @hears(events.StepFailed)
    def _failed(self, run: _Run, event: events.StepFailed) -> None:
        step, failure = self._left(run, event.path), event.failure
        if step is None:
            return
        place = {names.FILE: failure.file, names.LINE: failure.line, names.COLUMN: failure.column}
        step.span.set_attributes({name: value for name, value in place.items() if value is not None})
        if failure.step == event.path:
            step.span.set_attribute(names.ATTEMPTS, failure.attempt)
        if step.attempt is not None:
            self._coded(run, step, failure)
            self._ended(step.attempt, event.at, "failed", failure)
        _end(step.span, event.at, "failed", failure)

    @hears(events.StepCancelled)
    def _cancelled(self, run: _Run, event: events.StepCancelled) -> None:
        step = self._left(run, event.path)
        if step is None:
            return
        if step.attempt is not None:
            self._ended(step.attempt, event.at, "cancelled", None)
        _end(step.span, event.at, "cancelled", None)

    @staticmethod
    def _left(run: _Run, path: str) -> _Step | None:
        """The step, which is over: what was around it is current again."""
        step = run.steps.pop(path, None)
        if step is not None:
            contexts.attach(step.outer)
            CURRENT.set(step.outer_trace)
        return step

    @staticmethod
    def _coded(run: _Run, step: _Step, failure: Failure) -> None:
        """An attempt on a database fails, with what the server calls it."""
        kind = run.kinds.get(step.shown.get(names.CONNECTION, ""), "")
        if kind in databases.SYSTEMS and step.attempt is not None and failure.code is not None:
            step.attempt.span.set_attribute(names.CODE, failure.code)

    @staticmethod
    def _ended(attempt: _Attempt, at: float, state: str, failure: Failure | None) -> None:
        """The last attempt is over. One that a step was still waiting for never was: it is not told of."""
        if attempt.since <= _ns(at) or state == "succeeded":
            _end(attempt.span, max(at, attempt.since / 1e9), state, failure)

    # ------------------------------------------------------------ leases and requests

    @hears(events.LeaseTaken)
    def _taken(self, run: _Run, event: events.LeaseTaken) -> None:
        step = run.steps.get(event.path)
        known = _connection(event.connection, event.type) | _place(event)
        inside = contexts.get_current() if step is None else step.inside
        if step is not None and step.attempt is not None:
            inside = step.attempt.inside
            step.attempt.span.set_attributes(known)
        known |= {names.WAITED: event.waited, names.IN_USE: event.in_use}
        if event.capacity is not None:
            known[names.CAPACITY] = event.capacity
        name = f"lease {event.connection}"
        span = self._tracer.start_span(name, inside, attributes=known, start_time=_ns(event.at))
        run.leases[event.path, event.connection] = _Lease(span, inside)

    @hears(events.LeaseReturned)
    def _returned(self, run: _Run, event: events.LeaseReturned) -> None:
        lease = run.leases.pop((event.path, event.connection), None)
        if lease is not None:
            lease.span.end(_ns(event.at))

    @hears(events.RequestSent)
    def _sent(self, run: _Run, event: events.RequestSent) -> None:
        lease = run.leases.get((event.path, event.connection))
        if lease is None:
            return
        known = requests.described(event)
        name = "HTTP" if names.METHOD_ORIGINAL in known else event.method
        span = self._tracer.start_span(name, lease.inside, SpanKind.CLIENT, known, start_time=_ns(event.at))
        lease.requests[event.request] = (span, CURRENT.get())
        if span.get_span_context().is_valid:
            CURRENT.set(_trace(span))

    @hears(events.RequestEnded)
    def _replied(self, run: _Run, event: events.RequestEnded) -> None:
        lease = run.leases.get((event.path, event.connection))
        if lease is None or event.request not in lease.requests:
            return
        span, before = lease.requests.pop(event.request)
        CURRENT.set(before)
        span.set_attributes(requests.outcome(event))
        if event.error is not None:
            span.set_status(StatusCode.ERROR)
        span.end(_ns(event.at))
        step = run.steps.get(event.path)
        if event.status is not None and step is not None and step.attempt is not None:
            step.attempt.span.set_attribute(names.STATUS, event.status)


# ---------------------------------------------------------------- contexts


def _around() -> Context:
    """What a run is started in: the trace that its caller names, unless that is of the current span anyway."""
    current, named = contexts.get_current(), CURRENT.get()
    if named is None or named.parent == _trace(trace.get_current_span(current)).parent:
        return current
    return _W3C.extract(dict(named.headers), current)


def _enter(context: Context, span: Span) -> None:
    """Let `context` be that of this task, and of all that it begins; requests carry its span from now on."""
    contexts.attach(context)
    if span.get_span_context().is_valid:
        CURRENT.set(_trace(span))


def _trace(span: Span) -> Trace:
    known = span.get_span_context()
    state = known.trace_state.to_header() if known.trace_state else None
    return Trace(f"00-{known.trace_id:032x}-{known.span_id:016x}-{known.trace_flags:02x}", state)


# ---------------------------------------------------------------- spans


def _connection(name: str, kind: str | None) -> dict[str, Any]:
    known: dict[str, Any] = {names.CONNECTION: name}
    if kind is not None:
        known[names.TYPE] = kind
    if kind in databases.SYSTEMS:
        known[names.SYSTEM] = databases.SYSTEMS[kind]
    return known


def _place(event: events.ConnectionOpened | events.LeaseTaken) -> dict[str, Any]:
    """Where a connection leads. A port that happens to be a secret is a mask, and none any more."""
    known: dict[str, Any] = {}
    if event.server is not None:
        known[names.SERVER] = event.server
    if type(event.port) is int:
        known[names.PORT] = event.port
    if event.database is not None and event.type in databases.SYSTEMS:
        known[names.NAMESPACE] = event.database
    return known


def _end(span: Span, at: float, state: str, failure: Failure | None) -> None:
    span.set_attribute(names.STATE, state)
    if failure is not None:
        span.set_attribute(names.ERROR, failure.type)
        span.set_status(Status(StatusCode.ERROR, failure.detail[:LONGEST]))
    span.end(_ns(at))


def _ns(at: float) -> int:
    """Nanoseconds since the epoch."""
    return int(at * 1e9)
