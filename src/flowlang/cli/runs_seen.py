"""`flowlang runs list|show|logs|watch`: what the store knows of runs."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.output import colours, err, out, out_json, shows_unicode, write_utf8
from flowlang.cli.stored import RUN, STORE

if TYPE_CHECKING:
    from flowlang.history.told import Told


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Seconds since the epoch of a time (`2026-11-23`, `2026-11-23T08:00`), or of so long ago (`2h`)."""
    if value is None:
        return None
    from datetime import datetime

    from flowlang.expressions.durations import parse_duration

    ago = parse_duration(value)
    if ago is not None:
        return time.time() - ago
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        message = f"`{value}` is neither a time, as 2026-11-23 or 2026-11-23T08:00, nor how long ago, as 2h"
        raise click.BadParameter(message) from None


def _states(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    """The names of states, which may be separated by commas."""
    from flowlang.diagnostics import nearest
    from flowlang.history.listing import SHOWN_STATES

    names = {name.strip() for value in values for name in value.split(",") if name.strip()}
    for name in sorted(names - set(SHOWN_STATES)):
        close = nearest(name, SHOWN_STATES)
        raise click.BadParameter(
            f"no state `{name}`; {f'did you mean `{close}`?' if close else ', '.join(SHOWN_STATES)}"
        )
    return frozenset(names)


@click.command(name="list")
@click.argument("start", metavar="[ID]", default="")
@click.option("--flow", metavar="NAME", help="Those of this flow.")
@click.option(
    "--state", "states", metavar="STATE", multiple=True, callback=_states, help="Those in this state; may be repeated."
)
@click.option("--queue", metavar="NAME", help="Those of this queue.")
@click.option("--since", metavar="TIME", callback=_moment, help="Created since a time, or since so long ago: 2h, 1d.")
@click.option("--until", metavar="TIME", callback=_moment, help="Created before a time, or before so long ago.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array of runs on stdout.")
@STORE
def list_(
    start: str,
    flow: str | None,
    states: frozenset[str],
    queue: str | None,
    since: float | None,
    until: float | None,
    limit: int,
    as_json: bool,
    store: str | None,
) -> int:
    """List runs, the newest first; with ID those whose ids begin like it."""
    import asyncio

    from flowlang import runs
    from flowlang.exceptions import NoStore
    from flowlang.history.listing import Filter, Listed, listed
    from flowlang.views.runlist import runs_text
    from flowlang.views.text import painter

    wanted = Filter(flow, states, queue, since, until, start, limit)

    async def found() -> list[Listed]:
        async with runs.opened(store, make=False) as own:
            return await listed(own, wanted)

    try:
        rows = asyncio.run(found())
    except NoStore:
        if store is not None or os.environ.get("FLOWLANG_STORE"):
            raise
        rows = []  # nobody has named one, and nothing was run yet
    if as_json:
        out_json([each.to_record() for each in rows])
    elif rows:
        out(runs_text(rows, time.time(), painter(colours(sys.stdout))))
        if len(rows) == limit:
            err(f"the newest {limit}; `--limit` shows more")
    else:
        err("no runs")
    return 0


@click.command()
@RUN
@click.option("--full", is_flag=True, help="Every turn of every loop, and values at any length.")
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object on stdout.")
@STORE
def show(run_id: str, full: bool, as_json: bool, store: str | None) -> int:
    """Tell the story of a run: its steps, how it ended, what to do next. Exit code 1 when some of it cannot be read."""
    import asyncio

    from flowlang import runs
    from flowlang.history.story import story
    from flowlang.views.story import story_text

    async def told() -> int:
        async with runs.opened(store, make=False) as own:
            found = await story(own, run_id, runs.steps_of)
        if as_json:
            out_json(found.to_record())
        else:
            unicode = shows_unicode(sys.stdout)
            out(story_text(found, time.time(), colour=colours(sys.stdout), unicode=unicode, full=full))
        return 1 if found.damages else 0

    return asyncio.run(told())  # what it returns asyncio writes out as text, twice: not the story, which may be large


@click.command()
@RUN
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
@click.option("--json", "as_json", is_flag=True, help="The events themselves, as JSON lines.")
@STORE
def logs(run_id: str, follow: bool, as_json: bool, store: str | None) -> int:
    """Show what a run told, line by line, with times."""
    import asyncio

    from flowlang import runs
    from flowlang.history.following import followed, settled
    from flowlang.history.listing import INTERRUPTED, LOST
    from flowlang.views.runlist import LogLines
    from flowlang.views.text import painter

    lines = LogLines(painter(colours(sys.stdout)), unicode=shows_unicode(sys.stdout))

    def tell(told: Told) -> bool:
        """Returns whether anybody reads on."""
        if as_json:
            return _json_line(told)
        for line in lines.of(told):
            out(line)
        return True

    async def read() -> None:
        async with runs.opened(store, make=False) as own:
            async for each in followed(own, run_id, follow=follow):
                if not tell(each):
                    return
            _, state = await settled(own, run_id, large=False)
            if state in (INTERRUPTED, LOST):
                err("its process was lost: what it told in its last second may not be here")

    asyncio.run(read())
    return 0


def _json_line(told: Any) -> bool:
    from flowlang.views.jsontext import record_json

    return write_utf8(record_json(told))


@click.command()
@RUN
@STORE
def watch(run_id: str, store: str | None) -> int:
    """Watch a run until it ends. The exit code is that of `flowlang run`."""
    import asyncio

    from flowlang import runs
    from flowlang.cli.run import exit_code, tell
    from flowlang.cli.screen import screen
    from flowlang.history.following import followed, settled
    from flowlang.history.story import sources
    from flowlang.history.told import event_of

    shown = screen(as_json=False)

    async def until_over() -> Any:
        async with runs.opened(store, make=False) as own, shown.watching():
            async for told in followed(own, run_id, follow=True):
                event = event_of(told)
                if event is not None and shown.sink is not None:
                    shown.sink(event)
            run, state = await settled(own, run_id)
            return runs.result_of(run, state), await sources(own, run)

    result, texts = asyncio.run(until_over())
    shown.finish()
    tell(result, texts, as_json=False)
    return exit_code(result)
