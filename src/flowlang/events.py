"""What happens in a run, as records, and the one exit through which they leave, masked.

Around each step: `StepStarted`, then exactly one of `StepSucceeded`, `StepFailed`, `StepSkipped`,
`StepCancelled` (a skipped step has no start). `path` names the step: block ids and loop indices joined by
dots, as in `orders[3].charge`. Times: `at` is seconds since the epoch, `duration` is seconds.

Events are named tuples: immutable, and a third of the price of a frozen dataclass where two are made for each step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from flowlang.exceptions import Failure
from flowlang.masking import Masker

_LOG = logging.getLogger("flowlang.events")


class RunStarted(NamedTuple):
    """A run begins: the first event that it has."""

    run_id: str
    at: float
    flow: str
    file: str


class RunQueued(NamedTuple):
    """It waits until it may begin: `ahead` runs of the flow with the same key are before it."""

    run_id: str
    at: float
    flow: str
    ahead: int


class ConnectionOpened(NamedTuple):
    """The run has the connection, opened or shared with others, after `duration` seconds. `server` (a host, or the
    path of a socket), `port` and `database` are where it leads, as far as its config says; for listeners that are
    `detailed`."""

    run_id: str
    at: float
    connection: str
    type: str
    duration: float
    server: str | None = None
    port: int | None = None
    database: str | None = None


class ConnectionClosed(NamedTuple):
    """Closed, or given back. `problem` is what went wrong while closing, if anything did; it never fails the run."""

    run_id: str
    at: float
    connection: str
    type: str
    problem: str | None = None


class StepStarted(NamedTuple):
    """A step begins. `operation` is the task's name or the verb; `inputs` its evaluated arguments, None for a block."""

    run_id: str
    at: float
    path: str
    operation: str
    connection: str | None = None
    inputs: Mapping[str, Any] | None = None


class AttemptFailed(NamedTuple):
    """An attempt failed and another follows after `delay` seconds."""

    run_id: str
    at: float
    path: str
    attempt: int
    max_attempts: int
    failure: Failure
    delay: float


class LeaseTaken(NamedTuple):
    """A step has a handle of its connection, for which it `waited` so many seconds. `in_use` handles are out by now, of
    `capacity` (None: there is no bound). `server`, `port` and `database` are where the connection leads. For listeners
    that are `detailed`."""

    run_id: str
    at: float
    path: str
    connection: str
    type: str
    waited: float
    in_use: int
    capacity: int | None = None
    server: str | None = None
    port: int | None = None
    database: str | None = None


class LeaseReturned(NamedTuple):
    """The handle is back, after `duration` seconds. For listeners that are `detailed`."""

    run_id: str
    at: float
    path: str
    connection: str
    type: str
    duration: float


class RequestSent(NamedTuple):
    """A step sends a request of HTTP: its `request`-th, counted from 1. `url` is without credentials; `server` and
    `port` are whom it goes to. `resent`: how many requests came before it for the same purpose, which was to follow a
    redirect or to renew a token. For listeners that are `detailed`."""

    run_id: str
    at: float
    path: str
    connection: str
    request: int
    method: str
    url: str
    server: str
    port: int
    resent: int = 0


class RequestEnded(NamedTuple):
    """The head of the reply is there, after `duration` seconds, with its `status`; or there is none. `error`: why not,
    as a class of failures or `cancelled`; or the status, as text, when it is 400 or more and none that the step
    expects. For listeners that are `detailed`."""

    run_id: str
    at: float
    path: str
    connection: str
    request: int
    duration: float
    status: int | None = None
    error: str | None = None


class StepWaiting(NamedTuple):
    """A `wait` has begun to wait: until the time `until` (seconds since the epoch), or for `signal`, or for the signal
    until that time at the latest."""

    run_id: str
    at: float
    path: str
    until: float | None = None
    signal: str | None = None


class StepSucceeded(NamedTuple):
    """A step is done. `cached`: the outputs are those of an earlier call; nothing was asked for."""

    run_id: str
    at: float
    path: str
    duration: float
    attempts: int = 1
    outputs: Mapping[str, Any] | None = None
    cached: bool = False


