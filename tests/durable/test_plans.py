"""What a worker asks its store costs the same however many runs the store has kept."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.durable.test_soak import Place, wave
from tests.durable.test_workers import Serving

from flowlang import workers
from flowlang.durable.opening import open_store
from flowlang.durable.sqlite import SqliteDatabase, prepared
from flowlang.durable.store import Store

UNIT = 20  # instructions of SQLite's machine
MANY = """INSERT INTO flowlang_runs (id, flow, hash, state, due_at, created_at, started_at, ended_at, inputs, options)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    SELECT 'old-' || i, flow, hash, 'succeeded', 1.0 + i, 1.0 + i, 1.0 + i, 2.0 + i, inputs, options
    FROM n, (SELECT * FROM flowlang_runs LIMIT 1)"""


async def test_no_statement_of_a_worker_reads_the_runs_that_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claims with and without limits, gates, journals, signals, takeovers: each is asked again beside 3,000 old runs,
    and the instructions that it takes are counted."""
    place = Place(f"sqlite:///{tmp_path}/runs.db", tmp_path)
    async with await open_store(place.url) as store, await open_store(place.url) as other:
        with noted(store, monkeypatch) as asked:
            async with Serving(store):
                await wave(other, place, 0, 20)
            await workers.set_queue(workers.Limits("default", concurrency=5, rate=1000, period=1.0), other)
            async with Serving(store):
                await wave(other, place, 20, 20)
        assert len(asked) > 20, "most of what there is to ask"
        few = costs(store, asked)
        await store.database.execute(MANY)
        many = costs(store, asked)
    assert {text: (few[text], cost) for text, cost in many.items() if cost > few[text] + 200} == {}


@contextlib.contextmanager
def noted(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, Any]]]:
    """The statements that a store is asked meanwhile, each with the values of one time."""
    asked: dict[str, dict[str, Any]] = {}
    database = store.database
    assert isinstance(database, SqliteDatabase)
    run = database.run

    def note(statement: str, values: dict[str, Any]) -> sqlite3.Cursor:
        if not statement.startswith(("BEGIN", "COMMIT")):
            asked.setdefault(statement, values)
        return run(statement, values)

    with monkeypatch.context() as patch:
        patch.setattr(database, "run", note)
        yield asked


def costs(store: Store, asked: dict[str, dict[str, Any]]) -> dict[str, int]:
    """How many units of instructions each statement takes; what it does is taken back."""
    assert isinstance(store.database, SqliteDatabase)
    connection, found = store.database.connection, {}
    for statement, values in asked.items():
        units: list[None] = []
        connection.execute("BEGIN IMMEDIATE")
        connection.set_progress_handler(lambda units=units: units.append(None), UNIT)  # type: ignore[misc]
        connection.execute(prepared(statement), values).fetchall()
        connection.set_progress_handler(None, 0)
        connection.execute("ROLLBACK")
        found[" ".join(statement.split())] = len(units)
    return found
