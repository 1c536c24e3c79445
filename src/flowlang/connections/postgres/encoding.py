"""Values on their way into the database: what each type of the server's takes."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from types import NoneType
from typing import Any
from uuid import UUID

from flowlang.connections.postgres.intervals import parsed_interval
from flowlang.exceptions import FlowExecutionError
from flowlang.records import frozen
from flowlang.tasks.jsontext import duration_text, to_json
from flowlang.tasks.values import Ident

Convert = Callable[[Any], Any]


@frozen
class Encoder:
    """How values get into one type: null and those of the class `native` as they are, all others by `convert`, which
    raises ValueError with the reason for a value that does not fit. `binary`: COPY can send it."""

    native: type
    convert: Convert
    binary: bool = True

    def one(self, value: Any) -> Any:
        return value if value is None or type(value) is self.native else self.convert(value)


def _wants(what: str, value: object) -> ValueError:
    return ValueError(f"it expects {what}, not {_called(value)}")


_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a number"),
    (Decimal, "a decimal"),
    (Ident, "a name made by ident()"),
    (str, "text"),
    (datetime.datetime, "a timestamp"),
    (datetime.date, "a date"),
    (datetime.time, "a time"),
    (datetime.timedelta, "a duration"),
    (UUID, "a uuid"),
    (Mapping, "an object"),
    (list, "a list"),
    (tuple, "a list"),
    (bytes, "bytes"),
)


def _called(value: object) -> str:
    return next((name for kind, name in _NAMES if isinstance(value, kind)), type(value).__name__)


def _integer(low: int, high: int) -> Convert:
    def convert(value: Any) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(value, (float, Decimal)):
            whole = math.isfinite(value) and value == int(value)
        if not whole:
            hint = ": use int(x)" if isinstance(value, str) else ""
            raise ValueError(f"{_wants('an integer', value)}{hint}")
        if not low <= value <= high:
            raise ValueError(f"it is outside of {low} to {high}")
        return int(value)

    return convert


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        hint = ": use float(x)" if isinstance(value, str) else ""
        raise ValueError(f"{_wants('a number', value)}{hint}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("it is too large for this type: use a column of type numeric") from None
    if isinstance(value, int) and number != value:
        raise ValueError("this integer has more digits than the type holds: use a column of type numeric")
    return number


def _numeric(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)) or isinstance(value, Ident):
        raise _wants("a decimal", value)
    try:
        return Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise ValueError("this text is no decimal number") from None


def _boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise _wants("a boolean", value)


def text_of(value: Any) -> str:
    """The text that a value has in a text column."""
    if isinstance(value, Ident):
        raise ValueError("a name made by ident() is no value: put `${ident(…)}` into the statement")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal, UUID)):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return duration_text(value)
    if isinstance(value, (Mapping, list, tuple)):
        return _json(value)
    raise _wants("text", value)


def _bytes(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise _wants("bytes", value)


def _uuid(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, str):
        try:
            return UUID(value)
        except ValueError:
            raise ValueError("this text is no uuid") from None
    raise _wants("a uuid", value)


def _parsed(kind: Any, what: str, value: Any) -> Any:
    if not isinstance(value, str):
        raise _wants(what, value)
    try:
        return kind.fromisoformat(value)
    except ValueError:
        raise ValueError(f"this text is not {what} in ISO 8601") from None


def _date(value: Any) -> datetime.date:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    found: datetime.date = _parsed(datetime.date, "a date", value)
    return found


def _time(value: Any) -> datetime.time:
    found: datetime.time = value if isinstance(value, datetime.time) else _parsed(datetime.time, "a time", value)
    if found.tzinfo is not None:
        raise ValueError("it has a zone, and the type `time` has none")
    return found


def _timetz(value: Any) -> datetime.time:
    found: datetime.time = value if isinstance(value, datetime.time) else _parsed(datetime.time, "a time", value)
    if found.tzinfo is None:
        raise ValueError("it has no zone, and the type `timetz` needs one: `12:00+00:00`")
    return found


def _timestamp(value: Any) -> datetime.datetime:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return datetime.datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the type has no zone
    found = value if isinstance(value, datetime.datetime) else _parsed(datetime.datetime, "a timestamp", value)
    naive: datetime.datetime = found if found.tzinfo is None else found.astimezone(datetime.UTC).replace(tzinfo=None)
    return naive


def _timestamptz(value: Any) -> datetime.datetime:
    found: datetime.datetime = (
        value if isinstance(value, datetime.datetime) else _parsed(datetime.datetime, "a timestamp", value)
    )
    if found.tzinfo is None:
        raise ValueError("it has no zone, and the type `timestamptz` is a moment: write `…Z` or an offset")
    return found


def _interval(value: Any) -> datetime.timedelta | tuple[int, int, int]:
    """A duration, or the months, days and microseconds of a text."""
    if isinstance(value, datetime.timedelta):
        return value
    if not isinstance(value, str):
        raise _wants("a duration", value)
    return parsed_interval(value)


def _json(value: Any) -> str:
    try:
        return to_json(value)
    except FlowExecutionError as error:
        raise ValueError(str(error)) from error


def _not_taken(what: str, hint: str) -> Convert:
    def convert(value: Any) -> Any:
        raise ValueError(f"{what} cannot be bound: {hint}")

    return convert


def _enc(convert: Convert, native: type = NoneType, *, binary: bool = True) -> Encoder:
    return Encoder(native, convert, binary)


def _char(value: Any) -> bytes:
    text = text_of(value)
    if len(text) > 1 or not text.isascii():
        raise ValueError("the type `char` with quotes holds one ASCII character")
    return text.encode()


_TEXT = _enc(text_of, str)
_TEXT_ONLY = _enc(text_of, str, binary=False)
_ENCODERS: Mapping[str, Encoder] = {
    "text": _TEXT,
    "varchar": _TEXT,
    "bpchar": _TEXT,
    "name": _TEXT,
    "char": _enc(_char),
    "bool": _enc(_boolean, bool),
    "int2": _enc(_integer(-(2**15), 2**15 - 1), int),
    "int4": _enc(_integer(-(2**31), 2**31 - 1), int),
    "int8": _enc(_integer(-(2**63), 2**63 - 1), int),
    "oid": _enc(_integer(0, 2**32 - 1), int),
    "float4": _enc(_float, float),
    "float8": _enc(_float, float),
    "numeric": _enc(_numeric, Decimal),
    "bytea": _enc(_bytes, bytes),
    "uuid": _enc(_uuid, UUID),
    "date": _enc(_date, datetime.date),
    "time": _enc(_time),
    "timetz": _enc(_timetz),
    "timestamp": _enc(_timestamp),
    "timestamptz": _enc(_timestamptz),
    "interval": _enc(_interval, datetime.timedelta),
    "json": _enc(_json),
    "jsonb": _enc(_json),
}


def encoder(type_: Any) -> Encoder:
    """How values get into a type that the server told of (asyncpg's `Type`: `name`, `kind`, `schema`)."""
    if type_.kind == "array":
        name = type_.name.removesuffix("[]")
        return _array(_element(name, type_.schema), flat=name in ("json", "jsonb"))
    if type_.kind in ("range", "multirange"):
        return _enc(_not_taken("a range", f"cast it in the statement, `${{x}}::text::{type_.name}`"))
    if type_.kind == "composite":
        return _enc(_not_taken("a composite value", "write `ROW(${x}, ${y})` in the statement"))
    return _element(type_.name, type_.schema)


def _element(name: str, schema: str) -> Encoder:
    return _ENCODERS.get(name, _TEXT_ONLY) if schema == "pg_catalog" else _TEXT_ONLY


def _array(element: Encoder, *, flat: bool) -> Encoder:
    """`flat`: a list inside the list is an item, not another dimension."""

    def convert(value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise _wants("a list", value)
        return [convert(each) if isinstance(each, (list, tuple)) and not flat else element.one(each) for each in value]

    return _enc(convert, binary=element.binary)


def converted(column: Sequence[Any], into: Encoder, name: str, first: int) -> list[Any]:
    """A column of records, each value converted. Raises FlowExecutionError (`validation`) that names the record."""
    done = []
    for number, value in enumerate(column, first):
        try:
            done.append(into.one(value))
        except ValueError as error:
            raise refused(f"`{name}` of record {number}", error) from error
    return done


def refused(what: str, error: ValueError) -> FlowExecutionError:
    if isinstance(error, UnicodeEncodeError):
        error = ValueError("no valid Unicode text: it holds half a character")
    return FlowExecutionError(f"{what}: {error}", error_class="validation")
