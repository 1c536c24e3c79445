"""`flowlang runs resume|retry|signal|cancel|key`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.listening import listeners, listening_options
from flowlang.cli.output import err, failed, out
from flowlang.cli.stored import RUN, STORE

if TYPE_CHECKING:
    from flowlang.cli.run import Starting


def _objects(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    from flowlang.cli.given import json_value

    found = []
    for text in values:
        try:
            value = json_value(text)
        except ValueError as error:
            raise click.BadParameter(f"this is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise click.BadParameter(f"an object with the outputs by name is expected, as {{}}, not {text}")
        found.append(value)
    return tuple(found)


def _conducting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command under which runs go on: those of `_conducted`."""
    command = click.option("-v", "--verbose", is_flag=True, help="Logs on stderr, down to DEBUG.")(command)
    command = listening_options(command)
    return click.option("--json", "as_json", is_flag=True, help="Exactly one JSON object a run on stdout.")(command)


def _conducted(
    starting: Starting, texts: Mapping[str, str], *, as_json: bool, events: str | None, otel: bool | None, verbose: bool
) -> tuple[int, bool]:
    """Conduct a run to its end and tell how it ended; the exit code, and whether a signal asked for that end. `texts`:
    the files of its flow, once it began."""
    from flowlang.cli.logs import logging_to_stderr
    from flowlang.cli.run import conduct, tell
    from flowlang.history.story import source_of

    with logging_to_stderr(verbose) as handler, listeners(events, otel) as heard:
        result, code = conduct(starting, None, heard, handler, as_json=as_json)
        file = result.failure.file if result.failure is not None else None
        source = source_of(texts, file) if file is not None else None
        sources = {file: source} if file is not None and source is not None else {}
        told = tell(result, sources, as_json=as_json, apart=events == "-")
    return (told if code is None or result.status != "cancelled" else code), code is not None


@click.command()
@click.argument("run_id", metavar="[ID]", required=False)
@click.option("--retry", metavar="STEP", multiple=True, help="A step whose outcome is unknown is done again.")
@click.option("--skip", metavar="STEP", multiple=True, help="A step whose outcome is unknown was done.")
@click.option(
    "--outputs",
    metavar="JSON",
    multiple=True,
    callback=_objects,
    help="What the skipped step returned, an object (default: {}); once for each --skip, in their order.",
)
@STORE
@_conducting
def resume(
    run_id: str | None,
    retry: tuple[str, ...],
    skip: tuple[str, ...],
    outputs: tuple[dict[str, Any], ...],
    store: str | None,
    **how: Any,
) -> int:
    """Let a run go on whose process is gone, or that stopped for you to decide. Without ID: all whose processes are
    gone, one after the other.

    What is in its journal is not done again. The exit code is that of `flowlang run`, the highest of several; one that
    fails does not keep the others from going on.
    """
    import asyncio

    from flowlang import runs
    from flowlang.cli.stored import going_on
    from flowlang.exceptions import StoreError
    from flowlang.views.text import many

    async def interrupted() -> list[str]:
        async with runs.opened(store, make=False) as own:
            return [each.id for each in await runs.interrupted(own)]

    if run_id is None and (retry or skip):
        raise click.UsageError("which run? --retry and --skip are about the steps of one: give its ID")
    if outputs and len(outputs) != len(skip):
        raise click.UsageError(f"--outputs is there {len(outputs)}×, --skip {len(skip)}×: give one for each")
    decided = dict(zip(skip, outputs or [{}] * len(skip)))
    wanted = [run_id] if run_id is not None else asyncio.run(interrupted())
    if not wanted:
        err("no run waits to be resumed")
    highest = 0
    for at, each in enumerate(wanted, 1):
        texts: dict[str, str] = {}
        try:
            code, stopped = _conducted(going_on(each, store, {}, retry, decided, texts=texts), texts, **how)
        except (OSError, StoreError) as error:
            code, stopped = failed(error), False
        highest = max(highest, code)
        if stopped and at < len(wanted):
            err(f"{many(len(wanted) - at, 'more run')} not begun: `flowlang runs resume` lets them go on")
            break
    return highest


@click.command()
@RUN
@click.option("--from", "start", metavar="STEP", help="Do this step again, and all that follows it.")
@click.option("--flow", "file", type=click.Path(), help="The flow as it is now (default: the file it came from).")
@STORE
@_conducting
def retry(
    run_id: str,
    start: str | None,
    file: str | None,
    store: str | None,
    **how: Any,
) -> int:
    """Begin a new run with the inputs of one that is over. It takes over the steps that were done, as long as they are
    the same and nothing before them is done again. Exit codes as of `flowlang run`."""
    from flowlang.cli.stored import retrying

    texts: dict[str, str] = {}
    return _conducted(retrying(run_id, store, file, start, texts), texts, **how)[0]


@click.command()
@RUN
@click.argument("name")
@click.option("--json", "payload", metavar="JSON", help="What the signal brings; null without it.")
@STORE
def signal(run_id: str, name: str, payload: str | None, store: str | None) -> int:
    """Send the signal NAME to a run. It is kept until the run waits for it."""
    import asyncio

    from flowlang import runs
    from flowlang.cli.given import json_value
    from flowlang.history.listing import INTERRUPTED, TURN, find, seen_state

    try:
        value = None if payload is None else json_value(payload)
    except ValueError as error:
        raise click.BadParameter(f"this is no JSON: {error}", param_hint="--json") from None

    async def sent() -> str:
        async with runs.opened(store, make=False) as own:
            run = await find(own, run_id)
            awaited = run.waits_for or ""
            state = await runs.send_signal(run_id, name, value, store=own)
            if await seen_state(own, run) == INTERRUPTED:
                return f"sent to a run whose process is gone: `flowlang runs resume {run.id}` lets it go on"
        if not awaited or awaited.startswith(TURN) or name in (awaited, *awaited.split(" ")):
            return f"sent to a run that is {state}"
        return f"sent to a run that waits for `{awaited}`; `{name}` is kept until it waits for that"

    err(asyncio.run(sent()))
    return 0


@click.command()
@RUN
@STORE
def cancel(run_id: str, store: str | None) -> int:
    """Ask a run to stop. Its clean-up runs where the run is under way."""
    import asyncio

    from flowlang import runs

    err(f"the run is {asyncio.run(runs.cancel(run_id, store=store))}")
    return 0


@click.command()
def key() -> int:
    """Make a key for `FLOWLANG_STORE_KEY`, which encrypts what is secret in a store. Keep it as you keep secrets."""
    from flowlang import runs

    out(runs.new_key())
    return 0
