"""Transactions in a durable run: each is one thing, in the journal whole, with the steps inside, or not at all.

    about to commit ─► a transaction that may not be done twice: its beginning and its steps are written down, committed
       │               any other: what was done before it is committed
       └─► the user's database commits ─► its end is written down

One that is `exactly_once` is asked for by its key when it is done again; one that only reads is done again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from flowlang.durable.codec import encode
from flowlang.durable.records import Damaged, Recorded, StoredStep, failure_of, failure_record
from flowlang.engine.exactly_once import leave, left
from flowlang.engine.failures import OperationError, step_error
from flowlang.engine.steps import Ended, run_block
from flowlang.exceptions import StepError
from flowlang.plan import Frame, Transaction

if TYPE_CHECKING:
    from flowlang.durable.fiber import DurableFiber
    from flowlang.durable.records import Place
    from flowlang.durable.reuse import Reuse
    from flowlang.durable.run import DurableRun
    from flowlang.engine.steps import Runner


class Inside:
    """A transaction that is open on the connection `slot`. `kept`: what was done on its handle, written down when it is
    over. `calls`: which calls were made in it, and how often: where its failure is recorded, nobody goes through them
    again. `committed`: its steps were done, and it is about to be, or was. `streamed`: a stream was opened on its
    handle, which nobody can open again: then what the block leaves is written down."""

    def __init__(self, slot: object, outer: Inside | None) -> None:
        self.slot = slot
        self.outer = outer
        self.kept: list[StoredStep] = []
        self.calls: Counter[str] = Counter()
        self.committed = self.streamed = False


async def transact(fiber: DurableFiber, step: Transaction, frame: Frame, runner: Runner) -> Ended | None:
    """Run it, unless it is known what came of it."""
    run, path = fiber.run, fiber.prefix + step.site.path
    place = fiber.place(path)
    known = run.journal.recall(*place)
    if run.reuse is not None:
        known = _whole(fiber, run.reuse, place, known)
    if known is not None and known.state != "started":
        return await _gone_through(fiber, known, step, frame)
    await run.admit()
    if known is not None and not step.rerun:
        await run.stop_for_attention(path, "transaction")
    began, outer = run.clock.time(), run.inside.get(id(fiber))
    inside = run.inside[id(fiber)] = Inside(fiber.activation.slots[step.connection], outer)
    try:
        ended = await runner(step, frame, fiber)
    except StepError as error:
        record = failure_record(error.failure) | {"calls": inside.calls}
        outcome = run.sealed(record, secret=False, what=f"the failure of `{path}`")
        run.journal.write(StoredStep(*place, "failed", outcome, "transaction", None, began, run.clock.time()))
        if inside.committed and not step.rerun:
            run.hurry()
        raise
    except asyncio.CancelledError:
        if not inside.committed and not run.abandoned:
            outcome = encode({"calls": inside.calls})
            run.journal.write(StoredStep(*place, "cancelled", outcome, "transaction", None, began, run.clock.time()))
        raise
    finally:
        if outer is None:
            del run.inside[id(fiber)]
        else:
            run.inside[id(fiber)] = outer
    done_before = step.exactly_once and not inside.committed
    kept = _left(fiber, step, frame, path, ended) if inside.streamed or (done_before and ended is None) else None
    for each in inside.kept:
        run.journal.write(each)
    run.journal.write(StoredStep(*place, "succeeded", kept, "transaction", None, began, run.clock.time()))
    if not step.rerun:
        run.hurry()
    return ended


async def committing(fiber: DurableFiber, step: Transaction, frame: Frame) -> None:
    """About to commit. Of one that may not be done again it is unknown from here on whether it counts, until that is
    written down."""
    run, path = fiber.run, fiber.prefix + step.site.path
    inside = run.inside[id(fiber)]
    inside.committed = True
    if step.rerun:
        if step.exactly_once:
            await _prepared(run, inside)
        return
    nth = run.journal.latest(path)
    for each in inside.kept:
        run.journal.write(each)
    inside.kept = []
    kept = _left(fiber, step, frame, path) if inside.streamed else None
    run.journal.write(StoredStep(path, nth, "started", kept, "transaction", None, run.clock.time(), None))
    await _prepared(run, inside)


async def _prepared(run: DurableRun, inside: Inside) -> None:
    """Commit the journal. Cancelled in that, the transaction was not begun to be committed."""
    try:
        await run.commit()
    except asyncio.CancelledError:
        inside.committed = False
        raise


async def _gone_through(fiber: DurableFiber, known: Recorded, step: Transaction, frame: Frame) -> Ended | None:
    """One that came to its end in an earlier life."""
    run = fiber.run
    outcome: Any = {}
    if known.outcome is not None:
        try:
            outcome = fiber.recalled(known)
        except Damaged as error:
            await run.stop_for_damage(known, error)
    if known.state in ("failed", "cancelled"):
        calls = outcome.get("calls", {})
        run.journal.passed(calls)
        for each in fiber.open_transactions():
            each.calls.update(calls)
        if known.state == "cancelled":
            await run.cancelled_again()
        raise StepError(failure_of(outcome))
    if "left" in outcome:
        leave(step, frame, fiber, outcome)
        return _exit(outcome.get("exit"))
    return await run_block(step.body, frame, fiber)  # each step inside is recorded


def _left(fiber: DurableFiber, step: Transaction, frame: Frame, path: str, ended: Ended | None = None) -> str:
    """What it leaves, or left when it was done with its key before, and how it ended the flow if it did. Raises
    StepError when that cannot be stored."""
    told = left(step, frame)
    if ended is not None:
        told["exit"] = [ended.status, ended.reason, ended.outputs, sorted(ended.secret_outputs)]
    secret = ended is not None and bool(ended.secret_outputs)
    try:
        return fiber.run.sealed(told, secret=secret, what=f"what `{path}` leaves")
    except OperationError as error:
        raise step_error(error, step.site, fiber) from error.__cause__


def _exit(told: Any) -> Ended | None:
    if told is None:
        return None
    status, reason, outputs, secret = told
    return Ended(status, reason, outputs, frozenset(secret))


def _whole(fiber: DurableFiber, reuse: Reuse, place: Place, known: Recorded | None) -> Recorded | None:
    """A transaction of the run that is retried, taken over if it may be."""
    if known is not None:
        over = reuse.seen(*place)
    else:
        taken = known = reuse.take(*place, "transaction", None)
        fiber.run.told_reuse(place[0], taken)
        over = taken is not None
        if taken is not None:
            fiber.run.journal.write(taken)
    if over:
        reuse.whole.append(place[0])
    return known
