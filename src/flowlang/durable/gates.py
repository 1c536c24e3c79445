"""`concurrency` of a flow in a store: how many of its runs with the same key may be under way at once, on all workers.

A run that was let in has the name of its gate in its row, until it is over; waiting for a signal, it is under way.
One that has to queue gives its worker back. It is due again when a run of its gate ends, and looks by itself now and
then, since the other may have ended at the very moment in which it left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from flowlang.durable.codec import encode
from flowlang.durable.database import Row, Transaction
from flowlang.durable.ownership import owned
from flowlang.durable.records import StoredRun
from flowlang.durable.store import Store
from flowlang.plan import Admission
from flowlang.records import frozen

LOOK = 15.0  # seconds after which a run that queues looks again


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
    return f"concurrency@{gate}"


async def enter(store: Store, run: StoredRun, gate: str, limits: Admission) -> Answer:
    """Let `run` in, or say why not. Asked again it gives the same answer. Raises `Lost`."""

    async def ask(tx: Transaction) -> Answer | tuple[Sequence[Row], int]:
        await tx.lock(f"gate:{gate}")
        await owned(tx, run, "UPDATE")
        inside = await tx.fetch(
            "SELECT id, cancel FROM flowlang_runs WHERE gate = :gate ORDER BY started_at, id", gate=gate
        )
        if any(row["id"] == run.id for row in inside):
            return Answer(True)
        rows = await tx.fetch(
            """SELECT count(*) AS count FROM flowlang_runs WHERE waits_for = :waits AND id <> :id
                AND (created_at, id) < (:created::float8, :id)""",
            waits=waits_for(gate), id=run.id, created=run.created_at,
        )  # fmt: skip
        older = int(rows[0]["count"])
        if len(inside) + older < limits.limit:
            await tx.execute("UPDATE flowlang_runs SET gate = :gate WHERE id = :id", gate=gate, id=run.id)
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


async def left(store: Store, gate: str, queue: str) -> None:
    """A run of the gate is over: the one that has waited longest is due."""
    await store.database.execute(
        """UPDATE flowlang_runs SET due_at = {now} WHERE id = (
            SELECT id FROM flowlang_runs WHERE waits_for = :waits AND state = 'waiting'
            ORDER BY created_at, id LIMIT 1)""",
        waits=waits_for(gate),
    )
    await store.database.notify(f"gate:{gate}")
    await store.database.notify(f"queue:{queue}")
