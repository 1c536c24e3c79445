"""Traces and metrics sent to a collector by OTLP over HTTP, as the standard's `OTEL_…` variables say.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/ has the variables; the packages read most of them.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flowlang.masking import Masker
from flowlang.telemetry.errors import TelemetryError, needs_extra
from flowlang.telemetry.listener import OpenTelemetry
from flowlang.telemetry.sinks import ENDPOINTS

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

PATIENCE = 5.0  # seconds at the end for what has not been delivered yet; a dead collector delays no one for longer
_QUEUE = 16_384  # spans that may wait; the default of 2,048 is full after a second of quick steps
_PROTOCOL = "http/protobuf"


class Export:
    """Providers that send to where the environment says, and the `sink` that feeds them.

    They become the global ones unless the program has some, so that tasks may add spans and metrics of their own.
    Raises `TelemetryError`.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        traced, measured = _wanted("TRACES"), _wanted("METRICS")
        with needs_extra():
            from opentelemetry import metrics, trace
        self._warn = warn
        self._complaints = _Complaints()
        self._providers: list[Any] = []
        tracers: Any = trace.NoOpTracerProvider()
        meters: Any = metrics.NoOpMeterProvider()
        with needs_extra():
            if traced:
                self._providers.append(tracers := _tracers())
            if measured:
                self._providers.append(meters := _meters())
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(tracers)
            metrics.set_meter_provider(meters)
        self.sink = OpenTelemetry(tracers, meters)

    def close(self) -> None:
        """Deliver what is left, within `PATIENCE` seconds. What cannot be delivered is warned of, once."""
        until = time.monotonic() + PATIENCE
        closing = [threading.Thread(target=each.shutdown, daemon=True) for each in self._providers]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(max(0.0, until - time.monotonic()))
        self._complaints.leave()
        reason = self._complaints.first
        if any(thread.is_alive() for thread in closing):
            reason = f"no answer within {PATIENCE:g} s"
        if reason is not None:
            self._warn(f"traces or metrics could not be delivered to {_place()}: {reason}; the run is not affected")


def _tracers() -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    size = None if os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") else _QUEUE
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=size))
    return provider


def _meters() -> MeterProvider:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    return MeterProvider([reader], resource=_resource(), shutdown_on_exit=False)


def _resource() -> Resource:
    """What the variables say of this service. Its name is `flowlang` unless they have one."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    known = OTELResourceDetector().detect().attributes
    return Resource.create({} if known.get("service.name") else {"service.name": "flowlang"})


# ---------------------------------------------------------------- variables


def _wanted(signal: str) -> bool:
    """Whether traces, or metrics, are to be exported. Raises `TelemetryError` for a way that is none of ours."""
    variable = f"OTEL_{signal}_EXPORTER"
    exporter = os.environ.get(variable, "").strip() or "otlp"
    if exporter not in ("otlp", "none"):
        raise TelemetryError(f"`{variable}` is `{exporter}`; flowlang exports by `otlp`, or `none`")
    for variable in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = os.environ.get(variable, "").strip()
        if protocol and exporter == "otlp":
            if protocol != _PROTOCOL:
                raise TelemetryError(
                    f"`{variable}` is `{protocol}`; flowlang speaks `{_PROTOCOL}`, which collectors take at port 4318"
                )
            break
    return exporter == "otlp"


def _place() -> str:
    """The collector, without what the address may hold of credentials."""
    address = next(
        (value for name in ENDPOINTS if (value := os.environ.get(name, "").strip())), "http://localhost:4318"
    )
    return f"`{address.partition('://')[0]}://{urlsplit(address).netloc.rpartition('@')[2]}`"


class _Complaints(logging.Handler):
    """Takes what the packages log, for one warning at the end in place of many lines in the middle of a run. With
    `--verbose` they are shown as they come, too."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first: str | None = None
        self._masker = Masker(_credentials())
        self._logger = logging.getLogger("opentelemetry")
        self._logger.addHandler(self)
        self._before = self._logger.propagate
        self._logger.propagate = logging.getLogger().isEnabledFor(logging.DEBUG)

    def emit(self, record: logging.LogRecord) -> None:
        if self.first is None:
            self.first = self._masker.text(record.getMessage()).rstrip(".")[:300]

    def leave(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._before


def _credentials() -> list[str]:
    """The values of the headers that collectors know their clients by."""
    texts = [value for name, value in os.environ.items() if name.startswith("OTEL_") and name.endswith("_HEADERS")]
    pairs = [pair.strip() for text in texts for pair in text.split(",")]
    return [*texts, *pairs, *(pair.partition("=")[2] for pair in pairs)]
