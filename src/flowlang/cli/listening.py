"""The options `--events` and `--otel`, for every command that runs flows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from flowlang.cli.output import err


def listening_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options. Their values are what `listeners` takes."""
    events = click.option("--events", metavar="FILE|-", help="Append events to FILE as JSON lines; - is stdout.")
    otel = click.option(
        "--otel/--no-otel", default=None,
        help="Export traces and metrics, as the OTEL_… variables say. Default: when one names an endpoint.",
    )  # fmt: skip
    return events(otel(command))


@contextmanager
def listeners(events: str | None, otel: bool | None) -> Iterator[list[Any]]:
    """The sinks that the options ask for. What cannot be had is refused, with exit code 2, before anything is run."""
    if events is None and not otel and not any(name.startswith("OTEL_") for name in os.environ):
        yield []  # as for most runs, which need not wait for the rest to be loaded
        return
    from flowlang.telemetry import Options, TelemetryError, sinks

    try:
        with sinks(Options(events, otel), _warn) as found:
            yield found
    except TelemetryError as error:
        from flowlang.cli.catalogue import Refused

        raise Refused(str(error)) from error


def _warn(text: str) -> None:
    err(f"warning: {text}")


def carried() -> dict[str, str | None]:
    """The trace that the process belongs to, by the variables that shells and CI systems hand it on with: arguments of
    `flowlang.run`. https://opentelemetry.io/docs/specs/otel/context/env-carriers/"""
    from flowlang.tracecontext import parsed

    parent, state = os.environ.get("TRACEPARENT"), os.environ.get("TRACESTATE")
    if parent and parsed(parent) is None:
        _warn("the variable `TRACEPARENT` holds no trace context, as 00-<32 hex digits>-<16>-01; it is ignored")
    return {"trace_parent": parent, "trace_state": state}
