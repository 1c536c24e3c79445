"""Rows that a stream hands to a batch insert as they are, between PostgreSQL and SQLite: no value may change unseen."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flowlang import run

from .conftest import Database
from .test_values import SAME

FLOW = """
flow: move
connections:
  pg: {{type: postgres, url: "{url}"}}
  lite: {{type: sqlite, database: "{file}"}}
steps:
  - {source}_stream: {{id: old, query: "{query}", batch_size: 70}}
  - for_each: "${{old.rows}}"
    as: part
    batch_size: 200
    do:
      - {target}_batch_insert: {{table: t, records: "${{part}}"}}
"""
MANY = 300  # rows: several batches, each enough for COPY


async def move(db: Database, file: Path, source: str, target: str, query: str) -> Any:
    return await run(text=FLOW.format(url=db.url, file=file, source=source, target=target, query=query))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.db"
    with closing(sqlite3.connect(path)) as lite:
        lite.execute("CREATE TABLE t (id, v)")
        lite.commit()
    return path


def rows_in(file: Path, query: str = "SELECT v FROM t") -> list[Any]:
    with closing(sqlite3.connect(file)) as lite:
        return lite.execute(query).fetchall()


async def test_a_stream_vouches_for_what_it_gives(opened: Any) -> None:
    """The class that is said of a column is exactly that of each of its values, also of the odd ones."""
    db = await opened()
    await db.call("execute", query="CREATE TYPE mood AS ENUM ('happy', 'sad')")
    await db.call("execute", query="CREATE DOMAIN positive AS integer CHECK (VALUE > 0)")
    told = {}
    for number, (column, values) in enumerate([*SAME, ("real", [1.5]), ("numeric", [Decimal("NaN")])]):
        await db.call("execute", query=f"CREATE TABLE v{number} (v {column})")
        await db.call("batch_insert", table=f"v{number}", records=[{"v": value} for value in [*values, None]])
        handle = await db.plugin.get_connection()
        async for table in handle.batches(f"SELECT v FROM v{number}", [], 100):
            (kind,) = table.kinds
            assert kind is None or {type(row[0]) for row in table.rows} == {kind, type(None)}, column
            told[column] = kind
        await db.plugin.release_connection(handle)
    assert (told["integer"], told["text"], told["double precision"], told["positive"]) == (int, str, float, int)
    assert (told["mood"], told["uuid"], told["text[]"], told["interval"]) == (None,) * 4


async def test_a_session_whose_codecs_are_others_vouches_for_nothing(opened: Any) -> None:
    db = await opened()
    handle = await db.plugin.get_connection()
    await handle.driver.set_type_codec("int4", schema="pg_catalog", encoder=str, decoder=str, format="text")
    tables = [table async for table in handle.batches("SELECT 5 AS v", [], 100)]
    await db.plugin.release_connection(handle)
    assert [(table.rows[0][0], table.kinds) for table in tables] == [("5", ())]


PLAIN: list[tuple[str, Callable[[int], Any]]] = [
    ("CASE WHEN n < 4 THEN (n - 2)::int8 * 4611686018427387904 END", lambda n: (n - 2) * 2**62 if n < 4 else None),
    ("(n % 3 = 0)", lambda n: int(n % 3 == 0)),
    ("(n / 4.0)::float8", lambda n: n / 4),
    ("CASE n WHEN 7 THEN 'Infinity' WHEN 8 THEN '-Infinity' END::float8", {7: math.inf, 8: -math.inf}.get),
    ("(n / 4.0)::numeric(9,2)", lambda n: f"{Decimal(n) / 4:.2f}"),
    ("CASE WHEN n % 5 > 0 THEN 'x' || n END", lambda n: f"x{n}" if n % 5 else None),
    ("decode('00ff', 'hex')", lambda _: b"\x00\xff"),
]


async def test_from_postgres_into_sqlite(db: Database, file: Path) -> None:
    names = [f"c{place}" for place in range(len(PLAIN))]
    with closing(sqlite3.connect(file)) as lite:
        lite.execute("DROP TABLE t")
        lite.execute(f"CREATE TABLE t ({', '.join(names)})")
    columns = ", ".join(f"{query} AS {name}" for name, (query, _) in zip(names, PLAIN))
    moved = await move(db, file, "pg", "sqlite", f"SELECT {columns} FROM generate_series(1, {MANY}) AS n ORDER BY n")
    assert moved.succeeded, moved.failure
    expected = [tuple(kept(n) for _, kept in PLAIN) for n in range(1, MANY + 1)]
    found = rows_in(file, "SELECT * FROM t ORDER BY rowid")
    assert found == expected
    assert [list(map(type, row)) for row in found] == [list(map(type, row)) for row in expected]


async def test_a_number_that_sqlite_cannot_store_is_refused(db: Database, file: Path) -> None:
    query = "SELECT n AS id, CASE WHEN n = 250 THEN 'NaN'::float8 ELSE n END AS v FROM generate_series(1, 300) AS n"
    moved = await move(db, file, "pg", "sqlite", query)
    assert "`v` of record 50: NaN cannot be stored" in str(moved.failure)
    assert len(rows_in(file)) == 200


MIXED: list[tuple[str, str, Any]] = [
    ("text", "CASE id WHEN 250 THEN 5 ELSE 'x' END", lambda n: "5" if n == 250 else "x"),
    ("text", "NULL", lambda _: None),
    ("int4", "CASE id WHEN 250 THEN 5.0 WHEN 251 THEN NULL ELSE id END", {250: 5, 251: None}),
    ("int8", "CASE id WHEN 250 THEN 2.5 ELSE id END", "`v` of record 50: it expects an integer, not a number"),
    ("int4", "CASE id WHEN 250 THEN 1 << 40 ELSE id END", "`v` of record 50: it is outside of -2147483648"),
    ("float8", "CASE id WHEN 250 THEN 7 ELSE 0.5 END", lambda n: 7.0 if n == 250 else 0.5),
    ("float8", "CASE id WHEN 250 THEN 9007199254740993 ELSE 0.5 END", "`v` of record 50: this integer has more"),
    ("bool", "CASE id WHEN 250 THEN 1 END", "`v` of record 50: it expects a boolean, not an integer"),
    ("bytea", "CASE id WHEN 250 THEN 'x' ELSE x'00ff' END", "`v` of record 50: it expects bytes, not text"),
    ("numeric", "CASE id WHEN 250 THEN 0.1 ELSE id END", lambda n: Decimal("0.1") if n == 250 else Decimal(n)),
]


async def test_from_sqlite_into_postgres(db: Database, file: Path) -> None:
    """What is of another type than the rest of its column is converted or refused, wherever it stands."""
    with closing(sqlite3.connect(file)) as lite:
        lite.executemany("INSERT INTO t (id) VALUES (?)", [(n,) for n in range(1, MANY + 1)])
        lite.commit()
    for column, value, kept in MIXED:
        await db.call("execute", query="DROP TABLE t")
        await db.call("execute", query=f"CREATE TABLE t (id int4, v {column})")
        moved = await move(db, file, "sqlite", "pg", f"SELECT id, {value} AS v FROM t ORDER BY id")
        if isinstance(kept, str):
            assert kept in str(moved.failure)
            assert await db.value("SELECT count(*) FROM t") == 200
            continue
        assert moved.succeeded, moved.failure
        expected = [kept.get(n, n) if isinstance(kept, dict) else kept(n) for n in range(1, MANY + 1)]
        found = [row["v"] for row in await db.rows("SELECT v FROM t ORDER BY id")]
        assert found == expected
        assert list(map(type, found)) == list(map(type, expected))


async def test_a_batch_that_fails_in_sqlite_leaves_nothing(db: Database, file: Path) -> None:
    with closing(sqlite3.connect(file)) as lite:
        lite.execute("CREATE UNIQUE INDEX one ON t (v)")
    query = "SELECT n AS id, least(n, 390) AS v FROM generate_series(1, 400) AS n ORDER BY n"
    moved = await move(db, file, "pg", "sqlite", query)
    assert moved.failure is not None
    assert "UNIQUE" in str(moved.failure)
    assert len(rows_in(file)) == 200