class StepFailed(NamedTuple):
    """A step has failed, after all of its attempts."""

    run_id: str
    at: float
    path: str
    duration: float
    failure: Failure


class StepSkipped(NamedTuple):
    """A step whose `if` does not hold. It has no start and no end."""

    run_id: str
    at: float
    path: str
    operation: str


class StepReused(NamedTuple):
    """In a run that retries another one: the step takes over what it gave then (`again` is null), or is done again, and
    why. In one that goes on after its process was lost: what the step gave was written down, and is looked up. It
    stands between the start of the step and its end."""

    run_id: str
    at: float
    path: str
    again: str | None


class StepCancelled(NamedTuple):
    """A step was interrupted. `left`: not cancelled; its run has left this process before its end, to go on later, or
    when somebody has decided about it."""

    run_id: str
    at: float
    path: str
    duration: float
    left: bool = False


class Progress(NamedTuple):
    """A loop or a stream went on; `done` counts items so far, `total` is known for lists."""

    run_id: str
    at: float
    path: str
    done: int
    total: int | None = None


class LogWritten(NamedTuple):
    """A `log` step wrote its message."""

    run_id: str
    at: float
    path: str
    message: str


class RunFinished(NamedTuple):
    """A run is over, clean-up included: the last event that it has."""

    run_id: str
    at: float
    flow: str
    status: str
    duration: float
    reason: str | None = None
    failure: Failure | None = None


Event = (
    RunStarted
    | RunQueued
    | ConnectionOpened
    | ConnectionClosed
    | StepStarted
    | AttemptFailed
    | LeaseTaken
    | LeaseReturned
    | RequestSent
    | RequestEnded
    | StepWaiting
    | StepSucceeded
    | StepFailed
    | StepSkipped
    | StepReused
    | StepCancelled
    | Progress
    | LogWritten
    | RunFinished
)
Sink = Callable[[Event], None]
"""A listener. One with a true attribute `detailed` hears of leases and requests, too, which are
two more events for most steps."""


class Emitter:
    """The one exit: masks an event, then hands it to every sink, in order.

    A sink that raises does not disturb the run; its trouble is logged, once.
    """

    __slots__ = ("_failed", "_first", "_masker", "_more")

    def __init__(self, sinks: tuple[Sink, ...], masker: Masker) -> None:
        self._first, *self._more = sinks  # one listener is the rule, and two events a step are many
        self._masker = masker
        self._failed = False

    def __call__(self, event: Event) -> None:
        if self._masker.active:
            event = masked(event, self._masker)
        try:
            self._first(event)
        except Exception as error:  # noqa: BLE001 - a listener's defect must not become the run's
            self._trouble(error)
        if self._more:
            self._tell_more(event)

    def _tell_more(self, event: Event) -> None:
        for sink in self._more:
            try:
                sink(event)
            except Exception as error:  # noqa: BLE001 - as above
                self._trouble(error)

    def _trouble(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            text = self._masker.text(f"{type(error).__name__}: {error}")
            _LOG.warning("an event sink failed (told once for this run): %s", text)


def emitters(sinks: Sequence[Sink], masker: Masker) -> tuple[Emitter | None, Emitter | None]:
    """The exit for most events, and that for details; None where nobody listens."""
    detailed = tuple(each for each in sinks if getattr(each, "detailed", False))
    return (Emitter(tuple(sinks), masker) if sinks else None, Emitter(detailed, masker) if detailed else None)


def masked(event: Event, masker: Masker) -> Event:
    """The event with every known secret in it replaced."""
    changed = {}
    for name, value in zip(event._fields, event):
        clean = masker.value(value)
        if clean is not value:
            changed[name] = clean
    return event._replace(**changed) if changed else event


def kind_of(event: type[Event]) -> str:
    """The name of a kind of event in its wire form: `step_started`."""
    return _snake(event.__name__)


@lru_cache
def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def to_record(event: Event) -> dict[str, Any]:
    """The event's wire form: a flat object with `event` naming its kind in snake_case."""
    record: dict[str, Any] = {"event": kind_of(type(event))}
    record.update(zip(event._fields, event))
    failure = record.get("failure")
    if failure is not None:
        record["failure"] = failure.as_value()
    return record
