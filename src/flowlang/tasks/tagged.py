"""Values as JSON that keeps their types: what JSON has no type for is an object with one key that begins with `$`.

    {"$decimal": "1.20"}   {"$timestamp": "2026-01-01T00:00:00+00:00"}   {"$bytes": "…base64…"}   {"$stream": [...]}

An object that itself has a key beginning with `$` is written as `{"$object": {...}}`.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from flowlang.tasks.jsontext import duration_text

_DEEPEST = 100
# Tried in this order: a datetime is a date, too.
_WRITERS: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (decimal.Decimal, "$decimal", str),
    (datetime.datetime, "$timestamp", datetime.datetime.isoformat),
    (datetime.date, "$date", datetime.date.isoformat),
    (datetime.time, "$time", datetime.time.isoformat),
    (datetime.timedelta, "$duration", duration_text),
    (uuid.UUID, "$uuid", str),
    (bytes, "$bytes", lambda value: base64.b64encode(value).decode("ascii")),
    (bytearray, "$bytes", lambda value: base64.b64encode(value).decode("ascii")),
)


class Untaggable(Exception):
    """A value that cannot be written, or was not written by this module."""


def tagged(value: Any, depth: int = 0) -> Any:
    """`value` as JSON can hold it. Raises `Untaggable` for objects of Python that are no value of a flow."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if depth > _DEEPEST:
        raise Untaggable("it is nested too deeply")
    if isinstance(value, float):
        return value if value - value == 0 else {"$number": repr(value)}
    if isinstance(value, Mapping):
        entries = {_key(key): tagged(each, depth + 1) for key, each in value.items()}
        return {"$object": entries} if any(key.startswith("$") for key in entries) else entries
    if isinstance(value, (list, tuple)):
        return [tagged(each, depth + 1) for each in value]
    for kind, tag, write in _WRITERS:
        if isinstance(value, kind):
            return {tag: write(value)}
    raise Untaggable(f"{type(value).__name__} is no type of FlowLang")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise Untaggable(f"the key {key!r} of an object is no text")
    return key


def untagged(value: Any) -> Any:
    """The value that `tagged` wrote. Raises `Untaggable`."""
    if isinstance(value, list):
        return [untagged(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    tag = next((key for key in value if key.startswith("$")), None)
    if tag is None:
        return {key: untagged(each) for key, each in value.items()}
    inner = value[tag]
    if tag == "$object":
        return {key: untagged(each) for key, each in inner.items()}
    try:
        return _READERS[tag](inner)
    except (KeyError, ValueError, TypeError, decimal.InvalidOperation) as error:
        raise Untaggable(f"`{tag}: {inner}` is no value") from error


def _duration(text: str) -> Any:
    from flowlang.expressions import FUNCTIONS

    sign = -1 if text.startswith("-") else 1
    return sign * FUNCTIONS["duration"].call(text.lstrip("-"))


class Rows(list[Any]):
    """The rows of a stream, as a recording holds them."""


_READERS: dict[str, Callable[[Any], Any]] = {
    "$decimal": decimal.Decimal,
    "$timestamp": datetime.datetime.fromisoformat,
    "$date": datetime.date.fromisoformat,
    "$time": datetime.time.fromisoformat,
    "$duration": _duration,
    "$uuid": uuid.UUID,
    "$bytes": base64.b64decode,
    "$number": float,
    "$stream": lambda rows: Rows(untagged(each) for each in rows),
}
