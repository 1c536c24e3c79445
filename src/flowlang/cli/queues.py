"""`flowlang queue …`: the queues of a store and their limits."""

from __future__ import annotations

import click

from flowlang.cli.commands import SETTINGS, Entry, LazyGroup
from flowlang.cli.output import err, out
from flowlang.cli.stored import STORE

_HERE = "flowlang.cli.queues"

queue = LazyGroup(
    "queue",
    entries={
        "list": Entry(f"{_HERE}:list_", "Queues with their limits, and how many runs are in them.", "Queues"),
        "set": Entry(f"{_HERE}:set_", "Set the limits of a queue.", "Queues"),
        "remove": Entry(f"{_HERE}:remove", "Take the limits of a queue away.", "Queues"),
    },
    examples=(("flowlang queue set mail --concurrency 4 --rate 100/1m", "at most 4 at once, 100 begun a minute"),),
    help="Queues of a store: any name that a run is submitted to is one.",
    context_settings=SETTINGS,
)


def _rate(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, float] | None:
    """`100/1m` as a number and seconds."""
    from flowlang.expressions.durations import parse_duration

    if text is None:
        return None
    number, _, period = text.partition("/")
    seconds = parse_duration(period if period[:1].isdigit() else f"1{period}")
    if not number.isdigit() or int(number) == 0 or not seconds:
        raise click.BadParameter(f"`{text}` is no rate; write one such as 100/1m", ctx, param)
    return int(number), seconds


@click.command("set")
@click.argument("name")
@STORE
@click.option("--concurrency", metavar="N", type=click.IntRange(1), help="Runs at once, in all workers together.")
@click.option("--worker-concurrency", metavar="N", type=click.IntRange(1), help="Runs at once in each worker.")
@click.option("--rate", metavar="N/TIME", callback=_rate, help="How many runs may begin within a time, as 100/1m.")
def set_(
    name: str,
    store: str | None,
    concurrency: int | None,
    worker_concurrency: int | None,
    rate: tuple[int, float] | None,
) -> int:
    """Set the limits of the queue NAME. One that is not given is taken away. Workers see them within a second."""
    import asyncio

    from flowlang import workers

    number, period = rate or (None, None)
    limits = workers.Limits(name, concurrency, worker_concurrency, number, period)
    asyncio.run(workers.set_queue(limits, store))
    return 0


@click.command()
@click.argument("name")
@STORE
def remove(name: str, store: str | None) -> int:
    """Take the limits of the queue NAME away. Its runs stay."""
    import asyncio

    from flowlang import workers

    if not asyncio.run(workers.remove_queue(name, store)):
        err(f"queue `{name}` has no limits")
    return 0


@click.command("list")
@STORE
@click.option("--json", "as_json", is_flag=True, help="Exactly one JSON object on stdout.")
def list_(store: str | None, as_json: bool) -> int:
    """Queues with their limits, and how many runs are in which state."""
    import asyncio
    import json

    from flowlang import workers
    from flowlang.diagnostics import visible

    found = asyncio.run(workers.queues(store))
    if as_json:
        told = {
            name: {
                "concurrency": limits.concurrency, "worker_concurrency": limits.worker_concurrency,
                "rate": limits.rate, "period": limits.period, "runs": dict(runs),
            }
            for name, (limits, runs) in found.items()
        }  # fmt: skip
        out(json.dumps(told))
        return 0
    for name, (limits, runs) in found.items():
        parts = [f"{limits.concurrency} at once"] if limits.concurrency else []
        parts += [f"{limits.worker_concurrency} in each worker"] if limits.worker_concurrency else []
        parts += [f"{limits.rate} begin in {limits.period:g} s"] if limits.rate else []
        counts = ", ".join(f"{count} {state}" for state, count in runs.items()) or "empty"
        out(f"{visible(name)}: {counts}" + (f" ({'; '.join(parts)})" if parts else ""))
    if not found:
        err("no queue has runs that are not over, or limits")
    return 0
