"""FlowLang's values in MySQL and MariaDB.

| written | sent as | read back as |
|---|---|---|
| null | NULL | null; a JSON null is the text `null` in a JSON column |
| boolean | 1 or 0 | integer (`BOOL` is `TINYINT(1)`) |
| integer | an integer, up to 65 digits | integer; from DECIMAL a decimal; from BIT an integer |
| number | DOUBLE | number; NaN and infinity are refused; a FLOAT column keeps 6 digits |
| decimal | DECIMAL, every digit | decimal, rounded to the column's scale |
| text | text | text; from BINARY and BLOB bytes; a lone surrogate is refused |
| bytes | a binary string | bytes; from a text column text |
| timestamp with a zone | its UTC time | TIMESTAMP: with zone UTC; DATETIME: without a zone |
| timestamp without | as it stands | DATETIME: the same; TIMESTAMP: taken for UTC |
| date | DATE | date |
| time | TIME | duration since midnight |
| duration | TIME, up to 838:59:59 either way | duration |
| uuid | text | text |
| list, object | JSON text | text: `from_json(…)` reads it |

The session's time zone is UTC. A DATETIME, TIMESTAMP or TIME column without a precision (`DATETIME(6)`) rounds to
whole seconds. A zero date (`0000-00-00`) is read as that text. ENUM and SET are read as text, YEAR as an integer.
Each session is strict: a value that does not fit its column is an error and never cut.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.jsontext import to_json
from flowlang.tasks.values import Ident

_LONGEST_NUMBER = 65  # digits of a DECIMAL
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_Utc = datetime.UTC


# ── values as literals: right in every sql_mode, since no character is escaped by a backslash ────────────────────


def text_literal(value: str) -> str:
    """A text in quotes. One with a backslash, which not every mode reads alike, goes in hexadecimal."""
    if "\\" in value:
        return f"_utf8mb4 x'{value.encode().hex()}'"
    return "'" + value.replace("'", "''") + "'"


def _bytes_literal(value: bytes | bytearray | memoryview) -> str:
    return f"x'{value.hex()}'"


def _integer_literal(value: int) -> str:
    if abs(value) >= 10**_LONGEST_NUMBER:
        raise ValueError(f"an integer of more than {_LONGEST_NUMBER} digits has no place in a number; use str(x)")
    return int.__repr__(value)


def _number_literal(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be stored: MySQL has finite numbers only")
    text = float.__repr__(value)
    return text if "e" in text else text + "e0"  # without an exponent it would be a DECIMAL


def _decimal_text(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} cannot be stored: MySQL has finite numbers only")
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    if max(len(digits) + max(exponent, 0), -exponent) > _LONGEST_NUMBER:
        raise ValueError(f"a decimal of more than {_LONGEST_NUMBER} digits has no place in MySQL; use str(x)")
    return format(value, "f")


# ── values as texts that MySQL reads by the column's type ────────────────────────────────────────────────────────


def _utc(value: datetime.datetime) -> datetime.datetime:
    return value if value.tzinfo is None else value.astimezone(_Utc).replace(tzinfo=None)


def _timestamp_text(value: datetime.datetime) -> str:
    return _utc(value).isoformat(" ")


def _time_text(value: datetime.time) -> str:
    if value.tzinfo is not None:
        raise ValueError("a time of day with a zone has no type in MySQL; use str(x), or a timestamp")
    return value.isoformat()


def _duration_text(value: datetime.timedelta) -> str:
    micros = value // datetime.timedelta(microseconds=1)
    seconds, micros = divmod(abs(micros), 1_000_000)
    sign = "-" if value.days < 0 else ""
    fraction = f".{micros:06d}" if micros else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"


def _json(value: object) -> str:
    try:
        return to_json(value)
    except FlowExecutionError as error:
        raise ValueError(str(error)) from error


def _name(_: Ident) -> str:
    raise ValueError("a name made by ident() is no value: put `${ident(…)}` into the statement")


_TEXTS: Mapping[type, Callable[[Any], str]] = {
    Ident: _name,
    Decimal: _decimal_text,
    datetime.datetime: _timestamp_text,
    datetime.date: datetime.date.isoformat,
    datetime.time: _time_text,
    datetime.timedelta: _duration_text,
    UUID: str,
    dict: _json,
    list: _json,
    tuple: _json,
}


def _as_text_literal(convert: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: text_literal(convert(value))


_LITERALS: dict[type, Callable[[Any], str]] = {
    **{kind: _as_text_literal(convert) for kind, convert in _TEXTS.items()},
    type(None): lambda _: "NULL",
    bool: lambda value: "1" if value else "0",
    int: _integer_literal,
    float: _number_literal,
    str: text_literal,
    bytes: _bytes_literal,
    bytearray: _bytes_literal,
    memoryview: _bytes_literal,
    Decimal: _decimal_text,
}
# Subclasses are looked up here, the narrower type first.
_FAMILIES: tuple[type, ...] = (
    Ident, str, int, float, bytes, Decimal, datetime.datetime, datetime.date, datetime.time, datetime.timedelta,
    UUID, dict, list, tuple,
)  # fmt: skip


def _family(kind: type) -> type:
    if kind in _LITERALS:
        return kind
    for family in _FAMILIES:
        if issubclass(kind, family):
            return family
    if issubclass(kind, Mapping):
        return dict
    raise ValueError(f"a value of type {kind.__name__} cannot be stored")


def literal(value: Any) -> str:
    """One value as SQL. Raises ValueError for a value that has no place in MySQL."""
    return _LITERALS[_family(type(value))](value)


def literals(values: Sequence[Any]) -> list[str]:
    """The values of one statement as SQL. Raises FlowExecutionError (`validation`) that names the value by number."""
    done = []
    for number, value in enumerate(values, 1):
        try:
            done.append((_LITERALS.get(type(value)) or literal)(value))
        except ValueError as error:
            raise _refused(f"value {number} of the statement", error) from error
    return done


def column_literals(column: Sequence[Any], name: str, first: int) -> list[str]:
    """One column of many records as SQL. `first` is the number of the first record, for errors."""
    kinds = set(map(type, column))
    convert = _LITERALS.get(kinds.pop()) if len(kinds) == 1 else None
    try:
        return list(map(convert or literal, column))
    except ValueError:
        return [_named(literal, value, name, number) for number, value in enumerate(column, first)]


# ── values as the binary protocol takes them: one type a column ──────────────────────────────────────────────────

_BINARY: frozenset[type] = frozenset({str, float, int, bool, bytes, datetime.date})
_PLAIN = type(None)


def column_binary(column: Sequence[Any], name: str, first: int) -> Sequence[Any] | None:
    """One column of many records for a bulk statement; None when it mixes types, or holds what goes as SQL only."""
    kinds = set(map(type, column))
    kinds.discard(_PLAIN)
    if len(kinds) != 1:
        return None
    kind = kinds.pop()
    if kind is int:  # neither nulls nor zeros matter here
        inside = min(filter(None, column), default=0) >= _SMALLEST and max(filter(None, column), default=0) <= _LARGEST
        return column if inside else None
    if kind is float:  # a sum is finite when all of it is; the other way round it may overflow
        finite = math.isfinite(sum(filter(None, column))) or all(map(math.isfinite, filter(None, column)))
        return column if finite else None
    if kind is datetime.datetime:
        return [value if value is None else _utc(value) for value in column]
    if kind in _BINARY:
        return column
    convert = _TEXTS.get(kind)
    if convert is None:
        return None

    def converted(value: Any) -> str | None:
        return None if value is None else convert(value)

    try:
        return list(map(converted, column))
    except ValueError:
        return [_named(converted, value, name, number) for number, value in enumerate(column, first)]


def _named(convert: Callable[[Any], Any], value: Any, name: str, number: int) -> Any:
    try:
        return convert(value)
    except ValueError as error:
        raise _refused(f"`{name}` of record {number}", error) from error


def _refused(what: str, error: ValueError) -> FlowExecutionError:
    if isinstance(error, UnicodeEncodeError):
        error = ValueError("no valid Unicode text: it holds half a character")
    return FlowExecutionError(f"{what}: {error}", error_class="validation")


# ── what comes back ──────────────────────────────────────────────────────────────────────────────────────────────


def decoders() -> dict[Any, Any]:
    """What the driver turns the texts of the server into, by type of column."""
    from asyncmy import converters
    from asyncmy.constants import FIELD_TYPE

    def timestamp(text: Any) -> Any:
        value = converters.convert_datetime(text)
        return value.replace(tzinfo=_Utc) if isinstance(value, datetime.datetime) else value

    def bit(data: bytes) -> int:
        return int.from_bytes(data, "big")

    return {**converters.conversions, FIELD_TYPE.TIMESTAMP: timestamp, FIELD_TYPE.BIT: bit}
