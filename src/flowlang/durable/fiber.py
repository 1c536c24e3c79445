"""The fiber of a durable run: each operation is looked up in the journal before it is done, and written down after.

known? ─ yes ─► what came of it then
   └─ no ─► begins? (a write: committed first) ─► the operation ─► what came of it, committed with what follows
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Iterator
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flowlang.connections.errors import Classified
from flowlang.durable.codec import decode
from flowlang.durable.records import Damaged, Recorded, StoredStep, failure_of, failure_record
from flowlang.durable.transactions import Inside, committing, transact
from flowlang.engine.failures import OperationError, call_error, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.steps import selected
from flowlang.engine.waiting import tell
from flowlang.exceptions import StepError
from flowlang.plan import Call, Frame, Transaction, Wait

if TYPE_CHECKING:
    from flowlang.durable.records import Place
    from flowlang.durable.reuse import Reuse
    from flowlang.durable.run import DurableRun
    from flowlang.engine.operations import Bound
    from flowlang.engine.steps import Ended, Runner


class DurableFiber(Fiber):
    """`run` is a `DurableRun`."""

    __slots__ = ()
    run: DurableRun

    # ------------------------------------------------------------ operations

    def do(self, path: str, operation: Bound, kwargs: dict[str, Any]) -> Awaitable[Any]:
        step, run = self.step, self.run
        if run.quiet and run.reuse is None and not step.secret_outputs and (known := run.journal.first(path)):
            return self._given(known)
        return self._done(path, operation, kwargs, step)

    async def _given(self, known: Recorded) -> Any:
        """What came of a step, where nobody has to be told and nothing to be compared."""
        try:
            return self.recalled(known)
        except Damaged as error:
            await self.run.stop_for_damage(known, error)

    async def _done(self, path: str, operation: Bound, kwargs: dict[str, Any], step: Call) -> Any:
        run, planned = self.run, self.activation.plan.operations[step.operation]
        spec = planned.spec
        if spec.effect == "none" or spec.streams:
            around = self._within(planned.connection) if planned.shared else None
            if around is not None:
                around.streamed = True
            await run.admit()
            return await operation.call(self, path, kwargs)
        journal = run.journal
        place = self.place(path) if run.inside else journal.place(path)
        known = journal.recall(*place)
        within = self._within(planned.connection) if planned.shared else None
        if within is not None:
            known = None  # the transaction in which that was done did not count
        if known is None and run.reuse is not None:
            known = self._reused(run.reuse, place, spec.name, run.shown(kwargs, step.secret_arguments))
        elif known is not None and run.reuse is not None:
            run.reuse.seen(*place)
        if known is not None and known.state != "started":
            if known.state == "cancelled":
                await run.cancelled_again()
            if run.watched and run.reuse is None:
                run.told_known(path)
            try:
                return self._replayed(known, step)
            except Damaged as error:
                await run.stop_for_damage(known, error)
        await run.admit()
        if known is not None and not step.rerun:
            await run.stop_for_attention(path, spec.name)
        began, name = run.clock.time(), spec.name
        inputs = run.shown(kwargs, step.secret_arguments)
        if within is not None:
            return await self._inside(within.kept, place, operation, kwargs, step, inputs)
        run.busy += 1
        try:
            if spec.effect != "read":
                if not step.rerun:  # of one that may be done again nobody needs to know that it had begun
                    journal.write(StoredStep(*place, "started", None, name, inputs, began, None))
                journal.alone = self.parent is None  # the branches of a `parallel` share a commit
                await run.commit()
                if not step.rerun:
                    inputs = None  # they are there
            outputs = await operation.call(self, path, kwargs)
            if step.selected is not None and isinstance(outputs, dict):
                outputs = selected(outputs, step.selected, f"task `{name}`")
            outcome = await self._kept(outputs, path, name, step)
        except asyncio.CancelledError:
            if not run.abandoned:
                journal.write(StoredStep(*place, "cancelled", None, name, inputs, began, run.clock.time()))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this step's failure
            told = call_error(error, step, kwargs, self.activation.frame, self)
            outcome = run.sealed(failure_record(told.failure), secret=False, what=f"the failure of `{path}`")
            journal.write(StoredStep(*place, "failed", outcome, name, inputs, began, run.clock.time()))
            if not step.rerun:
                run.hurry()
            raise told from told.__cause__ or error
        finally:
            run.busy -= 1
        journal.write(StoredStep(*place, "succeeded", outcome, name, inputs, began, run.clock.time()))
        if not step.rerun:
            run.hurry()
        return outputs

    async def _kept(self, outputs: Any, path: str, name: str, step: Call) -> str:
        """What a step gave, as the journal has it. A write that gives a secret for which there is no key was done, and
        has not failed: somebody has to look at it."""
        try:
            return self.run.sealed(outputs, secret=step.secret_outputs, what=f"the outputs of `{path}`")
        except OperationError as error:
            if error.classified.error_class == "config" and not step.rerun:
                await self.run.stop_for_attention(path, name, f"was done, and {error.detail}")
            raise

    def place(self, path: str) -> Place:
        """Which call of `path` this is; the transactions around it have it counted."""
        if self.run.inside:
            for each in self.open_transactions():
                each.calls[path] += 1
        return self.run.journal.place(path)

    def open_transactions(self) -> Iterator[Inside]:
        """The transactions around this that are under way, from the innermost."""
        fiber: Fiber | None = self
        while fiber is not None:
            inside = self.run.inside.get(id(fiber))
            while inside is not None:
                yield inside
                inside = inside.outer
            fiber = fiber.parent

    def _within(self, connection: int | None) -> Inside | None:
        """The one of them on a connection. None: it was committed in an earlier life, and is gone through again."""
        slot = self.activation.slots[connection or 0]
        return next((each for each in self.open_transactions() if each.slot is slot), None)

    def _reused(self, reuse: Reuse, place: Place, name: str, inputs: str | None) -> StoredStep | None:
        """What the run that is retried has recorded, taken over. A transaction that it committed is taken over whole:
        a step in it that is not what it was cannot be done by itself."""
        taken = reuse.take(*place, name, inputs)
        self.run.told_reuse(place[0], taken)
        if taken is not None:
            self.run.journal.write(taken)
        elif reuse.committed(place[0]):
            why = reuse.why[place[0]]
            detail = f"its transaction was committed by the run that is retried, and it is another now: {why}"
            notes = ("retry with `--from` the transaction to do all of it again",)
            raise OperationError(Classified("conflict", False), None, detail=detail, notes=notes)
        return taken

    def _replayed(self, known: Recorded, step: Call) -> Any:
        """What came of it in an earlier life."""
        outcome = self.recalled(known)
        if known.state == "failed":
            raise StepError(failure_of(outcome))
        if step.secret_outputs:
            self.run.masker.note(outcome)
        return outcome

    async def _inside(
        self,
        kept: list[StoredStep],
        place: Place,
        operation: Bound,
        kwargs: dict[str, Any],
        step: Call,
        inputs: str | None,
    ) -> Any:
        """An operation in a transaction: it counts when the transaction does, and is written down with it."""
        run = self.run
        began, name = run.clock.time(), self.activation.plan.operations[step.operation].spec.name
        try:
            outputs = await operation.call(self, place[0], kwargs)
        except Exception as error:  # noqa: BLE001 - as above
            told = call_error(error, step, kwargs, self.activation.frame, self)
            outcome = run.sealed(failure_record(told.failure), secret=False, what=f"the failure of `{place[0]}`")
            kept.append(StoredStep(*place, "failed", outcome, name, inputs, began, run.clock.time()))
            raise told from told.__cause__ or error
        outcome = run.sealed(outputs, secret=step.secret_outputs, what=f"the outputs of `{place[0]}`")
        kept.append(StoredStep(*place, "succeeded", outcome, name, inputs, began, run.clock.time()))
        return outputs

    # ------------------------------------------------------------ transactions

    async def transact(self, step: Transaction, frame: Frame, runner: Runner) -> Ended | None:
        return await transact(self, step, frame, runner)

    async def committing(self, step: Transaction, frame: Frame) -> None:
        await committing(self, step, frame)

    def recalled(self, known: Recorded) -> Any:
        """What is recorded of a call that has ended. Raises `Damaged`."""
        if known.outcome is None or known.state not in ("succeeded", "failed", "cancelled"):
            raise Damaged(f"it is `{known.state}`" + (", and has no outcome" if known.outcome is None else ""))
        try:
            return decode(self.run.store.sealer.open(known.outcome))
        except Exception as error:
            raise Damaged(str(error) or type(error).__name__) from error

    # ------------------------------------------------------------ time, chance, waiting

    def read(self, kind: str, position: Any) -> Any:
        """The same in each life of the run: chance is made of the run's id and the place, time is written down."""
        run = self.run
        path = f"{self.prefix}{kind}@{position}"
        place = self.place(path)
        if kind != "now":
            digest = hashlib.sha256(f"{run.seed}\n{path}\n{place[1]}".encode()).digest()
            return UUID(bytes=digest[:16], version=4) if kind == "uuid" else Random(digest).random()  # noqa: S311
        known = run.journal.recall(*place) or self._peeked(place, "now")
        if known is not None and known.outcome is not None:
            try:
                return datetime.fromisoformat(known.outcome)
            except ValueError as error:
                run.tell_damage(known, error)
                raise
        now = run.clock.now()
        at = now.timestamp()
        run.journal.write(StoredStep(*place, "succeeded", now.isoformat(), "now", None, at, at))
        return now

    def _peeked(self, place: Place, operation: str) -> StoredStep | None:
        """What the run that is retried has read there, taken over if it may be."""
        reuse = self.run.reuse
        taken = reuse.peek(*place, operation) if reuse is not None else None
        if taken is not None:
            self.run.journal.write(taken)
        return taken

    async def pause(self, path: str, seconds: float) -> None:
        """Between two attempts, or two turns. What comes next may be recorded already."""
        if self.run.journal.ahead(path):
            return
        self.run.busy += 1
        try:
            await super().pause(path, seconds)
        finally:
            self.run.busy -= 1

    async def sleep(self, step: Wait, seconds: float) -> None:
        """What is told of a wait that began in an earlier life is what is left of it."""
        run, again = self.run, self.run.replaying
        until = await self._deadline(self.prefix + step.site.path, seconds)
        left = until - run.store.time() if again else seconds
        if left > 0:
            tell(step, self, left, None)
        await run.wait_until(until)

    async def _deadline(self, path: str, seconds: float) -> float:
        """When a wait is over, by the clock of the database, as it was written down when it began."""
        run = self.run
        place = run.journal.place(path)
        known = run.journal.recall(*place) or self._peeked(place, "wait")
        if known is not None and known.outcome is not None:
            try:
                return float(known.outcome)
            except ValueError as error:
                await run.stop_for_damage(known, error)
        await run.admit()
        now, until = run.clock.time(), run.store.time() + seconds
        run.journal.write(StoredStep(*place, "succeeded", repr(until), "wait", None, now, now))
        await run.commit()
        return until

    async def receive(self, step: Wait, name: str) -> Any:
        """The payload of a signal; it is taken and written down in one transaction."""
        run, path = self.run, self.prefix + step.site.path
        until = await self._deadline(path + "@until", step.timeout) if step.timeout is not None else None
        place = run.journal.place(path)
        known = run.journal.recall(*place) or self._peeked(place, "signal")
        if known is None:
            tell(step, self, until - run.store.time() if until is not None and run.replaying else step.timeout, name)
            now = run.clock.time()
            asked = StoredStep(*place, "started", None, "signal", None, now, None)
            known = await run.wait_for_signal(name, asked, until)
        if known is not None and known.state == "succeeded":
            try:
                return self.recalled(known)
            except Damaged as error:
                await run.stop_for_damage(known, error)
        if known is None:
            now = run.clock.time()
            run.journal.write(StoredStep(*place, "failed", None, "signal", None, now, now))
        detail = f"no signal `{name}` came within {step.timeout:g} s"
        raise step_error(OperationError(Classified("timeout", True), None, detail=detail), step.site, self)
