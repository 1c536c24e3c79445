"""What keeps telemetry from being set up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flowlang.exceptions import FlowLangError

INSTALL = "pip install 'flowlang[otel]'"


class TelemetryError(FlowLangError):
    """What was asked for cannot be had: a package is missing, a file cannot be written, a variable is wrong."""


class MissingPackage(TelemetryError):
    """OpenTelemetry is not installed."""


@contextmanager
def needs_extra(install: str = INSTALL) -> Iterator[None]:
    """Around imports of OpenTelemetry: says how to install what is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        message = f"traces and metrics need OpenTelemetry, which is not installed: {install}"
        raise MissingPackage(message) from error
