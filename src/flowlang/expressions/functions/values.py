"""JSON, times, hashes, and what is read from outside."""

from __future__ import annotations

import datetime
import decimal
import re
import uuid
from collections.abc import Mapping
from typing import Any

from flowlang.expressions.functions.model import Function, parameter, want_flag, want_integer, want_number, want_text
from flowlang.expressions.runtime import (
    MAX_ITEMS,
    MAX_TEXT,
    ExpressionError,
    Work,
    check_size,
    decimal_text,
    duration_text,
    finite,
    kind_of,
)
from flowlang.expressions.types import (
    ANY,
    BOOLEAN,
    BYTES,
    DATE,
    DURATION,
    INTEGER,
    NUMBER,
    STRING,
    TIME,
    TIMESTAMP,
)

MAX_JSON_DEPTH = 200


def _json(work: Work, value: Any, indent: Any = None) -> str:
    import json

    spaces = None if indent is None else want_integer(indent, "json")
    if spaces is not None and not 0 <= spaces <= 8:
        raise ExpressionError("`json` indents by 0 to 8 spaces")
    result = json.dumps(_plain(_Room(work), value, 0), ensure_ascii=False, allow_nan=False, indent=spaces)
    check_size(len(result), True)
    work.charge(len(result) >> 4)
    return result


