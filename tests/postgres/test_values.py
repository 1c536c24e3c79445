"""Values through every column type, in and out, and the ones that do not fit."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.values import Sql

from .conftest import Database

UTC = datetime.UTC
NOON = datetime.datetime(2024, 2, 29, 12, 30, 1, 123456, tzinfo=UTC)
SAME: list[tuple[str, list[Any]]] = [
    ("boolean", [True, False]),
    ("smallint", [0, -(2**15), 2**15 - 1]),
    ("integer", [0, -(2**31), 2**31 - 1]),
    ("bigint", [0, -(2**63), 2**63 - 1]),
    ("double precision", [0.1, -0.0, 1e308, 5e-324, math.inf, -math.inf]),
    ("numeric", [Decimal("12345678901234567890.123456789"), Decimal("1E+400"), Decimal("0.10"), Decimal("Infinity")]),
    ("numeric(10,2)", [Decimal("1.50")]),
    ("text", ["", "ü\u0301", "a\tb\n"]),
    ("varchar(3)", ["abc"]),
    ("bytea", [b"", b"\x00\xff\\x"]),
    ("uuid", [UUID("00000000-0000-0000-0000-000000000001")]),
    ("timestamptz", [NOON, datetime.datetime(1, 1, 1, tzinfo=UTC)]),
    ("timestamp", [NOON.replace(tzinfo=None)]),
    ("date", [datetime.date(1, 1, 1), datetime.date(2024, 2, 29)]),
    ("time", [datetime.time(23, 59, 59, 999999)]),
    ("timetz", [datetime.time(12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))]),
    ("interval", [datetime.timedelta(days=-3, seconds=5, microseconds=7), "P1Y2M3DT4H", "P-1M"]),
    ("jsonb", [{"a": [1, None, "x", 0.1, True, {}]}, [], "text", "null", 5, False, 2**70]),
    ("json", [{"b": 1, "a": "ü"}, [1, [2]]]),
    ("integer[]", [[], [1, None, 2], [[1, 2], [3, 4]]]),
    ("text[]", [["", "NULL", None, 'a"b\\c', "{}"]]),
    ("jsonb[]", [[{"a": 1}, [2]]]),
    ("timestamptz[]", [[NOON]]),
    ("inet", ["10.0.0.1", "10.0.0.0/8", "::1"]),
    ("cidr", ["10.0.0.0/8"]),
    ("macaddr", ["08:00:2b:01:02:03"]),
    ("bit(3)", ["101"]),
    ("varbit", ["10101"]),
    ("point", ["(1.5,2)"]),
    ("money", ["$1.50"]),
    ("xml", ["<a/>"]),
    ("tsvector", ["'a':1"]),
    ("mood", ["happy"]),
    ("mood[]", [["happy", "sad"]]),
    ("positive", [5]),
    ('"char"', ["x"]),
]


def equal(one: Any, other: Any) -> bool:
    """The same value of the same type; also minus zero."""
    return repr(one) == repr(other) or (one == other and not isinstance(one, (float, bool)))


@pytest.mark.parametrize(("column", "values"), SAME, ids=[each[0] for each in SAME])
async def test_values_come_back_equal(opened: Any, column: str, values: list[Any]) -> None:
    """One by one, by COPY, by a statement for many, and by an update; a null too."""
    db = await opened(pool_size=2)
    await db.call("execute", query="CREATE TYPE mood AS ENUM ('happy', 'sad')")
    await db.call("execute", query="CREATE DOMAIN positive AS integer CHECK (VALUE > 0)")
    await db.call("execute", query=f"CREATE TABLE u (id int PRIMARY KEY, v {column})")
    for value in [*values, None]:
        await db.call("execute", query="TRUNCATE u")
        await db.call("execute", query=Sql(("INSERT INTO u VALUES (1, ", ")"), (value,)))
        many = [{"id": n, "v": value} for n in range(100, 160)]
        await db.call("batch_insert", table="u", records=many)
        await db.call("batch_insert", table="u", records=[{"id": 2, "v": value}])
        await db.call("batch_insert", table="u", records=[{"id": 3, "v": None}])
        await db.call("batch_update", table="u", updates=[{"id": 3, "v": value}])
        rows = await db.rows("SELECT v FROM u")
        assert len(rows) == 63
        assert [row for row in rows if not equal(row["v"], value)] == []


TAKEN: list[tuple[str, Any, Any]] = [
    ("integer", 5.0, 5),
    ("bigint", Decimal("7"), 7),
    ("double precision", 3, 3.0),
    ("double precision", Decimal("0.5"), 0.5),
    ("numeric", 5, Decimal("5")),
    ("numeric", 0.1, Decimal("0.1")),
    ("numeric", "10.50", Decimal("10.50")),
    ("text", 5, "5"),
    ("text", True, "true"),
    ("text", Decimal("1.10"), "1.10"),
    ("text", {"a": 1}, '{"a": 1}'),
    ("text", NOON, NOON.isoformat()),
    ("uuid", "00000000-0000-0000-0000-000000000001", UUID(int=1)),
    ("timestamptz", "2024-02-29T12:30:01.123456Z", NOON),
    ("timestamp", NOON.astimezone(datetime.timezone(datetime.timedelta(hours=5))), NOON.replace(tzinfo=None)),
    ("date", "2024-02-29", datetime.date(2024, 2, 29)),
    ("interval", "P1DT2H", datetime.timedelta(days=1, hours=2)),
    ("integer[]", (1, 2.0), [1, 2]),
    ("jsonb", NOON, NOON.isoformat()),
]


async def test_what_a_type_takes_beside_its_own(db: Database) -> None:
    """The conversions that lose nothing, in a statement and in a batch."""
    for column, given, stored in TAKEN:
        await taken(db, column, given, stored)


async def taken(db: Database, column: str, given: Any, stored: Any) -> None:
    await db.call("execute", query="DROP TABLE IF EXISTS u")
    await db.call("execute", query=f"CREATE TABLE u (v {column})")
    await db.call("execute", query="INSERT INTO u VALUES ($1)", params=[given])
    await db.call("batch_insert", table="u", records=[{"v": given}] * 60)
    rows = await db.rows("SELECT DISTINCT v FROM u" if column != "jsonb" else "SELECT v FROM u")
    assert all(equal(row["v"], stored) for row in rows), rows


REFUSED: list[tuple[str, Any, str]] = [
    ("integer", "5", "expects an integer, not text"),
    ("integer", True, "not a boolean"),
    ("integer", 1.5, "expects an integer"),
    ("integer", 2**31, "out"),
    ("bigint", 2**63, "out"),
    ("double precision", "1", "expects a number"),
    ("double precision", 2**53 + 1, "more digits"),
    ("numeric", "abc", "no decimal"),
    ("boolean", 1, "expects a boolean"),
    ("text", b"x", "expects text, not bytes"),
    ("text", "half \ud800", "half a character"),
    ("bytea", "x", "expects bytes"),
    ("uuid", "x", "no uuid"),
    ("timestamptz", NOON.replace(tzinfo=None), "no zone"),
    ("timestamptz", "2024-02-29T12:00:00", "no zone"),
    ("date", NOON, "expects a date, not a timestamp"),
    ("interval", "5 days", "ISO 8601"),
    ("jsonb", math.nan, "no JSON"),
    ("integer[]", 5, "expects a list"),
    ("integer[]", [1, "x"], "expects an integer"),
    ("int4range", "[1,2)", "cast it"),
]


async def test_what_does_not_fit_is_refused(db: Database) -> None:
    """Naming the value by its number, or the record and its key; nothing is stored."""
    for column, given, why in REFUSED:
        await refused(db, column, given, why)


async def refused(db: Database, column: str, given: Any, why: str) -> None:
    await db.call("execute", query="DROP TABLE IF EXISTS u")
    await db.call("execute", query=f"CREATE TABLE u (n int, v {column})")
    with pytest.raises(FlowExecutionError, match="value 2 of the statement") as caught:
        await db.call("execute", query="INSERT INTO u VALUES ($1, $2)", params=[1, given])
    assert (caught.value.error_class, why in str(caught.value)) == ("validation", True), str(caught.value)
    for count in (3, 60):
        records = [{"n": n, "v": None} for n in range(count)]
        records[2]["v"] = given
        with pytest.raises(FlowExecutionError, match=r"`v` of record 3|value 2 of the statement") as caught:
            await db.call("batch_insert", table="u", records=records)
        assert (caught.value.error_class, why in str(caught.value)) == ("validation", True), str(caught.value)
    assert await db.rows("SELECT * FROM u") == []


async def test_what_is_only_read(db: Database) -> None:
    """Ranges as text, composite values as objects, JSON's null as null, numbers of a JSON text exactly."""
    await db.call("execute", query="CREATE TYPE pair AS (a int, b text)")
    query = """SELECT '[1,5)'::int4range AS r, '{[1,3),[5,6)}'::int4multirange AS m, ROW(1, 'x')::pair AS p,
      ARRAY[ROW(2, 'y')::pair] AS ps, 'null'::jsonb AS j, NULL::jsonb AS n, 'empty'::tsrange AS e,
      '["2024-01-01 00:00","2024-01-02 00:00")'::tsrange AS t, '[0.1, 12345678901234567.12345]'::jsonb AS d,
      'NaN'::numeric AS nan, '1 mon -1 sec'::interval AS i"""
    (row,) = await db.rows(query)
    assert math.isnan(row.pop("nan"))
    assert row == {
        "r": "[1,5)", "m": ["[1,3)", "[5,6)"],
        "p": {"a": 1, "b": "x"}, "ps": [{"a": 2, "b": "y"}], "j": None, "n": None,
        "e": "empty", "t": "[2024-01-01T00:00:00,2024-01-02T00:00:00)",
        "d": [0.1, Decimal("12345678901234567.12345")], "i": "P1MT-1S",
    }  # fmt: skip


@pytest.mark.parametrize(
    "query", ["SELECT '0044-03-15 BC'::date", "SELECT '24:00'::time", "SELECT '20000-01-01'::timestamp"]
)
async def test_what_cannot_be_read_is_refused(opened: Any, query: str) -> None:
    """With the remedy, and the session goes on."""
    db = await opened(pool_size=1)
    with pytest.raises(FlowExecutionError, match="::text") as caught:
        await db.rows(query)
    assert caught.value.error_class == "validation"
    assert await db.value("SELECT 1") == 1


async def test_a_nul_in_a_text_is_refused(db: Database) -> None:
    """PostgreSQL stores none."""
    with pytest.raises(FlowExecutionError) as caught:
        await db.call("execute", query="INSERT INTO t VALUES (1, $1)", params=["nul\0inside"])
    assert caught.value.error_class == "validation"
