"""`flowlang submit`: hand a run to the workers of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.given import explained, input_options, json_inputs, typed
from flowlang.cli.listening import carried
from flowlang.cli.output import err, out
from flowlang.cli.stored import STORE

if TYPE_CHECKING:
    from flowlang.workers import StoredRun


def duration(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """An option such as `5m`, in seconds."""
    from flowlang.expressions.durations import parse_duration

    seconds = None if text is None else parse_duration(text)
    if text is not None and seconds is None:
        raise click.BadParameter(f"`{text}` is no duration; write one such as 250ms, 30s, 5m, 2h", ctx, param)
    return seconds


@click.command()
@click.argument("file", type=click.Path())
@input_options
@STORE
@click.option("--queue", metavar="NAME", default="default", help="The queue; workers choose which they serve.")
@click.option("--priority", metavar="N", type=int, default=0, help="Higher ones begin first (default: 0).")
@click.option("--dedup", metavar="KEY", help="At most one run of this key that is not over.")
@click.option("--delay", metavar="TIME", callback=duration, default="0s", help="Not before that, such as 5m.")
@click.option("--files-root", metavar="DIR", help="Where file tasks may read and write, on the worker.")
@click.option("--wait", is_flag=True, help="Wait until it is over, and show its outputs as `run` does.")
@click.option("--json", "as_json", is_flag=True, help="Exactly one JSON object on stdout.")
def submit(
    file: str,
    texts: dict[str, str],
    inputs_file: str | None,
    store: str | None,
    queue: str,
    priority: int,
    dedup: str | None,
    delay: float,
    files_root: str | None,
    wait: bool,
    as_json: bool,
) -> int:
    """Hand a run of the flow in FILE to the workers of a store. Its id goes to stdout.

    The flow and its inputs are checked first, as `flowlang run` does; secrets and variables are those of the worker.
    """
    import asyncio

    from flowlang import api
    from flowlang.cli.run import invalid, show_findings, tell
    from flowlang.exceptions import InvalidFlowError

    checked = api.check(file)
    given, unusable = json_inputs(inputs_file) if inputs_file is not None else ({}, [])
    if checked.plan is None or unusable:
        return tell(invalid([*checked.findings, *unusable], checked.name), checked.sources, as_json=as_json)
    if checked.findings and not as_json:
        show_findings(checked.findings, checked.sources)
    values, reasons = typed(checked.plan.inputs, texts)
    options = {
        "queue": queue, "priority": priority, "dedup": dedup, "delay": delay, "files_root": files_root, **carried(),
    }  # fmt: skip
    try:
        return asyncio.run(
            _submitted(api.Flow(checked), {**given, **values}, store, options, wait=wait, as_json=as_json)
        )
    except InvalidFlowError as error:
        found = explained(error.findings, reasons)
        return tell(invalid(found, checked.name), checked.sources, as_json=as_json)


async def _submitted(
    flow: Any, inputs: dict[str, Any], store: str | None, options: dict[str, Any], *, wait: bool, as_json: bool
) -> int:
    import uuid

    from flowlang import runs, workers
    from flowlang.cli.run import tell

    async with runs.opened(store) as own:
        run_id = str(uuid.uuid4())
        record = await workers.submit(flow, inputs, store=own, run_id=run_id, **options)
        if not wait:
            return _told(record, new=record.id == run_id, as_json=as_json)
        err(f"run {record.id}")
        result = await workers.result_of(record.id, store=own)
        return tell(result, flow.checked.sources, as_json=as_json)


def _told(record: StoredRun, *, new: bool, as_json: bool) -> int:
    import json

    if as_json:
        told = {"run_id": record.id, "flow": record.flow, "state": record.state, "queue": record.queue, "new": new}
        out(json.dumps(told))
        return 0
    if not new:
        err(f"a run with the key `{record.dedup}` is {record.state} already")
    out(record.id)
    return 0
