"""`flowlang runs delete|prune`."""

from __future__ import annotations

import click

from flowlang.cli.output import err, out
from flowlang.cli.stored import STORE


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@STORE
def delete(ids: tuple[str, ...], store: str | None) -> int:
    """Delete runs that are over, with all that is kept of them."""
    import asyncio

    from flowlang import runs

    async def gone() -> None:
        async with runs.opened(store, make=False) as own:
            for each in ids:
                err(f"deleted {await runs.delete(each, store=own)}")

    asyncio.run(gone())
    return 0


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    from flowlang.expressions.durations import FORMS, parse_duration

    if value is None:
        return None
    seconds = parse_duration(value)
    if seconds is None:
        raise click.BadParameter(f"`{value}` is no duration; write one as {FORMS}")
    return seconds


@click.command()
@click.option("--older-than", metavar="DURATION", callback=_seconds, help="Runs that ended longer ago: 30d, 12h.")
@click.option("--keep", type=click.IntRange(0), help="All but so many that ended last.")
@click.option("--state", "states", metavar="STATE", multiple=True, help="Only runs in this state; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Only say how many.")
@STORE
def prune(older_than: float | None, keep: int | None, states: tuple[str, ...], dry_run: bool, store: str | None) -> int:
    """Delete runs that are over: those older than one bound, or more than the other. Also flows that no run has."""
    import asyncio

    from flowlang import runs
    from flowlang.views.text import many

    if older_than is None and keep is None:
        raise click.UsageError("what may go? Give --older-than, --keep, or both")
    bounds = runs.Retention(older_than, keep, frozenset(states) or runs.Retention().states)
    gone = asyncio.run(runs.prune(bounds, store=store, dry_run=dry_run))
    told = f"{many(gone.runs, 'run')}, {many(gone.flows, 'flow')}" if not dry_run else many(gone.runs, "run")
    out(f"{'would delete' if dry_run else 'deleted'} {told}")
    return 0
