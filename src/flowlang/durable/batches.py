"""What several runs commit in one transaction, in the way that is cheapest for each database.

A run whose token is not the writer's any more gets nothing written, and does not fail its neighbours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from flowlang.durable.log import ADD
from flowlang.durable.sqlite import SqliteDatabase, trouble
from flowlang.exceptions import StoreError

if TYPE_CHECKING:
    from flowlang.durable.journal import Part
    from flowlang.durable.log import Commit
    from flowlang.durable.postgres import PostgresDatabase

_OWNED = "SELECT 1 FROM flowlang_runs WHERE id = ?1 AND token = ?2"
_ONE = f"{ADD} SELECT ?1, ?3, ?4, ?5 WHERE EXISTS ({_OWNED}) ON CONFLICT DO NOTHING"  # its own transaction
_ROW = f"{ADD} VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_THERE = "SELECT seq, entries FROM flowlang_journal WHERE run_id = ?"
_LINES = "INSERT INTO flowlang_events (run_id, seq, lines) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"


def _one(parts: Sequence[Part]) -> tuple[Any, ...]:
    """The values of the statement for one row of one run, when that is all; most commits are such."""
    part = parts[0]
    if len(parts) > 1 or part.lines is not None or len(part.rows) != 1:
        return ()
    return part.journal.run.id, part.journal.run.token, *part.rows[0]


async def write_sqlite(database: SqliteDatabase, parts: Sequence[Part]) -> set[str]:
    """Returns the runs that are lost."""
    connection = database.connection
    lost: set[str] = set()
    async with database.turn:
        try:
            if (values := _one(parts)) and connection.execute(_ONE, values).rowcount:
                database.committed()
                return lost  # otherwise it is lost, or was there
            connection.execute("BEGIN IMMEDIATE")
            for journal, _, rows, lines, seq in parts:
                run = journal.run
                if connection.execute(_OWNED, (run.id, run.token)).fetchone() is None:
                    lost.add(run.id)
                    continue
                added = sum(connection.execute(_ROW, (run.id, *each)).rowcount for each in rows)
                if added < len(rows):
                    _same(run.id, rows, connection.execute(_THERE, (run.id,)))
                if lines is not None:
                    connection.execute(_LINES, (run.id, seq, lines))
            connection.execute("COMMIT")
            database.committed()
        except sqlite3.Error as error:
            raise trouble(error, database.url) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    return lost


def _same(run_id: str, rows: Sequence[Commit], there: Iterable[tuple[int, str]]) -> None:
    """Rows that were there are those that were to be written: the answer to that was lost. Raises `StoreError`."""
    known = dict(there)
    for each in rows:
        if known.get(each.seq) != each.entries:
            raise StoreError(f"the journal of run `{run_id}` has another commit of number {each.seq} than this process")


_ONE_POSTGRES = f"""WITH mine AS (SELECT id FROM flowlang_runs WHERE id = $1 AND token = $2 FOR SHARE)
    {ADD} SELECT id, $3::int, $4::text, $5::bigint FROM mine ON CONFLICT DO NOTHING RETURNING 1"""  # noqa: S608 - texts of ours
_BATCH = f"""WITH mine AS (
        SELECT r.id FROM flowlang_runs r JOIN unnest($1::text[], $2::text[]) AS t (id, token)
            ON r.id = t.id AND r.token = t.token ORDER BY r.id FOR SHARE OF r
    ), kept AS (
        {ADD} SELECT s.* FROM unnest($3::text[], $4::int[], $5::text[], $6::bigint[])
            AS s (run_id, seq, entries, checksum)
        JOIN mine ON mine.id = s.run_id
        ON CONFLICT DO NOTHING RETURNING run_id
    ), told AS (
        INSERT INTO flowlang_events (run_id, seq, lines)
        SELECT e.* FROM unnest($7::text[], $8::int[], $9::text[]) AS e (run_id, seq, lines)
        JOIN mine ON mine.id = e.run_id
        ON CONFLICT DO NOTHING
    )
    SELECT id, (SELECT count(*) FROM kept WHERE run_id = id) AS added FROM mine"""  # noqa: S608 - texts of ours


async def write_postgres(database: PostgresDatabase, parts: Sequence[Part]) -> set[str]:
    """Returns the runs that are lost. One statement, which is its own transaction."""
    if (values := _one(parts)) and await database.write(_ONE_POSTGRES, *values):
        return set()  # otherwise it is lost, or was there
    rows = [(part.journal.run.id, *each) for part in parts for each in part.rows]
    told = [(part.journal.run.id, part.seq, part.lines) for part in parts if part.lines is not None]
    answered = await database.write(
        _BATCH,
        [part.journal.run.id for part in parts],
        [part.journal.run.token for part in parts],
        *(zip(*rows, strict=True) if rows else [()] * 4),
        *(zip(*told, strict=True) if told else [()] * 3),
    )
    added = {row["id"]: row["added"] for row in answered}
    for part in parts:
        run_id = part.journal.run.id
        if added.get(run_id, len(part.rows)) < len(part.rows):
            there = await database.write(_THERE.replace("?", "$1"), run_id)
            _same(run_id, part.rows, ((row["seq"], row["entries"]) for row in there))
    return {part.journal.run.id for part in parts} - added.keys()
