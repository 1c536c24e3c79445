"""What the six tasks do on a real SQLite database."""

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
    "?; :name $1 %s %(x)s",
    "back\\slash '' \" ` [x]",
    "nul\0inside",
    "${1+1} {{7*7}}",
    "ünïcödé 🎉 \u202e reversed",
    "line\r\nbreak\ttab",
    "x" * 1_000_000,
    "",
    " ",
    "NULL",
]


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
    """At most so many rows; null for all."""
    await db.call("execute", query="INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
    result = await db.call("query", query="SELECT * FROM t", limit=limit)
    assert (len(result["rows"]), result["count"]) == (count, count)


async def test_a_negative_limit_is_refused(db: Database) -> None:
    """It is a mistake, not "all"."""
    with pytest.raises(FlowExecutionError, match="`limit`"):
        await db.call("query", query="SELECT 1", limit=-1)


async def test_two_columns_of_one_name_are_refused(db: Database) -> None:
    """An object would keep one of them silently."""
    with pytest.raises(FlowExecutionError, match="two columns `id`"):
        await db.rows("SELECT a.id, b.id FROM t a, t b")


async def test_execute_counts_rows(db: Database) -> None:
    """Inserted, changed, deleted; nothing for a definition."""
    assert await db.call("execute", query="INSERT INTO t VALUES (1, 1), (2, 2)") == {"rows_affected": 2}
    assert await db.call("execute", query="UPDATE t SET v = 0") == {"rows_affected": 2}
    assert await db.call("execute", query="DELETE FROM t WHERE id = ?", params=[9]) == {"rows_affected": 0}
    assert await db.call("execute", query="CREATE TABLE u (a)") == {"rows_affected": 0}
    assert await db.call("execute", query="INSERT INTO u VALUES (1), (2) RETURNING a") == {"rows_affected": 2}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_texts_come_back_equal(db: Database, text: str) -> None:
    """Through every task that takes values, none of it is ever read as SQL."""
    await db.call("execute", query=Sql(("INSERT INTO t VALUES (1, ", ")"), (text,)))
    await db.call("execute", query="INSERT INTO t VALUES (2, ?)", params=[text])
    await db.call("batch_insert", table="t", records=[{"id": 3, "v": text}, {"id": 4, "v": text}])
    await db.call("batch_insert", table="t", records=[{"id": 5, "v": 0}])
    await db.call("batch_update", table="t", updates=[{"id": 5, "v": text}])
    await db.call("transaction", queries=[{"query": "INSERT INTO t VALUES (6, ?)", "params": [text]}])
    rows = await db.rows(Sql(("SELECT v FROM t WHERE v = ", " ORDER BY id"), (text,)))
    assert [row["v"] for row in rows] == [text] * 6


@pytest.mark.parametrize("name", ["order", "a b", "semi;colon", "quo`te", 'dou"ble', "[x]", "ünï", "--", "a.b"])
async def test_hostile_column_names_are_quoted(db: Database, name: str) -> None:
    """Names of columns come from the keys of records."""
    quoted = "`" + name.replace("`", "``") + "`"
    await db.call("execute", query=f"CREATE TABLE u (id INTEGER PRIMARY KEY, {quoted})")
    await db.call("batch_insert", table="u", records=[{"id": 1, name: "x"}])
    await db.call("batch_insert", table="u", records=[{"id": 1, name: "y"}], on_conflict="update", key_fields=["id"])
    await db.call("batch_update", table="u", updates=[{"id": 1, name: "z"}])
    assert await db.rows("SELECT * FROM u") == [{"id": 1, name: "z"}]


async def test_a_quoted_name_is_never_taken_for_a_text(db: Database) -> None:
    """SQLite reads "x" as text when there is no column x; `ORDER BY` would silently do nothing."""
    with pytest.raises(FlowExecutionError, match="no such column") as caught:
        await db.rows(Sql(("SELECT * FROM t ORDER BY ", ""), (Ident("nope"),)))
    assert caught.value.error_class == "not_found"
    assert await db.rows(Sql(("SELECT count(*) AS n FROM ", ""), (Ident("main.t"),))) == [{"n": 0}]


async def test_lists_bind_in_in(db: Database) -> None:
    """Any number of items, none too."""
    await db.call("execute", query="INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")

    async def found(text: str, items: list[Any]) -> list[int]:
        return [row["id"] for row in await db.rows(Sql((f"SELECT id FROM t WHERE v {text} (", ")"), (items,)))]

    assert await found("IN", ["a", "c", "x'); --"]) == [1, 3]
    assert await found("IN", []) == []
    assert await found("NOT IN", []) == [1, 2, 3]


async def test_a_transaction_gives_each_statement_s_result(db: Database) -> None:
    """Rows and counts, in order."""
    result = await db.call(
        "transaction",
        queries=[
            {"query": "INSERT INTO t VALUES (1, 'a') RETURNING id"},
            {"query": "UPDATE t SET v = ?", "params": ["b"]},
            {"query": "SELECT v FROM t", "params": None},
        ],
    )
    assert result == {
        "results": [
            {"rows": [{"id": 1}], "rows_affected": 1},
            {"rows": [], "rows_affected": 1},
            {"rows": [{"v": "b"}], "rows_affected": 0},
        ],
        "count": 3,
    }


async def test_a_transaction_is_all_or_nothing(db: Database) -> None:
    """The failing statement is named, the ones before it are undone."""
    with pytest.raises(FlowExecutionError) as caught:
        await db.call(
            "transaction",
            queries=[{"query": "INSERT INTO t VALUES (1, 1)"}, {"query": "INSERT INTO t VALUES (1, 2)"}],
        )
    assert caught.value.error_class == "conflict"
    assert "statement 2 of 2" in "".join(caught.value.__notes__)
    assert await db.rows("SELECT * FROM t") == []


@pytest.mark.parametrize(
    "entry", ["SELECT 1", {}, {"query": 1}, {"query": "SELECT 1", "parms": []}, {"query": "SELECT ?"}, {"query": " "}]
)
async def test_a_malformed_transaction_is_refused_before_it_begins(db: Database, entry: Any) -> None:
    """Nothing of it is sent."""
    with pytest.raises(FlowExecutionError) as caught:
        await db.call("transaction", queries=[{"query": "INSERT INTO t VALUES (1, 1)"}, entry])
    assert caught.value.error_class == "validation"
    assert await db.rows("SELECT * FROM t") == []


@pytest.mark.parametrize("text", ["BEGIN", "commit", "/* x */ ROLLBACK", "SAVEPOINT a", "END"])
async def test_transaction_words_are_refused(db: Database, text: str) -> None:
    """They would end with their own step; the message says what to use."""
    with pytest.raises(FlowExecutionError, match="sqlite_transaction"):
        await db.call("execute", query=text)


@pytest.mark.parametrize("count", [1, 2, 199, 200, 201, 1000, 2503])
async def test_batch_insert_writes_every_record(db: Database, count: int) -> None:
    """Whatever the number of records is beside the size of a statement and of a batch."""
    records = [{"id": number, "v": f"v{number}"} for number in range(count)]
    result = await db.call("batch_insert", table="t", records=records, batch_size=1000)
    assert result == {"inserted_count": count, "batches": -(-count // 1000), "table": "t"}
    assert await db.rows("SELECT * FROM t ORDER BY id") == records


async def test_batch_insert_takes_a_stream(db: Database) -> None:
    """Regrouped to the batch size; empty batches are passed over."""
    records = [{"id": number, "v": number} for number in range(25)]
    source = Stream(stream_of([], records[:3], [], records[3:24], records[24:]))
    result = await db.call("batch_insert", table="t", records=source, batch_size=10)
    assert result == {"inserted_count": 25, "batches": 3, "table": "t"}
    assert await db.rows("SELECT * FROM t ORDER BY id") == records


async def test_batch_insert_of_nothing_writes_nothing(db: Database) -> None:
    """An empty list and an empty stream."""
    for records in ([], Stream(stream_of()), Stream(stream_of([]))):
        result = await db.call("batch_insert", table="t", records=records)
        assert result == {"inserted_count": 0, "batches": 0, "table": "t"}


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"id": 1, "v": 1}, {"id": 2}], "record 2 has no `v`"),
        ([{"id": 1}, {"id": 2, "v": 1}], "record 2 has `v`"),
        ([{"id": 1, "v": 1}, {"id": 2, "w": 1}], "record 2 has no `v`"),
        ([{"id": 1, "v": 1}, [2, 3]], "record 2 is list"),
        (["text"], "record 1 is str"),
        ([{}], "record 1 is empty"),
        ([{1: 2}], "column names are text"),
        ([{"id": n, "v": 1} for n in range(2000)] + [{"id": -1}], "record 2001 has no `v`"),
    ],
)
async def test_records_whose_keys_differ_are_refused(db: Database, records: list[Any], message: str) -> None:
    """The record and the key are named, and nothing is written."""
    for given in (records, Stream(stream_of(records))):
        with pytest.raises(FlowExecutionError, match=message) as caught:
            await db.call("batch_insert", table="t", records=given)
        assert caught.value.error_class == "validation"
    assert await db.rows("SELECT * FROM t") == []


