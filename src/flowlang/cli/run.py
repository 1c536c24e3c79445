"""`flowlang run`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.given import explained, input_options, json_inputs, secrets_of, typed
from flowlang.cli.listening import carried, listeners, listening_options
from flowlang.cli.output import colours, err, out, say, stdout_reserved, write_utf8

if TYPE_CHECKING:
    from flowlang import RunResult
    from flowlang.api import RunHandle
    from flowlang.cli.logs import MaskedHandler
    from flowlang.cli.screen import Screen
    from flowlang.cli.signals import Interruption
    from flowlang.diagnostics import Diagnostic
    from flowlang.events import Sink


@click.command()
@click.argument("file", type=click.Path())
@input_options
@click.option("--secrets", "secrets_file", metavar="FILE", help="Secrets: lines NAME=value, or YAML.")
@click.option("--json", "as_json", is_flag=True, help="Exactly one JSON object on stdout.")
@click.option("--durable", is_flag=True, help="Keep what is done in a store, and go on after a crash.")
@click.option("--record", is_flag=True, help="Write the run into the history of a store; it is not made durable.")
@click.option("--store", metavar="URL", help="The store: sqlite:///PATH or postgresql://… (default: FLOWLANG_STORE).")
@click.option("--files-root", metavar="DIR", help="Where the file tasks may read and write (default: here).")
@listening_options
@click.option("-v", "--verbose", is_flag=True, help="Logs on stderr, down to DEBUG.")
def run(
    file: str,
    texts: dict[str, str],
    inputs_file: str | None,
    secrets_file: str | None,
    as_json: bool,
    durable: bool,
    record: bool,
    store: str | None,
    files_root: str | None,
    events: str | None,
    otel: bool | None,
    verbose: bool,
) -> int:
    """Run the flow in FILE. Outputs go to stdout, everything else to stderr.

    Exit codes: 0 succeeded or skipped, 1 failed, 2 refused before it ran, 3 could not connect, 124 timed out,
    130 cancelled.
    """
    import os

    from flowlang import api
    from flowlang.cli.logs import logging_to_stderr

    if files_root is not None and not os.path.isdir(files_root):
        raise click.BadParameter(f"no folder `{files_root}`", param_hint="--files-root")
    checked = api.check(file)
    given, unusable = json_inputs(inputs_file) if inputs_file is not None else ({}, [])
    secrets, more = secrets_of(secrets_file) if secrets_file is not None else ({}, [])
    problems = [*checked.findings, *unusable, *more]
    if checked.plan is None or unusable or more:
        name = checked.name
        return tell(invalid(problems, name), checked.sources, as_json=as_json)
    if problems and not as_json:
        show_findings(problems, checked.sources)
    values, reasons = typed(checked.plan.inputs, texts)
    options: dict[str, Any] = {"secrets": secrets, "files_root": files_root, **carried()}
    flow, inputs = api.Flow(checked), {**given, **values}
    if record and not durable:
        from flowlang.cli.stored import recorded

        starting = recorded(flow, inputs, store, options)
    elif durable or store is not None:
        from flowlang.cli.stored import beginning

        starting = beginning(flow, inputs, store, {**options, "secrets_file": secrets_file})
    else:
        starting = _starting(flow, inputs, options)
    with logging_to_stderr(verbose) as handler, listeners(events, otel) as heard:
        result, code = conduct(starting, flow.name, heard, handler, as_json=as_json)
        if result.findings:
            result = invalid(explained(result.findings, reasons), result.flow)
        told = tell(result, checked.sources, as_json=as_json, apart=events == "-")
    return told if code is None or result.status != "cancelled" else code


Starting = Callable[[Sequence["Sink"]], AbstractAsyncContextManager["RunHandle"]]
"""Begins a run whose events go to those sinks."""


def _starting(flow: Any, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Starting:
    """A run in memory."""

    @asynccontextmanager
    async def start(sinks: Sequence[Sink]) -> AsyncIterator[RunHandle]:
        from flowlang import api

        yield api.start(flow, inputs, on_event=list(sinks), **options)

    return start


def conduct(
    starting: Starting, name: str | None, heard: Sequence[Sink], handler: MaskedHandler, *, as_json: bool
) -> tuple[RunResult, int | None]:
    """Run it. Returns its result, and the exit code of the signal that ended it, if one did."""
    import asyncio
    import gc

    from flowlang.cli.screen import screen
    from flowlang.cli.signals import interruptible

    if not gc.isenabled():  # `main` put it off; what is there by now stays to the end
        gc.freeze()
        gc.enable()
    shown = screen(as_json=as_json)
    with stdout_reserved(), interruptible() as interruption:
        result = asyncio.run(_watched(starting, name, heard, handler, shown, interruption))
        shown.finish()
    return result, interruption.code if interruption.number is not None else None


async def _watched(
    starting: Starting,
    name: str | None,
    heard: Sequence[Sink],
    handler: MaskedHandler,
    shown: Screen,
    interruption: Interruption,
) -> RunResult:
    import asyncio

    from flowlang import api
    from flowlang.exceptions import InvalidFlowError

    try:
        told = [*heard, *([shown.sink] if shown.sink is not None else [])]
        async with starting(told) as handle:
            handler.clean = handle.masker.text
            await asyncio.sleep(0)  # a run that has not begun could not be cancelled in good order
            loop = asyncio.get_running_loop()

            def cancel() -> None:
                loop.call_soon_threadsafe(handle.cancel)  # from a signal handler: it has to wake the loop as well

            interruption.cancel = cancel
            if interruption.number is not None:
                handle.cancel()
            async with shown.watching():
                return await handle
    except InvalidFlowError as error:
        return api.invalid(error.findings, name)


# ---------------------------------------------------------------- telling


def exit_code(result: RunResult) -> int:
    """What the end of a run is to the shell."""
    failure = result.failure
    if result.status == "failed" and failure is not None:
        opening = failure.step is None and failure.connection is not None
        if failure.type == "config":
            return 2 if opening or failure.step is None else 1
        return 3 if opening or (failure.type == "connect" and failure.connection is not None) else 1
    return {"succeeded": 0, "skipped": 0, "invalid": 2, "timed_out": 124, "cancelled": 130}.get(result.status, 1)


def invalid(findings: Sequence[Diagnostic], flow: str | None) -> RunResult:
    from flowlang import api

    return api.invalid(findings, flow)


def tell(result: RunResult, sources: Mapping[str, str], *, as_json: bool, apart: bool = False) -> int:
    """Write the result; the exit code. `apart`: stdout is for JSON alone, and people read stderr."""
    code = exit_code(result)
    if as_json:
        return _tell_json(result, code)
    _tell_text(result, sources, apart=apart)
    return code


def _tell_json(result: RunResult, code: int) -> int:
    """The record on stdout. Outputs that have no JSON make it a failure: they are named, and the rest is there. So
    does a stdout that is closed: the record was asked for, and there is no other way to get at it."""
    from flowlang.exceptions import Failure
    from flowlang.views.jsontext import record_json, without_json

    record = result.to_record()
    reasons = without_json(record["outputs"])
    if reasons:
        record["outputs"] = {name: value for name, value in record["outputs"].items() if name not in reasons}
        detail = "; ".join(f"output `{name}`: {reason}" for name, reason in reasons.items())
        note = f"the run itself ended as {result.status}"
        record |= {
            "status": "failed",
            "error": Failure("validation", detail, flow=result.flow, notes=(note,)).as_value(),
        }
        code = 1
    if not write_utf8(record_json(record)):
        err(f"error: the result could not be written: stdout is closed; the run itself ended as {result.status}")
        return code or 1
    return code


def _tell_text(result: RunResult, sources: Mapping[str, str], *, apart: bool) -> None:
    from flowlang.views.findings import failure_text
    from flowlang.views.result import outputs_text
    from flowlang.views.text import painter, seconds

    if result.status == "invalid":
        show_findings(result.findings, sources)
        err("nothing was run")
        return
    if result.failure is not None:
        say("\n" + failure_text(result.failure, result.run_id, sources, colour=colours(sys.stderr)) + "\n")
    style = {"succeeded": "good", "cancelled": "warning", "skipped": "warning"}.get(result.status, "error")
    reason = f": {result.reason}" if result.reason else ""
    status = painter(colours(sys.stderr))(result.status, style)
    say(f"{status} in {seconds(result.duration)}")
    if reason:
        err(f"reason{reason}")
    outputs = result.shown_outputs()
    if outputs and apart:
        say(outputs_text(outputs, painter(colours(sys.stderr))))
    elif outputs:
        if sys.stdout.isatty() and sys.stderr.isatty():
            say("")  # on a screen both end up in one place
        out(outputs_text(outputs, painter(colours(sys.stdout))))


def show_findings(findings: Sequence[Diagnostic], sources: Mapping[str, str]) -> None:
    from flowlang.views.findings import findings_text

    say(findings_text(findings, sources, colour=colours(sys.stderr)) + "\n")
