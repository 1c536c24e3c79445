"""The listener that turns events into spans and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowlang.telemetry.errors import needs_extra

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from flowlang.events import Event


class OpenTelemetry:
    """Hand it to `on_event`: one for all runs of a program, or one for each.

        flowlang.run("orders.yaml", on_event=flowlang.telemetry.OpenTelemetry())

    The spans of a run continue the trace that `trace_parent` names, or else the span that is current where the run is
    started. While a step is under way its attempt is the current span. Without providers it takes the global ones.
    Raises `TelemetryError` where the packages are missing.
    """

    detailed = True

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        with needs_extra():
            from flowlang.telemetry.metrics import Meters
            from flowlang.telemetry.spans import Spans
        from importlib.metadata import version

        self._spans = Spans(tracer_provider, version("flowlang"))
        self._meters = Meters(meter_provider, version("flowlang"))

    def __call__(self, event: Event) -> None:
        self._meters.feed(event)
        self._spans.feed(event)
