"""Which runs there are: by filters, and by the beginning of their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flowlang.durable.liveness import lives
from flowlang.durable.records import StoredRun, run_of
from flowlang.durable.schema import ENDED, STATES
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError
from flowlang.history.times import instant
from flowlang.records import frozen

INTERRUPTED, LOST = "interrupted", "lost"
SHOWN_STATES = (*STATES, INTERRUPTED)
"""`interrupted`: the process of the run is gone, and it may be resumed. `lost`: the same of a run in memory, which was
only recorded; a worker writes it down when it finds one."""
TURN = "concurrency@"  # begins what a run waits for that queues by the `concurrency` of its flow; see `durable.gates`
_UNDER_WAY = ("running", "cancelling")
NEVER = 1e15  # seconds since the epoch from which on a time stands for none
_LISTED = ", ".join(
    {"inputs": "'' AS inputs", "outputs": "NULL AS outputs"}.get(name, name) for name in StoredRun.__dataclass_fields__
)
"""Not what a run was given and what it gave, which may be large."""
_LONGEST_ID = 200
_MANY = 500  # beginnings of ids that one statement asks for
_SHORTEST = 8  # characters of an id that are shown, when they are enough


@frozen
class Filter:
    """`since` and `until`: seconds since the epoch, of when runs were created. `state`: as `state_of` tells them."""

    flow: str | None = None
    states: frozenset[str] = frozenset()
    queue: str | None = None
    since: float | None = None
    until: float | None = None
    id: str = ""
    limit: int | None = 50


@frozen
class Listed:
    """A run without its inputs and outputs, its state with what is known of its process, and how much of its id is
    enough to name it."""

    run: StoredRun
    state: str
    short: str

    def to_record(self) -> dict[str, Any]:
        return run_record(self.run, self.state)


def run_record(run: StoredRun, state: str) -> dict[str, Any]:
    """A run for programs."""
    error = run.error.as_value() if run.error is not None else None
    due = run.due_at if state in ("queued", "waiting") and run.due_at < NEVER else None
    return {
        "run_id": run.id, "flow": run.flow, "version": run.hash, "state": state, "durable": run.durable,
        "queue": run.queue, "priority": run.priority, "created_at": instant(run.created_at),
        "started_at": instant(run.started_at), "ended_at": instant(run.ended_at), "due_at": instant(due),
        "started_by": run.started_by, "attempt": run.attempt, "takeovers": run.takeovers, "origin": run.origin,
        "waits_for": run.waits_for.split() if run.waits_for else [], "reason": run.reason, "error": error,
    }  # fmt: skip


async def listed(store: Store, wanted: Filter) -> list[Listed]:
    """The runs that `wanted` asks for, the newest first. Raises `StoreError`."""
    found = await _matching(store, wanted)
    alive = await _alive(store, found)
    shown = [(run, state_of(run, alive.get(run.owner or "", True))) for run in found]
    if wanted.states:
        shown = [(run, state) for run, state in shown if state in wanted.states]
    shown = shown[: wanted.limit]
    ids = await _like(store, [run.id for run, _ in shown]) if shown else []
    return [Listed(run, state, short_id(run.id, ids)) for run, state in shown]


async def _matching(store: Store, wanted: Filter) -> list[StoredRun]:
    asked = _UNDER_WAY if wanted.states & {INTERRUPTED, LOST} else ()
    stored = sorted((wanted.states & set(STATES)) | set(asked))
    places = {f"state_{'abcdefghijklmnop'[at]}": each for at, each in enumerate(stored)}
    conditions = {
        "flow = :flow": ("flow", wanted.flow),
        "queue = :queue": ("queue", wanted.queue),
        "created_at >= :since": ("since", wanted.since),
        "created_at < :until": ("until", wanted.until),
        "substr(id, 1, length(:start::text)) = :start::text": ("start", wanted.id or None),
    }
    values = {name: value for name, value in conditions.values() if value is not None}
    parts = [text for text, (_, value) in conditions.items() if value is not None]
    if stored:
        parts.append(f"state IN ({', '.join(f':{name}' for name in places)})")
    where = f" WHERE {' AND '.join(parts)}" if parts else ""
    bounded = wanted.limit is not None and not set(stored) & set(_UNDER_WAY)  # those are looked at one by one
    limit = f" LIMIT {int(wanted.limit or 0)}" if bounded else ""
    statement = f"SELECT {_LISTED} FROM flowlang_runs{where} ORDER BY created_at DESC, id{limit}"  # noqa: S608 - our own words
    rows = await store.database.fetch(statement, **values, **places)
    return [run_of(row, shown=True) for row in rows]


async def _alive(store: Store, runs: Sequence[StoredRun]) -> dict[str, bool]:
    owners = {run.owner for run in runs if run.owner is not None}
    return {owner: await lives(store, owner) for owner in owners}


async def _like(store: Store, ids: Sequence[str]) -> list[str]:
    """The ids of the store that may be taken for one of `ids` where only their beginnings are shown, sorted."""
    heads = sorted({each[:_SHORTEST] for each in ids})
    names = {f"head_{chr(97 + at // 26)}{chr(97 + at % 26)}": each for at, each in enumerate(heads[:_MANY])}
    some = f" WHERE substr(id, 1, {_SHORTEST}) IN ({', '.join(f':{name}' for name in names)})"
    every = len(heads) > _MANY
    rows = await store.database.fetch(
        f"SELECT id FROM flowlang_runs{'' if every else some}",  # noqa: S608 - our own words
        **({} if every else names),
    )
    return sorted(row["id"] for row in rows)


def state_of(run: StoredRun, alive: bool) -> str:
    """What to call the state of a run whose owner, if it has one, is `alive`."""
    if run.state in ENDED or run.owner is None or alive:
        return run.state
    return INTERRUPTED if run.durable else LOST


async def seen_state(store: Store, run: StoredRun) -> str:
    """The state of one run, after a look at its process."""
    return state_of(run, run.owner is None or await lives(store, run.owner))


def short_id(run_id: str, ids: Sequence[str]) -> str:
    """The beginning of `run_id` that no other of the sorted `ids` has."""
    from bisect import bisect_left

    at = bisect_left(ids, run_id)
    length = _SHORTEST
    for other in (*ids[max(at - 1, 0) : at], *ids[at + 1 : at + 2]):
        common = next((n for n, (a, b) in enumerate(zip(run_id, other)) if a != b), min(len(run_id), len(other)))
        length = max(length, common + 1)
    return run_id[:length]


async def state_now(store: Store, run: StoredRun) -> str:
    """The same of a run that was read a while ago: of its row this asks for no more than what can have changed. Raises
    `StoreError` when it is gone."""
    rows = await store.database.fetch("SELECT state, owner FROM flowlang_runs WHERE id = :id", id=run.id)
    if not rows:
        raise _missing(store, run.id)
    return await seen_state(store, replace(run, state=rows[0]["state"], owner=rows[0]["owner"]))


async def find(store: Store, start: str, *, shown: bool = False, large: bool = True) -> StoredRun:
    """The run of this id, or the only one whose id begins like this; `shown` as of `run_of`. Its inputs and outputs are
    there when it is to be `large`. Raises `StoreError`."""
    if not start or len(start) > _LONGEST_ID or not start.isprintable():
        raise StoreError("the id of a run is expected, or the beginning of one: `flowlang runs list` shows them")
    asked = f"SELECT {'*' if large else _LISTED} FROM flowlang_runs WHERE"  # noqa: S608 - our own words
    rows = await store.database.fetch(f"{asked} id = :id", id=start) or await store.database.fetch(
        f"{asked} substr(id, 1, length(:start::text)) = :start::text ORDER BY created_at DESC LIMIT 4", start=start
    )
    if not rows:
        raise _missing(store, start)
    if len(rows) > 1:
        told = ", ".join(f"`{row['id']}`" for row in rows[:3]) + (", …" if len(rows) > 3 else "")
        raise StoreError(f"several runs begin with `{start}`: {told}; write more of the id")
    return run_of(rows[0], shown=shown)


def _missing(store: Store, start: str) -> StoreError:
    return StoreError(f"there is no run `{start}` in {store.url}: `flowlang runs list` shows those there are")
