"""`concurrency` of a flow in a store: how many of its runs with the same key may be under way at once, on all workers.

A run that was let in has the name of its gate in its row, until it is over; waiting for a signal, it is under way.
One that has to queue gives its worker back, and keeps its place in the line until it is let in, so that none that came
later goes before it. Each run that leaves the gate makes one of the line due, and one that comes too late for that is
due at once: both have the lock of the gate. A run looks by itself now and then, since a process may be killed between
the end of its run and that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from flowlang.durable.codec import encode
from flowlang.durable.database import Row, Transaction
from flowlang.durable.ownership import is_owned, owned
from flowlang.durable.records import StoredRun
from flowlang.durable.store import Store
from flowlang.plan import Admission
from flowlang.records import frozen

LOOK = 15.0  # seconds after which a run that queues looks again
_TURN = "concurrency@"


@frozen
class Answer:
    """`entered`, or how many are `ahead` of it; with `skip` it is not to run at all."""

    entered: bool
    ahead: int = 0
    skip: bool = False
    displaced: str | None = None  # the run that was asked to make room


def gate_of(flow: str, key: Any) -> str:
    """The name of the gate of a flow and a key. Not the key itself, which may be anything."""
    return hashlib.sha256(f"{flow}\n{encode(key)}".encode()).hexdigest()[:24]


def waits_for(gate: str) -> str:
    """What a run that queues waits for. No signal has such a name."""
    return f"{_TURN}{gate}"


def queued_at(run: StoredRun) -> str | None:
    """The gate at which a run has its place in the line."""
    waits = run.waits_for or ""
    return waits.removeprefix(_TURN) if waits.startswith(_TURN) else None


async def enter(store: Store, run: StoredRun, gate: str, limits: Admission) -> Answer:
    """Let `run` in, or say why not. Asked again it gives the same answer. Raises `Lost`."""

    async def ask(tx: Transaction) -> Answer | tuple[Sequence[Row], int]:
        await tx.lock(f"gate:{gate}")
        await owned(tx, run, "UPDATE")
        inside, older = await _before(tx, run, gate)
        if any(row["id"] == run.id for row in inside):
            return Answer(True)
        if len(inside) + older < limits.limit:
            await tx.execute(
                "UPDATE flowlang_runs SET gate = :gate, waits_for = NULL WHERE id = :id", gate=gate, id=run.id
            )
            return Answer(True)
        return inside, older

    answer = await store.database.transact(ask)
    if isinstance(answer, Answer):
        return answer
    inside, older = answer
    if limits.on_conflict == "skip":
        return Answer(False, skip=True)
    displaced = None
    if limits.on_conflict == "cancel_running" and sum(row["cancel"] for row in inside) <= older:  # one for each
        displaced = next((row["id"] for row in inside if not row["cancel"]), None)
        if displaced is not None:
            await store.ask_to_cancel(displaced)
    return Answer(False, ahead=len(inside) + older - limits.limit + 1, displaced=displaced)


async def _before(tx: Transaction, run: StoredRun, gate: str) -> tuple[Sequence[Row], int]:
    """The runs that are inside, and how many of those that queue are older than `run`."""
    inside = await tx.fetch(
        "SELECT id, cancel FROM flowlang_runs WHERE gate = :gate ORDER BY started_at, id", gate=gate
    )
    rows = await tx.fetch(
        """SELECT count(*) AS count FROM flowlang_runs WHERE waits_for = :waits AND id <> :id
            AND (created_at, id) < (:created::float8, :id)""",
        waits=waits_for(gate), id=run.id, created=run.created_at,
    )  # fmt: skip
    return inside, int(rows[0]["count"])


async def queue(store: Store, run: StoredRun, gate: str, limits: Admission) -> bool:
    """Give a run that was not let in back, to wait for its turn. It is due at once where that has come meanwhile, or
    somebody has asked to cancel it. False when it is not ours any more."""

    async def give_back(tx: Transaction) -> bool:
        await tx.lock(f"gate:{gate}")
        if not await is_owned(tx, run, "UPDATE"):
            return False
        inside, older = await _before(tx, run, gate)
        await tx.execute(
            """UPDATE flowlang_runs SET state = 'waiting', owner = NULL, token = NULL, refused = 0, waits_for = :waits,
                due_at = {now} + CASE WHEN :room::int = 1 OR cancel > :known::int THEN 0 ELSE :look::float8 END
            WHERE id = :id""",
            id=run.id, waits=waits_for(gate), room=int(len(inside) + older < limits.limit), known=int(run.cancel),
            look=LOOK,
        )  # fmt: skip
        return True

    kept = await store.database.transact(give_back)
    await store.database.notify(f"queue:{run.queue}")
    return kept


async def left(store: Store, gate: str, queue: str) -> None:
    """A run has left the gate, or its place in the line: the first of the line that is not due yet is due."""

    async def wake(tx: Transaction) -> None:
        await tx.lock(f"gate:{gate}")  # who is just about to wait is waited for
        await tx.execute(
            """UPDATE flowlang_runs SET due_at = {now} WHERE id = (
                SELECT id FROM flowlang_runs WHERE waits_for = :waits AND state = 'waiting' AND due_at > {now}
                ORDER BY created_at, id LIMIT 1)""",
            waits=waits_for(gate),
        )

    await store.database.transact(wake)
    await store.database.notify(f"gate:{gate}")
    await store.database.notify(f"queue:{queue}")
