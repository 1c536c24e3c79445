"""What stands beside a type in `Annotated`: words, secrecy and bounds, as they are in a JSON Schema.

A bound is anything with the attributes of the package annotated-types (https://github.com/annotated-types/annotated-types):
`ge`, `gt`, `le`, `lt`, `multiple_of`, `min_length`, `max_length`; and `pattern`. Those below are for plugins that would
need that package for nothing else.
"""

from __future__ import annotations

import re
from typing import Any

from flowlang.exceptions import PluginError
from flowlang.records import frozen
from flowlang.tasks.values import SecretMark

Schema = dict[str, Any]


@frozen
class Ge:
    """`Annotated[int, Ge(1)]`: at least 1."""

    ge: float


@frozen
class Gt:
    """`Annotated[float, Gt(0)]`: more than 0."""

    gt: float


@frozen
class Le:
    """`Annotated[int, Le(65535)]`: at most 65535."""

    le: float


@frozen
class Lt:
    """`Annotated[float, Lt(1)]`: less than 1."""

    lt: float


@frozen
class MinLen:
    """`Annotated[str, MinLen(1)]`: at least one character; of a list, one item."""

    min_length: int


@frozen
class MaxLen:
    """`Annotated[str, MaxLen(64)]`: at most 64 characters; of a list, items."""

    max_length: int


@frozen
class Pattern:
    """`Annotated[str, Pattern("^sk_")]`: a text in which the regular expression is found."""

    pattern: str


_NUMBERS = frozenset({"integer", "number"})
_OF_NUMBERS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
_OF_LENGTHS = {"min_length": "min", "max_length": "max"}
_LENGTHS = {"string": "Length", "array": "Items", "object": "Properties"}


def with_marks(schema: Schema, marks: tuple[Any, ...], where: str) -> Schema:
    """`schema` with what the marks say. Raises `PluginError` that begins with `where`."""
    found = dict(schema)
    for mark in marks:
        if isinstance(mark, SecretMark) or mark is SecretMark:
            found["writeOnly"] = True
        elif isinstance(mark, str) or isinstance(getattr(mark, "documentation", None), str):
            found["description"] = mark if isinstance(mark, str) else mark.documentation
        else:
            found |= _bounds(found, mark, where)
    return found


def _bounds(schema: Schema, mark: Any, where: str) -> Schema:
    """What a mark adds to the schema. Marks of other libraries add nothing (PEP 593)."""
    if isinstance(mark, type):
        raise PluginError(f"{where}: `{mark.__name__}` stands in `Annotated` without its value: `{mark.__name__}(…)`")
    kinds = schema.get("type", [])
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    found: Schema = {}
    for attribute, keyword in _OF_NUMBERS.items():
        if (value := getattr(mark, attribute, None)) is not None:
            if not kinds & _NUMBERS:
                raise PluginError(
                    f"{where}: {mark!r} bounds numbers, and it is none; `MinLen` and `Pattern` bound texts"
                )
            found[keyword] = value
    for attribute, keyword in _OF_LENGTHS.items():
        if (value := getattr(mark, attribute, None)) is not None:
            of = next((word for kind, word in _LENGTHS.items() if kind in kinds), None)
            if of is None:
                raise PluginError(f"{where}: {mark!r} bounds lengths, and it has none; `Ge` and `Le` bound numbers")
            found[f"{keyword}{of}"] = value
    if isinstance(pattern := getattr(mark, "pattern", None), str):
        found["pattern"] = _checked_pattern(pattern, kinds, where)
    if not found and type(mark).__module__.partition(".")[0] == "annotated_types":
        raise PluginError(f"{where}: {mark!r} cannot be said in a JSON Schema: check it in `__post_init__`")
    return found


def _checked_pattern(pattern: str, kinds: set[str], where: str) -> str:
    if "string" not in kinds:
        raise PluginError(f"{where}: a pattern is for texts, and it is none")
    try:
        re.compile(pattern)
    except re.error as error:
        raise PluginError(f"{where}: {pattern!r} is no regular expression: {error}") from error
    return pattern
