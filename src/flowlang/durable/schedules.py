"""Schedules: the times at which a flow is to run, kept in the store and fired by whichever worker looks first.

A time that comes (a slot) is fired in the one transaction that also moves the schedule on, under the schedule's lock,
and the id of its run is made of the slot: however many workers look, and whatever their clocks do, it fires once.
Times are those of the database.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

from flowlang.document.cron import upcoming
from flowlang.durable.database import Row, Statements, Transaction
from flowlang.durable.records import StoredFlow
from flowlang.durable.store import Store
from flowlang.plan import Schedule
from flowlang.records import frozen

ON_TIME = 60.0  # seconds after which a slot that nobody fired counts as missed
_MOST = 100  # missed slots of one schedule that are made up for at once
_NEVER = 9e15
_BACK = (3600.0, 86400.0, 31 * 86400.0, 366 * 86400.0)  # where the last slot is looked for, in seconds before now
_SPACE = uuid.UUID("6d0f3c1e-9a44-4b53-8a57-0c6f7e7c2f10")  # of the ids of runs that schedules begin


@frozen
class StoredSchedule:
    """`id`: the flow's name and the number of its trigger. Times are seconds since the epoch."""

    id: str
    flow: str
    hash: str
    rule: Schedule
    options: Mapping[str, Any]
    next_at: float | None
    last_at: float | None
    paused: bool


def _schedule_of(row: Row) -> StoredSchedule:
    return StoredSchedule(
        row["id"], row["flow"], row["hash"], Schedule(**json.loads(row["rule"])), json.loads(row["options"]),
        row["next_at"], row["last_at"], bool(row["paused"]),
    )  # fmt: skip


# ---------------------------------------------------------------- times


def slots(rule: Schedule, after: float) -> Iterator[float]:
    """The times of a rule after `after`, which is a slot where the rule is an interval. A time that the spring skips
    comes at the end of the gap, one that the autumn has twice comes once."""
    if rule.interval is not None:
        while True:
            after += rule.interval
            yield after
    assert rule.cron is not None
    for each in upcoming(rule.cron, datetime.fromtimestamp(after, UTC), ZoneInfo(rule.timezone)):
        yield each.timestamp()


def to_fire(rule: Schedule, first: float, now: float) -> tuple[list[float], float | None]:
    """Which slots of those from `first` (a slot) to `now` the rule's `catchup` wants, and the slot that comes next."""
    if rule.catchup == "all":
        passed = [first, *islice(takewhile(lambda each: each <= now, slots(rule, first)), _MOST - 1)]
    else:
        passed = [_latest(rule, first, now)]
    following = next(slots(rule, passed[-1]), None)
    late = now - passed[-1] > ON_TIME
    return ([] if late and rule.catchup == "none" else passed), following


def _latest(rule: Schedule, first: float, now: float) -> float:
    """The last slot up to `now`, without going through all of them since `first`."""
    if rule.interval is not None:
        return first + (now - first) // rule.interval * rule.interval
    for start in [now - back for back in _BACK if now - back > first] + [first]:
        last = None
        for each in takewhile(lambda moment: moment <= now, slots(rule, start)):
            last = each
        if last is not None:
            return last
    return first


# ---------------------------------------------------------------- what the store knows


async def schedules(store: Store) -> list[StoredSchedule]:
    return [_schedule_of(row) for row in await store.database.fetch("SELECT * FROM flowlang_schedules ORDER BY id")]


