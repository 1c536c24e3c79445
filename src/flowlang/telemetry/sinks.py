"""What a command listens with: events as lines, and OpenTelemetry, opened before the run and flushed behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from flowlang.events import Sink
from flowlang.records import frozen
from flowlang.telemetry.errors import TelemetryError

if TYPE_CHECKING:
    from flowlang.telemetry.export import Export

ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
"""The variables that name a collector."""


@frozen
class Options:
    """`events`: a file for events, `-` for stdout. `otel`: whether to export traces and metrics; None leaves it to the
    environment, where a variable that names an endpoint asks for it."""

    events: str | None = None
    otel: bool | None = None


@contextmanager
def sinks(options: Options, warn: Callable[[str], None]) -> Iterator[list[Sink]]:
    """The listeners that `options` ask for, for any number of runs. At the end of the block what they still hold is
    delivered, within `export.PATIENCE` seconds. Raises `TelemetryError` when one cannot be had.

    `warn` is told, once each, of what goes wrong without stopping a run. It may be called from another thread.
    """
    listeners: list[Sink] = []
    with ExitStack() as stack:
        if options.events is not None:
            from flowlang.telemetry.lines import Lines

            lines = Lines(options.events, warn)
            stack.callback(lines.close)
            listeners.append(lines)
        exported = _exported(options.otel, warn)
        if exported is not None:
            stack.callback(exported.close)
            listeners.append(exported.sink)
        yield listeners


def _exported(asked: bool | None, warn: Callable[[str], None]) -> Export | None:
    """None when nobody asks for it. Where only a variable does, which a machine may set for all of its programs, what
    is missing stops no run."""
    if asked is False or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    variable = next((name for name in ENDPOINTS if os.environ.get(name, "").strip()), None)
    if variable is None and not asked:
        return None
    from flowlang.telemetry.export import Export

    try:
        return Export(warn)
    except TelemetryError as error:
        if asked:
            raise
        warn(f"{error} (`{variable}` asks for them; `--no-otel` would not)")
        return None
