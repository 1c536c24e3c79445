"""What the six tasks do on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

import flowlang
from flowlang.connections.mysql.records import _parts
from flowlang.connections.mysql.session import Session
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.stream import Stream
from flowlang.tasks.values import Ident, Sql

from .conftest import Database

HOSTILE = [
    "'; DROP TABLE t; --",
    "' OR '1'='1",
    "\\'; DROP TABLE t; -- ",
    "%s %(x)s %% %d",
    "\\",
    "\\\\'",
    "back\\slash '' \" ` # -- /* */",
    "nul\0inside \x1a",
    "${1+1} {{7*7}}",
    "ünïcödé 🎉 \u202e 誠 \u00bf\u005c' reversed",
    "line\r\nbreak\ttab",
    "x'" * 500_000,
    "",
    " ",
    "NULL",
]
MODES = ["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,TRADITIONAL"]


async def stream_of(*batches: list[Any]) -> AsyncIterator[list[Any]]:
    for batch in batches:
        yield batch


@pytest.fixture(params=["bulk", "text"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways in which many rows travel: bound to one statement (MariaDB), and as literals (MySQL)."""
    if request.param == "text":
        monkeypatch.setattr(Session, "takes_bulk", False)
    return str(request.param)


async def test_query_gives_objects(db: Database) -> None:
    """Rows as objects with the column names as keys, and their number; `limit` bounds them."""
    await db.call("execute", query="INSERT INTO t VALUES (1, 'a'), (2, NULL), (3, 'c')")
    result = await db.call("query", query="SELECT id, v AS value FROM t WHERE id < 3 ORDER BY id")
    assert result == {"rows": [{"id": 1, "value": "a"}, {"id": 2, "value": None}], "count": 2}
    for limit, count in ((0, 0), (2, 2), (9, 3), (2**70, 3)):
        assert (await db.call("query", query="SELECT * FROM t", limit=limit))["count"] == count
    assert len(await db.rows("SELECT * FROM t")) == 3, "the limit ends with its statement"


async def test_two_columns_of_one_name_are_refused(db: Database) -> None:
    """An object would keep one of them silently."""
    with pytest.raises(FlowExecutionError, match="two columns `id`"):
        await db.rows("SELECT a.id, b.id FROM t a, t b")


async def test_execute_counts_rows(db: Database) -> None:
    """Inserted, found by an update (changed or not), deleted; nothing for a definition."""
    assert await db.call("execute", query="INSERT INTO t VALUES (1, 1), (2, 2)") == {"rows_affected": 2}
    for _ in range(2):
        assert await db.call("execute", query="UPDATE t SET v = 0") == {"rows_affected": 2}
    assert await db.call("execute", query="DELETE FROM t WHERE id = %s", params=[9]) == {"rows_affected": 0}
    assert await db.call("execute", query="CREATE TABLE u (a INT)") == {"rows_affected": 0}


@pytest.mark.parametrize("mode", MODES)
async def test_hostile_texts_come_back_equal_in_every_mode(db: Database, mode: str, way: str) -> None:
    """Through statements and many rows: bound as they are, whatever the session's sql_mode is."""
    records = [{"id": number, "v": text} for number, text in enumerate(HOSTILE)]
    async with db.lease() as handle:
        await db.tasks["mysql_execute"](query=f"SET sql_mode = '{mode}'", connection=handle)
        for record in records:
            sql = Sql(("INSERT INTO t VALUES (", ", ", ")"), (record["id"], record["v"]))
            await db.tasks["mysql_execute"](query=sql, connection=handle)
            found = await db.tasks["mysql_query"](
                query="SELECT v FROM t WHERE v = %s AND id = %s", params=[record["v"], record["id"]], connection=handle
            )
            assert found["rows"] == [{"v": record["v"]}]
        changed = [{"id": each["id"], "v": each["v"] + "'"} for each in records]
        await db.tasks["mysql_batch_update"](table="t", updates=changed, connection=handle)
        await db.tasks["mysql_execute"](query="CREATE TABLE c LIKE t", connection=handle)
        await db.tasks["mysql_batch_insert"](table="c", records=records, connection=handle)
        got = await db.tasks["mysql_query"](query="SELECT * FROM t ORDER BY id", connection=handle)
        assert got["rows"] == changed
        got = await db.tasks["mysql_query"](query="SELECT * FROM c ORDER BY id", connection=handle)
        assert got["rows"] == records


