"""What the six tasks do on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.stream import Stream
from flowlang.tasks.values import Ident, Sql

from .conftest import Database

HOSTILE = [
    "'; DROP TABLE t; --",
    "' OR '1'='1",
    '" OR ""="',
    "?; :name $1 $$x$$ %s %(x)s",
    "E'\\x41' back\\slash '' \" ` [x]",
    "\\N",
    "\\.",
    "{a,b}",
    "{}",
    "(1,2)",
    "[1,2)",
    "${1+1} {{7*7}}",
    "ünïcödé 🎉 \u202e reversed \ufeff \u2028",
    "line\r\nbreak\ttab\x01\x7f",
    "x" * 1_000_000,
    "",
    " ",
    "NULL",
    "null",
    "undefined",
    "true",
    "0x1F",
    "1e400",
    "infinity",
    "now",
    "2024-02-30",
]
MANY = 120  # more than go in one statement: they are copied


async def stream_of(*batches: list[Any]) -> AsyncIterator[list[Any]]:
    for batch in batches:
        yield batch


async def failing(*batches: list[Any]) -> AsyncIterator[list[Any]]:
    for batch in batches:
        yield batch
    raise RuntimeError("the source broke")


async def test_query_gives_objects(db: Database) -> None:
    """Rows as objects with the column names as keys, and their number."""
    await db.call("execute", query="INSERT INTO t VALUES (1, 'a'), (2, NULL)")
    assert await db.call("query", query="SELECT id, v AS value FROM t ORDER BY id") == {
        "rows": [{"id": 1, "value": "a"}, {"id": 2, "value": None}],
        "count": 2,
    }


@pytest.mark.parametrize(("limit", "count"), [(None, 3), (0, 0), (2, 2), (9, 3)])
async def test_limit_bounds_the_rows(db: Database, limit: int | None, count: int) -> None:
    """At most so many rows; null for all; what the statement writes is written whole."""
    query = "INSERT INTO t SELECT n, 'x' FROM generate_series(1, 3) n RETURNING id"
    result = await db.call("query", query=query, limit=limit)
    assert (len(result["rows"]), result["count"]) == (count, count)
    assert await db.value("SELECT count(*) FROM t") == 3


async def test_two_columns_of_one_name_are_refused(db: Database) -> None:
    """An object would keep one of them silently."""
    with pytest.raises(FlowExecutionError, match="two columns `id`"):
        await db.rows("SELECT a.id, b.id FROM t a, t b")


async def test_execute_counts_rows(db: Database) -> None:
    """Inserted, changed, deleted, merged; nothing for a definition."""
    assert await db.call("execute", query="INSERT INTO t VALUES (1, 1), (2, 2)") == {"rows_affected": 2}
    assert await db.call("execute", query="UPDATE t SET v = '0'") == {"rows_affected": 2}
    assert await db.call("execute", query="DELETE FROM t WHERE id = $1", params=[9]) == {"rows_affected": 0}
    assert await db.call("execute", query="CREATE TABLE u (a int)") == {"rows_affected": 0}
    assert await db.call("execute", query="INSERT INTO u VALUES (1), (2) RETURNING a") == {"rows_affected": 2}
    assert await db.call("execute", query="SELECT a FROM u") == {"rows_affected": 0}


async def test_hostile_texts_come_back_equal(db: Database) -> None:
    """Through every task that takes values, none of it is ever read as SQL, or as the text of a COPY."""
    for text in HOSTILE:
        await db.call("execute", query="TRUNCATE t")
        await hostile(db, text)


async def hostile(db: Database, text: str) -> None:
    await db.call("execute", query=Sql(("INSERT INTO t VALUES (1, ", ")"), (text,)))
    await db.call("execute", query="INSERT INTO t VALUES (2, $1)", params=[text])
    await db.call("batch_insert", table="t", records=[{"id": 3, "v": text}, {"id": 4, "v": text}])
    await db.call("batch_insert", table="t", records=[{"id": n, "v": text} for n in range(100, 100 + MANY)])
    await db.call("batch_insert", table="t", records=[{"id": 5, "v": "0"}])
    await db.call("batch_update", table="t", updates=[{"id": 5, "v": text}])
    await db.call("transaction", queries=[{"query": "INSERT INTO t VALUES (6, $1)", "params": [text]}])
    rows = await db.rows(Sql(("SELECT v FROM t WHERE v = ", ""), (text,)))
    assert [row["v"] for row in rows] == [text] * (6 + MANY)


NAMES = ["order", "a b", "semi;colon", "quo`te", 'dou"ble', "[x]", "ünï", "--", "a.b", "nth", "c0"]


async def test_hostile_column_names_are_quoted(db: Database) -> None:
    """Names of columns come from the keys of records."""
    for name in NAMES:
        await named(db, name)
        await db.call("execute", query="DROP TABLE u")


async def named(db: Database, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    await db.call("execute", query=f"CREATE TABLE u (id integer PRIMARY KEY, {quoted} text)")
    await db.call("batch_insert", table="u", records=[{"id": n, name: "x"} for n in range(MANY)])
    await db.call("batch_insert", table="u", records=[{"id": 1, name: "y"}], on_conflict="update", key_fields=["id"])
    await db.call("batch_update", table="u", updates=[{"id": 2, name: "z"}])
    assert await db.rows("SELECT * FROM u WHERE id IN (1, 2) ORDER BY id") == [
        {"id": 1, name: "y"},
        {"id": 2, name: "z"},
    ]


async def test_names_put_in_by_ident_are_quoted(db: Database) -> None:
    """A schema and its table; a name that is none is not found, and nothing else."""
    assert await db.rows(Sql(("SELECT count(*) AS n FROM ", ""), (Ident("public.t"),))) == [{"n": 0}]
    with pytest.raises(FlowExecutionError) as caught:
        await db.rows(Sql(("SELECT * FROM t ORDER BY ", ""), (Ident('id"; DROP TABLE t; --'),)))
    assert caught.value.error_class == "not_found"


async def test_lists_bind_in_in_and_any(db: Database) -> None:
    """Any number of items, none too, as items or as one array."""
    await db.call("execute", query="INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")

    async def found(before: str, items: list[Any], after: str = ")") -> list[int]:
        query = Sql((f"SELECT id FROM t WHERE v {before}", f"{after} ORDER BY id"), (items,))
        return [row["id"] for row in await db.rows(query)]

    assert await found("IN (", ["a", "c", "x'); --"]) == [1, 3]
    assert await found("IN (", []) == []
    assert await found("= ANY(", ["b", "c"]) == [2, 3]
    assert await found("= ANY(", []) == []


async def test_several_statements_in_one_are_refused(db: Database) -> None:
    """The protocol takes one; nothing of it runs."""
    with pytest.raises(FlowExecutionError) as caught:
        await db.call("execute", query="INSERT INTO t VALUES (1, 'a'); DROP TABLE t")
    assert caught.value.error_class == "validation"
    assert await db.value("SELECT count(*) FROM t") == 0


async def test_a_transaction_gives_each_statement_s_result(db: Database) -> None:
    """Rows and counts, in order."""
    result = await db.call(
        "transaction",
        queries=[
            {"query": "INSERT INTO t VALUES (1, 'a') RETURNING id"},
            {"query": "UPDATE t SET v = $1", "params": ["b"]},
            {"query": "SELECT v FROM t", "params": None},
        ],
    )
    assert [each["rows"] for each in result["results"]] == [[{"id": 1}], [], [{"v": "b"}]]
    assert [each["rows_affected"] for each in result["results"]] == [1, 1, 0]


async def test_a_transaction_is_all_or_nothing(db: Database) -> None:
    """The failing statement is named by its number."""
    queries = [{"query": "INSERT INTO t VALUES (1, 'a')"}, {"query": "INSERT INTO t VALUES (1, 'b')"}]
    with pytest.raises(FlowExecutionError) as caught:
        await db.call("transaction", queries=queries)
    assert caught.value.error_class == "conflict"
    assert any("statement 2 of 2" in note for note in caught.value.__notes__)
    assert await db.rows("SELECT * FROM t") == []


@pytest.mark.parametrize("count", [2, MANY, 25_000])
async def test_batch_insert_writes_all_and_counts(db: Database, count: int) -> None:
    """By statements, by one COPY, by several."""
    result = await db.call("batch_insert", table="t", records=[{"id": n, "v": str(n)} for n in range(count)])
    assert result == {"inserted_count": count, "batches": -(-count // 1000), "table": "t"}
    assert await db.rows("SELECT count(*) AS n, max(id) AS last FROM t") == [{"n": count, "last": count - 1}]


@pytest.mark.parametrize("count", [10, MANY])
async def test_batch_insert_is_all_or_nothing(db: Database, count: int) -> None:
    """A row that exists fails all of them, when copied too."""
    await db.call("execute", query="INSERT INTO t VALUES (7, 'mine')")
    with pytest.raises(FlowExecutionError) as caught:
        await db.call("batch_insert", table="t", records=[{"id": n, "v": "x"} for n in range(count)])
    assert caught.value.error_class == "conflict"
    assert await db.rows("SELECT * FROM t") == [{"id": 7, "v": "mine"}]


@pytest.mark.parametrize("count", [10, MANY, 3000])
async def test_on_conflict(db: Database, count: int) -> None:
    """`ignore` leaves rows that exist, `update` changes them; neither counts what it left."""
    await db.call("execute", query="INSERT INTO t VALUES (7, 'mine')")
    records = [{"id": n, "v": "x"} for n in range(count)]
    ignored = await db.call("batch_insert", table="t", records=records, on_conflict="ignore")
    assert ignored["inserted_count"] == count - 1
    assert await db.value("SELECT v FROM t WHERE id = 7") == "mine"
    updated = await db.call("batch_insert", table="t", records=records, on_conflict="update", key_fields=["id"])
    assert updated["inserted_count"] == count
    assert await db.value("SELECT v FROM t WHERE id = 7") == "x"


async def test_the_last_record_of_a_key_counts(db: Database) -> None:
    """PostgreSQL itself refuses to change a row twice in one statement."""
    twice = [{"id": 1, "v": "first"}, {"id": 2, "v": "b"}, {"id": 1, "v": "last"}]
    await db.call("batch_insert", table="t", records=twice, on_conflict="update", key_fields=["id"])
    assert await db.rows("SELECT * FROM t ORDER BY id") == [{"id": 1, "v": "last"}, {"id": 2, "v": "b"}]
    await db.call("batch_update", table="t", updates=[{"id": 2, "v": "c"}, {"id": 2, "v": "d"}])
    assert await db.value("SELECT v FROM t WHERE id = 2") == "d"


async def test_batch_update_counts_the_rows_found(db: Database) -> None:
    """Changed or not; keys without a row are no error."""
    await db.call("batch_insert", table="t", records=[{"id": n, "v": "old"} for n in range(MANY)])
    updates = [{"id": n, "v": "new"} for n in range(60, 60 + MANY)]
    result = await db.call("batch_update", table="t", updates=updates, batch_size=50)
    assert (result["updated_count"], result["batches"]) == (MANY - 60, 3)
    assert await db.value("SELECT count(*) FROM t WHERE v = 'new'") == MANY - 60


async def test_tables_that_cannot_be_copied_into(db: Database) -> None:
    """A view with many records gets them by INSERT, an identity column keeps its protection, row policies hold."""
    records = [{"id": n, "v": "x"} for n in range(MANY)]
    await db.call("execute", query="CREATE VIEW seen AS SELECT * FROM t")
    assert (await db.call("batch_insert", table="seen", records=records))["inserted_count"] == MANY
    await db.call("execute", query="CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY, v text)")
    with pytest.raises(FlowExecutionError, match="id"):
        await db.call("batch_insert", table="numbered", records=records)
    only_v = [{"v": each["v"]} for each in records]
    assert (await db.call("batch_insert", table="numbered", records=only_v))["inserted_count"] == MANY


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_streams_in_and_out(db: Database, size: int) -> None:
    """A stream is written in one transaction, and read in batches of the size asked for."""
    source = Stream(stream_of([{"id": 1, "v": "a"}, {"id": 2, "v": "b"}], [], [{"id": 3, "v": "c"}]))
    result = await db.call("batch_insert", table="t", records=source, batch_size=2)
    assert (result["inserted_count"], result["batches"]) == (3, 2)
    handle = await db.plugin.get_connection()
    query = "SELECT id FROM t ORDER BY id"
    batches = [each async for each in db.tasks["pg_stream"](query=query, batch_size=size, connection=handle)]
    await db.plugin.release_connection(handle)
    assert [row["id"] for batch in batches for row in batch] == [1, 2, 3]
    assert max(map(len, batches)) == min(size, 3)


async def test_a_source_that_breaks_leaves_nothing(db: Database) -> None:
    """What came before is rolled back."""
    with pytest.raises(RuntimeError, match="the source broke"):
        await db.call("batch_insert", table="t", records=Stream(failing([{"id": 1, "v": "a"}])))
    assert await db.rows("SELECT * FROM t") == []


async def test_a_stream_left_early_frees_its_session(opened: Any) -> None:
    """With the fetch of the next batch under way; the only session can be used at once."""
    database = await opened(pool_size=1)
    handle = await database.plugin.get_connection()
    batches = database.tasks["pg_stream"](
        query="SELECT n, pg_sleep(0.01) FROM generate_series(1, 100000) n", batch_size=10, connection=handle
    )
    assert len(await anext(batches)) == 10
    await batches.aclose()
    await database.plugin.release_connection(handle)
    assert (
        await database.value(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%100000%' AND state = 'active' "
            "AND pid <> pg_backend_pid()"
        )
        == 0
    )


async def test_a_changed_table_is_noticed(opened: Any) -> None:
    """A prepared statement whose result has other columns by now is prepared again."""
    database = await opened(pool_size=1)
    await database.call("execute", query="CREATE TABLE u (a int)")
    await database.call("execute", query="INSERT INTO u VALUES (1)")
    assert await database.rows("SELECT * FROM u") == [{"a": 1}]
    await database.call("execute", query="ALTER TABLE u ADD b text DEFAULT 'x'")
    assert await database.rows("SELECT * FROM u") == [{"a": 1, "b": "x"}]
    await database.call("execute", query="ALTER TABLE u ALTER a TYPE text")
    assert await database.rows("SELECT a FROM u") == [{"a": "1"}]


async def test_behind_a_pooler_nothing_is_kept(opened: Any) -> None:
    """`statement_cache: false` leaves no prepared statement at the server, in any task."""
    database = await opened(pool_size=1, statement_cache=False)
    await database.call("execute", query="CREATE TABLE u (id int PRIMARY KEY, v text[])")
    await database.call("batch_insert", table="u", records=[{"id": n, "v": ["x"]} for n in range(MANY)])
    await database.call("batch_update", table="u", updates=[{"id": 1, "v": ["y"]}])
    assert await database.value("SELECT v FROM u WHERE id = $1", 1) == ["y"]
    assert await database.rows("SELECT name FROM pg_prepared_statements") == []
