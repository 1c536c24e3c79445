"""Who lives: a look at the locks of executors, and at their beats.

What has no lock is dead: at once when its process has ended, too, else when it has not taken the lock again within a
moment, since a session with PostgreSQL may end without its process. What holds its lock and is silent may be frozen, or
cut off, or only late, or the clock may have jumped. So a silent one is looked at for a while, by a clock that does not
jump: one that has not beaten then either is taken for dead. Once it is, its lock counts for nothing any more, and it
finds out with its next beat.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Sequence

from flowlang.durable.database import Database, Row, Statements
from flowlang.durable.locks import RETAKEN, lock_file, lock_name, look, unlinked
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.durable.store import Store
from flowlang.records import frozen

NOTICED = 5.0  # seconds after which PostgreSQL, on a machine that is busy, has seen that a process has ended
_PAUSE = 0.05
_FREE = -1.0  # in place of a beat


@frozen
class Sign:
    """What one look shows of an executor. `free`: nobody has its lock. `ended`: its process is over. `silent`: for
    longer than its `lease`, in seconds. `beat`: when its last one was, by a clock of which only changes count."""

    id: str
    free: bool
    ended: bool = False
    silent: bool = False
    beat: float = 0.0
    lease: float = 0.0

    @property
    def doubtful(self) -> bool:
        """Whether it takes a while to say that it is dead."""
        return self.free or self.silent


class Watch:
    """Looks at all executors again and again. `doubtful`: whether it has to look again soon to be sure."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._doubted: dict[str, tuple[float, float]] = {}  # what was seen last of some, and since when

    @property
    def doubtful(self) -> bool:
        return bool(self._doubted)

    async def dead(self) -> list[str]:
        """The owners of runs, and those that others were told of, which do not live any more."""
        signs = await _signs(self._store)
        before, self._doubted = self._doubted, {}
        return [sign.id for sign in signs if _judged(sign, before, self._doubted)]


def _judged(sign: Sign, before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]) -> bool:
    """Whether it is dead, by this look and those `before`."""
    if not sign.doubtful:
        return False
    if sign.free and sign.ended:
        return True
    now, seen = time.monotonic(), _FREE if sign.free else sign.beat
    known, since = before.get(sign.id, (None, now))
    after[sign.id] = (seen, since if known == seen else now)
    return now - after[sign.id][1] >= (RETAKEN if sign.free else sign.lease / 2)


async def lives(store: Store, executor: str) -> bool:
    """Whether it looks like it, right now: to be told to somebody, not to be acted upon."""
    sign = await _sign(store, executor)
    return not sign.doubtful


async def gone(store: Store, executor: str) -> bool:
    """Whether it is dead for sure. Of one that is only silent this takes half of its lease to say, and of one whose
    process has ended just now as long as the server takes to notice that, up to `NOTICED` seconds."""
    seen: dict[str, tuple[float, float]] = {}
    until = time.monotonic() + NOTICED
    while True:
        sign = await _sign(store, executor)
        if _judged(sign, seen, seen):
            return True
        if sign.doubtful:
            await asyncio.sleep(_PAUSE if sign.free else sign.lease / 16)
        elif sign.ended and time.monotonic() < until:
            await asyncio.sleep(_PAUSE)
        else:
            return False


async def forget(store: Store, executor: str) -> None:
    """One that owns nothing any more. If it does live, it finds out by that."""
    await store.database.execute(
        "DELETE FROM flowlang_executors WHERE id = :id AND NOT EXISTS (SELECT 1 FROM flowlang_runs WHERE owner = :id)",
        id=executor,
    )
    if isinstance(store.database, SqliteDatabase):
        unlinked(lock_file(store.database, executor))


async def living(database: Database, at: Statements) -> int:
    """How many processes hold their locks, whatever the format of the store is."""
    if isinstance(database, SqliteDatabase):
        rows = await at.fetch(_OWNERS)
        return sum(look(lock_file(database, row["id"]))[0] for row in rows)
    rows = await at.fetch(
        f"SELECT count(*) AS count FROM ({_OWNERS}) AS owners"  # noqa: S608 - texts of ours
        f" WHERE hashtextextended('{lock_name('')}' || id, 0) IN ({_HELD})"
    )
    return int(rows[0]["count"])


async def count_executors(store: Store) -> int:
    """How many processes run what the store holds, the dead included that nobody has found yet."""
    rows = await store.database.fetch("SELECT count(*) AS count FROM flowlang_executors")
    return int(rows[0]["count"])


# ---------------------------------------------------------------- one look

_OWNERS = "SELECT id FROM flowlang_executors UNION SELECT owner FROM flowlang_runs WHERE owner IS NOT NULL"
# The locks are not tried for: an attempt would hold one for a moment, in which its owner could not take it. An
# executor is told of after it has its lock, so that whoever sees the one finds the other.
_HELD = """SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
_SIGNS = f"""SELECT owners.id, e.host, e.pid, e.seen_at, e.lease,
        e.id IS NULL OR hashtextextended('{lock_name("")}' || owners.id, 0) NOT IN ({_HELD}) AS free,
        coalesce(abs({{now}} - e.seen_at) > e.lease, false) AS silent
    FROM (%s) AS owners LEFT JOIN flowlang_executors e ON e.id = owners.id"""  # noqa: S608 - texts of ours
_DOUBTED = f"SELECT * FROM ({_SIGNS % _OWNERS}) AS signs WHERE free OR silent"  # noqa: S608
_ONE = _SIGNS % "SELECT :id::text AS id"


async def _signs(store: Store) -> Sequence[Sign]:
    """Those of all executors that are not plainly alive."""
    database = store.database
    if isinstance(database, SqliteDatabase):
        found = [_sign_here(database, row["id"]) for row in await database.fetch(_OWNERS)]
        return [each for each in found if each.doubtful]
    return list(map(_sign_there, await database.fetch(_DOUBTED)))


async def _sign(store: Store, executor: str) -> Sign:
    database = store.database
    if isinstance(database, SqliteDatabase):
        return _sign_here(database, executor)
    return _sign_there((await database.fetch(_ONE, id=executor))[0])


def _sign_here(database: SqliteDatabase, executor: str) -> Sign:
    """The lock of a file is free when its process has ended, and then alone."""
    held, beat, lease = look(lock_file(database, executor))
    silent = lease > 0 and abs(time.monotonic() - beat) > lease
    return Sign(executor, not held, not held, silent, beat, lease)


def _sign_there(row: Row) -> Sign:
    ended = row["host"] is None or (row["host"] == socket.gethostname() and _over(row["pid"]))
    return Sign(row["id"], row["free"], ended, row["silent"], row["seen_at"] or 0.0, row["lease"] or 0.0)


def _over(pid: int) -> bool:
    """Whether there is no such process on this machine. By itself that proves nothing: names of machines are no
    identities, and a process in a container has another number outside."""
    if os.name == "nt":  # pragma: no cover - there a signal is more than a question
        return False
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"  # it was killed, and nobody has asked about it
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's, or no Linux
        return False
