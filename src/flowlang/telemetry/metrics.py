"""Events as metrics. Attributes are names of the flow and words of the engine, never values: series stay few."""

from __future__ import annotations

from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import Meter

from flowlang import events
from flowlang.telemetry import names, requests
from flowlang.telemetry.folds import Folds, hears
from flowlang.telemetry.names import Metric


def _instrument(meter: Meter, metric: Metric) -> Any:
    if metric.instrument == "histogram":
        return meter.create_histogram(
            metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.bounds
        )
    make = meter.create_counter if metric.instrument == "counter" else meter.create_up_down_counter
    return make(metric.name, metric.unit, metric.description)


class _Run:
    """A run under way: its flow, by path what its steps do and whether they have attempts of their own, which blocks
    have not; and its requests, by path, connection and number."""

    __slots__ = ("flow", "requests", "steps")

    def __init__(self, flow: str) -> None:
        self.flow = flow
        self.steps: dict[str, tuple[str, bool]] = {}
        self.requests: dict[tuple[str, str, int], dict[str, Any]] = {}


class Meters(Folds[_Run]):
    """Measures any number of runs."""

    def __init__(self, provider: metrics.MeterProvider | None, version: str) -> None:
        super().__init__()
        meter = (provider or metrics.get_meter_provider()).get_meter("flowlang", version)
        self._of = {each.name: _instrument(meter, each) for each in names.METRICS}

    def _add(self, metric: Metric, amount: int, attributes: dict[str, Any]) -> None:
        self._of[metric.name].add(amount, attributes)

    def _record(self, metric: Metric, amount: float, attributes: dict[str, Any]) -> None:
        self._of[metric.name].record(amount, attributes)

    # ------------------------------------------------------------ runs and steps

    def begun(self, event: events.RunStarted) -> _Run:
        self._add(names.RUNS_ACTIVE, 1, {names.FLOW: event.flow})
        return _Run(event.flow)

    @hears(events.RunFinished)
    def _run_finished(self, run: _Run, event: events.RunFinished) -> None:
        self._add(names.RUNS_ACTIVE, -1, {names.FLOW: run.flow})
        known = {names.FLOW: run.flow, names.STATE: event.status}
        if event.failure is not None and event.status in ("failed", "timed_out"):
            known[names.ERROR] = event.failure.type
        self._record(names.RUN_DURATION, event.duration, known)

    @hears(events.StepStarted)
    def _started(self, run: _Run, event: events.StepStarted) -> None:
        run.steps[event.path] = (event.operation, event.inputs is not None)

    @hears(events.AttemptFailed)
    def _retried(self, run: _Run, event: events.AttemptFailed) -> None:
        operation, attempted = run.steps[event.path]
        known = {names.FLOW: run.flow, names.OPERATION: operation, names.ERROR: event.failure.type}
        self._add(names.STEP_RETRIES, 1, known)
        if attempted:
            self._add(names.STEP_ATTEMPTS, 1, {**known, names.STATE: "failed"})

    @hears(events.StepSucceeded)
    def _succeeded(self, run: _Run, event: events.StepSucceeded) -> None:
        self._ended(run, event, {names.STATE: "succeeded"}, attempted=not event.cached)

    @hears(events.StepFailed)
    def _failed(self, run: _Run, event: events.StepFailed) -> None:
        self._ended(run, event, {names.STATE: "failed", names.ERROR: event.failure.type})

    @hears(events.StepCancelled)
    def _cancelled(self, run: _Run, event: events.StepCancelled) -> None:
        self._ended(run, event, {names.STATE: "cancelled"})

    def _ended(
        self,
        run: _Run,
        event: events.StepSucceeded | events.StepFailed | events.StepCancelled,
        how: dict[str, Any],
        *,
        attempted: bool = True,
    ) -> None:
        operation, attempts = run.steps.pop(event.path)
        known = {names.FLOW: run.flow, names.OPERATION: operation, **how}
        self._record(names.STEP_DURATION, event.duration, known)
        if attempts and attempted:
            self._add(names.STEP_ATTEMPTS, 1, known)

    # ------------------------------------------------------------ leases and requests

    @hears(events.LeaseTaken)
    def _taken(self, run: _Run, event: events.LeaseTaken) -> None:
        known = {names.CONNECTION: event.connection, names.TYPE: event.type}
        self._record(names.LEASE_WAIT, event.waited, known)
        self._add(names.POOL_IN_USE, 1, known)

    @hears(events.LeaseReturned)
    def _returned(self, run: _Run, event: events.LeaseReturned) -> None:
        known = {names.CONNECTION: event.connection, names.TYPE: event.type}
        self._record(names.LEASE_DURATION, event.duration, known)
        self._add(names.POOL_IN_USE, -1, known)

    @hears(events.RequestSent)
    def _sent(self, run: _Run, event: events.RequestSent) -> None:
        run.requests[event.path, event.connection, event.request] = requests.measured(event)

    @hears(events.RequestEnded)
    def _replied(self, run: _Run, event: events.RequestEnded) -> None:
        known = run.requests.pop((event.path, event.connection, event.request), None)
        if known is not None:
            self._record(names.REQUEST_DURATION, event.duration, known | requests.outcome(event))
