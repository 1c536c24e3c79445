"""Rows of a database that only pass through a flow stay a table; whoever looks at them sees objects."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from flowlang import run
from flowlang.tasks.stream import Stream
from flowlang.tasks.table import Table

FLOW = """
flow: pass_on
connections:
  db: {type: sqlite, database: DATABASE}
steps:
  - sqlite_stream: {id: old, connection: db, query: "SELECT id, name FROM people ORDER BY id", batch_size: 2}
  - for_each: "${old.rows}"
    as: part
    batch_size: 3
    do: [STEP]
    COLLECT
"""


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "people.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE people (id INTEGER, name TEXT)")
        db.executemany("INSERT INTO people VALUES (?, ?)", [(n, f"n{n}") for n in range(1, 8)])
    db.close()
    return str(path)


def keeper(seen: list[Any]) -> dict[str, Any]:
    def keep(records: list[dict[str, Any]] | Stream | Table, note: Any = None) -> dict[str, Any]:
        seen.append(records)
        return {"count": len(records) if not isinstance(records, Stream) else -1}

    def look(records: list[dict[str, Any]]) -> dict[str, Any]:
        seen.append(records)
        return {}

    return {"keep": keep, "look": look}


async def given(database: str, step: str, collect: str = "") -> list[Any]:
    seen: list[Any] = []
    text = FLOW.replace("DATABASE", database).replace("STEP", step).replace("COLLECT", collect)
    result = await run(text=text, tasks=keeper(seen))
    assert result.succeeded, result.failure or result.findings
    return seen


async def test_a_batch_that_is_only_handed_on_is_a_table(database: str) -> None:
    seen = await given(database, '{keep: {records: "${part}", note: "${index}"}}')
    assert [type(each) for each in seen] == [Table] * 3
    assert [len(each) for each in seen] == [3, 3, 1]
    assert [row for each in seen for row in each] == [{"id": n, "name": f"n{n}"} for n in range(1, 8)]


@pytest.mark.parametrize(
    ("step", "collect"),
    [
        ('{keep: {records: "${part}", note: "${len(part)}"}}', ""),
        ('{keep: {records: "${part}", note: "${[each.id for each in part]}"}}', ""),
        ('{keep: {if: "${len(part) > 0}", records: "${part}"}}', ""),
        ('{keep: {records: "${part}"}}', 'collect: "${part}"'),
        ('{keep: {records: "${[each for each in part]}"}}', ""),
        ('{look: {records: "${part}"}}', ""),
        ('{id: kept, set: {first: "${part[0].name}"}}, {keep: {records: "${part}"}}', ""),
    ],
)
async def test_a_batch_that_is_looked_at_is_a_list_of_objects(database: str, step: str, collect: str) -> None:
    seen = await given(database, step, collect)
    assert [type(each) for each in seen] == [list] * 3
    assert [row for each in seen for row in each] == [{"id": n, "name": f"n{n}"} for n in range(1, 8)]


async def test_columns_in_another_order_find_their_place(database: str) -> None:
    copy = "{sqlite_batch_insert: {connection: db, table: people, records: '${part}'}}"
    text = FLOW.replace("SELECT id, name", "SELECT name, id + 100 AS id").replace("COLLECT", "")
    text = text.replace("do: [STEP]", f"do: [{copy}]")
    text = text.replace("DATABASE", database)
    result = await run(text=text)
    assert result.succeeded, result.failure or result.findings
    with sqlite3.connect(database) as db:
        rows = db.execute("SELECT id, name FROM people WHERE id > 100 ORDER BY id").fetchall()
    db.close()
    assert rows == [(n + 100, f"n{n}") for n in range(1, 8)]


async def test_a_stream_goes_into_a_task_as_it_is(database: str) -> None:
    text = f"""
flow: direct
connections:
  db: {{type: sqlite, database: {database}}}
  target: {{type: sqlite, database: {database}2}}
steps:
  - sqlite_execute: {{connection: target, query: "CREATE TABLE copied (id INTEGER, name TEXT)"}}
  - sqlite_stream: {{id: old, connection: db, query: "SELECT id, name FROM people", batch_size: 2}}
  - sqlite_batch_insert: {{id: new, connection: target, table: copied, records: "${{old.rows}}", batch_size: 5}}
outputs:
  - {{name: count, value: "${{new.inserted_count}}"}}
  - {{name: batches, value: "${{new.batches}}"}}
"""
    result = await run(text=text)
    assert result.succeeded, result.failure or result.findings
    assert result.outputs == {"count": 7, "batches": 2}
