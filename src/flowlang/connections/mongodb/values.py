"""FlowLang's values in MongoDB, and MongoDB's in FlowLang.

| written | stored as | read back as |
|---|---|---|
| null, boolean, text, number | the same; NaN, infinity and −0.0 too | the same |
| integer of 64 bits | int or long | integer; a larger one is refused |
| decimal of 34 digits | decimal | decimal; one with more digits is refused |
| bytes | binary | bytes |
| uuid | binary, standard representation | uuid |
| timestamp | date: UTC, milliseconds | timestamp in UTC; what is finer is cut off, no zone counts as UTC |
| date, time | text, ISO 8601 | text |
| duration | text, ISO 8601 (`P1DT2H`) | text |
| list, object | array, document | the same; an object keeps the order of its keys |
| `{$oid: 24 hexadecimal digits}` | ObjectId | text of 24 digits, or again `{$oid: …}` with `object_ids: extended` |
| text of 24 hexadecimal digits as `_id` | ObjectId | text, or `{$oid: …}` |

What only MongoDB has is read as text or objects: a regular expression as `/pattern/flags`, code as text, a
timestamp of the oplog as `{t, i}`, a reference as `{$ref, $id}`, the keys Min and Max as text; a date outside of the
years 1 to 9999 is refused.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.jsontext import duration_text
from flowlang.tasks.values import Ident

if TYPE_CHECKING:
    from bson import ObjectId

OID = "$oid"
_HEX = re.compile(r"[0-9a-fA-F]{24}\Z")
_MOST_SHAPES = 1000
_FLAT: frozenset[type] = frozenset(  # types whose values hold no others, and are what they seem
    {type(None), bool, int, float, str, bytes, Decimal, UUID}
    | {datetime.datetime, datetime.date, datetime.time, datetime.timedelta}
)


def unknown_to_the_driver(value: Any) -> Any:
    """What the driver writes for a value that it has no type for. Raises ValueError or TypeError."""
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return duration_text(value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, int):  # the driver asks about those that it cannot write
        raise ValueError("this integer does not fit MongoDB's 64 bits; store it as text: str(x)")
    raise TypeError(f"a value of type {type(value).__name__} cannot be stored")


def _decimal(value: Decimal) -> Any:
    import decimal

    from bson.decimal128 import Decimal128

    try:
        return Decimal128(value)
    except decimal.DecimalException:
        raise ValueError("this decimal has more than 34 digits; store it as text: str(x)") from None


# ---------------------------------------------------------------- ids


def object_id(value: object) -> ObjectId | None:
    """The ObjectId that a text of 24 hexadecimal digits stands for; None for everything else."""
    if not isinstance(value, str) or not _HEX.match(value):
        return None
    from bson import ObjectId

    return ObjectId(value)


def as_id(value: object) -> object:
    """A value of `_id`: a text that looks like an ObjectId is one."""
    found = object_id(value)
    return value if found is None else found


def is_oid(value: dict[str, Any]) -> bool:
    return len(value) == 1 and OID in value


def of_oid(value: dict[str, Any], where: str) -> ObjectId:
    """The ObjectId of `{$oid: …}`."""
    found = object_id(value[OID])
    if found is None:
        raise refused(f"`{OID}` in {where} must be a text of 24 hexadecimal digits")
    return found


# ---------------------------------------------------------------- data


class Plain:
    """Makes documents of data: objects whose keys are names of fields and nothing else.

    It remembers the shapes (the keys of an object) that it has seen, for documents of one collection look alike.
    `operators`: keys of operators and dotted paths are let through.
    """

    __slots__ = ("_known", "_operators")

    def __init__(self, *, operators: bool = False) -> None:
        self._operators = operators
        self._known: set[tuple[str, ...]] = set()

    def alike(self, values: list[Any]) -> list[dict[str, Any]] | None:
        """The documents of many values at once, if all have shapes that were seen before and flat values; else None."""
        if set(map(type, values)) != {dict}:
            return None
        shapes = set(map(tuple, values))
        if not shapes <= self._known or not _FLAT.issuperset(map(type, chain.from_iterable(map(dict.values, values)))):
            return None
        made = list(map(dict.copy, values))
        if any("_id" in shape for shape in shapes):
            for each in made:
                if type(each.get("_id")) is str:
                    each["_id"] = as_id(each["_id"])
        return made

    def document(self, value: Any, where: str) -> dict[str, Any]:
        """A document as the driver takes it: a new dict, since the driver adds `_id` to the one that it gets."""
        if not isinstance(value, dict):
            raise refused(f"{where} must be an object, not {_kind(value)}")
        return self._object(value, where)

    def value(self, value: Any, where: str) -> Any:
        """A value at any depth."""
        if isinstance(value, dict):
            return of_oid(value, where) if is_oid(value) else self._object(value, where)
        if isinstance(value, (list, tuple)):
            return [self.value(each, f"{where}[{index}]") for index, each in enumerate(value)]
        if isinstance(value, Ident):
            raise refused(f"{where}: a name made by ident() is no value")
        return value

    def _object(self, value: dict[str, Any], where: str) -> dict[str, Any]:
        shape = tuple(value)
        if shape not in self._known:
            self._check(shape, where)
            if len(self._known) >= _MOST_SHAPES:
                self._known.clear()
            self._known.add(shape)
        made = dict(value)
        for key, each in value.items():
            if type(each) not in _FLAT:
                made[key] = self.value(each, f"{where}.{key}")
        if isinstance(made.get("_id"), str):
            made["_id"] = as_id(made["_id"])
        return made

    def _check(self, keys: Iterable[object], where: str) -> None:
        for key in keys:
            if not isinstance(key, str):
                raise refused(f"{where} has a key that is no text: {key!r}")
            check_name(key, where)
            if key in CODE or (not self._operators and (key.startswith("$") or "." in key)):
                raise operator_in_data(key, where)


CODE = frozenset({"$where", "$function", "$accumulator"})  # operators that hold JavaScript for the server to run


def check_name(key: str, where: str) -> None:
    if key == "__proto__":
        raise refused(f"{where} has the key `__proto__`, which changes objects in programs that read it: rename it")
    if "\0" in key:
        raise refused(f"{where} has a key with a NUL character: MongoDB has no such names")


def operator_in_data(key: str, where: str) -> FlowExecutionError:
    kind = "an operator" if key.startswith("$") else "a path"
    error = refused(f"{where} comes from data and has the key `{key}`, which would be {kind} of MongoDB")
    error.add_note("write operators and paths in the flow itself, with the expression at the place of the value")
    return error


def refused(text: str) -> FlowExecutionError:
    return FlowExecutionError(text, error_class="validation")


def _kind(value: object) -> str:
    return {"NoneType": "null", "str": "text", "list": "a list"}.get(type(value).__name__, type(value).__name__)
