"""What happens to each kind of value on its way into SQLite and back."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

import pytest

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.values import Ident

from .conftest import Database

ZONE = datetime.timezone(datetime.timedelta(hours=2))
MAP: list[tuple[Any, Any]] = [
    (None, None),
    (True, 1),
    (False, 0),
    (0, 0),
    (2**63 - 1, 2**63 - 1),
    (-(2**63), -(2**63)),
    (1.5, 1.5),
    (5e-324, 5e-324),
    (float("inf"), float("inf")),
    (-0.0, 0.0),
    ("text", "text"),
    (b"\x00\xff", b"\x00\xff"),
    (bytearray(b"a"), b"a"),
    (Decimal("12.30"), "12.30"),
    (Decimal("1E+30"), "1E+30"),
    (datetime.datetime(2026, 3, 1, 12, 30, 0, 5), "2026-03-01T12:30:00.000005"),  # noqa: DTZ001 - one without
    (datetime.datetime(2026, 3, 1, 12, 30, tzinfo=ZONE), "2026-03-01T12:30:00+02:00"),
    (datetime.date(2026, 3, 1), "2026-03-01"),
    (datetime.time(12, 30), "12:30:00"),
    (datetime.timedelta(days=1, hours=2), "P1DT2H"),
    (datetime.timedelta(seconds=-1.5), "-PT1.5S"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ([1, "ä", None], '[1, "ä", null]'),
    ({"a": {"b": [True]}}, '{"a": {"b": [true]}}'),
    ({"at": datetime.date(2026, 3, 1), "d": Decimal("1.50")}, '{"at": "2026-03-01", "d": 1.5}'),
]


@pytest.mark.parametrize(("value", "stored"), MAP, ids=[f"{type(v).__name__}{n}" for n, (v, _) in enumerate(MAP)])
async def test_each_value_is_stored_as_the_type_page_says(db: Database, value: Any, stored: Any) -> None:
    """The same through a statement, a large insert and an update."""
    await db.call("execute", query="INSERT INTO t VALUES (1, ?)", params=[value])
    await db.call(
        "batch_insert", table="t", records=[{"id": 2, "v": value}, {"id": 3, "v": None}, {"id": 4, "v": value}]
    )
    await db.call("batch_insert", table="t", records=[{"id": 5, "v": "other"}])
    await db.call("batch_update", table="t", updates=[{"id": 5, "v": value}])
    rows = await db.rows("SELECT v FROM t WHERE id <> 3 ORDER BY id")
    assert [row["v"] for row in rows] == [stored] * 4
    assert {type(row["v"]) for row in rows} == {type(stored)}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**63, "64"),
        (-(2**63) - 1, "64"),
        (10**400, "64"),
        (float("nan"), "NaN"),
        ("\ud800", "half a character"),
        (Ident("t"), "ident"),
        (object(), "type object"),
        ([float("nan")], "no JSON"),
        ({1: 2}, "no text"),
    ],
    ids=["big", "small", "huge", "nan", "surrogate", "ident", "object", "nan-in-list", "key"],
)
async def test_what_sqlite_cannot_hold_is_refused(db: Database, value: Any, message: str) -> None:
    """With the record and column named, and nothing written; never stored as something else."""
    with pytest.raises(FlowExecutionError, match=message) as caught:
        await db.call("execute", query="INSERT INTO t VALUES (1, ?)", params=[value])
    assert caught.value.error_class == "validation"
    records = [{"id": number, "v": 1.5} for number in range(1200)]
    records[1100]["v"] = value
    with pytest.raises(FlowExecutionError, match=message) as caught:
        await db.call("batch_insert", table="t", records=records)
    assert caught.value.error_class == "validation"
    assert "`v` of record 1101" in str(caught.value)
    assert await db.rows("SELECT * FROM t") == []


async def test_mixed_columns_are_converted_value_by_value(db: Database) -> None:
    """A column may hold one kind in one record and another in the next."""
    values = [1, 1.5, None, True, Decimal("0.10"), "x", b"y", [1], float("inf")]
    await db.call("batch_insert", table="t", records=[{"id": n, "v": value} for n, value in enumerate(values)])
    rows = await db.rows("SELECT v FROM t ORDER BY id")
    assert [row["v"] for row in rows] == [1, 1.5, None, 1, "0.10", "x", b"y", "[1]", float("inf")]


async def test_a_single_column_is_enough(db: Database) -> None:
    """Records of one key."""
    await db.call("batch_insert", table="t", records=[{"v": "a"}, {"v": ("b",)}])
    assert await db.rows("SELECT v FROM t ORDER BY id") == [{"v": "a"}, {"v": '["b"]'}]
