"""The map between FlowLang's values and MySQL's types, as its page says it."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from flowlang.connections.mysql.session import Session
from flowlang.exceptions import FlowExecutionError

from .conftest import Database

UTC = datetime.UTC
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
NOON = datetime.datetime(2026, 11, 27, 12, 0, 0, 123456)  # noqa: DTZ001 - without a zone on purpose
BYTES = bytes(range(256))
SECOND = datetime.timedelta(seconds=1)

VALUES: list[tuple[str, Any, Any]] = [
    ("BOOL", True, 1),
    ("BIGINT", -(2**63), -(2**63)),
    ("BIGINT UNSIGNED", 2**64 - 1, 2**64 - 1),
    ("DECIMAL(65)", 10**64, Decimal(10**64)),
    ("DOUBLE", 0.1, 0.1),
    ("DOUBLE", -0.0, -0.0),
    ("DOUBLE", 1.7976931348623157e308, 1.7976931348623157e308),
    ("DOUBLE", 5e-324, 5e-324),
    ("DECIMAL(30, 10)", Decimal("12345678901234567890.0123456789"), Decimal("12345678901234567890.0123456789")),
    ("BIT(8)", 5, 5),
    ("YEAR", 2026, 2026),
    ("VARCHAR(300)", "ünïcödé 🎉 \\ ' \" \0 %s", "ünïcödé 🎉 \\ ' \" \0 %s"),
    ("LONGTEXT", "", ""),
    ("ENUM('a', 'b')", "b", "b"),
    ("SET('a', 'b')", "a,b", "a,b"),
    ("BLOB", BYTES, BYTES),
    ("VARBINARY(300)", BYTES, BYTES),
    ("BLOB", b"", b""),
    ("BLOB", "text", b"text"),
    ("DATE", datetime.date(1, 1, 1), datetime.date(1, 1, 1)),
    ("DATETIME(6)", NOON, NOON),
    ("DATETIME(6)", NOON.replace(tzinfo=EAST), NOON - datetime.timedelta(hours=5, minutes=30)),
    ("TIMESTAMP(6)", NOON.replace(tzinfo=EAST), NOON.replace(tzinfo=EAST).astimezone(UTC)),
    ("TIMESTAMP(6)", NOON, NOON.replace(tzinfo=UTC)),
    ("DATETIME", NOON.replace(microsecond=0), NOON.replace(microsecond=0)),
    ("TIME(6)", datetime.time(1, 2, 3, 4), datetime.timedelta(hours=1, minutes=2, seconds=3, microseconds=4)),
    ("TIME(6)", datetime.timedelta(hours=-800, microseconds=1), datetime.timedelta(hours=-800, microseconds=1)),
    ("TIME", 100 * 3600 * SECOND, 100 * 3600 * SECOND),
    ("CHAR(36)", UUID(int=7), str(UUID(int=7))),
    ("JSON", {"a": [1, None, "\\\"'é"]}, '{"a":[1,null,"\\\\\\"\'é"]}'),
    ("JSON", [], "[]"),
    ("JSON", "null", "null"),
    ("JSON", None, None),
    ("INT", None, None),
]


@pytest.mark.parametrize("bulk", [True, False])
async def test_values_come_back_as_the_page_says(db: Database, monkeypatch: pytest.MonkeyPatch, bulk: bool) -> None:
    """Through a statement, and through many rows either way."""
    if not bulk:
        monkeypatch.setattr(Session, "takes_bulk", False)
    columns = ", ".join(f"c{number} {kind}" for number, (kind, _, _) in enumerate(VALUES))
    await db.call("execute", query=f"CREATE TABLE v (id INT PRIMARY KEY, {columns})")
    names = [f"c{number}" for number in range(len(VALUES))]
    record = dict(zip(names, [value for _, value, _ in VALUES]))
    present = {name: value for name, value in record.items() if value is not None}  # a null in all rows is no type
    await db.call("batch_insert", table="v", records=[{"id": 1} | record])
    await db.call("batch_insert", table="v", records=[{"id": 2} | present, {"id": 3} | present])
    marks = ", ".join(["%s"] * (len(names) + 1))
    await db.call("execute", query=f"INSERT INTO v VALUES ({marks})", params=[4, *record.values()])
    for row in await db.rows("SELECT * FROM v ORDER BY id"):
        for name, (kind, value, expected) in zip(names, VALUES):
            found = row[name].replace(", ", ",").replace('": ', '":') if kind == "JSON" and value else row[name]
            assert (found, type(found)) == (expected, type(expected)), (row["id"], kind, value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), 10**65, datetime.time(1, tzinfo=UTC)])
async def test_values_without_a_place_are_refused(db: Database, value: Any) -> None:
    """Named by their number, or by column and record; never stored as something else."""
    with pytest.raises(FlowExecutionError, match="value 1 of the statement") as caught:
        await db.rows("SELECT %s", value)
    assert caught.value.error_class == "validation"
    for records in ([{"id": 1, "v": value}], [{"id": number, "v": value} for number in range(3)]):
        with pytest.raises(FlowExecutionError, match="`v` of record 1"):
            await db.call("batch_insert", table="t", records=records)


async def test_a_zero_date_is_read_as_its_text(db: Database) -> None:
    """No calendar has it."""
    async with db.lease() as handle:
        for query in ("SET sql_mode = ''", "CREATE TABLE z (d DATE, t DATETIME)", "INSERT INTO z VALUES (0, 0)"):
            await db.tasks["mysql_execute"](query=query, connection=handle)
    assert await db.rows("SELECT * FROM z") == [{"d": "0000-00-00", "t": "0000-00-00 00:00:00"}]
