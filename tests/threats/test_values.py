"""One table of values that trip drivers, through each service and back: the same, as its page says, or refused."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

import flowlang

UTC = datetime.UTC
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
AWARE = datetime.datetime(2024, 2, 29, 23, 30, 1, 123456, tzinfo=EAST)
NAIVE = datetime.datetime(2024, 2, 29, 23, 30, 1, 123456)  # noqa: DTZ001 - one without a zone on purpose
OBJECT = {"a": [1, None, {"b": "ü \\ ' %s"}]}
VALUES: Mapping[str, Any] = {
    "decimal": Decimal("12345678901234567890.0123456789"),
    "the largest int64": 2**63 - 1,
    "one more": 2**63,
    "nan": math.nan,
    "infinity": math.inf,
    "minus zero": -0.0,
    "timestamp with zone": AWARE,
    "timestamp without": NAIVE,
    "date": datetime.date(2024, 2, 29),
    "time": datetime.time(23, 59, 59, 999999),
    "uuid": UUID(int=7),
    "array": [1, None, 3],
    "object": OBJECT,
    "null": None,
    "the text null": "null",
    "bytes": b"\x00\xff\r\n'\\",
    "no text": "",
    "quotes": "%s %(x)s %% ' '' \" \\ \\' ` -- ; /* $1 ? ${1}",
    "half a character": "a\ud800",
    "a nul": "a\0b",
    "line ends": "a\r\n$3\r\nfoo\r\n",
    "an operator": {"$ne": None},
}
COLUMNS: Mapping[str, Mapping[type, str]] = {
    "postgres": {
        Decimal: "numeric", int: "bigint", float: "double precision", datetime.date: "date", datetime.time: "time",
        UUID: "uuid", list: "int[]", dict: "jsonb", bytes: "bytea",
    },
    "mysql": {
        Decimal: "DECIMAL(30, 10)", int: "BIGINT", float: "DOUBLE", datetime.date: "DATE", datetime.time: "TIME(6)",
        UUID: "CHAR(36)", list: "JSON", dict: "JSON", bytes: "BLOB",
    },
    "sqlite": {},
}  # fmt: skip
STAMPS = {"postgres": ("timestamptz", "timestamp"), "mysql": ("TIMESTAMP(6)", "DATETIME(6)"), "sqlite": ("", "")}
PREFIX = {"postgres": "pg", "mysql": "mysql", "sqlite": "sqlite"}


def column(kind: str, value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return STAMPS[kind][value.tzinfo is None]
    return COLUMNS[kind].get(type(value), "" if kind == "sqlite" else "text")


def through(kind: str, number: int, value: Any) -> list[dict[str, Any]]:
    """Steps that write the output of step `v` and read it back as step `q`."""
    given, read = f"${{v{number}.it}}", f"q{number}"
    if kind == "redis":
        return [{"redis_set": {"key": f"k{number}", "value": given}}, {"redis_get": {"id": read, "key": f"k{number}"}}]
    if kind == "mongodb":
        at = {"collection": f"c{number}"}
        return [{"mongo_insert": {**at, "documents": {"v": given}}}, {"mongo_find": {"id": read, **at}}]
    sql, table = PREFIX[kind], f"t{number}"
    return [
        {f"{sql}_execute": {"query": f"CREATE TABLE {table} (v {column(kind, value)})"}},
        {f"{sql}_execute": {"query": f"INSERT INTO {table} VALUES ({given})"}},
        {f"{sql}_query": {"id": read, "query": f"SELECT v FROM {table}"}},
    ]


FOUND = {"redis": "${{q{}.value}}", "mongodb": "${{q{}.documents[0].v}}"}

_TEXT = {
    "decimal": "12345678901234567890.0123456789",
    "timestamp with zone": "2024-02-29T23:30:01.123456+05:30",
    "timestamp without": "2024-02-29T23:30:01.123456",
    "date": "2024-02-29",
    "time": "23:59:59.999999",
    "uuid": "00000000-0000-0000-0000-000000000007",
    "array": "[1, null, 3]",
    "object": json.dumps(OBJECT, ensure_ascii=False),
    "an operator": '{"$ne": null}',
}
CHANGED: Mapping[str, Mapping[str, Any]] = {
    "sqlite": _TEXT,
    "redis": _TEXT
    | {"the largest int64": str(2**63 - 1), "one more": str(2**63), "infinity": "inf", "minus zero": "-0.0"},
    "postgres": {"timestamp with zone": AWARE.astimezone(UTC)},
    "mysql": {
        "minus zero": 0.0,
        "timestamp with zone": AWARE.astimezone(UTC),
        "time": datetime.timedelta(hours=23, minutes=59, seconds=59, microseconds=999999),
        **{name: _TEXT[name] for name in ("uuid", "array", "object", "an operator")},
    },
    "mongodb": {
        "timestamp with zone": AWARE.replace(microsecond=123000).astimezone(UTC),
        "timestamp without": NAIVE.replace(microsecond=123000, tzinfo=UTC),
        "date": _TEXT["date"],
        "time": _TEXT["time"],
    },
}
"""What a service gives back in place of the value, as its page says; all other values come back as they were."""
REFUSED: Mapping[str, set[str]] = {
    "sqlite": {"one more", "nan", "half a character"},
    "redis": {"nan", "null", "half a character"},
    "postgres": {"one more", "half a character", "a nul"},
    "mysql": {"one more", "nan", "infinity", "half a character"},
    "mongodb": {"one more", "half a character", "an operator"},
}


@pytest.fixture
def config(kind: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The config of an empty place at the service."""
    if kind == "sqlite":
        return {"type": kind, "database": ":memory:"}
    url = request.getfixturevalue(f"{kind}_url")
    if kind != "mongodb":
        return {"type": kind, "url": url}
    at = urlsplit(url)
    return {"type": kind, "url": at._replace(path="/").geturl(), "database": at.path[1:]}


@pytest.mark.parametrize("kind", CHANGED)
async def test_each_value_comes_back_or_is_refused(kind: str, config: dict[str, Any]) -> None:
    """Threat 46: by one flow for each service; of the same type, also minus zero, and a refusal is of the value."""
    kept: dict[str, Any] = {}
    refused: dict[str, str] = {}

    @flowlang.task(name="give", effect="none")
    def give(name: str) -> dict[str, Any]:
        return {"it": VALUES[name]}

    @flowlang.task(name="keep", effect="none")
    def keep(name: str, value: Any) -> None:
        kept[name] = value

    @flowlang.task(name="refuse", effect="none")
    def refuse(name: str, why: str) -> None:
        refused[name] = why

    steps: list[Any] = []
    for number, (name, value) in enumerate(VALUES.items()):
        found = FOUND.get(kind, "${{q{}.rows[0].v}}").format(number)
        given = {"give": {"id": f"v{number}", "name": name}}
        told = {"refuse": {"name": name, "why": "${e.type}"}}
        ways = [given, *through(kind, number, value), {"keep": {"name": name, "value": found}}]
        steps.append({"try": ways, "catch": [{"as": "e", "do": [told]}]})
    flow = {"flow": "values", "connections": {"service": config}, "steps": steps}
    result = await flowlang.run(text=json.dumps(flow), tasks=[give, keep, refuse])
    assert result.succeeded, (result.failure, result.findings[:3])
    assert refused == dict.fromkeys(REFUSED[kind], "validation")
    expected = {name: CHANGED[kind].get(name, value) for name, value in VALUES.items() if name not in refused}
    assert {name: repr(value) for name, value in kept.items()} == {name: repr(each) for name, each in expected.items()}
