"""From a Python type hint to the type that flows are checked with. What cannot be mapped is `ANY`."""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

from flowlang.expressions import types as known
from flowlang.expressions.types import ANY, NULL, STRING, Type
from flowlang.records import frozen
from flowlang.tasks.spec import Form
from flowlang.tasks.stream import Stream
from flowlang.tasks.table import Table
from flowlang.tasks.values import Ident, KeptMark, QueryMark, SecretMark, Sql, UrlPathMark

_PLAIN: Mapping[Any, Type] = {
    str: known.STRING,
    int: known.INTEGER,
    float: known.NUMBER,
    bool: known.BOOLEAN,
    bytes: known.BYTES,
    bytearray: known.BYTES,
    decimal.Decimal: known.DECIMAL,
    datetime.datetime: known.TIMESTAMP,
    datetime.date: known.DATE,
    datetime.time: known.TIME,
    datetime.timedelta: known.DURATION,
    uuid.UUID: known.UUID,
    dict: known.OBJECT,
    list: known.ARRAY,
    tuple: known.ARRAY,
    set: known.ARRAY,
    frozenset: known.ARRAY,
    None: NULL,
    type(None): NULL,
    Sql: known.SQL,
    Ident: known.IDENTIFIER,
    Stream: Type("stream", items=ANY),
    Table: known.array(known.OBJECT),
}
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_LISTS = (
    list,
    tuple,
    set,
    frozenset,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Iterable,
    collections.abc.Collection,
    collections.abc.Set,
)
_STREAMS = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
)
_WRAPPERS = tuple(
    getattr(typing, name)
    for name in ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar")
    if hasattr(typing, name)
)
_DEEPEST = 16


@frozen
class Hinted:
    """All that a hint says of a parameter."""

    type: Type = ANY
    form: Form = "plain"
    secret: bool = False
    keeps: bool = False
    tables: bool = False
    choices: tuple[object, ...] | None = None
    description: str = ""


def type_of_hint(hint: Any) -> Type:
    """The type that values of `hint` have in flows."""
    return read_hint(hint).type


def read_hint(hint: Any, depth: int = 0) -> Hinted:
    """`hint` with everything it says beside its type: form, choices, secrecy."""
    if depth > _DEEPEST:
        return Hinted()
    if isinstance(hint, collections.abc.Hashable) and hint in _PLAIN:
        return Hinted(
            _PLAIN[hint], form="sql" if hint is Sql else "ident" if hint is Ident else "plain", tables=hint is Table
        )
    origin = get_origin(hint)
    if origin is typing.Annotated:
        return _annotated(hint, depth)
    if origin is Literal:
        return _literal(get_args(hint))
    if origin is typing.Union or origin is types.UnionType:
        return _union([read_hint(each, depth + 1) for each in get_args(hint)])
    if origin in _WRAPPERS:
        return read_hint(get_args(hint)[0], depth + 1)
    if origin is not None:
        return Hinted(_generic(origin, get_args(hint), depth))
    return _named(hint, depth)


def _annotated(hint: Any, depth: int) -> Hinted:
    inner, *marks = get_args(hint)
    found = read_hint(inner, depth + 1)
    if any(isinstance(each, SecretMark) or each is SecretMark for each in marks):
        found = replace(found, secret=True, type=replace(found.type, secret=True))
    if any(isinstance(each, KeptMark) or each is KeptMark for each in marks):
        found = replace(found, keeps=True)
    if any(isinstance(each, UrlPathMark) for each in marks):
        found = replace(found, form="path")
    if any(isinstance(each, QueryMark) or each is QueryMark for each in marks):
        found = replace(found, form="query")
    about = next((each for each in marks if isinstance(each, str)), "")
    return replace(found, description=about) if about else found


def _literal(values: tuple[Any, ...]) -> Hinted:
    plain = tuple(each.value if isinstance(each, enum.Enum) else each for each in values)
    solid = tuple(each for each in plain if each is not None)
    found = known.union(*map(known.type_of, plain))
    if found.kind != "any":
        found = replace(found, enum=solid)
    return Hinted(found, choices=solid)


def _union(members: list[Hinted]) -> Hinted:
    """Any of several. A statement or a name that may also be given as plain text stays what it is."""
    solid = [each for each in members if each.type.kind != "null"]
    nullable = len(solid) < len(members)
    form: Form = next((each.form for each in solid if each.form != "plain"), "plain")
    choices: tuple[object, ...] | None = None
    if solid and all(each.choices is not None for each in solid):
        choices = tuple(dict.fromkeys(value for each in solid for value in each.choices or ()))
    if form != "plain" and all(each.type.kind in ("string", "identifier", "sql") for each in solid):
        found = known.SQL if form == "sql" else STRING
    else:
        found = known.one_of(*(each.type for each in solid)) if solid else NULL
    if choices is not None and found.kind not in ("any", "null"):
        found = replace(found, enum=choices)
    found = found.or_null() if nullable else found
    return Hinted(
        found,
        form,
        secret=any(each.secret for each in members),
        keeps=any(each.keeps for each in members),
        tables=any(each.tables for each in members),
        choices=choices,
    )


def _generic(origin: Any, arguments: tuple[Any, ...], depth: int) -> Type:
    if origin in _MAPPINGS:
        return known.OBJECT
    items = [read_hint(each, depth + 1).type for each in arguments if each is not Ellipsis]
    if origin in _LISTS:
        return known.array(known.union(*items)) if items else known.ARRAY
    if origin in _STREAMS:
        batch = items[0] if items else ANY
        return known.stream(batch.items if batch.kind == "array" and batch.items is not None else ANY)
    return ANY


def _named(hint: Any, depth: int) -> Hinted:
    """A class or alias without arguments."""
    if typing.is_typeddict(hint):
        fields = typed_dict_fields(hint, depth + 1)
        return Hinted(known.record(fields, required=_required(hint)))
    alias = getattr(hint, "__value__", None) or getattr(hint, "__supertype__", None) or getattr(hint, "__bound__", None)
    if alias is not None:
        return read_hint(alias, depth + 1)
    if not isinstance(hint, type):
        return Hinted()
    if issubclass(hint, enum.Enum):
        return _literal(tuple(hint)) if issubclass(hint, (str, int)) else Hinted()
    if hint in _MAPPINGS:
        return Hinted(known.OBJECT)
    if hint in _LISTS:
        return Hinted(known.ARRAY)
    if hint in _STREAMS:
        return Hinted(Type("stream", items=ANY))
    # A subclass of a plain type takes what flows hold only where the two look the same.
    return Hinted(STRING, form="ident") if issubclass(hint, Ident) else Hinted()


def _required(kind: Any) -> frozenset[str]:
    """The keys that a `TypedDict` must have. Its own `__required_keys__` misses `NotRequired` in hints kept as text."""
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - a hint is foreign code: whatever it raises, nothing is demanded
        return frozenset()
    return frozenset(name for name in kind.__required_keys__ if get_origin(hints.get(name)) is not typing.NotRequired)


def typed_dict_fields(kind: Any, depth: int = 0) -> dict[str, Type]:
    """The fields of a `TypedDict` with their types; a hint that cannot be resolved is `ANY`."""
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - a hint is foreign code: whatever it raises, the field is of unknown type
        hints = dict.fromkeys(kind.__annotations__, Any)
    return {name: read_hint(hint, depth).type for name, hint in hints.items()}
