"""What happens to each kind of value on its way into Redis and back."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

import pytest

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.values import Ident

ZONE = datetime.timezone(datetime.timedelta(hours=2))
MAP: list[tuple[Any, Any]] = [
    ("text", "text"),
    ("", ""),
    ("ünï 🎉 \u202e", "ünï 🎉 \u202e"),
    ("a\r\n$3\r\nfoo\r\n*1\r\n\0", "a\r\n$3\r\nfoo\r\n*1\r\n\0"),
    ("x" * 1_000_000, "x" * 1_000_000),
    (b"plain", "plain"),
    (b"\xff\x00\r\n", b"\xff\x00\r\n"),
    (bytearray(b"\xfe"), b"\xfe"),
    (0, "0"),
    (-(2**63), str(-(2**63))),
    (10**40, "1" + "0" * 40),
    (1.5, "1.5"),
    (5e-324, "5e-324"),
    (float("inf"), "inf"),
    (-0.0, "-0.0"),
    (Decimal("12.30"), "12.30"),
    (True, "true"),
    (False, "false"),
    ([1, "ä", None], '[1, "ä", null]'),
    ({"a": {"b": [True]}}, '{"a": {"b": [true]}}'),
    (datetime.datetime(2026, 3, 1, 12, 30, tzinfo=ZONE), "2026-03-01T12:30:00+02:00"),
    (datetime.date(2026, 3, 1), "2026-03-01"),
    (datetime.time(12, 30), "12:30:00"),
    (datetime.timedelta(days=1, hours=2), "P1DT2H"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
]
NAMES = [f"{type(value).__name__}{number}" for number, (value, _) in enumerate(MAP)]


@pytest.mark.parametrize(("value", "read"), MAP, ids=NAMES)
async def test_each_value_is_stored_as_the_type_page_says(cache: Any, value: Any, read: Any) -> None:
    """The same through a string, many of them, and a hash."""
    await cache.run("redis_set", key="a", value=value)
    await cache.run("redis_mset", values={"b": value, "c": "text"})
    await cache.run("redis_hset", key="h", mapping={"f": value, "g": 1})
    found = [(await cache.run("redis_get", key=key))["value"] for key in ("a", "b")]
    found += (await cache.run("redis_mget", keys=["a"]))["values"]
    found.append((await cache.run("redis_hgetall", key="h"))["hash"]["f"])
    assert found == [read] * 4
    assert {type(each) for each in found} == {type(read)}


async def test_bytes_stay_bytes_when_asked(opened: Any) -> None:
    """With `decode_responses: false`, whatever they hold; names stay text."""
    cache = await opened(decode_responses=False)
    await cache.run("redis_hset", key="h", mapping={"f": "text"})
    await cache.run("redis_set", key="k", value="ä")
    assert await cache.run("redis_hgetall", key="h") == {"hash": {"f": b"text"}}
    assert await cache.run("redis_mget", keys=["k", "none"]) == {"values": ["ä".encode(), None], "found": 1}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "null"),
        (float("nan"), "NaN"),
        ("\ud800", "half a character"),
        (Ident("t"), "ident"),
        (object(), "type object"),
        ([float("nan")], "no JSON"),
        ({1: 2}, "no text"),
    ],
    ids=["null", "nan", "surrogate", "ident", "object", "nan-in-list", "key"],
)
async def test_what_redis_cannot_hold_is_refused(cache: Any, server: Any, value: Any, message: str) -> None:
    """Named, before anything is sent; the link goes on working."""
    calls = [
        ("redis_set", {"key": "a", "value": value}),
        ("redis_mset", {"values": {"a": 1, "b": value}}),
        ("redis_hset", {"key": "h", "mapping": {"a": 1, "f": value}}),
    ]
    for name, arguments in calls:
        with pytest.raises(FlowExecutionError, match=message) as caught:
            await cache.run(name, **arguments)
        assert caught.value.error_class == "validation"
    assert await server.dbsize() == 0


@pytest.mark.parametrize(
    "key",
    ["a\r\nDEL b", b"\xff\x00", " ", "*", "${1+1} {{7*7}}", "ключ", "k" * 100_000, "{tag}:x"],
    ids=["crlf", "binary", "space", "star", "braces", "unicode", "long", "tag"],
)
async def test_any_text_or_bytes_is_a_key(opened: Any, server: Any, key: Any) -> None:
    """With and without a prefix, which stands before it whatever it holds."""
    wire = key.encode() if isinstance(key, str) else key
    for prefix in ("", "p:"):
        cache = await opened(key_prefix=prefix)
        await cache.run("redis_set", key=key, value="v")
        assert await server.get(prefix.encode() + wire) == b"v"
        assert await server.dbsize() == 1
        assert await cache.run("redis_exists", keys=[key]) == {"count": 1, "exists": True}
        found = [each async for batch in cache.stream("redis_scan") for each in batch]
        assert found == [key]
        assert await cache.run("redis_delete", keys=key) == {"deleted_count": 1}


@pytest.mark.parametrize("key", ["", b"", None, 7, Ident("k"), "\ud800"], ids=str)
async def test_what_is_no_key_is_refused(cache: Any, key: Any) -> None:
    """An empty text, a number, a name of SQL."""
    with pytest.raises(FlowExecutionError, match="`key`") as caught:
        await cache.run("redis_get", key=key)
    assert caught.value.error_class == "validation"


async def test_a_prefix_bounds_what_a_flow_sees(opened: Any, server: Any) -> None:
    """Also a prefix that looks like a pattern; a pattern of the flow cannot reach above it."""
    await server.mset({"px1": "no", "p*1": "yes", "p*2": "yes", "q": "no"})
    cache = await opened(key_prefix="p*")
    for match, expected in (("*", ["1", "2"]), ("1", ["1"]), ("[12]", ["1", "2"]), ("../*", []), ("\\*", [])):
        found = [each async for batch in cache.stream("redis_scan", match=match) for each in batch]
        assert sorted(found) == expected
    assert (await cache.run("redis_get", key="q"))["exists"] is False


async def test_a_field_that_is_no_text_is_refused(cache: Any, server: Any) -> None:
    """The keys of an object are text; nothing is replaced silently."""
    await server.hset("h", b"\xff", "v")
    with pytest.raises(FlowExecutionError, match="field") as caught:
        await cache.run("redis_hgetall", key="h")
    assert caught.value.error_class == "validation"
