"""What a test expects of a value: the value itself, or an object with one of the keys below in its place.

{$contains: X}       a text with the text X in it, a list with the item X (each of them, when X is a list), an object
                     with at least the keys of X
{$that: "it > 5"}    whatever makes the condition true; `it` is the value
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowlang.diagnostics import Span
from flowlang.engine.clock import Clock
from flowlang.records import frozen
from flowlang.testing.model import Formula
from flowlang.testing.values import FormulaError, computed

MATCHERS = ("$contains", "$that")


@frozen
class Exactly:
    """A value without matchers in it."""

    formula: Formula
    span: Span


@frozen
class Items:
    items: tuple[Pattern, ...]
    span: Span


@frozen
class Keys:
    entries: tuple[tuple[str, Pattern], ...]
    span: Span


@frozen
class Contains:
    part: Pattern
    span: Span


@frozen
class That:
    formula: Formula
    text: str
    span: Span


Pattern = Exactly | Items | Keys | Contains | That


@frozen
class Difference:
    """`path` is where in the value (`[0].price`), `message` what is different there."""

    path: str
    message: str
    span: Span


def differences(pattern: Pattern, value: Any, clock: Clock, path: str = "") -> Iterator[Difference]:
    """Where `value` is not as expected."""
    if isinstance(pattern, Exactly):
        try:
            wanted = computed(pattern.formula, clock)
        except FormulaError as error:
            yield Difference(path, str(error), error.span)
            return
        yield from _unequal(wanted, value, pattern.span, path)
    elif isinstance(pattern, That):
        yield from _not_that(pattern, value, clock, path)
    elif isinstance(pattern, Contains):
        yield from _not_within(pattern, value, clock, path)
    elif isinstance(pattern, Items):
        if not isinstance(value, (list, tuple)):
            yield Difference(path, f"expected a list, got {kind(value)} {shown(value)}", pattern.span)
            return
        for at, (each, item) in enumerate(zip(pattern.items, value)):
            yield from differences(each, item, clock, f"{path}[{at}]")
        yield from _other_length(len(pattern.items), value, pattern.span, path)
    else:
        yield from _keys(pattern, value, clock, path, in_full=True)


def _keys(pattern: Keys, value: Any, clock: Clock, path: str, *, in_full: bool) -> Iterator[Difference]:
    if not isinstance(value, Mapping):
        yield Difference(path, f"expected an object, got {kind(value)} {shown(value)}", pattern.span)
        return
    for name, each in pattern.entries:
        if name in value:
            yield from differences(each, value[name], clock, below(path, name))
        else:
            yield Difference(below(path, name), f"it is not there; there are {listed(value)}", each.span)
    if in_full:
        known = {name for name, _ in pattern.entries}
        yield from _more_keys([each for each in value if each not in known], value, pattern.span, path)


def _more_keys(names: Sequence[str], value: Mapping[str, Any], span: Span, path: str) -> Iterator[Difference]:
    for name in names:
        yield Difference(below(path, name), f"it is there with {shown(value[name])}, and nothing was expected", span)


def _other_length(count: int, value: Sequence[Any], span: Span, path: str) -> Iterator[Difference]:
    if len(value) > count:
        rest = shown(value[count]) if len(value) == count + 1 else f"{shown(value[count])} and more"
        yield Difference(path, f"expected {_items(count)}, got {len(value)}: beyond them {rest}", span)
    elif len(value) < count:
        yield Difference(path, f"expected {_items(count)}, got {len(value)}", span)


def _items(count: int) -> str:
    return f"{count} item" if count == 1 else f"{count} items"


def _not_that(pattern: That, value: Any, clock: Clock, path: str) -> Iterator[Difference]:
    try:
        holds = computed(pattern.formula, clock, [value])
    except FormulaError as error:
        yield Difference(path, f"{error}; `it` is {shown(value)}", error.span)
        return
    if not holds:
        yield Difference(path, f"`{pattern.text}` does not hold; `it` is {shown(value)}", pattern.span)


def _not_within(pattern: Contains, value: Any, clock: Clock, path: str) -> Iterator[Difference]:
    part = pattern.part
    if isinstance(part, Keys):
        if isinstance(value, (list, tuple)):
            if not any(not list(_keys(part, each, clock, path, in_full=False)) for each in value):
                yield Difference(path, f"no item of {shown(value)} has these keys and values", pattern.span)
        else:
            yield from _keys(part, value, clock, path, in_full=False)
        return
    wanted = part.items if isinstance(part, Items) else (part,)
    if isinstance(value, (list, tuple)):
        for each in wanted:
            if all(list(differences(each, item, clock)) for item in value):
                yield Difference(path, f"no item of {shown(value)} is as expected", each.span)
        return
    for each in wanted:
        text = computed(each.formula, clock) if isinstance(each, Exactly) else None
        if not isinstance(value, str) or not isinstance(text, str):
            yield Difference(path, f"{kind(value)} {shown(value)} cannot contain this", each.span)
        elif text not in value:
            yield Difference(path, f"{shown(value)} does not contain {shown(text)}", each.span)


# ---------------------------------------------------------------- equality


def _unequal(wanted: Any, value: Any, span: Span, path: str) -> Iterator[Difference]:
    """Where two values differ, as deep as it goes, at the one place in the file that states the expected one."""
    if isinstance(wanted, Mapping) and isinstance(value, Mapping):
        for name in wanted:
            if name in value:
                yield from _unequal(wanted[name], value[name], span, below(path, name))
            else:
                yield Difference(below(path, name), f"it is not there; there are {listed(value)}", span)
        yield from _more_keys([each for each in value if each not in wanted], value, span, path)
    elif isinstance(wanted, (list, tuple)) and isinstance(value, (list, tuple)):
        for at, (each, item) in enumerate(zip(wanted, value)):
            yield from _unequal(each, item, span, f"{path}[{at}]")
        yield from _other_length(len(wanted), value, span, path)
    elif not equal(wanted, value):
        kinds = (kind(wanted), kind(value))
        told = [f"{kind_} {shown(each)}" if kinds[0] != kinds[1] else shown(each) for kind_, each in
                zip(kinds, (wanted, value))]  # fmt: skip
        yield Difference(path, f"expected {told[0]}, got {told[1]}", span)


def equal(wanted: Any, value: Any) -> bool:
    """Equality as a test means it: 1 is 1.0, a decimal is the number that it is written as, a time, a UUID or bytes
    are the text that JSON has for them. true is not 1."""
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    if isinstance(wanted, str) and not isinstance(value, str):
        return _as_text(wanted, value)
    if isinstance(value, decimal.Decimal) and isinstance(wanted, float):
        return decimal.Decimal(repr(wanted)) == value
    try:
        return bool(wanted == value)
    except TypeError:  # times with and without an offset
        return False


def _as_text(wanted: str, value: Any) -> bool:
    from flowlang.tasks.jsontext import plain

    if value is None or isinstance(value, (int, float, Mapping, list, tuple)):
        return False
    if isinstance(value, datetime.datetime):
        try:
            return datetime.datetime.fromisoformat(wanted) == value
        except (ValueError, TypeError):
            return False
    if isinstance(value, decimal.Decimal):
        return format(value, "f") == wanted
    try:
        return bool(plain(value) == wanted)
    except (TypeError, ValueError):
        return False


# ---------------------------------------------------------------- words


def below(path: str, name: str) -> str:
    return (path + name if name.startswith("[") else f"{path}.{name}") if path and name else path or name


def kind(value: Any) -> str:
    from flowlang.expressions.types import type_of
    from flowlang.tasks.stream import Stream

    return "a stream" if isinstance(value, Stream) else type_of(value).kind


def shown(value: Any, longest: int = 200) -> str:
    from flowlang.views.result import inline

    text = f'"{value}"' if isinstance(value, str) else inline(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def listed(names: Mapping[str, Any]) -> str:
    return ", ".join(f"`{each}`" for each in names) or "none"
