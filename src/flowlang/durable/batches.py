"""A batch of journal entries of several runs in one transaction, in the way that is cheapest for each database.

A run whose token is not the writer's any more gets nothing written, and does not fail its neighbours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flowlang.durable.records import StoredStep
from flowlang.durable.sqlite import SqliteDatabase, trouble
from flowlang.durable.store import ENTRY, OVER

if TYPE_CHECKING:
    from flowlang.durable.journal import Journal
    from flowlang.durable.postgres import PostgresDatabase

Part = tuple["Journal", list[StoredStep], str | None, int]

_OWNED = "SELECT 1 FROM flowlang_runs WHERE id = ? AND token = ?"
_STEP = f"{ENTRY} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) {OVER}"
_LINES = "INSERT INTO flowlang_events (run_id, seq, lines) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_FEW = 2  # entries that most commits are of: the end of a step, and the beginning of the next
_TYPES = ("text", "int", "text", "text", "text", "text", "float8", "float8")  # of an entry, from its path on


def _rows(count: int, value: Callable[[int, str], str]) -> str:
    """So many entries as `VALUES` has them; the run and its token are the first two parameters."""
    numbers = iter(range(3, 3 + count * len(_TYPES)))
    return ", ".join(f"({', '.join(value(next(numbers), kind) for kind in _TYPES)})" for _ in range(count))


def _few_sqlite(count: int) -> str:
    """The statement for so many entries of one run: a transaction by itself, in three quarters of the time of one that
    is begun and committed around it."""
    return f"""{ENTRY} SELECT ?1, s.* FROM (VALUES {_rows(count, lambda number, _: f"?{number}")}) AS s
    WHERE EXISTS ({_OWNED.replace("id = ?", "id = ?1").replace("token = ?", "token = ?2")}) {OVER}"""  # noqa: S608


def _few_postgres(count: int) -> str:
    """The same. To unpack arrays would cost half as much again."""
    rows = _rows(count, lambda number, kind: f"${number}::{kind}")
    return f"""WITH mine AS (SELECT id FROM flowlang_runs WHERE id = $1 AND token = $2 FOR SHARE)
    {ENTRY} SELECT mine.id, s.* FROM mine, (VALUES {rows}) AS s {OVER}
    RETURNING 1"""  # noqa: S608 - texts of ours


_FEW_SQLITE = {count: _few_sqlite(count) for count in range(1, _FEW + 1)}
_FEW_POSTGRES = {count: _few_postgres(count) for count in range(1, _FEW + 1)}


def _few(parts: Sequence[Part]) -> tuple[int, list[Any]]:
    """How many entries there are and the values of their statement, when there are a few of one run and no events."""
    if len(parts) > 1:
        return 0, []
    journal, steps, lines, _ = parts[0]
    if lines is not None or not 1 <= len(steps) <= _FEW:
        return 0, []
    return len(steps), [journal.run.id, journal.run.token, *(value for each in steps for value in each)]


async def write_sqlite(database: SqliteDatabase, parts: Sequence[Part]) -> set[str]:
    """Returns the runs that are lost."""
    connection = database.connection
    lost: set[str] = set()
    count, values = _few(parts)
    async with database.turn:
        try:
            if count and connection.execute(_FEW_SQLITE[count], values).rowcount:
                return lost
            connection.execute("BEGIN IMMEDIATE")  # also when nothing was written: the run is lost, or it was there
            for journal, steps, lines, seq in parts:
                run = journal.run
                if connection.execute(_OWNED, (run.id, run.token)).fetchone() is None:
                    lost.add(run.id)
                    continue
                for each in steps:
                    connection.execute(_STEP, (run.id, *each))
                if lines is not None:
                    connection.execute(_LINES, (run.id, seq, lines))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise trouble(error, database.url) from error
    return lost


_BATCH = f"""WITH mine AS (
        SELECT r.id FROM flowlang_runs r JOIN unnest($1::text[], $2::text[]) AS t (id, token)
            ON r.id = t.id AND r.token = t.token FOR SHARE OF r
    ), kept AS (
        {ENTRY}
        SELECT s.* FROM unnest($3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::float8[], $11::float8[])
            AS s (run_id, path, nth, operation, state, inputs, outcome, started_at, ended_at)
        JOIN mine ON mine.id = s.run_id
        {OVER}
    ), told AS (
        INSERT INTO flowlang_events (run_id, seq, lines)
        SELECT e.* FROM unnest($12::text[], $13::int[], $14::text[]) AS e (run_id, seq, lines)
        JOIN mine ON mine.id = e.run_id
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM mine"""  # noqa: S608 - texts of ours


async def write_postgres(database: PostgresDatabase, parts: Sequence[Part]) -> set[str]:
    """Returns the runs that are lost. One statement, which is its own transaction."""
    count, values = _few(parts)
    if count and await database.write(_FEW_POSTGRES[count], *values):
        return set()  # otherwise nothing was written: the run is lost, or the entries were there
    entries = [(journal.run.id, *each) for journal, steps, _, _ in parts for each in steps]
    told = [(journal.run.id, seq, lines) for journal, _, lines, seq in parts if lines is not None]
    rows = await database.write(
        _BATCH,
        [journal.run.id for journal, *_ in parts],
        [journal.run.token for journal, *_ in parts],
        *(zip(*entries, strict=True) if entries else [()] * (1 + len(_TYPES))),
        *(zip(*told, strict=True) if told else [()] * 3),
    )
    return {journal.run.id for journal, *_ in parts} - {row["id"] for row in rows}
