"""COPY between tables and files."""

from __future__ import annotations

import asyncio
import decimal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import flowlang
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.places import FILES_ROOT
from flowlang.tasks.stream import Stream
from flowlang.tasks.values import Sql

from .conftest import Database


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The files root of the tasks."""
    token = FILES_ROOT.set(tmp_path)
    yield tmp_path
    FILES_ROOT.reset(token)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def written(folder: Path) -> bool:
    return any(each.stat().st_size for each in folder.iterdir())


async def refused(db: Database, task: str, **arguments: Any) -> FlowExecutionError:
    with pytest.raises(FlowExecutionError) as caught:
        await db.call(task, **arguments)
    return caught.value


async def test_a_flow_copies_in_and_out(postgres_url: str, tmp_path: Path) -> None:
    """A file into a table, its columns found by the header; a query with a bound value into another."""
    (tmp_path / "in.csv").write_bytes(b'\xef\xbb\xbfv,id\r\n"a, ""quoted""\nline",1\r\n,2\r\n"",3\r\n')
    result = await flowlang.run(
        text=f"""flow: copies
connections: {{db: {{type: postgres, url: '{postgres_url}'}}}}
inputs: [{{name: least, type: integer, default: 2}}]
steps:
  - pg_execute: {{query: "CREATE TABLE t (id int PRIMARY KEY, v text)"}}
  - pg_copy_from: {{id: loaded, table: t, file: in.csv}}
  - pg_copy_to:
      id: saved
      query: |
        SELECT id, v, '$1' AS "mark $1" FROM t
        WHERE id >= ${{inputs.least}} -- not $1
        ORDER BY id; -- the end
      file: out.csv
  - pg_query: {{id: all, query: "SELECT id, v FROM t ORDER BY id"}}
outputs:
  - {{name: loaded, value: "${{loaded.count}}"}}
  - {{name: saved, value: "${{[saved.count, saved.bytes]}}"}}
  - {{name: rows, value: "${{all.rows}}"}}
""",
        files_root=tmp_path,
    )
    assert result.status == "succeeded", result.failure or result.findings
    assert result.outputs["loaded"] == 3
    assert [row["v"] for row in result.outputs["rows"]] == ['a, "quoted"\nline', None, ""]
    written = (tmp_path / "out.csv").read_bytes()
    assert written == b'id,v,mark $1\n2,,$1\n3,"",$1\n'
    assert result.outputs["saved"] == [2, len(written)]


VALUES = [
    ("text", "'; DROP TABLE t; -- $1 \\ E'"),
    ("text", ""),
    ("text", None),
    ("bytea", b"\x00\xff'\\"),
    ("int[]", [1, None, -3]),
    ("numeric", decimal.Decimal("1.230")),
    ("float8", 0.1),
    ("jsonb", {"a": ["'", None]}),
    ("mood", "so, so"),
    ("timestamptz", "2026-01-02T03:04:05.678901+02:00"),
]


async def test_values_of_a_query_are_bound(db: Database, folder: Path) -> None:
    """Each type goes through unchanged, and none is ever read as SQL: copied out and in again it is what it was."""
    await db.call("execute", query="CREATE TYPE mood AS ENUM ('so, so', 'fine')")
    for type_, value in VALUES:
        query = Sql(("SELECT ", f"::{type_} AS v, 1 AS n WHERE ", " = 7"), (value, 7))
        await db.call("copy_to", query=query, file="one.bin", format="binary")
        await db.call("execute", query=f"CREATE TABLE one (v {type_}, n int)")
        assert await db.call("copy_from", table="one", file="one.bin", format="binary") == {"count": 1, "table": "one"}
        assert await db.value("SELECT count(*) FROM one WHERE v IS NOT DISTINCT FROM $1", value) == 1, type_
        await db.call("execute", query="DROP TABLE one")
    assert await db.value("SELECT count(*) FROM t") == 0


async def test_forms_of_a_file(db: Database, folder: Path) -> None:
    """Other separators and encodings, columns without a header, COPY's own text."""
    (folder / "a.csv").write_bytes("1;Zoë;-\n".encode("latin-1"))
    await db.call("execute", query='CREATE SCHEMA "My"')
    await db.call("execute", query='CREATE TABLE "My".u (a text, id int, "B b" text)')
    given = {"columns": ["id", "B b", "a"], "header": False, "delimiter": ";", "null": "-", "encoding": "latin-1"}
    await db.call("copy_from", table="My.u", file="a.csv", **given)
    assert await db.rows('SELECT * FROM "My".u') == [{"a": None, "id": 1, "B b": "Zoë"}]
    saved = await db.call("copy_to", table="My.u", file="b.txt", format="text", columns=["B b", "id", "a"], header=True)
    assert (folder / "b.txt").read_text("utf-8") == "B b\tid\ta\nZoë\t1\t\\N\n"
    assert saved["count"] == 1
    await db.call("copy_from", table="My.u", file="b.txt", format="text", header=True)
    assert await db.value('SELECT count(*) FROM "My".u WHERE a IS NULL AND id = 1') == 2
    (folder / "empty.csv").write_bytes(b"")
    assert (await db.call("copy_from", table="t", file="empty.csv"))["count"] == 0