async def test_batch_insert_is_all_or_nothing(db: Database) -> None:
    """A conflict in the last batch undoes the first; so does a source that breaks."""
    await db.call("execute", query="INSERT INTO t VALUES (2500, 'old')")
    records = [{"id": number, "v": 1} for number in range(3000)]
    with pytest.raises(FlowExecutionError) as caught:
        await db.call("batch_insert", table="t", records=records)
    assert caught.value.error_class == "conflict"
    with pytest.raises(RuntimeError, match="source broke"):
        await db.call("batch_insert", table="t", records=Stream(failing(records[:1000], records[1000:2000])))
    assert await db.rows("SELECT * FROM t") == [{"id": 2500, "v": "old"}]


async def test_on_conflict_ignores_or_updates(db: Database) -> None:
    """Rows that exist are left, or changed; rows that do not are inserted."""
    await db.call("execute", query="INSERT INTO t VALUES (1, 'old')")
    records = [{"id": 1, "v": "new"}, {"id": 2, "v": "new"}]
    ignored = await db.call("batch_insert", table="t", records=records, on_conflict="ignore")
    assert ignored["inserted_count"] == 1
    assert await db.rows("SELECT * FROM t ORDER BY id") == [{"id": 1, "v": "old"}, {"id": 2, "v": "new"}]
    updated = await db.call("batch_insert", table="t", records=records, on_conflict="update", key_fields=["id"])
    assert updated["inserted_count"] == 2
    assert await db.rows("SELECT * FROM t ORDER BY id") == records