async def register(
    store: Store, flow: StoredFlow, rules: Sequence[Schedule], options: Mapping[str, Any], now: float | None = None
) -> list[str]:
    """Replace the schedules of a flow by these; the ids. One whose rule is the same goes on as it was."""
    await store.put_flow(flow)
    names = [f"{flow.name}#{number}" for number, _ in enumerate(rules, 1)]

    async def replace(tx: Transaction) -> None:
        await tx.lock(_lock(flow.name))
        moment = await _now(tx, now)
        rows = await tx.fetch(
            "SELECT * FROM flowlang_schedules WHERE flow = :flow ORDER BY id FOR UPDATE", flow=flow.name
        )
        before = {row["id"]: _schedule_of(row) for row in rows}
        for gone in sorted(set(before) - set(names)):
            await tx.execute("DELETE FROM flowlang_schedules WHERE id = :id", id=gone)
        for name, rule in zip(names, rules, strict=True):
            same = name in before and before[name].rule == rule
            following = before[name].next_at if same else next(slots(rule, moment), None)
            await tx.execute(
                """INSERT INTO flowlang_schedules (id, hash, flow, rule, options, next_at)
                VALUES (:id, :hash, :flow, :rule, :options, :next)
                ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, rule = excluded.rule,
                    options = excluded.options, next_at = excluded.next_at""",
                id=name, hash=flow.hash, flow=flow.name, options=json.dumps(options), next=following,
                rule=json.dumps({each: getattr(rule, each) for each in Schedule.__dataclass_fields__}),
            )  # fmt: skip

    await store.database.transact(replace)
    return names


async def pause(store: Store, flow: str, *, paused: bool, now: float | None = None) -> int:
    """How many schedules of a flow were paused, or go on: with the next time from now, without those in between."""

    async def change(tx: Transaction) -> int:
        await tx.lock(_lock(flow))
        moment = await _now(tx, now)
        rows = await tx.fetch("SELECT * FROM flowlang_schedules WHERE flow = :flow ORDER BY id FOR UPDATE", flow=flow)
        for each in map(_schedule_of, rows):
            following = each.next_at
            if not paused and each.paused:
                following = next(slots(each.rule, moment), None)
            await tx.execute(
                "UPDATE flowlang_schedules SET paused = :paused, next_at = :next WHERE id = :id",
                paused=int(paused), next=following, id=each.id,
            )  # fmt: skip
        return len(rows)

    return await store.database.transact(change)


async def remove(store: Store, flow: str) -> int:
    """How many schedules of a flow there were. Runs that they have begun go on."""

    async def delete(tx: Transaction) -> int:
        await tx.lock(_lock(flow))
        return await tx.execute("DELETE FROM flowlang_schedules WHERE flow = :flow", flow=flow)

    return await store.database.transact(delete)


def _lock(flow: str) -> str:
    """Of all schedules of a flow. Who changes several rows has it; who fires one has the lock of that one."""
    return f"schedules:{flow}"


async def _now(at: Statements, given: float | None) -> float:
    if given is not None:
        return given
    return float((await at.fetch("SELECT {now} AS now"))[0]["now"])


# ---------------------------------------------------------------- firing


async def fire(store: Store, now: float | None = None) -> list[str]:
    """Begin the runs whose time has come; their ids. `now`: another clock than that of the database, for tests."""
    begun = []
    moment = await _now(store.database, now)
    rows = await store.database.fetch(
        "SELECT id FROM flowlang_schedules WHERE paused = 0 AND next_at <= :now::float8", now=moment
    )
    for row in rows:
        begun += await _fired(store, row["id"], moment)
    overlaps = {_prefix(each.id): each.rule.overlap for each in await schedules(store)}
    for queue, prefix in await _held(store):
        await _move_up(store, queue, prefix, overlaps.get(prefix, "queue"))
    return begun


async def _fired(store: Store, schedule_id: str, now: float) -> list[str]:
    """Look again under the lock: another worker may have been first."""

    async def begin(tx: Transaction) -> tuple[StoredSchedule | None, list[str]]:
        await tx.lock(f"schedule:{schedule_id}")
        rows = await tx.fetch("SELECT * FROM flowlang_schedules WHERE id = :id FOR UPDATE", id=schedule_id)
        schedule = _schedule_of(rows[0]) if rows else None
        if schedule is None or schedule.paused or schedule.next_at is None or schedule.next_at > now:
            return None, []
        wanted, following = to_fire(schedule.rule, schedule.next_at, now)
        begun = [run_id for slot in wanted if (run_id := await _begun(tx, schedule, slot)) is not None]
        await tx.execute(
            "UPDATE flowlang_schedules SET next_at = :next, last_at = coalesce(:last::float8, last_at) WHERE id = :id",
            next=following, last=wanted[-1] if wanted else None, id=schedule_id,
        )  # fmt: skip
        return schedule, begun

    schedule, begun = await store.database.transact(begin)
    if schedule is not None and begun:
        await store.database.notify(f"queue:{schedule.options['queue']}")
    return begun


