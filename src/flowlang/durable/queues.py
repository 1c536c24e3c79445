"""Queues: which of the runs that are due a worker gets next, and how many at once.

A run is claimed by one statement that skips what another worker has just locked. Where its queue has limits, the
claim holds the lock of the queue, so that what it counts is still true when it takes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from functools import partial

from flowlang.durable.database import Statements, Transaction
from flowlang.durable.gates import left, queued_at
from flowlang.durable.names import refuse_name
from flowlang.durable.records import StoredRun, run_of
from flowlang.durable.schema import TURN_KEPT
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError
from flowlang.records import frozen

DEFAULT = "default"

# Those that were under way before come first where they are older; `begun` asks only for them (1), or only for new
# ones (0). `without`: hashes of flows, with spaces between.
_CLAIM = f"""WITH picked AS MATERIALIZED (
        SELECT id FROM flowlang_runs
        WHERE queue = :queue AND state IN ('queued', 'waiting') AND due_at <= {{now}}
            AND (:begun::int = -1 OR (CASE WHEN started_at IS NULL THEN 0 ELSE 1 END) = :begun::int)
            AND (:without::text = '' OR ' ' || :without::text || ' ' NOT LIKE '% ' || hash || ' %')
        ORDER BY priority DESC, due_at, id LIMIT :most::int FOR UPDATE SKIP LOCKED
    )
    UPDATE flowlang_runs SET state = 'running', owner = :owner, token = :token,
        started_at = coalesce(started_at, {{now}}), waits_for = {TURN_KEPT}
    WHERE id IN (SELECT id FROM picked) AND state IN ('queued', 'waiting')
    RETURNING *"""  # noqa: S608 - a text of ours


@frozen
class Limits:
    """Of a queue; None: no limit. `concurrency`: runs under way in all workers together; `worker_concurrency`: in each
    of them; `rate`: how many runs may begin within `period` seconds."""

    name: str
    concurrency: int | None = None
    worker_concurrency: int | None = None
    rate: int | None = None
    period: float | None = None

    @property
    def shared(self) -> bool:
        """Whether a claim has to look at what other workers do."""
        return self.concurrency is not None or self.rate is not None


async def limits_of(store: Store) -> dict[str, Limits]:
    """The queues that have limits, by name."""
    rows = await store.database.fetch("SELECT * FROM flowlang_queues ORDER BY name")
    return {
        row["name"]: Limits(
            row["name"], row["concurrency"], row["worker_concurrency"], row["rate_limit"], row["rate_period"]
        )
        for row in rows
    }


async def set_limits(store: Store, limits: Limits) -> None:
    """Replace the limits of a queue. Workers see them within a second. Raises `StoreError` for a limit below 1."""
    refuse_name("queue", limits.name)
    for value in (limits.concurrency, limits.worker_concurrency, limits.rate, limits.period):
        if value is not None and value <= 0:
            raise StoreError(f"a limit of queue `{limits.name}` is {value}; it has to be more than 0")
    await store.database.execute(
        """INSERT INTO flowlang_queues (name, concurrency, worker_concurrency, rate_limit, rate_period)
        VALUES (:name, :concurrency, :worker, :rate, :period)
        ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency,
            worker_concurrency = excluded.worker_concurrency, rate_limit = excluded.rate_limit,
            rate_period = excluded.rate_period""",
        name=limits.name, concurrency=limits.concurrency, worker=limits.worker_concurrency, rate=limits.rate,
        period=limits.period,
    )  # fmt: skip
    await store.database.notify(f"queue:{limits.name}")


async def remove_limits(store: Store, name: str) -> bool:
    """Whether there were any. The runs of the queue stay."""
    removed = await store.database.execute("DELETE FROM flowlang_queues WHERE name = :name", name=name)
    await store.database.notify(f"queue:{name}")
    return removed == 1


async def sizes(store: Store) -> dict[str, dict[str, int]]:
    """How many runs of each queue are in which state, those that are over left out."""
    rows = await store.database.fetch(
        """SELECT queue, state, count(*) AS count FROM flowlang_runs
        WHERE state NOT IN ('succeeded', 'failed', 'timed_out', 'cancelled', 'skipped', 'lost')
        GROUP BY queue, state ORDER BY queue, state"""
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["queue"], {})[row["state"]] = row["count"]
    return found


async def seconds_to_next(store: Store, queues: Sequence[str]) -> float | None:
    """Until the first run of these queues is due, 0 or less when one is; None when none will ever be by itself."""
    moments = []
    for queue in queues:
        rows = await store.database.fetch(
            "SELECT min(due_at) - {now} AS rest FROM flowlang_runs"
            " WHERE queue = :queue AND state IN ('queued', 'waiting')",
            queue=queue,
        )
        moments += [float(row["rest"]) for row in rows if row["rest"] is not None]
    return min(moments, default=None)


async def claim(
    store: Store, owner: str, queue: str, most: int, limits: Limits | None = None, without: Iterable[str] = ()
) -> list[StoredRun]:
    """At most `most` due runs of a queue, made `owner`'s: by priority, the highest first, then by age. `without`: the
    hashes of flows whose runs are left to others."""
    claimed = partial(_claimed, owner=owner, queue=queue, without=" ".join(without))
    if limits is None or not limits.shared:
        return await claimed(store.database, most=most)

    async def take(tx: Transaction) -> list[StoredRun]:
        await tx.lock(f"queue:{queue}")
        room = min(most, await _room(tx, limits))
        if room <= 0:
            return []
        if limits.rate is None:
            return await claimed(tx, most=room)
        going_on = await claimed(tx, most=room, begun=1)
        fresh = min(room - len(going_on), limits.rate - await _begun(tx, limits))
        new = await claimed(tx, most=fresh, begun=0) if fresh > 0 else []
        return [*going_on, *new]

    return await store.database.transact(take)


async def _claimed(
    at: Statements, *, owner: str, queue: str, most: int, without: str, begun: int = -1
) -> list[StoredRun]:
    rows = await at.fetch(
        _CLAIM, queue=queue, owner=owner, token=uuid.uuid4().hex, most=most, begun=begun, without=without
    )
    runs = []
    for row in rows:
        try:
            runs.append(run_of(row))
        except StoreError as error:  # it must not keep the others from being claimed, again and again
            await at.execute(
                "UPDATE flowlang_runs SET state = 'parked', owner = NULL, token = NULL, reason = :why"
                " WHERE id = :id AND token = :token",
                id=row["id"], token=row["token"], why=str(error),
            )  # fmt: skip
    return sorted(runs, key=lambda each: (-each.priority, each.due_at, each.id))


async def _room(tx: Transaction, limits: Limits) -> int:
    if limits.concurrency is None:
        return 2**31
    rows = await tx.fetch(
        "SELECT count(*) AS count FROM flowlang_runs WHERE owner IS NOT NULL AND queue = :queue", queue=limits.name
    )
    return limits.concurrency - int(rows[0]["count"])


async def _begun(tx: Transaction, limits: Limits) -> int:
    """How many runs have begun within the last period. Where the clock went back, not those that are yet to begin."""
    rows = await tx.fetch(
        "SELECT count(*) AS count FROM flowlang_runs WHERE queue = :queue AND started_at > {now} - :period::float8"
        " AND started_at <= {now}",
        queue=limits.name, period=limits.period or 0.0,
    )  # fmt: skip
    return int(rows[0]["count"])


async def put_back(store: Store, run: StoredRun, reason: str, park_after: int) -> str:
    """A run that cannot begin on this worker, which owns it: it tries again after a while that doubles each time, from
    a second to a minute, and is parked after so many times. One that has done nothing yet does not count as
    begun. Returns its state."""
    rows = await store.database.fetch(
        """UPDATE flowlang_runs SET owner = NULL, token = NULL, refused = refused + 1, reason = :reason,
            waits_for = NULL,
            state = CASE WHEN refused + 1 >= :most::int THEN 'parked' ELSE 'queued' END,
            started_at = CASE WHEN EXISTS (SELECT 1 FROM flowlang_journal j WHERE j.run_id = flowlang_runs.id)
                OR EXISTS (SELECT 1 FROM flowlang_events e WHERE e.run_id = flowlang_runs.id) THEN started_at END,
            due_at = {now} + CASE WHEN refused < 6 THEN 1 << refused ELSE 60 END
        WHERE id = :id AND token = :token RETURNING state""",
        id=run.id, token=run.token, reason=reason, most=park_after,
    )  # fmt: skip
    if (gate := queued_at(run)) is not None:  # it has lost its place in the line
        await left(store, gate, run.queue)
    return str(rows[0]["state"]) if rows else "lost"


async def owned_by(store: Store, owner: str) -> list[str]:
    """The ids of the runs that `owner` has."""
    rows = await store.database.fetch("SELECT id FROM flowlang_runs WHERE owner = :owner", owner=owner)
    return [row["id"] for row in rows]


async def give_back(store: Store, run_id: str, owner: str) -> None:
    """To its queue, as nothing that was the run's own fault."""
    await store.database.execute(
        """UPDATE flowlang_runs SET owner = NULL, token = NULL, state = 'queued', due_at = {now}
        WHERE id = :id AND owner = :owner""",
        id=run_id, owner=owner,
    )  # fmt: skip
