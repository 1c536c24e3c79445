"""Events as metrics. Attributes are names of the flow and words of the engine, never values: series stay few."""

from __future__ import annotations

from typing import Any, ClassVar

from opentelemetry import metrics
from opentelemetry.metrics import Meter

from flowlang import events
from flowlang.events import Event
from flowlang.telemetry import names
from flowlang.telemetry.names import Metric


def _instrument(meter: Meter, metric: Metric) -> Any:
    if metric.instrument == "histogram":
        return meter.create_histogram(
            metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=names.SECONDS
        )
    make = meter.create_counter if metric.instrument == "counter" else meter.create_up_down_counter
    return make(metric.name, metric.unit, metric.description)


class _Run:
    """A run under way: its flow, and by path what its steps do; None for a block, which has no attempts of its own."""

    __slots__ = ("flow", "steps")

    def __init__(self, flow: str) -> None:
        self.flow = flow
        self.steps: dict[str, tuple[str, bool]] = {}


class Meters:
    """Measures any number of runs."""

    def __init__(self, provider: metrics.MeterProvider | None, version: str) -> None:
        meter = (provider or metrics.get_meter_provider()).get_meter("flowlang", version)
        self._of = {each.name: _instrument(meter, each) for each in names.METRICS}
        self._runs: dict[str, _Run] = {}

    def feed(self, event: Event) -> None:
        if type(event) is events.RunStarted:
            self._runs[event.run_id] = _Run(event.flow)
            self._add(names.RUNS_ACTIVE, 1, {names.FLOW: event.flow})
            return
        fold = self._FOLDS.get(type(event))
        run = self._runs.get(event.run_id) if fold is not None else None
        if fold is not None and run is not None:
            fold(self, run, event)

    def _add(self, metric: Metric, amount: int, attributes: dict[str, Any]) -> None:
        self._of[metric.name].add(amount, attributes)

    def _record(self, metric: Metric, amount: float, attributes: dict[str, Any]) -> None:
        self._of[metric.name].record(amount, attributes)

    # ------------------------------------------------------------ runs and steps

    def _run_finished(self, run: _Run, event: events.RunFinished) -> None:
        del self._runs[event.run_id]
        self._add(names.RUNS_ACTIVE, -1, {names.FLOW: run.flow})
        known = {names.FLOW: run.flow, names.STATE: event.status}
        if event.failure is not None and event.status in ("failed", "timed_out"):
            known[names.ERROR] = event.failure.type
        self._record(names.RUN_DURATION, event.duration, known)

    def _started(self, run: _Run, event: events.StepStarted) -> None:
        run.steps[event.path] = (event.operation, event.inputs is not None)

    def _retried(self, run: _Run, event: events.AttemptFailed) -> None:
        operation, attempted = run.steps[event.path]
        known = {names.FLOW: run.flow, names.OPERATION: operation, names.ERROR: event.failure.type}
        self._add(names.STEP_RETRIES, 1, known)
        if attempted:
            self._add(names.STEP_ATTEMPTS, 1, {**known, names.STATE: "failed"})

    def _succeeded(self, run: _Run, event: events.StepSucceeded) -> None:
        self._ended(run, event, {names.STATE: "succeeded"}, attempted=not event.cached)

    def _failed(self, run: _Run, event: events.StepFailed) -> None:
        self._ended(run, event, {names.STATE: "failed", names.ERROR: event.failure.type})

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

    # ------------------------------------------------------------ leases

    def _taken(self, run: _Run, event: events.LeaseTaken) -> None:
        known = {names.CONNECTION: event.connection, names.TYPE: event.type}
        self._record(names.LEASE_WAIT, event.waited, known)
        self._add(names.POOL_IN_USE, 1, known)

    def _returned(self, run: _Run, event: events.LeaseReturned) -> None:
        known = {names.CONNECTION: event.connection, names.TYPE: event.type}
        self._record(names.LEASE_DURATION, event.duration, known)
        self._add(names.POOL_IN_USE, -1, known)

    _FOLDS: ClassVar[dict[type, Any]] = {
        events.RunFinished: _run_finished,
        events.StepStarted: _started,
        events.AttemptFailed: _retried,
        events.StepSucceeded: _succeeded,
        events.StepFailed: _failed,
        events.StepCancelled: _cancelled,
        events.LeaseTaken: _taken,
        events.LeaseReturned: _returned,
    }
