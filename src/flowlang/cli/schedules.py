"""`flowlang schedule …`: runs that workers begin at times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowlang.cli.commands import SETTINGS, Entry, LazyGroup
from flowlang.cli.output import err, out
from flowlang.cli.stored import STORE

if TYPE_CHECKING:
    from flowlang.workers import StoredSchedule

_HERE = "flowlang.cli.schedules"

schedule = LazyGroup(
    "schedule",
    entries={
        "add": Entry(f"{_HERE}:add", "Begin runs of a flow at the times of its triggers.", "Schedules"),
        "list": Entry(f"{_HERE}:list_", "What is scheduled, and when it comes next.", "Schedules"),
        "pause": Entry(f"{_HERE}:pause", "Begin no more runs of a flow for a while.", "Schedules"),
        "resume": Entry(f"{_HERE}:resume", "Go on with the next time.", "Schedules"),
        "remove": Entry(f"{_HERE}:remove", "Forget the schedules of a flow.", "Schedules"),
    },
    examples=(("flowlang schedule add report.yaml", "its `triggers` say when"),),
    help="Runs that workers begin at the times that `triggers` of flows name.",
    context_settings=SETTINGS,
)


@click.command()
@click.argument("file", type=click.Path())
@STORE
@click.option("--queue", metavar="NAME", default="default", help="The queue of its runs.")
@click.option("--priority", metavar="N", type=int, default=0, help="Higher ones begin first (default: 0).")
@click.option("--files-root", metavar="DIR", help="Where file tasks may read and write, on the worker.")
def add(file: str, store: str | None, queue: str, priority: int, files_root: str | None) -> int:
    """Begin runs of the flow in FILE at the times of its triggers, as it is now. Once more after it was changed."""
    import asyncio

    from flowlang import api, workers
    from flowlang.cli.run import invalid, tell

    checked = api.check(file)
    if checked.plan is None:
        return tell(invalid(checked.findings, checked.name), checked.sources, as_json=False)
    made = workers.schedule(
        api.Flow(checked), store=store, queue=queue, priority=priority, files_root=files_root
    )  # fmt: skip
    for each in asyncio.run(made):
        out(_line(each))
    return 0


@click.command("list")
@STORE
@click.option("--json", "as_json", is_flag=True, help="Exactly one JSON array on stdout.")
def list_(store: str | None, as_json: bool) -> int:
    """What is scheduled, and when it comes next."""
    import asyncio
    import json

    from flowlang import workers
    from flowlang.history.times import instant

    found = asyncio.run(workers.schedules(store))
    if as_json:
        told = [
            {
                "id": each.id, "flow": each.flow, "cron": each.rule.cron, "timezone": each.rule.timezone,
                "interval": each.rule.interval, "overlap": each.rule.overlap, "catchup": each.rule.catchup,
                "paused": each.paused, "next_at": instant(each.next_at), "last_at": instant(each.last_at),
            }
            for each in found
        ]  # fmt: skip
        out(json.dumps(told))
        return 0
    for each in found:
        out(_line(each))
    if not found:
        err("nothing is scheduled")
    return 0


@click.command()
@click.argument("flow")
@STORE
def pause(flow: str, store: str | None) -> int:
    """Begin no more runs of the flow named FLOW. What is under way goes on."""
    _paused(flow, store, paused=True)
    return 0


@click.command()
@click.argument("flow")
@STORE
def resume(flow: str, store: str | None) -> int:
    """Go on with the next time; those that passed meanwhile are not made up for."""
    _paused(flow, store, paused=False)
    return 0


@click.command()
@click.argument("flow")
@STORE
def remove(flow: str, store: str | None) -> int:
    """Forget the schedules of the flow named FLOW. Its runs stay."""
    import asyncio

    from flowlang import workers

    asyncio.run(workers.remove_schedule(flow, store))
    return 0


def _paused(flow: str, store: str | None, *, paused: bool) -> None:
    import asyncio

    from flowlang import workers

    asyncio.run(workers.pause_schedule(flow, paused=paused, store=store))


def _line(each: StoredSchedule) -> str:
    from flowlang.views.states import moment

    rule = f"every {each.rule.interval:g} s" if each.rule.interval else f"{each.rule.cron} {each.rule.timezone}"
    when = "paused" if each.paused else f"next {moment(each.next_at)}" if each.next_at is not None else "never again"
    return f"{each.id}: {rule}, {when}"