async def test_a_file_that_does_not_fit_leaves_nothing(db: Database, folder: Path) -> None:
    """The line is named; a target that exists stays as it was, and nothing lies beside it."""
    (folder / "bad.csv").write_text("id,v\n1,a\nx,b\n")
    told = await refused(db, "copy_from", table="t", file="bad.csv")
    assert (told.error_class, told.__notes__) == ("validation", ['COPY t, line 3, column id: "x"'])
    (folder / "twice.csv").write_text("id\n1\n1\n")
    assert (await refused(db, "copy_from", table="t", file="twice.csv")).error_class == "conflict"
    (folder / "wrong.csv").write_text("id,nope\n1,1\n")
    assert (await refused(db, "copy_from", table="t", file="wrong.csv")).error_class == "not_found"
    assert await db.rows("SELECT * FROM t") == []
    told = await refused(db, "copy_to", query="SELECT 1 / (n - 50000) FROM generate_series(1, 60000) n", file="bad.csv")
    assert told.error_class == "validation"
    assert names(folder) == ["bad.csv", "twice.csv", "wrong.csv"]
    assert (folder / "bad.csv").read_text() == "id,v\n1,a\nx,b\n"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("copy_from", {"table": "t"}, "give `file` or `records`"),
    ("copy_from", {"table": "t", "file": "x", "records": []}, "give `file` or `records`"),
    ("copy_from", {"table": "t", "records": [{"id": 1}], "header": False}, "leave them out"),
    ("copy_from", {"table": "t", "file": "x", "columns": []}, "`columns` is empty"),
    ("copy_from", {"table": "t", "file": "x", "format": "xml"}, "`format` is 'xml'"),
    ("copy_from", {"table": "t", "file": "x", "format": "binary", "header": True}, "no meaning in the `binary`"),
    ("copy_from", {"table": "t", "file": "x", "delimiter": "::"}, "one character"),
    ("copy_from", {"table": "t", "file": "x", "encoding": "utf-9"}, "none that is known"),
    ("copy_from", {"table": "t", "file": "../x"}, "contains `..`"),
    ("copy_from", {"table": "t", "file": "missing.csv"}, "there is no 'missing.csv'"),
    ("copy_to", {"file": "x"}, "give `table` or `query`"),
    ("copy_to", {"file": "x", "table": "t", "params": [1]}, "`params` are for a `query`"),
    ("copy_to", {"file": "x", "query": "SELECT 1", "columns": ["id"]}, "`columns` are for a `table`"),
    ("copy_to", {"file": "x", "query": "SELECT 1) TO STDOUT; DROP TABLE t; COPY (SELECT 1"}, "syntax error"),
    ("copy_to", {"file": "no/where", "table": "t"}, "no folder for it"),
]


async def test_what_is_refused(db: Database, folder: Path) -> None:
    """With the parameter that is wrong; nothing is written."""
    for task, arguments, why in REFUSED:
        assert why in str(await refused(db, task, **arguments))
    assert names(folder) == []


async def numbered(count: int) -> AsyncIterator[list[Any]]:
    for start in range(0, count, 7000):
        yield [{"id": n, "v": str(n)} for n in range(start, min(start + 7000, count))]


async def test_records_are_copied(db: Database) -> None:
    """A list, however short; a stream; types that go by INSERT; nothing at all. All or nothing."""
    assert (await db.call("copy_from", table="t", records=[{"v": "x", "id": -1}]))["count"] == 1
    assert (await db.call("copy_from", table="t", records=Stream(numbered(25_000))))["count"] == 25_000
    assert await db.value("SELECT sum(id) FROM t") == sum(range(25_000)) - 1
    await db.call("execute", query="CREATE TABLE u (at inet, label text)")
    assert (await db.call("copy_from", table="u", records=[{"at": "10.0.0.1", "label": "x"}]))["count"] == 1
    assert (await db.call("copy_from", table="u", records=[]))["count"] == 0
    told = await refused(db, "copy_from", table="t", records=[{"id": 30_000, "v": "x"}, {"id": 1, "v": "x"}])
    assert told.error_class == "conflict"
    assert await db.value("SELECT count(*) FROM t WHERE id = 30000") == 0


async def test_a_copy_in_a_transaction_goes_with_it(db: Database, folder: Path) -> None:
    """Rolled back with the block, which also sees it."""
    (folder / "a.csv").write_text("id\n1\n2\n")
    handle = await db.plugin.get_connection()
    opened = await handle.begin()
    await db.tasks["pg_copy_from"](table="t", file="a.csv", connection=handle)
    saved = await db.tasks["pg_copy_to"](table="t", file="b.csv", columns=["id"], connection=handle)
    assert saved["count"] == 2
    await handle.rollback(opened)
    await db.plugin.release_connection(handle)
    assert await db.value("SELECT count(*) FROM t") == 0


async def test_a_copy_that_stands_still_ends(opened: Any, folder: Path) -> None:
    """After the connection's `timeout`, which a copy that moves does not meet; the session can be used on."""
    db = await opened(timeout=0.5, pool_size=1)
    told = await refused(db, "copy_to", query="SELECT pg_sleep(600)::text AS v", file="x.csv")
    assert told.error_class == "timeout"
    slow = "SELECT n, repeat('x', 100000) AS v, pg_sleep(0.1)::text FROM generate_series(1, 8) n"
    assert (await db.call("copy_to", query=slow, file="y.csv"))["count"] == 8
    assert names(folder) == ["y.csv"]


async def test_a_cancelled_copy_is_gone(opened: Any, folder: Path) -> None:
    """Half of a file written, half of a table: neither stays."""
    db = await opened(pool_size=2)
    await db.call("execute", query="CREATE TABLE t (v text)")
    handle = await db.plugin.get_connection()
    endless = "SELECT repeat('x', 1000) AS v FROM generate_series(1, 10000) a, generate_series(1, 10000) b"
    task = asyncio.create_task(db.tasks["pg_copy_to"](query=endless, file="x.csv", connection=handle))
    async with asyncio.timeout(20):
        while not written(folder):  # noqa: ASYNC110 - another thread writes
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await db.plugin.discard_connection(handle)
    assert names(folder) == []
    assert await db.value("SELECT 1") == 1