async def test_ignoring_conflicts_hides_no_other_fault(db: Database) -> None:
    """INSERT OR IGNORE would swallow a NULL in a NOT NULL column too."""
    await db.call("execute", query="CREATE TABLE u (id INTEGER PRIMARY KEY, a NOT NULL)")
    with pytest.raises(FlowExecutionError, match="NOT NULL"):
        await db.call("batch_insert", table="u", records=[{"id": 1, "a": None}], on_conflict="ignore")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_conflict": "update"}, "needs `key_fields`"),
        ({"on_conflict": "update", "key_fields": ["nope"]}, "`nope`"),
        ({"on_conflict": "replace"}, "`on_conflict`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"table": ""}, "no name of a table"),
        ({"records": "text"}, "list or a stream"),
    ],
)
async def test_batch_insert_refuses_what_makes_no_sense(db: Database, arguments: Any, message: str) -> None:
    """Before anything is written."""
    with pytest.raises(FlowExecutionError, match=message) as caught:
        await db.call("batch_insert", **({"table": "t", "records": [{"id": 1, "v": 1}]} | arguments))
    assert caught.value.error_class == "validation"


async def test_batch_update_counts_the_rows_it_found(db: Database) -> None:
    """Found by key, changed or not; in batches, from a list or a stream."""
    await db.call("batch_insert", table="t", records=[{"id": number, "v": 0} for number in range(5)])
    updates = [{"v": number % 2, "id": number} for number in range(7)]
    result = await db.call("batch_update", table="t", updates=updates, batch_size=3)
    assert result == {"updated_count": 5, "batches": 3, "table": "t"}
    assert [row["v"] for row in await db.rows("SELECT v FROM t ORDER BY id")] == [0, 1, 0, 1, 0]
    result = await db.call("batch_update", table="t", updates=Stream(stream_of([{"v": 9, "id": 1}])), key_field="id")
    assert result["updated_count"] == 1


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        ([{"v": 1}], "no `id`"),
        ([{"id": 1}], "nothing to set"),
        ([{"id": 1, "v": 1}, {"id": None, "v": 1}], "record 2 has no key"),
        ([{"id": 1, "v": 1}, {"id": 2, "w": 1}], "record 2 has no `v`"),
    ],
)
async def test_batch_update_refuses_records_without_a_key(db: Database, updates: Any, message: str) -> None:
    """And changes nothing."""
    await db.call("execute", query="INSERT INTO t VALUES (1, 0)")
    with pytest.raises(FlowExecutionError, match=message):
        await db.call("batch_update", table="t", updates=updates)
    assert await db.rows("SELECT v FROM t") == [{"v": 0}]


