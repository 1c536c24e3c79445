"""One life of a run: from its record to the record of its end, or of why it stopped before."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from flowlang.durable import gates
from flowlang.durable.codec import decode
from flowlang.durable.journal import Writer
from flowlang.durable.lines import parsed
from flowlang.durable.log import Past
from flowlang.durable.ownership import Lost
from flowlang.durable.places import site_of
from flowlang.durable.records import Recorded, StoredRun
from flowlang.durable.run import DurableRun, Left
from flowlang.durable.store import Store
from flowlang.engine.failures import OperationError
from flowlang.engine.result import RunResult
from flowlang.events import Event, LogWritten, Progress, RunFinished, RunStarted, Sink, StepReused
from flowlang.exceptions import Failure, StoreError
from flowlang.plan import Plan

_LOG = logging.getLogger("flowlang.durable")
Outcome = RunResult | Left
_ALWAYS = (RunStarted, RunFinished)


class History:
    """The sink that keeps events for the history: they go into the store with the journal of `run`.

    That a run goes on is told, and not the way to where it was, which was told before, up to the last thing that is
    recorded: what comes behind that may have been told or not, and readers know the same event again. Nor are the turns
    of a loop, which are there one by one. Messages on that way which are not among those `told` were lost with a
    process: they are told now.
    """

    run: DurableRun

    def __init__(self, told: Counter[tuple[str, str]]) -> None:
        self.told = told

    def __call__(self, event: Event) -> None:
        run = self.run
        kind = type(event)
        if run.abandoned or kind is Progress or (kind is StepReused and run.reuse is None):
            return
        beyond = not run.replaying or not run.journal.known  # nothing is ahead that was recorded
        if beyond or kind in _ALWAYS or (isinstance(event, LogWritten) and self._lost(event)):
            run.journal.told.append(event)

    def _lost(self, event: LogWritten) -> bool:
        key = event.path, event.message
        self.told[key] -= 1
        return self.told[key] < 0


def messages(chunks: Iterable[tuple[int, str]]) -> Counter[tuple[str, str]]:
    """How often which step has written which message, as far as the history knows."""
    told = (each for _, lines in chunks if lines for each in parsed(lines, ""))
    return Counter((each["path"], each["message"]) for each in told if each["event"] == "log_written")


def prepared(
    plan: Plan,
    inputs: Mapping[str, Any],
    *,
    store: Store,
    writer: Writer,
    record: StoredRun,
    recorded: Past[Recorded],
    chunks: Sequence[tuple[int, str]],
    sinks: Sequence[Sink] = (),
    leaves: bool = False,
    tell: bool = True,
    **options: Any,
) -> DurableRun:
    """The run, ready to be executed. `recorded` and `chunks`: its journal and its events from earlier lives. New events
    go into the store unless `tell` is False."""
    history, seq = History(messages(chunks)), chunks[-1][0] + 1 if chunks else 0
    heard = [*sinks, history] if tell else list(sinks)
    run = DurableRun(
        plan, inputs, store=store, writer=writer, record=record, recorded=recorded, seq=seq, leaves=leaves, sinks=heard,
        watched=bool(sinks), **options,
    )  # fmt: skip
    history.run = run
    run.quiet = run.replaying and not sinks
    return run


async def execute(run: DurableRun) -> Outcome:
    """Run to the end and record it; a `Left` when the run stopped before, which is recorded as well."""
    try:
        return await _executed(run)
    except asyncio.CancelledError:
        if run.left is None:
            raise
        return await _leave(run, run.left)  # it was abandoned while its end was written down


async def _executed(run: DurableRun) -> Outcome:
    try:
        result = await run.execute()
        run.over = True
    finally:
        await run.journal.settled()
    if run.left is not None:
        return await _leave(run, run.left)
    try:
        outputs = run.sealed(result.outputs, secret=bool(result.secret_outputs), what="the outputs of the flow")
    except OperationError as error:
        failure = Failure(error.classified.error_class, error.detail, flow=result.flow)
        result = RunResult(result.run_id, result.flow, "failed", {}, failure, started_at=result.started_at,
                           duration=result.duration, masker=run.masker)  # fmt: skip
        outputs = "{}"
    try:
        await run.journal.flushed()
        if not await _finished(run, result, outputs):
            return Left("lost", "another worker has taken it over")
    except Lost:
        return Left("lost", "another worker has taken it over")
    except StoreError as error:
        return Left("store", f"the end of the run could not be recorded: {error}")
    await _make_way(run)
    return result


async def _make_way(run: DurableRun) -> None:
    """Wake who waits for this run to end. It has, whatever comes of that: the others look by themselves as well."""
    if run.gate is None:
        return
    try:
        await gates.left(run.store, run.gate, run.record.queue)
    except StoreError as error:
        _LOG.warning("run %s is over, and who waits for its `concurrency` was not told: %s", run.record.id, error)


async def _wait(run: DurableRun, left: Left) -> bool:
    """Give back a run that waits: for its turn, or for what it said."""
    limits = run.plan.concurrency
    if run.queued and run.gate is not None and limits is not None:
        return await gates.queue(run.store, run.record, run.gate, limits)
    return await run.store.release(run.record, "waiting", left.due_at, left.waits_for)


async def _finished(run: DurableRun, result: RunResult, outputs: str) -> bool:
    """Record the end. When the answer to that was lost, and it is asked again, it is there already."""
    store, record = run.store, run.record

    async def ask() -> bool:
        error = _clean(run, result.failure)
        if await store.finish(record, result.status, outputs=outputs, error=error, reason=result.reason):
            return True
        known = await store.run(record.id)
        return known is not None and known.state == result.status and known.takeovers == record.takeovers

    return await run.journal.writer.persistently(ask)


def _clean(run: DurableRun, failure: Failure | None) -> Failure | None:
    return None if failure is None else run.masker.value(failure)


def reason_of(run: DurableRun, left: Left) -> Failure:
    """Why a run stopped before its end, as a failure, with what lets it go on."""
    resume = f"flowlang runs resume {run.run_id}"
    notes = (f"it goes on with `{resume}`",)
    if left.why == "attention":
        notes = (
            f"look at the service, then `{resume} --retry '{left.path}'` or `--skip '{left.path}' --outputs JSON`",
        )
    site = site_of(run.plan, left.path) if left.path is not None else None
    file, line, column = (site.file, site.line, site.column) if site is not None else (None, None, None)
    return Failure(
        "internal" if left.why != "store" else "unavailable", left.detail or left.why, flow=run.record.flow,
        step=left.path, file=file, line=line, column=column, outcome_unknown=left.why == "attention", notes=notes,
    )  # fmt: skip


async def _leave(run: DurableRun, left: Left) -> Left:
    """Record why a run stops before its end."""
    store, record = run.store, run.record
    if left.why in ("lost", "store"):
        return left
    try:
        await run.journal.flushed()
        if left.why == "attention":
            kept = await store.finish(record, "needs_attention", error=reason_of(run, left), reason=left.detail)
        elif left.why == "damaged":
            kept = await store.finish(record, "parked", reason=left.detail)
        elif left.why == "waiting":
            kept = await _wait(run, left)
        else:
            kept = await store.release(record, "queued", 0.0)
        if kept and left.why in ("attention", "damaged"):
            await _make_way(run)
    except Lost:
        return Left("lost", "another worker has taken it over")
    except StoreError as error:  # its owner is dead for the others soon, and it goes on there
        return Left("store", str(error))
    return left if kept else Left("lost", "another worker has taken it over")


def inputs_of(store: Store, record: StoredRun) -> dict[str, Any]:
    """The inputs that a run was started with. Raises `StoreError`."""
    try:
        values = decode(store.sealer.open(record.inputs))
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise StoreError(f"the inputs of run `{record.id}` are damaged: they cannot be read")
    return values


Loader = Callable[[str], Plan]
"""From the path of a flow's file to its plan; raises `InvalidFlowError`."""