class _Room:
    """How much one `json` may still hold: a list that stands in another many times counts each time."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.items = MAX_ITEMS
        self.characters = MAX_TEXT

    def take(self, items: int, characters: int = 0) -> None:
        self.work.charge(items >> 3)
        self.items -= items
        self.characters -= characters
        if self.items < 0 or self.characters < 0:
            raise ExpressionError("this value is too large for `json`")


def _plain(room: _Room, value: Any, depth: int) -> Any:
    """`value` as JSON has it. Decimals become numbers when that is exact and text otherwise, times and
    durations ISO 8601 text, UUIDs text, bytes base64 text."""
    if isinstance(value, str):
        room.take(1, len(value))
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ExpressionError("`json`: a text holds half a character (a lone surrogate)") from None
        return str.__str__(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value.bit_length() > 13_000:
            raise ExpressionError("`json`: a number has too many digits")
        return int(value)
    if isinstance(value, float):
        if not finite(value):
            raise ExpressionError("`json`: infinity and not-a-number are not part of JSON")
        return float(value)
    if depth > MAX_JSON_DEPTH:
        raise ExpressionError(f"`json`: this value is nested deeper than {MAX_JSON_DEPTH} levels")
    if isinstance(value, Mapping):
        room.take(len(value) + 1)
        return {_json_key(room, key): _plain(room, each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        room.take(len(value) + 1)
        return [_plain(room, each, depth + 1) for each in value]
    return _scalar(room, value)


def _json_key(room: _Room, key: Any) -> str:
    if not isinstance(key, str):
        raise ExpressionError(f"`json`: the keys of an object are text, one is {kind_of(key)}")
    return str(_plain(room, key, 0))


def _scalar(room: _Room, value: Any) -> Any:
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise ExpressionError("`json`: infinity and not-a-number are not part of JSON")
        shown = decimal_text(value)
        room.take(1, len(shown))
        number = float(shown)
        exact = finite(number) and decimal.Decimal(repr(number)) == value
        return shown if not exact else int(shown) if "." not in shown else number
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return duration_text(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64

        room.take(1, len(value) * 2)
        return base64.b64encode(value).decode()
    raise ExpressionError(f"`json` cannot write {kind_of(value)}")


def _from_json(work: Work, value: Any) -> Any:
    import json

    given = want_text(value, "from_json")
    work.charge(len(given) >> 4)
    check_size(len(given), True)

    def refuse(word: str) -> Any:
        raise ExpressionError(f"`from_json`: {word} is not part of JSON")

    try:
        return json.loads(given, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ExpressionError(f"`from_json`: not JSON at line {error.lineno}, column {error.colno}") from None
    except (RecursionError, ValueError):
        raise ExpressionError("`from_json`: this JSON is nested too deeply, or a number in it is too long") from None


_DURATION = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)")
_ISO_DURATION = re.compile(
    r"(?P<sign>-?)P(?:(?P<weeks>[0-9]+)W)?(?:(?P<days>[0-9]+)D)?"
    r"(?:T(?:(?P<hours>[0-9]+)H)?(?:(?P<minutes>[0-9]+)M)?(?:(?P<seconds>[0-9]+(?:\.[0-9]+)?)S)?)?"
)
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: Any) -> datetime.timedelta:
    if isinstance(value, datetime.timedelta):
        return value
    try:
        if not isinstance(value, str):
            return datetime.timedelta(seconds=float(want_number(value, "duration")))
        short = _DURATION.fullmatch(value.strip())
        if short:
            return datetime.timedelta(**{_UNITS[short[2]]: float(short[1])})
        iso = _ISO_DURATION.fullmatch(value.strip())
        if iso and any(each for name, each in iso.groupdict().items() if name != "sign"):
            parts = {name: float(each) for name, each in iso.groupdict().items() if each and name != "sign"}
            length = datetime.timedelta(**parts)
            return -length if iso["sign"] else length
    except (OverflowError, ValueError):
        raise ExpressionError("`duration`: this is longer than a duration can be") from None
    raise ExpressionError("`duration`: not a duration; the forms are 250ms, 5s, 2m, 1h, 1d, PT5S, or seconds")


def _parse_time(value: Any, format: Any = None) -> datetime.datetime:  # noqa: A002 - its name in flows
    if isinstance(value, datetime.datetime):
        return value
    given = want_text(value, "parse_time")
    if len(given) > 200 or (isinstance(format, str) and len(format) > 200):
        raise ExpressionError("`parse_time` takes texts of at most 200 characters")
    try:
        if format is None:
            return datetime.datetime.fromisoformat(given.strip())
        return datetime.datetime.strptime(given, want_text(format, "parse_time"))  # noqa: DTZ007 - the format says
    except (ValueError, re.error):
        what = "ISO 8601" if format is None else "the format"
        raise ExpressionError(f"`parse_time`: this text does not follow {what}") from None


def _format_time(value: Any, format: Any = None) -> str:  # noqa: A002 - its name in flows
    if not isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        raise ExpressionError(f"`format_time` needs a time, this is {kind_of(value)}")
    if format is None:
        return value.isoformat()
    pattern = want_text(format, "format_time")
    if len(pattern) > 200 or re.search(r"%[^%A-Za-z]|%$", pattern) or "\x00" in pattern:
        raise ExpressionError("`format_time`: this is not a format like '%Y-%m-%d %H:%M'")
    try:
        return value.strftime(pattern)
    except (ValueError, UnicodeError):
        raise ExpressionError("`format_time`: this is not a format like '%Y-%m-%d %H:%M'") from None


def _bytes(value: Any, function: str) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    try:
        return want_text(value, function).encode()
    except UnicodeEncodeError:
        raise ExpressionError(f"`{function}`: this text holds half a character (a lone surrogate)") from None


def _base64(work: Work, value: Any, decode: Any = False) -> Any:
    import base64
    import binascii

    data = _bytes(value, "base64")
    work.charge(len(data) >> 4)
    check_size(len(data) * 4 // 3, True)
    if not want_flag(decode, "base64"):
        return base64.b64encode(data).decode()
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ExpressionError("`base64`: this is not base64 of a text") from None


_ALGORITHMS = ("md5", "sha1", "sha256", "sha384", "sha512", "sha3_256", "blake2b")


def _hash(work: Work, value: Any, algorithm: Any = "sha256") -> str:
    import hashlib

    name = want_text(algorithm, "hash")
    if name not in _ALGORITHMS:
        raise ExpressionError(f"`hash` knows {', '.join(_ALGORITHMS)}")
    data = _bytes(value, "hash")
    work.charge(len(data) >> 4)
    return hashlib.new(name, data, usedforsecurity=False).hexdigest()


def _outside(*_: Any) -> Any:
    raise AssertionError("compiled to a read of the evaluation's own")


_TEXT = parameter("text", STRING)

FUNCTIONS = (
    Function(
        "json",
        (parameter("value"), parameter("indent", INTEGER, optional=True)),
        STRING,
        "The value as JSON text.",
        "json({'a': [1, null]})",
        r'"{\"a\": [1, null]}"',
        _json,
        doc="Always valid JSON. Decimals are written as numbers when that is exact and as text otherwise, times and "
        "durations as ISO 8601 text, UUIDs as text, bytes as base64 text. Infinity and not-a-number are refused.",
        work=True,
    ),
    Function(
        "from_json",
        (_TEXT,),
        ANY,
        "The value that a JSON text says.",
        "from_json('[1, 2]')[1]",
        "2",
        _from_json,
        work=True,
    ),
    Function(
        "now",
        (),
        TIMESTAMP,
        "The time, in UTC.",
        "now() > parse_time('2000-01-01T00:00:00Z')",
        "true",
        _outside,
        doc="Read once per step and position, so every use in one place agrees, and a durable run reads it once.",
        reads="now",
    ),
    Function(
        "uuid",
        (),
        STRING,
        "A new random UUID, as text.",
        "len(uuid())",
        "36",
        _outside,
        doc="Read once per step and position.",
        reads="uuid",
    ),
    Function(
        "random",
        (),
        NUMBER,
        "A random number from 0 up to, not including, 1.",
        "0 <= random() < 1",
        "true",
        _outside,
        doc="Read once per step and position.",
        reads="random",
    ),
    Function(
        "parse_time",
        (parameter("text", STRING, TIMESTAMP), parameter("format", STRING, optional=True)),
        TIMESTAMP,
        "The time that a text says, in ISO 8601 or in the given format.",
        "parse_time('2026-03-01T12:00:00Z')",
        '"2026-03-01T12:00:00+00:00"',
        _parse_time,
        doc="The letters of a format are those of Python's `strptime`.",
    ),
    Function(
        "format_time",
        (parameter("time", TIMESTAMP, DATE, TIME), parameter("format", STRING, optional=True)),
        STRING,
        "The time as text, in ISO 8601 or in the given format.",
        "format_time(parse_time('2026-03-01T12:00:00Z'), '%d.%m.%Y')",
        '"01.03.2026"',
        _format_time,
        doc="The letters of a format are those of Python's `strftime`.",
    ),
    Function(
        "duration",
        (parameter("value", STRING, INTEGER, NUMBER, DURATION),),
        DURATION,
        "A length of time from `250ms`, `5s`, `2m`, `1h`, `1d`, ISO 8601, or seconds.",
        "parse_time('2026-03-01T12:00:00Z') + duration('90m')",
        '"2026-03-01T13:30:00+00:00"',
        _duration,
    ),
    Function(
        "base64",
        (parameter("value", STRING, BYTES), parameter("decode", BOOLEAN, optional=True)),
        STRING,
        "Text or bytes in base64; with `decode=true` the text that a base64 text stands for.",
        "base64('hi') + ' ' + base64('aGk=', decode=true)",
        '"aGk= hi"',
        _base64,
        work=True,
    ),
    Function(
        "hash",
        (parameter("value", STRING, BYTES), parameter("algorithm", STRING, optional=True)),
        STRING,
        "The hash of a text or of bytes, in hexadecimal digits.",
        "hash('abc')[:8]",
        '"ba7816bf"',
        _hash,
        doc="`algorithm` is sha256 when left out, or md5, sha1, sha384, sha512, sha3_256, blake2b.",
        work=True,
    ),
)