async def test_stream_gives_batches_in_order(db: Database) -> None:
    """Of the size asked for, the last one shorter; none for no rows."""
    await db.call("batch_insert", table="t", records=[{"id": number, "v": 0} for number in range(25)])
    handle = await db.plugin.get_connection()

    async def batches(query: str) -> list[int]:
        source = db.tasks["sqlite_stream"](query=query, batch_size=10, connection=handle)
        return [len(batch) async for batch in source]

    assert await batches("SELECT * FROM t") == [10, 10, 5]
    assert await batches("SELECT * FROM t WHERE id < 20") == [10, 10]
    assert await batches("SELECT * FROM t WHERE id < 0") == []
    await db.plugin.release_connection(handle)


async def test_one_database_can_be_read_and_written_at_once(db: Database) -> None:
    """A stream of the old rows feeds an insert on another handle."""
    await db.call("batch_insert", table="t", records=[{"id": number, "v": number} for number in range(5000)])
    await db.call("execute", query="CREATE TABLE copy (id INTEGER PRIMARY KEY, v)")
    handle = await db.plugin.get_connection()
    rows = Stream(db.tasks["sqlite_stream"](query="SELECT * FROM t", connection=handle))
    assert (await db.call("batch_insert", table="copy", records=rows))["inserted_count"] == 5000
    await db.plugin.release_connection(handle)
    assert await db.rows("SELECT count(*) AS n FROM copy WHERE id = v") == [{"n": 5000}]


async def test_a_name_made_by_ident_reaches_the_database_quoted() -> None:
    """`${ident(…)}` in a flow: the name is quoted, never pasted, and the value beside it is bound."""
    import flowlang

    flow = """\
flow: names
connections: {db: {type: sqlite, database: ":memory:"}}
inputs: [{name: table, type: string, required: true}]
steps:
  - sqlite_execute: {query: "CREATE TABLE ${ident(inputs.table)} (n INTEGER)"}
  - sqlite_execute: {query: "INSERT INTO ${ident(inputs.table)} VALUES (${1 + 1})"}
  - sqlite_query: {id: q, query: "SELECT ${ident('n')} AS n FROM ${ident(inputs.table)}"}
outputs: [{name: rows, value: "${q.rows}"}]
"""
    hostile = 'a`b"c; DROP TABLE x'
    result = await flowlang.run(text=flow, inputs={"table": hostile})
    assert result.outputs == {"rows": [{"n": 2}]}, result.failure
