"""The types that the check reasons with. `ANY` means unknown: it fits everywhere and is never a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from flowlang.records import frozen

Kind = Literal[
    "any",
    "null",
    "string",
    "integer",
    "number",
    "boolean",
    "decimal",
    "bytes",
    "timestamp",
    "date",
    "time",
    "duration",
    "uuid",
    "object",
    "array",
    "stream",
    "identifier",
    "sql",
]


@frozen
class Type:
    """A type.

    `items` is the element type of an array or stream; `fields` are the known keys of an object, None when
    nothing is known about them; `open` says that an object may have further keys; `nullable` that null is
    allowed beside `kind`; `enum` lists the only possible values, when they are known; `secret` marks a value
    that must be masked wherever it goes; `required` are the fields that a literal object must have; `options`, of
    `any`, are the types of which it is one when it is only not known which; `partial` are the `fields` that a given
    object may be without.
    """

    kind: Kind
    items: Type | None = None
    fields: Mapping[str, Type] | None = None
    open: bool = False
    nullable: bool = False
    enum: tuple[object, ...] | None = None
    secret: bool = False
    required: frozenset[str] = frozenset()
    options: tuple[Type, ...] = ()
    partial: frozenset[str] = frozenset()

    def __str__(self) -> str:
        name: str = self.kind
        if self.options:
            return " or ".join([*dict.fromkeys(map(str, self.options)), *(["null"] if self.nullable else [])])
        if self.kind in ("array", "stream") and self.items is not None and self.items.kind != "any":
            name = f"{self.kind} of {self.items}"
        return f"{name} or null" if self.nullable and self.kind not in ("any", "null") else name

    def or_null(self) -> Type:
        if self.nullable or self.kind == "null" or (self.kind == "any" and not self.options):
            return self
        return replace(self, nullable=True)

    def not_null(self) -> Type:
        return replace(self, nullable=False) if self.nullable else self

    def option(self, kind: Kind) -> Type:
        """Of several options the one of `kind`; the type itself when it has none."""
        return next((each for each in self.options if each.kind == kind), self)


ANY = Type("any")
NULL = Type("null")
STRING = Type("string")
INTEGER = Type("integer")
NUMBER = Type("number")
BOOLEAN = Type("boolean")
DECIMAL = Type("decimal")
BYTES = Type("bytes")
TIMESTAMP = Type("timestamp")
DATE = Type("date")
TIME = Type("time")
DURATION = Type("duration")
UUID = Type("uuid")
OBJECT = Type("object")
ARRAY = Type("array")
IDENTIFIER = Type("identifier")
SQL = Type("sql")  # only ever wanted, never given: a text whose expressions are bound

NUMERIC: frozenset[str] = frozenset({"integer", "number", "decimal"})


def array(items: Type) -> Type:
    return Type("array", items=items)


def stream(items: Type) -> Type:
    return Type("stream", items=items)


def record(
    fields: Mapping[str, Type],
    *,
    open: bool = False,  # noqa: A002 - the field's word
    required: frozenset[str] = frozenset(),
) -> Type:
    return Type("object", fields=MappingProxyType(dict(fields)), open=open, required=required)


def holds(given: Type, mark: Callable[[Type], bool], depth: int = 0) -> bool:
    """Whether `mark` is true of a type or of any part of it."""
    if mark(given):
        return True
    if depth > 16:
        return False
    if given.items is not None and holds(given.items, mark, depth + 1):
        return True
    return given.fields is not None and any(holds(each, mark, depth + 1) for each in given.fields.values())


def holds_secret(given: Type) -> bool:
    """Whether a value of this type, taken as a whole, shows something secret."""
    if given.items is None and given.fields is None:
        return given.secret
    return holds(given, lambda each: each.secret)


def holds_stream(given: Type) -> bool:
    return holds(given, lambda each: each.kind == "stream")


def accepts(expected: Type, given: Type) -> bool:
    """Whether a value of type `given` may stand where `expected` is wanted. Unknown is always accepted."""
    if expected.options and given.kind != "any":
        return any(accepts(each.or_null() if expected.nullable else each, given) for each in expected.options)
    if expected.kind == "any" or given.kind == "any":
        return True
    if given.kind == "null":
        return expected.nullable or expected.kind == "null"
    if given.nullable and not expected.nullable:
        return False
    if expected.kind == given.kind:
        return _parts_accept(expected, given)
    widening = {
        "number": NUMERIC,
        "decimal": NUMERIC,
        "string": {"identifier"},
        "sql": {"string"},
        "date": {"timestamp"},
    }
    return given.kind in widening.get(expected.kind, ())


def _parts_accept(expected: Type, given: Type) -> bool:
    if expected.items is not None and given.items is not None:
        return accepts(expected.items, given.items)
    if expected.fields and given.fields is not None and not given.open:
        shared = expected.fields.keys() & given.fields.keys()
        return all(accepts(expected.fields[name], given.fields[name]) for name in shared)
    return True


def one_of(*types: Type) -> Type:
    """What a place wants that takes values of any of `types`, which have nothing else in common."""
    joined = union(*types)
    solid = [each.not_null() for each in types if each.kind != "null"]
    if joined.kind != "any" or any(each.kind == "any" for each in solid):
        return joined
    nullable = any(each.nullable or each.kind == "null" for each in types)
    apart = tuple(each for at, each in enumerate(solid) if each not in solid[:at])
    return replace(joined, options=apart, nullable=nullable)


def union(*types: Type) -> Type:
    """The narrowest type that all of `types` fit."""
    nullable = any(each.nullable or each.kind == "null" for each in types)
    solid = [each.not_null() for each in types if each.kind != "null"]
    if not solid:
        return NULL
    first = solid[0]
    for each in solid[1:]:
        first = _join(first, each)
    secret = any(each.secret for each in types)
    joined = first.or_null() if nullable else first
    return replace(joined, secret=True) if secret and not joined.secret else joined


def _join(a: Type, b: Type) -> Type:
    if a == b:
        return a
    if a.kind == b.kind and a.kind in ("array", "stream"):
        return Type(a.kind, items=union(a.items or ANY, b.items or ANY))
    if a.kind == b.kind == "object":
        if a.fields is None or b.fields is None:
            return _lost(OBJECT, a, b)
        return _join_records(a.fields, b.fields, a.partial | b.partial, open=a.open or b.open)
    if a.kind == b.kind:
        return _lost(Type(a.kind), a, b)
    return _lost(NUMBER if {a.kind, b.kind} == {"integer", "number"} else ANY, a, b)


def _join_records(
    a: Mapping[str, Type],
    b: Mapping[str, Type],
    partial: frozenset[str],
    *,
    open: bool,  # noqa: A002 - the field's word
) -> Type:
    """A key that only one of two objects has may be missing; nothing is known of it when the other one may have it,
    too."""
    shared = {name: union(each, b[name]) for name, each in a.items() if name in b}
    apart = {name: each for fields in (a, b) for name, each in fields.items() if name not in shared}
    if open:
        return _lost(replace(record(shared, open=True), partial=partial & shared.keys()), *apart.values())
    return replace(record({**shared, **apart}), partial=partial | apart.keys())


def _lost(joined: Type, *parts: Type) -> Type:
    """`joined`, which no longer tells `parts` apart: secret as a whole when one of them holds something secret."""
    return replace(joined, secret=True) if any(map(holds_secret, parts)) else joined


_PLAIN = {type(None): NULL, bool: BOOLEAN, int: INTEGER, float: NUMBER, str: STRING}


def type_of(value: object) -> Type:
    """The type of a plain value, as a literal in a flow has it."""
    known = _PLAIN.get(type(value))
    if known is not None:
        return known
    import datetime
    import decimal
    import uuid

    if isinstance(value, Mapping):
        return record({str(key): type_of(each) for key, each in value.items()})
    if isinstance(value, (list, tuple)):
        return array(union(*map(type_of, value)) if value else ANY)
    table: list[tuple[type, Type]] = [
        (bool, BOOLEAN),
        (int, INTEGER),
        (float, NUMBER),
        (str, STRING),
        (bytes, BYTES),
        (decimal.Decimal, DECIMAL),
        (datetime.datetime, TIMESTAMP),
        (datetime.date, DATE),
        (datetime.time, TIME),
        (datetime.timedelta, DURATION),
        (uuid.UUID, UUID),
    ]
    return next((known for python, known in table if isinstance(value, python)), ANY)
