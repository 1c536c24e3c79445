"""Signals of runs: sent by anybody, each taken once, with the journal entry that says so."""

from __future__ import annotations

from msgspec.structs import replace

from flowlang.durable.database import Row, Transaction
from flowlang.durable.log import commits
from flowlang.durable.names import refuse_name
from flowlang.durable.ownership import append, owned
from flowlang.durable.records import StoredRun, StoredStep
from flowlang.durable.schema import ENDED
from flowlang.durable.store import Store


async def send(store: Store, run_id: str, name: str, payload: str) -> str | None:
    """Send a signal; the state of its run, None when there is none. A run that has ended takes none. Raises
    `StoreError` for a name that no signal has."""
    refuse_name("signal", name)

    async def add(tx: Transaction) -> Row | None:
        rows = await tx.fetch("SELECT state, queue FROM flowlang_runs WHERE id = :id FOR UPDATE", id=run_id)
        if not rows or rows[0]["state"] in ENDED:
            return rows[0] if rows else None
        await tx.execute(
            "INSERT INTO flowlang_signals (run_id, name, payload, sent_at) VALUES (:run, :name, :payload, {now})",
            run=run_id, name=name, payload=payload,
        )  # fmt: skip
        await tx.execute(
            "UPDATE flowlang_runs SET due_at = {now}"
            " WHERE id = :id AND state = 'waiting' AND ' ' || coalesce(waits_for, '') || ' ' LIKE :name",
            id=run_id, name=f"% {name} %",
        )  # fmt: skip
        return rows[0]

    found = await store.database.transact(add)
    if found is None or found["state"] in ENDED:
        return str(found["state"]) if found is not None else None
    await store.database.notify(f"signal:{run_id}")
    await store.database.notify(f"queue:{found['queue']}")
    return str(found["state"])


async def take(store: Store, run: StoredRun, name: str, step: StoredStep, seq: int) -> StoredStep | None:
    """The first signal of `name` that nobody has taken, written into the journal as the outcome of `step` in the same
    transaction, as commit `seq`; None when there is none. Raises `Lost`."""

    async def ask(tx: Transaction) -> StoredStep | None:
        await owned(tx, run)
        taken = f"{step.path}#{step.nth}"
        rows = await tx.fetch(  # what it took when the answer was lost, or else the first that is free
            """SELECT id, payload FROM flowlang_signals
            WHERE run_id = :run AND name = :name AND (taken_by IS NULL OR taken_by = :taken)
            ORDER BY CASE WHEN taken_by IS NULL THEN 1 ELSE 0 END, id LIMIT 1 FOR UPDATE""",
            run=run.id, name=name, taken=taken,
        )  # fmt: skip
        if not rows:
            return None
        await tx.execute("UPDATE flowlang_signals SET taken_by = :by WHERE id = :id", by=taken, id=rows[0]["id"])
        kept = replace(step, state="succeeded", outcome=rows[0]["payload"], ended_at=step.started_at)
        await append(tx, run, commits(seq, [kept]))
        return kept

    return await store.database.transact(ask)
