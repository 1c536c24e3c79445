"""A run that the store knows: the engine's `Run` with a journal, and the ways to leave it and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from flowlang.connections.errors import Classified
from flowlang.durable import gates, signals
from flowlang.durable.codec import Unstorable, encode
from flowlang.durable.fiber import DurableFiber
from flowlang.durable.journal import Journal, Writer
from flowlang.durable.log import Past
from flowlang.durable.ownership import Lost
from flowlang.durable.records import Recorded, StoredRun, StoredStep
from flowlang.durable.reuse import Reuse
from flowlang.durable.sealing import NoKey
from flowlang.durable.store import Store
from flowlang.durable.transactions import Inside
from flowlang.engine.failures import OperationError
from flowlang.engine.result import RunResult
from flowlang.engine.run import Conclusion, Run
from flowlang.engine.steps import hidden
from flowlang.events import RunQueued, StepReused
from flowlang.exceptions import StoreError
from flowlang.plan import Admission, Plan
from flowlang.records import frozen
from flowlang.tasks.values import Sql

if TYPE_CHECKING:
    from flowlang.engine.activation import Activation
    from flowlang.engine.fiber import Fiber

LINGER = 1.0  # seconds that a run waits where it is before it leaves its worker
_UNKNOWN = "had begun when its worker was lost: whether it was done is unknown"
_LOOK = 1.0  # seconds between two looks for a signal when nobody was notified
_AGAIN = 0.05  # seconds between two looks at whether what was cancelled is cancelled again
_SHOWN = 64 * 1024  # characters of a step's inputs that the history keeps


@frozen
class Left:
    """A run that stopped before its end, and why. `waiting`: until `due_at`, or a signal of `waits_for`.
    `attention`: somebody has to decide about the step `path`. `lost`: somebody else has it. `store`: it cannot be
    written. `damaged`: what it holds of `path` cannot be read. `released`: it was asked to make room."""

    why: str
    detail: str = ""
    path: str | None = None
    due_at: float | None = None
    waits_for: str | None = None


class DurableRun(Run):
    """One life of a stored run. `leaves`: whether it may leave its worker while it waits. `watched`: somebody sees its
    events as they come, and is told of steps that are only looked up."""

    def __init__(
        self,
        plan: Plan,
        inputs: Mapping[str, Any],
        *,
        store: Store,
        writer: Writer,
        record: StoredRun,
        recorded: Past[Recorded],
        seq: int = 0,
        leaves: bool = False,
        watched: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(plan, inputs, run_id=record.id, fiber_type=DurableFiber, **options)
        self.store = store
        self.record = record
        self.journal = Journal(writer, record, recorded, seq)
        self.leaves = leaves
        self.watched = watched
        self.reuse: Reuse | None = None  # what may be taken over from the run that this one retries
        self.seed: str = record.options.get("seed") or record.id  # of what is left to chance
        self.left: Left | None = None
        self.over = False  # all that is left is to write that down
        self.busy = 0  # operations under way; with none of them all that is left is to wait
        self.inside: dict[int, Inside] = {}  # by the identities of fibers: the innermost transaction that is open there
        self.gate = gates.queued_at(record)  # where it counts for `concurrency`, or queues
        self._waits: list[tuple[float, str | None]] = []
        self._cancel_wanted = self._asked = record.cancel
        self.replaying = bool(recorded.known) or record.cancel  # nothing new was done yet in this life
        began = record.started_at if record.started_at is not None else record.created_at
        self.started_at = datetime.fromtimestamp(began, UTC)
        self.spent = max(0.0, store.time() - began)
        self.facts = {
            "id": record.id, "attempt": record.attempt, "started_at": self.started_at, "trigger": record.started_by,
        }  # fmt: skip

    # ------------------------------------------------------------ leaving

    def abandon(self, left: Left) -> None:
        """Stop at once, and clean nothing up: the run goes on later, here or elsewhere. Where it is only to make room,
        and is over, its end is written down: to put it back would take as long."""
        if not self.abandoned and not (self.over and left.why == "released"):
            self.abandoned = True
            self.left = left
            super().cancel()

    def cancel(self) -> None:
        """As in memory, but what is recorded is gone through first, so that the clean-up sees what it cleans up. To one
        that is over, whose end is just being written down, it comes too late."""
        if self.over:
            return
        if self.replaying:
            self._cancel_wanted = True
        else:
            super().cancel()

    def asked_to_cancel(self) -> None:
        """Somebody asked the store to stop it. To ask again changes nothing."""
        if not self._asked:
            self._asked = True
            self.cancel()

    async def admit(self) -> None:
        """Before anything new is done. Raises `CancelledError` when nothing new is to be done any more."""
        if self.abandoned:
            raise asyncio.CancelledError
        self.replaying = self.quiet = False
        if self._cancel_wanted:
            self._cancel_wanted = False
            super().cancel()
            await _the_end()

    async def cancelled_again(self) -> None:
        """Of a step that was cancelled in an earlier life: wait for what cancels it in this one. That may be the
        request to cancel the run, which comes once nothing is recorded any more but what followed it."""
        while not self._cancel_wanted or self.journal.goes_on():  # noqa: ASYNC110 - other fibers go through it
            await asyncio.sleep(_AGAIN)
        await self.admit()

    async def stop_for_attention(self, path: str, operation: str, why: str = _UNKNOWN) -> None:
        """Somebody has to say what came of an operation that is not one to do twice."""
        self.abandon(Left("attention", f"`{operation}` {why}", path))
        await _the_end()

    def hurry(self) -> None:
        """What came of a write that is not to be done again is to be in the store soon."""
        self.journal.hurry(self._tried)

    def told_reuse(self, path: str, taken: StoredStep | None) -> None:
        """Say of a step whether it is taken over from the run that this one retries, or why not."""
        assert self.reuse is not None
        if self.emit is not None:
            self.emit(StepReused(self.run_id, self.clock.time(), path, None if taken else self.reuse.why[path]))

    def told_known(self, path: str) -> None:
        """Say of a step that what came of it was written down in an earlier life."""
        if self.emit is not None:
            self.emit(StepReused(self.run_id, self.clock.time(), path, None))

    async def stop_for_damage(self, known: Recorded, error: Exception) -> NoReturn:
        """What is recorded cannot be read: nothing is made up in its place, and nothing done again."""
        self.tell_damage(known, error)
        await _the_end()
        raise AssertionError("it was abandoned")

    def tell_damage(self, known: Recorded, error: Exception) -> None:
        told = str(error) or type(error).__name__
        self.abandon(Left("damaged", f"what the store holds of `{known.path}` cannot be read: {told}", known.path))

    async def commit(self) -> None:
        """Commit the journal. When that cannot be done the run ends here, and nothing new is begun."""
        try:
            if (committing := self.journal.committing()) is not None:
                await committing
        except (Lost, StoreError) as error:
            self._given_up(error)
            await _the_end()

    async def committed(self) -> bool:
        """The same for its end: False when that cannot be done."""
        return await self._tried(self.journal.commit())

    async def _tried(self, committing: Awaitable[None]) -> bool:
        try:
            await committing
        except (Lost, StoreError) as error:
            self._given_up(error)
            return False
        return True

    def _given_up(self, error: Lost | StoreError) -> None:
        if isinstance(error, Lost):
            self.abandon(Left("lost", "another worker has taken it over"))
        else:
            self.abandon(Left("store", str(error)))

    # ------------------------------------------------------------ concurrency

    async def _admitted(self, activation: Activation, fiber: Fiber, conclusion: Conclusion) -> bool:
        """As in memory, among all runs of the store. One that has to queue leaves its worker."""
        limits = self.plan.concurrency
        if limits is None:
            return True
        self.gate = gate = gates.gate_of(self.plan.flow, self._concurrency_key(limits, activation, fiber))
        told = False
        while True:
            answer = await self._asked_in(gate, limits)
            if answer.entered:
                self.queued = False
                return True
            if answer.skip:
                self._skip(limits, conclusion)
                return False
            if not told and self.emit is not None and not self.journal.seq:
                self.emit(RunQueued(self.run_id, self.clock.time(), self.plan.flow, answer.ahead))
            told = self.queued = True
            if self._cancel_wanted and not self.journal.known:  # it has nothing to clean up, and so no turn to wait for
                await self.admit()
            if self.leaves:
                self.abandon(Left("waiting", waits_for=gates.waits_for(gate)))
                await _the_end()
            wait = partial(self.store.database.wait, [f"gate:{gate}"], _LOOK)
            await self.journal.writer.persistently(wait)

    async def _asked_in(self, gate: str, limits: Admission) -> gates.Answer:
        try:
            ask = partial(gates.enter, self.store, self.record, gate, limits)
            return await self.journal.writer.persistently(ask)
        except (Lost, StoreError) as error:
            self._given_up(error)
        await _the_end()
        raise AssertionError("it goes on elsewhere")

    # ------------------------------------------------------------ waiting

    async def wait_until(self, moment: float) -> None:
        """Wait for a moment, by the clock of the database; a long wait may leave the worker."""
        entry = (moment, None)
        self._waits.append(entry)
        try:
            await self.admit()
            while (rest := moment - self.store.time()) > 0:
                await self.clock.sleep(min(rest, LINGER))
                self._maybe_leave()
        finally:
            self._waits.remove(entry)

    async def wait_for_signal(self, name: str, asked: StoredStep, until: float | None) -> StoredStep | None:
        """The journal entry of the signal that was taken, None when `until` passed without one."""
        entry = (until if until is not None else float("inf"), name)
        writer, database = self.journal.writer, self.store.database
        self._waits.append(entry)
        try:
            while True:
                await self.admit()
                await self.commit()
                try:
                    taken = await writer.persistently(
                        partial(signals.take, self.store, self.record, name, asked, self.journal.number())
                    )
                except (Lost, StoreError) as error:
                    self._given_up(error)
                    await _the_end()
                if taken is not None:
                    return taken
                rest = entry[0] - self.store.time()
                if rest <= 0:
                    return None
                await writer.persistently(partial(database.wait, [f"signal:{self.run_id}"], min(rest, _LOOK)))
                self._maybe_leave()
        finally:
            self._waits.remove(entry)

    def _maybe_leave(self) -> None:
        """Leave the worker when all that the run does is wait, and for a while yet."""
        if not self.leaves or self.busy or not self._waits or self.abandoned:
            return
        due = min(moment for moment, _ in self._waits)
        if due - self.store.time() <= LINGER:
            return
        names = " ".join(sorted({name for _, name in self._waits if name is not None}))
        self.abandon(Left("waiting", due_at=None if due == float("inf") else due, waits_for=names or None))

    # ------------------------------------------------------------ what is stored

    def sealed(self, value: Any, *, secret: bool, what: str) -> str:
        """`value` as the store may hold it. Raises OperationError when it cannot be stored, or not in the clear."""
        try:
            text = encode(value)
        except Unstorable as error:
            detail = f"{what} cannot be kept in the store: {error}"
            raise OperationError(Classified("validation", False), None, detail=detail) from None
        if not secret and self.masker.active and self.masker.text(text) != text:
            secret = True
        if not secret:
            return text
        try:
            return self.store.sealer.seal(text)
        except NoKey as error:
            detail = f"{what} hold a secret, and a durable run keeps them: {error}"
            raise OperationError(Classified("config", False), None, detail=detail) from None

    def shown(self, arguments: Mapping[str, Any], secret: frozenset[str]) -> str | None:
        """A step's inputs for the history, masked; None where they cannot be written down, or are too long."""
        shown = hidden(arguments, secret) if secret else arguments
        if self.masker.active:
            shown = self.masker.value(shown)
        try:
            text = encode(_bare(shown))
        except Unstorable:
            return None
        return text if len(text) <= _SHOWN else None

    def _result(self, conclusion: Conclusion, duration: float) -> RunResult:
        if self.abandoned:
            self.emit = None
        return super()._result(conclusion, duration)


async def _the_end() -> None:
    """Wait for the cancellation that is on its way: who raised it here would meet it once more at the next turn."""
    await asyncio.get_running_loop().create_future()


def _bare(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Statements as their text and values."""
    if Sql not in map(type, arguments.values()):
        return arguments
    return {
        name: {"text": "?".join(each.texts), "values": list(each.values)} if isinstance(each, Sql) else each
        for name, each in arguments.items()
    }
