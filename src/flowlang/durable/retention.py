"""What a store does not keep for ever: runs that are over, with all that belongs to them, and flows that no run has.

A worker that was told what to keep calls `prune` now and then (`pruning`); `flowlang runs prune` does the same. A run
that has not ended is never touched, nor one whose steps a run that goes on may still reuse.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from functools import partial

from flowlang.durable.database import Transaction
from flowlang.durable.liveness import gone
from flowlang.durable.records import StoredRun
from flowlang.durable.schema import ENDED
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError
from flowlang.records import frozen

BATCH = 100  # runs in one transaction
_FRESH = 3600.0  # seconds in which a flow without runs is left alone: one may be on its way
_IDLE = 86_400.0  # seconds after which a folder of a flow may go; it is laid out again where it is needed
_OWN = ("flowlang_journal", "flowlang_events", "flowlang_signals")


@frozen
class Retention:
    """Each bound holds by itself: a run goes when it ended more than `older_than` seconds ago, and when `keep` runs
    ended after it. `states`: only those of these."""

    older_than: float | None = None
    keep: int | None = None
    states: frozenset[str] = ENDED

    def __post_init__(self) -> None:
        strange = self.states - ENDED
        if strange:
            raise StoreError(f"only runs that are over can be pruned: {', '.join(sorted(ENDED))}; not {min(strange)}")


@frozen
class Pruned:
    runs: int
    flows: int


async def prune(
    store: Store, bounds: Retention, *, folder: str | None = None, dry_run: bool = False, rest: float = 0.0
) -> Pruned:
    """Delete what `bounds` does not keep, in batches with `rest` seconds in between; with `dry_run` only count it.
    `folder`: where flows are laid out.

    Raises `StoreError`; what was deleted before stays deleted.
    """
    gone = 0
    where, values = await _beyond(store, bounds)
    lost = [each for each in await _lost(store) if _is_beyond(each, values)] if "lost" in bounds.states else []
    if dry_run:
        rows = await store.database.fetch(f"SELECT count(*) AS n FROM flowlang_runs WHERE {where}", **values)  # noqa: S608
        return Pruned(rows[0]["n"] + len(lost), 0)
    for at in range(0, len(lost), BATCH):
        gone += await store.database.transact(
            partial(_delete, store=store, ids=[run.id for run in lost[at : at + BATCH]])
        )
        await asyncio.sleep(rest)

    async def next_batch(tx: Transaction) -> tuple[int, int]:
        rows = await tx.fetch(
            f"SELECT id FROM flowlang_runs WHERE {where} ORDER BY ended_at, id LIMIT {BATCH}"  # noqa: S608
            " FOR UPDATE SKIP LOCKED",
            **values,
        )
        return len(rows), await _delete(tx, store, [row["id"] for row in rows])

    while True:
        found, deleted = await store.database.transact(next_batch)
        gone += deleted
        if found < BATCH:
            break
        await asyncio.sleep(rest)
    flows = await _flows(store)
    if folder is not None:
        await _folders(store, folder)
    return Pruned(gone, flows)


async def delete(store: Store, run: StoredRun) -> None:
    """Delete one run with all that belongs to it. Raises `StoreError` when it has not ended, or is still needed."""
    over = run.state in ENDED or (not run.durable and run.owner is not None and await gone(store, run.owner))
    if not over:
        raise StoreError(f"run `{run.id}` has not ended: it is {run.state}; `flowlang runs cancel {run.id}` ends it")
    if not await store.database.transact(partial(_delete, store=store, ids=[run.id])) and await store.run(run.id):
        raise StoreError(f"run `{run.id}` is still needed: a run that retries it has not ended")


# ---------------------------------------------------------------- which

_ENDED_WORDS = ", ".join(f"'{each}'" for each in sorted(ENDED))
# The runs whose recorded steps a run that has not ended may yet reuse.
_NEEDED = f"SELECT origin FROM flowlang_runs WHERE origin IS NOT NULL AND state NOT IN ({_ENDED_WORDS})"  # noqa: S608


async def _beyond(store: Store, bounds: Retention) -> tuple[str, dict[str, object]]:
    """The condition for runs that go, and its values: everything that ended before the time `at`, or then with an id
    before `last`."""
    states = ", ".join(f"'{each}'" for each in sorted(bounds.states))
    rows = await store.database.fetch("SELECT {now} AS now")
    at = rows[0]["now"] - bounds.older_than if bounds.older_than is not None else -1.0
    last = ""
    if bounds.keep is not None:
        rows = await store.database.fetch(
            f"SELECT ended_at, id FROM flowlang_runs WHERE state IN ({states})"  # noqa: S608
            f" ORDER BY ended_at DESC, id DESC LIMIT 1 OFFSET {int(bounds.keep)}"
        )
        if rows and rows[0]["ended_at"] >= at:  # the newest that is one too many goes as well
            at, last = rows[0]["ended_at"], rows[0]["id"]
    where = f"state IN ({states}) AND (ended_at < :at OR (ended_at = :at AND id <= :last)) AND id NOT IN ({_NEEDED})"
    return where, {"at": at, "last": last}


def _is_beyond(run: StoredRun, values: dict[str, object]) -> bool:
    at = values["at"]
    return isinstance(at, float) and (run.started_at or run.created_at) < at


async def _lost(store: Store) -> list[StoredRun]:
    """Runs in memory whose process is gone: nothing will ever end them."""
    from flowlang.durable.records import run_of

    rows = await store.database.fetch("SELECT * FROM flowlang_runs WHERE durable = 0 AND owner IS NOT NULL")
    runs = [run_of(row) for row in rows]
    dead = {owner: await gone(store, owner) for owner in {run.owner for run in runs if run.owner is not None}}
    return [run for run in runs if run.owner is not None and dead[run.owner]]


# ---------------------------------------------------------------- away with it


def _members(store: Store) -> str:
    """The elements of the JSON list `:ids`."""
    if store.database.url.startswith("sqlite:"):
        return "SELECT value FROM json_each(:ids)"
    return "SELECT jsonb_array_elements_text(:ids::text::jsonb)"


async def _delete(tx: Transaction, store: Store, ids: Sequence[str]) -> int:
    """Those of them that are still there and that nobody needs; how many. Their rows are locked before anything of them
    is deleted, one after the other in one order, and looked at then: who retries one has its row until that is kept."""
    if not ids:
        return 0
    members, listed = _members(store), json.dumps(list(ids))
    await tx.fetch(f"SELECT id FROM flowlang_runs WHERE id IN ({members}) ORDER BY id FOR UPDATE", ids=listed)  # noqa: S608
    rows = await tx.fetch(
        f"SELECT id FROM flowlang_runs WHERE id IN ({members}) AND id NOT IN ({_NEEDED})",  # noqa: S608
        ids=listed,
    )
    listed = json.dumps([row["id"] for row in rows])
    for table in _OWN:
        await tx.execute(f"DELETE FROM {table} WHERE run_id IN ({members})", ids=listed)  # noqa: S608
    await tx.execute(f"DELETE FROM flowlang_runs WHERE id IN ({members})", ids=listed)  # noqa: S608
    return len(rows)


async def _flows(store: Store) -> int:
    """Flows that no run and no schedule has, and that nobody has asked for of late."""
    return await store.database.execute(
        """DELETE FROM flowlang_flows WHERE hash IN (
            SELECT hash FROM flowlang_flows WHERE hash NOT IN (SELECT hash FROM flowlang_runs)
                AND hash NOT IN (SELECT hash FROM flowlang_schedules) AND stored_at < {now} - :fresh
            FOR UPDATE SKIP LOCKED)""",
        fresh=_FRESH,
    )


async def _folders(store: Store, folder: str) -> None:
    """Folders of flows that the store does not have any more. Another store may: there they are laid out again."""
    rows = await store.database.fetch("SELECT hash FROM flowlang_flows")
    kept = {row["hash"] for row in rows}
    for name in _old(folder, time.time() - _IDLE):
        if name not in kept:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def _old(folder: str, before: float) -> Iterable[str]:
    try:
        with os.scandir(folder) as found:
            return [each.name for each in found if each.is_dir() and each.stat().st_mtime < before]
    except FileNotFoundError:
        return []
