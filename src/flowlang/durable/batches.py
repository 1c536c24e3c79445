"""A batch of journal entries of several runs in one transaction, in the way that is cheapest for each database.

A run whose token is not the writer's any more gets nothing written, and does not fail its neighbours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowlang.durable.records import StoredStep
from flowlang.durable.sqlite import SqliteDatabase, trouble

if TYPE_CHECKING:
    from flowlang.durable.journal import Journal

Part = tuple["Journal", list[StoredStep], str | None, int]

_OWNED = "SELECT 1 FROM flowlang_runs WHERE id = ? AND token = ?"
_STEP = """INSERT INTO flowlang_steps (run_id, path, nth, operation, state, inputs, outcome, started_at, ended_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (run_id, path, nth) DO UPDATE SET
        state = excluded.state, inputs = coalesce(excluded.inputs, inputs), outcome = excluded.outcome,
        ended_at = excluded.ended_at"""
_LINES = "INSERT INTO flowlang_events (run_id, seq, lines) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"


async def write_sqlite(database: SqliteDatabase, parts: Sequence[Part]) -> set[str]:
    """Returns the runs that are lost."""
    connection, lost = database.connection, set()
    async with database.turn:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for journal, steps, lines, seq in parts:
                run = journal.run
                if connection.execute(_OWNED, (run.id, run.token)).fetchone() is None:
                    lost.add(run.id)
                    continue
                for each in steps:
                    connection.execute(
                        _STEP,
                        (run.id, each.path, each.nth, each.operation, each.state, each.inputs, each.outcome,
                         each.started_at, each.ended_at),
                    )  # fmt: skip
                if lines is not None:
                    connection.execute(_LINES, (run.id, seq, lines))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise trouble(error, database.url) from error
    return lost


_BATCH = """WITH mine AS (
        SELECT r.id FROM flowlang_runs r JOIN unnest(:ids::text[], :tokens::text[]) AS t (id, token)
            ON r.id = t.id AND r.token = t.token FOR SHARE OF r
    ), kept AS (
        INSERT INTO flowlang_steps (run_id, path, nth, operation, state, inputs, outcome, started_at, ended_at)
        SELECT s.* FROM unnest(:runs::text[], :paths::text[], :nths::int[], :operations::text[], :states::text[],
            :inputs::text[], :outcomes::text[], :starts::float8[], :ends::float8[])
            AS s (run_id, path, nth, operation, state, inputs, outcome, started_at, ended_at)
        JOIN mine ON mine.id = s.run_id
        ON CONFLICT (run_id, path, nth) DO UPDATE SET
            state = excluded.state, inputs = coalesce(excluded.inputs, flowlang_steps.inputs),
            outcome = excluded.outcome, ended_at = excluded.ended_at
    ), told AS (
        INSERT INTO flowlang_events (run_id, seq, lines)
        SELECT e.* FROM unnest(:tellers::text[], :seqs::int[], :chunks::text[]) AS e (run_id, seq, lines)
        JOIN mine ON mine.id = e.run_id
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM mine"""


async def write_postgres(database: Any, parts: Sequence[Part]) -> set[str]:
    """Returns the runs that are lost. One statement, which is its own transaction."""
    steps = [(journal.run.id, each) for journal, rows, _, _ in parts for each in rows]
    told = [(journal.run.id, seq, lines) for journal, _, lines, seq in parts if lines is not None]
    rows = await database.fetch(
        _BATCH,
        ids=[journal.run.id for journal, *_ in parts],
        tokens=[journal.run.token for journal, *_ in parts],
        runs=[run for run, _ in steps],
        paths=[each.path for _, each in steps],
        nths=[each.nth for _, each in steps],
        operations=[each.operation for _, each in steps],
        states=[each.state for _, each in steps],
        inputs=[each.inputs for _, each in steps],
        outcomes=[each.outcome for _, each in steps],
        starts=[each.started_at for _, each in steps],
        ends=[each.ended_at for _, each in steps],
        tellers=[run for run, _, _ in told],
        seqs=[seq for _, seq, _ in told],
        chunks=[lines for _, _, lines in told],
    )
    return {journal.run.id for journal, *_ in parts} - {row["id"] for row in rows}
