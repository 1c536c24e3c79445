"""Who owns a run, as its row says: each owner has a token of its own, and whatever is written for a run asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from flowlang.durable.database import Transaction
from flowlang.durable.log import ADD, Commit
from flowlang.durable.records import StoredRun


class Lost(Exception):
    """The run is not this process's any more: it was taken over, cancelled from outside, or deleted."""


async def is_owned(tx: Transaction, run: StoredRun, lock: Literal["SHARE", "UPDATE"] = "SHARE") -> bool:
    """Whether `run` is ours; then nobody takes it over before the end of the transaction. `UPDATE` for one whose row
    is changed there: two who had it as `SHARE` would wait for one another."""
    rows = await tx.fetch(
        f"SELECT 1 FROM flowlang_runs WHERE id = :id AND token = :token FOR {lock}",  # noqa: S608 - a word of ours
        id=run.id, token=run.token,
    )  # fmt: skip
    return bool(rows)


async def owned(tx: Transaction, run: StoredRun, lock: Literal["SHARE", "UPDATE"] = "SHARE") -> None:
    """As `is_owned`. Raises `Lost` when it is not ours any more."""
    if not await is_owned(tx, run, lock):
        raise Lost(run.id)


async def append(tx: Transaction, run: StoredRun, rows: Sequence[Commit]) -> None:
    """Add commits to the log of a run that the caller owns; those that are there already are left as they are."""
    for each in rows:
        await tx.execute(
            f"{ADD} VALUES (:run, :seq, :entries, :checksum) ON CONFLICT DO NOTHING",
            run=run.id, seq=each.seq, entries=each.entries, checksum=each.checksum,
        )  # fmt: skip