async def _begun(tx: Transaction, schedule: StoredSchedule, slot: float) -> str | None:
    """The run of a slot; None when its `overlap` skips it. One that has to wait its turn is not due by itself."""
    under_way = await _under_way(tx, schedule.options["queue"], _prefix(schedule.id))
    if under_way and schedule.rule.overlap == "skip":
        return None
    held = bool(under_way) and schedule.rule.overlap != "allow"
    run_id = str(uuid.uuid5(_SPACE, f"{schedule.id}@{slot!r}"))
    added = await tx.execute(
        """INSERT INTO flowlang_runs (id, flow, hash, state, queue, priority, dedup, due_at, created_at, attempt,
            inputs, options, started_by)
        VALUES (:id, :flow, :hash, 'queued', :queue, :priority, :dedup,
            CASE WHEN :held::int = 1 THEN :never::float8 ELSE {now} END, {now}, 1, '{}', :options, :by)
        ON CONFLICT DO NOTHING""",
        id=run_id, flow=schedule.flow, hash=schedule.hash, queue=schedule.options["queue"],
        priority=schedule.options["priority"], dedup=f"{_prefix(schedule.id)}{slot!r}", held=int(held), never=_NEVER,
        options=json.dumps({"files_root": schedule.options["files_root"]}), by=schedule.rule.kind,
    )  # fmt: skip
    return run_id if added else None


def _prefix(schedule_id: str) -> str:
    """What the keys of its runs begin with; a run has its key until it is over."""
    return f"schedule:{schedule_id}@"


async def _under_way(at: Statements, queue: str, prefix: str) -> list[Row]:
    """The runs of a schedule that are not over, and go on by themselves; the oldest first."""
    return list(
        await at.fetch(
            """SELECT id, started_at, due_at FROM flowlang_runs
            WHERE queue = :queue AND dedup IS NOT NULL AND substr(dedup, 1, length(:prefix::text)) = :prefix::text
                AND state NOT IN ('needs_attention', 'parked') ORDER BY created_at, dedup""",
            queue=queue,
            prefix=prefix,
        )
    )


async def _held(store: Store) -> list[tuple[str, str]]:
    """The queues in which runs wait their turn, each with what the keys of such runs begin with. Their schedule may be
    another by now, or gone: they run all the same."""
    rows = await store.database.fetch(
        """SELECT queue, dedup FROM flowlang_runs
        WHERE dedup IS NOT NULL AND state = 'queued' AND due_at >= :never::float8""",
        never=_NEVER,
    )
    return sorted({(row["queue"], row["dedup"].rpartition("@")[0] + "@") for row in rows})


async def _move_up(store: Store, queue: str, prefix: str, overlap: str) -> None:
    """Runs that wait their turn: the first is due when no other is under way, or, with `cancel_running`, the last one
    asks all others to stop."""
    runs = await _under_way(store.database, queue, prefix)
    held = [row["id"] for row in runs if row["started_at"] is None and row["due_at"] >= _NEVER]
    if not held:
        return
    if overlap == "cancel_running":
        for row in runs:
            if row["id"] != held[-1]:
                await store.ask_to_cancel(row["id"])
        held = held[-1:]
    if len(runs) == len(held):
        await store.database.execute(
            "UPDATE flowlang_runs SET due_at = {now} WHERE id = :id AND state = 'queued'", id=held[0]
        )
        await store.database.notify(f"queue:{queue}")
