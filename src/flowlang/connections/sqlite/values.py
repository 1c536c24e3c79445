"""FlowLang's values in SQLite, which stores integers, reals, texts and blobs and has no other types.

| written | stored as | read back as |
|---|---|---|
| null | NULL | null |
| boolean | 0 or 1 | integer |
| integer of 64 bits | INTEGER | integer; a larger one is refused |
| number | REAL | number; NaN is refused (SQLite would store NULL), infinity is kept |
| text | TEXT | text; a lone surrogate is refused |
| bytes | BLOB | bytes |
| decimal, uuid | TEXT, every digit | text |
| timestamp, date, time | TEXT, ISO 8601, with the offset when there is one | text |
| duration | TEXT, ISO 8601 (`P1DT2H`) | text |
| list, object | TEXT, JSON | text |

The column's declared type may change a text further: in a column of type NUMERIC, DECIMAL, INTEGER or REAL a
text that looks like a number becomes one. Declare exact decimals TEXT.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any
from uuid import UUID

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.jsontext import duration_text, to_json
from flowlang.tasks.table import Kinds
from flowlang.tasks.values import Ident

_AS_IS: frozenset[type | None] = frozenset({str, bytes, type(None)})
_BOUND = _AS_IS | {int}  # an integer too large is noticed by the driver
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def _integer(value: int) -> int:
    if _SMALLEST <= value <= _LARGEST:
        return int(value)
    raise ValueError("this integer is outside the range of SQLite's 64 bits; store it as text: str(x)")


def _number(value: float) -> float:
    if value != value:
        raise ValueError("NaN cannot be stored: SQLite would make it NULL")
    return float(value)


def _json(value: object) -> str:
    try:
        return to_json(value)
    except FlowExecutionError as error:
        raise ValueError(str(error)) from error


def _name(_: Ident) -> str:
    raise ValueError("a name made by ident() is no value: put `${ident(…)}` into the statement")


_BY_TYPE: Mapping[type, Callable[[Any], Any]] = {
    int: _integer,
    bool: int,
    float: _number,
    Decimal: str,
    datetime.datetime: datetime.datetime.isoformat,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: duration_text,
    UUID: str,
    dict: _json,
    list: _json,
    tuple: _json,
    bytearray: bytes,
    memoryview: bytes,
    Ident: _name,
}
# Subclasses are looked up here, the narrower type first.
_FAMILIES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (Ident, _name),
    (str, str.__str__),
    (int, _integer),
    (float, _number),
    (bytes, bytes),
    (Decimal, str),
    (datetime.datetime, datetime.datetime.isoformat),
    (datetime.date, datetime.date.isoformat),
    (datetime.timedelta, duration_text),
    (UUID, str),
    (Mapping, _json),
    (list, _json),
)


def converter(kind: type) -> Callable[[Any], Any] | None:
    """What makes a value of type `kind` storable; None when it is as it stands.

    The converter raises ValueError for a value that has no place in SQLite.
    """
    if kind in _AS_IS:
        return None
    found = _BY_TYPE.get(kind)
    if found is not None:
        return found
    for family, convert in _FAMILIES:
        if issubclass(kind, family):
            return convert
    raise ValueError(f"a value of type {kind.__name__} cannot be stored")


def encode(value: Any) -> Any:
    """One value as SQLite stores it. Raises ValueError."""
    convert = converter(type(value))
    return value if convert is None else convert(value)


def encoded(values: Sequence[Any]) -> Sequence[Any]:
    """The values of one statement. Raises FlowExecutionError (`validation`) that names the value by its number."""
    done = []
    for number, value in enumerate(values, 1):
        try:
            done.append(encode(value))
        except ValueError as error:
            raise _refused(f"value {number} of the statement", error) from error
    return done


def flattened(rows: Sequence[Sequence[Any]], columns: Sequence[str], first: int, vouched: Kinds = ()) -> list[Any]:
    """The values of many rows in one list, converted column by column, in C wherever nothing needs converting.

    `first` is the number of the first row, for errors. `vouched`: the kinds of a `Table`.
    """
    flat = list(chain.from_iterable(rows))
    width = len(columns)
    for position in range(width):
        kind = vouched[position] if vouched else None
        if kind is not None and kind in _BOUND:
            continue
        column = flat[position::width]
        kinds = {kind} if kind is not None else set(map(type, column))
        if not _storable(kinds - _AS_IS, column):
            flat[position::width] = _converted(column, columns[position], first)
    return flat


def _storable(kinds: set[type], column: list[Any]) -> bool:
    """Whether a column with values of `kinds`, beside texts and nulls, can be bound as it is.

    NaN is not noticed by the driver: a sum over the column finds it.
    """
    if not kinds or kinds == {int}:
        return True
    if not kinds <= {int, float}:
        return False
    try:
        total = sum(filter(None, column))
    except (TypeError, OverflowError):
        return False  # texts among them, or an integer that no float can hold
    return bool(total == total)


def _converted(column: list[Any], name: str, first: int) -> list[Any]:
    done = []
    for number, value in enumerate(column, first):
        try:
            done.append(encode(value))
        except ValueError as error:
            raise _refused(f"`{name}` of record {number}", error) from error
    return done


def checked(rows: Sequence[Sequence[Any]], columns: Sequence[str], first: int) -> None:
    """Look at every value of rows that the driver refused. Raises for the first that cannot be stored."""
    for number, row in enumerate(rows, first):
        for name, value in zip(columns, row):
            try:
                stored = encode(value)
                if isinstance(stored, str):
                    stored.encode()
            except ValueError as error:
                raise _refused(f"`{name}` of record {number}", error) from error


def _refused(what: str, error: ValueError) -> FlowExecutionError:
    if isinstance(error, UnicodeEncodeError):
        error = ValueError("no valid Unicode text: it holds half a character")
    return FlowExecutionError(f"{what}: {error}", error_class="validation")