@pytest.mark.parametrize(
    ("query", "params", "value"),
    [
        ("SELECT 'x%' AS v", None, "x%"),
        ("SELECT '%s %(x)s' AS v", None, "%s %(x)s"),
        ("SELECT concat('%s%%', %s) AS v", ["%d"], "%s%%%d"),
        ("SELECT 7 % 4 AS v", None, 3),
        ("SELECT `v` FROM (SELECT 1 AS `v`) x /* %s */ -- %s", None, 1),
        ("SELECT 1 IN (%s) AS v /* 5% */", [[]], None),
        ("SELECT 2 IN (%s) AS v", [[1, 2]], 1),
        ("SELECT 3--1 AS v", None, 4),
        (Sql(("SELECT v AS ", ", '50%' AS p FROM (SELECT 1 AS v) x"), (Ident("a%s`b"),)), None, None),
    ],
)
async def test_percent_signs_are_read_as_they_stand(db: Database, query: Any, params: Any, value: Any) -> None:
    """Only a `%s` outside of quotes and comments is a placeholder."""
    row = (await db.call("query", query=query, params=params))["rows"][0]
    assert row == ({"a%s`b": 1, "p": "50%"} if isinstance(query, Sql) else {"v": value})


@pytest.mark.parametrize("params", [{"x": 1}, {"x') OR 1=1 -- ": "a"}, "text"])
async def test_params_are_a_list(db: Database, params: Any) -> None:
    """Keys of an object never reach the statement."""
    with pytest.raises(FlowExecutionError, match="must be a list"):
        await db.call("query", query="SELECT %s", params=params)


@pytest.mark.parametrize("text", ["SELECT 1; DROP TABLE t", "INSERT INTO t VALUES (1, 1); DELETE FROM t"])
async def test_one_text_is_one_statement(db: Database, text: str, way: str) -> None:
    """Also after a batch of updates, for which the server takes several at once."""
    await db.call("batch_insert", table="t", records=[{"id": 1, "v": "x"}, {"id": 2, "v": "y"}])
    await db.call("batch_update", table="t", updates=[{"id": 1, "v": "a"}, {"id": 2, "v": "b"}])
    with pytest.raises(FlowExecutionError) as caught:
        await db.call("execute", query=text)
    assert caught.value.error_class == "validation"
    assert len(await db.rows("SELECT * FROM t")) == 2


@pytest.mark.parametrize("text", ["SET NAMES gbk", "set character set gbk", "SET @@character_set_client = 'gbk'"])
async def test_the_charset_stays(db: Database, text: str) -> None:
    """The driver would read and write every later text by another one."""
    with pytest.raises(FlowExecutionError, match="`charset`"):
        await db.call("execute", query=text)


