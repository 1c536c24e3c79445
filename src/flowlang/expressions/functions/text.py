"""Functions of text.

`matches` uses the Rust `regex` engine that jsonschema-rs carries: its time grows linearly with the text whatever
the pattern, it has no look-around and no back-references, and a pattern over a size limit is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from flowlang.expressions.functions.model import Function, parameter, want_integer, want_list, want_text
from flowlang.expressions.runtime import MAX_TEXT, ExpressionError, Ident, Work, check_size, kind_of, text
from flowlang.expressions.types import ANY, ARRAY, BOOLEAN, IDENTIFIER, INTEGER, OBJECT, STRING, Type, array

_PATTERN_BYTES = 1 << 20


def _mapped(name: str, change: Callable[[str], str]) -> Callable[[Work, Any], str]:
    def run(work: Work, value: Any) -> str:
        given = want_text(value, name)
        work.charge(len(given) >> 4)
        check_size(len(given), True)
        return change(given)

    return run


def _strip(work: Work, value: Any, characters: Any = None) -> str:
    given = want_text(value, "strip")
    work.charge(len(given) >> 4)
    return given.strip(None if characters is None else want_text(characters, "strip"))


def _join(work: Work, values: Any, separator: Any = "") -> str:
    parts = [text(each) for each in want_list(values, "join")]
    between = want_text(separator, "join")
    size = sum(map(len, parts)) + len(between) * len(parts)
    work.charge((len(parts) >> 2) + (size >> 4))
    check_size(size, True)
    return between.join(parts)


def _split(work: Work, value: Any, separator: Any = None, most: Any = None) -> list[str]:
    given = want_text(value, "split")
    work.charge(len(given) >> 3)
    between = None if separator is None else want_text(separator, "split")
    if between == "":
        raise ExpressionError("`split` needs a separator that is not empty")
    return given.split(between, -1 if most is None else want_integer(most, "split"))


def _replace(work: Work, value: Any, old: Any, new: Any) -> str:
    given, before, after = (want_text(each, "replace") for each in (value, old, new))
    if before == "":
        raise ExpressionError("`replace` needs a text to look for that is not empty")
    size = len(given) + given.count(before) * max(0, len(after) - len(before))
    work.charge((len(given) + size) >> 4)
    check_size(size, True)
    return given.replace(before, after)


def _starts_with(value: Any, start: Any) -> bool:
    return want_text(value, "starts_with").startswith(want_text(start, "starts_with"))


def _ends_with(value: Any, end: Any) -> bool:
    return want_text(value, "ends_with").endswith(want_text(end, "ends_with"))


def _contains(work: Work, value: Any, item: Any) -> bool:
    if isinstance(value, str):
        work.charge(len(value) >> 6)
        return want_text(item, "contains") in value
    if isinstance(value, dict):
        return isinstance(item, str) and item in value
    if isinstance(value, (list, tuple)):
        work.sized(value)
        return item in value
    raise ExpressionError(f"`contains` looks into a text, a list or an object, this is {kind_of(value)}")


@functools.lru_cache(maxsize=512)
def _pattern(pattern: str) -> Callable[[str], bool]:
    import jsonschema_rs

    options = jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES)
    try:
        validator = jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options)
    except ValueError:  # `ValidationError`, and what a lone surrogate gives
        message = "this is not a pattern that `matches` knows: look-around and back-references take unbounded time"
        raise ExpressionError(message) from None
    return validator.is_valid


def _matches(work: Work, value: Any, pattern: Any) -> bool:
    given = want_text(value, "matches")
    work.charge(len(given) >> 4)
    if len(pattern := want_text(pattern, "matches")) > 1_000:
        raise ExpressionError("a pattern is at most 1,000 characters long")
    if len(given) > MAX_TEXT:
        raise ExpressionError(f"`matches` takes at most {MAX_TEXT:,} characters")
    try:
        return _pattern(pattern)(given)
    except ValueError:
        raise ExpressionError("this text holds half a character (a lone surrogate)") from None


def _ident(value: Any) -> Ident:
    name = want_text(value, "ident")
    if not name or "\x00" in name:
        raise ExpressionError("an identifier cannot be empty or hold a NUL")
    return Ident(name)


def _sliceable(arguments: Sequence[Type]) -> Type:
    return arguments[0] if arguments else ANY


_TEXT = parameter("text", STRING)

FUNCTIONS = (
    Function(
        "lower",
        (_TEXT,),
        STRING,
        "The text in small letters.",
        "lower('ABC')",
        '"abc"',
        _mapped("lower", str.lower),
        work=True,
    ),
    Function(
        "upper",
        (_TEXT,),
        STRING,
        "The text in capital letters.",
        "upper('abc')",
        '"ABC"',
        _mapped("upper", str.upper),
        work=True,
    ),
    Function(
        "strip",
        (_TEXT, parameter("characters", STRING, optional=True)),
        STRING,
        "The text without the white space (or the given characters) at its ends.",
        "strip('  a b ')",
        '"a b"',
        _strip,
        work=True,
    ),
    Function(
        "join",
        (parameter("list", ARRAY), parameter("separator", STRING, optional=True)),
        STRING,
        "One text of the items of a list, with `separator` between them.",
        "join(['a', 'b', 3], '-')",
        '"a-b-3"',
        _join,
        doc="Items become text as in a text with `${…}`: null, lists and objects are refused.",
        work=True,
    ),
    Function(
        "split",
        (_TEXT, parameter("separator", STRING, optional=True), parameter("most", INTEGER, optional=True)),
        array(STRING),
        "The parts of a text between the separators (by default white space).",
        "split('a,b,c', ',')",
        '["a", "b", "c"]',
        _split,
        doc="At most `most` cuts are made.",
        work=True,
    ),
    Function(
        "replace",
        (_TEXT, parameter("old", STRING), parameter("new", STRING)),
        STRING,
        "The text with every `old` replaced by `new`.",
        "replace('a-b-c', '-', '+')",
        '"a+b+c"',
        _replace,
        work=True,
    ),
    Function(
        "starts_with",
        (_TEXT, parameter("start", STRING)),
        BOOLEAN,
        "Whether the text begins with `start`.",
        "starts_with('flow.yaml', 'flow')",
        "true",
        _starts_with,
    ),
    Function(
        "ends_with",
        (_TEXT, parameter("end", STRING)),
        BOOLEAN,
        "Whether the text ends with `end`.",
        "ends_with('flow.yaml', '.yaml')",
        "true",
        _ends_with,
    ),
    Function(
        "contains",
        (parameter("value", STRING, ARRAY, OBJECT), parameter("item")),
        BOOLEAN,
        "Whether a text holds a text, a list an item, or an object a key.",
        "contains(['a', 'b'], 'b')",
        "true",
        _contains,
        doc="The same as `item in value`.",
        work=True,
    ),
    Function(
        "matches",
        (_TEXT, parameter("pattern", STRING)),
        BOOLEAN,
        "Whether the regular expression is found in the text.",
        "matches('order-17', r'^order-[0-9]+$')",
        "true",
        _matches,
        doc="The syntax is that of Rust's `regex`: time is linear in the text, so there is no look-around and no "
        "back-reference. `^` and `$` tie the pattern to the ends. Patterns are best written `r'…'`.",
        work=True,
    ),
    Function(
        "ident",
        (_TEXT,),
        IDENTIFIER,
        "The name of a table or column, for a place in SQL that takes no value.",
        "ident('orders')",
        '"orders"',
        _ident,
        doc="The connection quotes it in its own way.",
    ),
)
