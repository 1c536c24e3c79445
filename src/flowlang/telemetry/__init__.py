"""What a run tells, handed to other systems: events as JSON lines, traces and metrics by OpenTelemetry.

    events ──▶ lines      one JSON object a line, to a file or stdout
           └─▶ opentelemetry ──▶ spans, metrics ──▶ export (OTLP, by the standard's OTEL_… variables)

All of it only listens. `flowlang.telemetry.OpenTelemetry()` is a listener for programs that have set up their own
providers; `sinks` has what a command line asks for.
"""

from __future__ import annotations

from flowlang.telemetry.errors import TelemetryError
from flowlang.telemetry.listener import OpenTelemetry
from flowlang.telemetry.sinks import Options, sinks

__all__ = ["OpenTelemetry", "Options", "TelemetryError", "sinks"]