@pytest.mark.parametrize("count", [1, 2, 1000, 2503, 5001])
async def test_batch_insert_writes_every_record(db: Database, count: int, way: str) -> None:
    """Whatever the number of records is beside the size of a batch."""
    records = [{"id": number, "v": f"v{number}"} for number in range(count)]
    result = await db.call("batch_insert", table="t", records=records, batch_size=1000)
    assert result == {"inserted_count": count, "batches": -(-count // 1000), "table": "t"}
    assert await db.rows("SELECT * FROM t ORDER BY id") == records


async def test_batch_insert_takes_a_stream(db: Database, way: str) -> None:
    """Regrouped to the batch size."""
    records = [{"id": number, "v": str(number)} for number in range(25)]
    source = Stream(stream_of([], records[:3], [], records[3:24], records[24:]))
    result = await db.call("batch_insert", table="t", records=source, batch_size=10)
    assert result == {"inserted_count": 25, "batches": 3, "table": "t"}
    assert await db.rows("SELECT * FROM t ORDER BY id") == records


async def test_mixed_columns_and_empty_ones_are_written(db: Database, way: str) -> None:
    """A column of several types, or of nulls alone, goes as literals."""
    await db.call("execute", query="CREATE TABLE m (id INT PRIMARY KEY, a VARCHAR(50), b DOUBLE, c DECIMAL(60, 2))")
    records = [
        {"id": 1, "a": 5, "b": None, "c": 2**70},
        {"id": 2, "a": "five", "b": None, "c": 1.5},
        {"id": 3, "a": None, "b": None, "c": -(2**64)},
    ]
    await db.call("batch_insert", table="m", records=records)
    found = await db.rows("SELECT id, a, b, CAST(c AS CHAR) AS c FROM m ORDER BY id")
    assert [tuple(row.values()) for row in found] == [
        (1, "5", None, f"{2**70}.00"),
        (2, "five", None, "1.50"),
        (3, None, None, f"-{2**64}.00"),
    ]


async def test_batch_insert_is_all_or_nothing(db: Database, way: str) -> None:
    """A conflict in the last batch undoes the first."""
    await db.call("execute", query="INSERT INTO t VALUES (2500, 'old')")
    records = [{"id": number, "v": "1"} for number in range(3000)]
    with pytest.raises(FlowExecutionError) as caught:
        await db.call("batch_insert", table="t", records=records)
    assert caught.value.error_class == "conflict"
    assert await db.rows("SELECT * FROM t") == [{"id": 2500, "v": "old"}]


@pytest.mark.parametrize("more", [0, 1, 1500])
async def test_on_conflict_ignores_or_updates(db: Database, more: int, way: str) -> None:
    """Rows that exist are left, or changed; the others are inserted, and counted."""
    await db.call("execute", query="INSERT INTO t VALUES (1, 'old')")
    records = [{"id": 1, "v": "new"}, *({"id": 2 + number, "v": "new"} for number in range(more))]
    for expected in (more, 0):
        result = await db.call("batch_insert", table="t", records=records, on_conflict="ignore")
        assert result["inserted_count"] == expected
    assert await db.rows("SELECT v FROM t WHERE id = 1") == [{"v": "old"}]
    for _ in range(2):
        result = await db.call("batch_insert", table="t", records=records, on_conflict="update", key_fields=["id"])
        assert result["inserted_count"] == more + 1
    assert await db.rows("SELECT * FROM t ORDER BY id") == records


async def test_ignoring_conflicts_hides_no_other_fault(db: Database, way: str) -> None:
    """INSERT IGNORE would turn a null into something else, and cut a text."""
    await db.call("execute", query="CREATE TABLE u (id INT PRIMARY KEY, a VARCHAR(3) NOT NULL)")
    for value, name in ((None, "conflict"), ("long", "validation")):
        for records in ([{"id": 1, "a": value}], [{"id": 1, "a": value}, {"id": 2, "a": value}]):
            with pytest.raises(FlowExecutionError) as caught:
                await db.call("batch_insert", table="u", records=records, on_conflict="ignore")
            assert caught.value.error_class == name


async def test_batches_are_cut_to_the_servers_packet(db: Database, way: str) -> None:
    """40 MB in one batch, where a packet holds 16; a single record that is larger is refused before it is sent."""
    records = [{"id": number, "v": chr(97 + number) * 5_000_000} for number in range(8)]
    await db.call("batch_insert", table="t", records=records)
    assert await db.rows("SELECT id, length(v) AS n FROM t ORDER BY id") == [
        {"id": n, "n": 5_000_000} for n in range(8)
    ]
    with pytest.raises(FlowExecutionError, match="max_allowed_packet") as caught:
        await db.call("batch_insert", table="t", records=[{"id": 9, "v": "x" * 17_000_000}])
    assert caught.value.error_class == "limit"
    with pytest.raises(FlowExecutionError, match="max_allowed_packet"):
        await db.call("query", query="SELECT %s", params=["x" * 17_000_000])


async def test_rows_that_exist_are_counted_over_several_packets(db: Database, way: str) -> None:
    """22 MB are two packets at least, and the server is silent on a row that comes alone."""
    records = [{"id": number, "v": "x" * 900_000} for number in range(25)]
    for expected in (25, 0):
        result = await db.call("batch_insert", table="t", records=records, on_conflict="ignore")
        assert result["inserted_count"] == expected


@pytest.mark.parametrize("at_most", [3, 4, 7, 100])
def test_no_part_is_a_single_row(at_most: int) -> None:
    """And none is larger than a packet takes; nothing is lost."""
    for count in range(2, 120):
        parts = _parts([(number,) for number in range(count)], at_most)
        assert parts is not None
        assert all(2 <= len(part) <= at_most for part in parts)
        assert [row[0] for part in parts for row in part] == list(range(count))


async def test_what_goes_wrong_first_is_told_first(db: Database, way: str) -> None:
    """Records are made ready while the server works on those before; a fault of both is that of the earlier ones."""
    records: list[Any] = [{"id": number, "v": "x"} for number in range(6000)]
    records[5500] = {"id": 5500}
    with pytest.raises(FlowExecutionError, match="record 5501 has no `v`"):
        await db.call("batch_insert", table="t", records=records)
    records[4000] = {"id": 3999, "v": "twice"}
    with pytest.raises(FlowExecutionError) as caught:
        await db.call("batch_insert", table="t", records=records)
    assert caught.value.error_class == "conflict"
    assert await db.rows("SELECT * FROM t") == []


@pytest.mark.parametrize("records", [[{"id": 1, "v": "\ud800"}], [{"id": 1, "v": "a"}, {"id": 2, "v": "\udcff"}]])
async def test_half_a_character_is_refused(db: Database, records: Any, way: str) -> None:
    """Before anything is sent, and the session goes on."""
    with pytest.raises(FlowExecutionError) as caught:
        await db.call("batch_insert", table="t", records=records)
    assert caught.value.error_class == "validation"
    assert await db.rows("SELECT * FROM t") == []


async def test_batch_update_counts_the_rows_it_found(db: Database, way: str) -> None:
    """Found by key, changed or not."""
    await db.call("batch_insert", table="t", records=[{"id": number, "v": "0"} for number in range(5)])
    updates = [{"v": str(number % 2), "id": number} for number in range(7)]
    for _ in range(2):
        result = await db.call("batch_update", table="t", updates=updates, batch_size=3)
        assert result == {"updated_count": 5, "batches": 3, "table": "t"}
    assert [row["v"] for row in await db.rows("SELECT v FROM t ORDER BY id")] == ["0", "1", "0", "1", "0"]


async def test_batch_update_is_all_or_nothing(db: Database, way: str) -> None:
    """A value that does not fit undoes the ones before it."""
    await db.call("execute", query="CREATE TABLE u (id INT PRIMARY KEY, a VARCHAR(3))")
    await db.call("batch_insert", table="u", records=[{"id": 1, "a": "x"}, {"id": 2, "a": "y"}])
    with pytest.raises(FlowExecutionError, match="too long"):
        await db.call("batch_update", table="u", updates=[{"id": 1, "a": "z"}, {"id": 2, "a": "long"}])
    assert [row["a"] for row in await db.rows("SELECT a FROM u ORDER BY id")] == ["x", "y"]


async def test_stream_gives_batches_in_order(db: Database) -> None:
    """Of the size asked for, the last one shorter; none for no rows; the handle is good afterwards."""
    await db.call("batch_insert", table="t", records=[{"id": number, "v": "0"} for number in range(25)])
    async with db.lease() as handle:

        async def batches(query: str) -> list[int]:
            source = db.tasks["mysql_stream"](query=query, batch_size=10, connection=handle)
            return [len(batch) async for batch in source]

        assert await batches("SELECT * FROM t") == [10, 10, 5]
        assert await batches("SELECT * FROM t WHERE id < 20") == [10, 10]
        assert await batches("SELECT * FROM t WHERE id < 0") == []


async def test_a_procedure_may_give_several_results(db: Database) -> None:
    """The first is the statement's; the others are read and let go."""
    await db.call("execute", query="CREATE PROCEDURE two() BEGIN SELECT 1 AS a; SELECT 2 AS b; END")
    assert await db.rows("CALL two()") == [{"a": 1}]
    assert await db.rows("SELECT 3 AS c") == [{"c": 3}]


async def test_columns_that_have_changed_are_read_anew(db: Database) -> None:
    """The same statement on a table that is another one by now."""
    await db.call("execute", query="INSERT INTO t VALUES (1, '7')")
    for change, value in (("LONGTEXT", "7"), ("INTEGER", 7), ("BLOB", b"7"), ("DOUBLE", 7.0)):
        await db.call("execute", query=f"ALTER TABLE t MODIFY v {change}")
        for _ in range(2):
            rows = await db.rows("SELECT v FROM t")
            assert rows == [{"v": value}]
            assert type(rows[0]["v"]) is type(value)


@pytest.mark.parametrize("text", ["BEGIN", "commit", "/* x */ ROLLBACK", "SAVEPOINT a", "# x\nSTART TRANSACTION"])
async def test_transaction_words_are_refused(db: Database, text: str) -> None:
    """They would end with their own step; the message says what to use."""
    with pytest.raises(FlowExecutionError, match="mysql_transaction"):
        await db.call("execute", query=text)


async def test_the_example_runs_green_on_an_empty_database(
    mysql_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `connection example` writes it."""
    from flowlang.connections.mysql.provider import MySQLPlugin

    monkeypatch.setenv("MYSQL_URL", mysql_url)
    path = MySQLPlugin().scaffold_example_flow(str(tmp_path), "store")
    for _ in range(2):
        result = await flowlang.run(path)
        assert result.failure is None
        assert result.outputs["saved"] == 3
        assert [row["orders"] for row in result.outputs["customers"]] == [2, 1]
