"""Conversions and functions of numbers."""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Sequence
from typing import Any

from flowlang.expressions.functions.model import (
    Function,
    items_of,
    parameter,
    want_flag,
    want_integer,
    want_list,
    want_number,
)
from flowlang.expressions.runtime import MAX_ITEMS, ExpressionError, Work, add, kind_of, text
from flowlang.expressions.types import (
    ANY,
    ARRAY,
    BOOLEAN,
    DECIMAL,
    INTEGER,
    NUMBER,
    STRING,
    Type,
    array,
    union,
)

_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")
_MAX_DIGITS = 4_000


def _int(value: Any) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise ExpressionError("`int` needs a text of digits, this text is something else")
        if len(value) > _MAX_DIGITS:
            raise ExpressionError("this text has too many digits")
        return int(value)
    number = want_number(value, "int")
    if isinstance(number, decimal.Decimal) and number.is_finite() and number.adjusted() > _MAX_DIGITS:
        raise ExpressionError("this decimal is too large for an integer")
    try:
        return int(number)
    except (OverflowError, ValueError):
        raise ExpressionError("infinity and not-a-number have no integer") from None


def _float(value: Any) -> float:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise ExpressionError("`float` needs the text of a number, this text is something else")
        number = float(value)
    else:
        try:
            number = float(want_number(value, "float"))
        except OverflowError:
            number = math.inf
    if not math.isfinite(number) and not isinstance(value, float):
        raise ExpressionError("this number is too large for `float`")
    return number


def _decimal(value: Any) -> decimal.Decimal:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise ExpressionError("`decimal` needs the text of a number, this text is something else")
        return decimal.Decimal(value.strip())
    number = want_number(value, "decimal")
    return decimal.Decimal(repr(number)) if isinstance(number, float) else decimal.Decimal(number)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ExpressionError(f"`bool` takes true, false, 'true', 'false', 1 and 0, not this {kind_of(value)}")


def _str(value: Any) -> str:
    return text(value)


def _round(value: Any, digits: Any = 0) -> Any:
    number, places = want_number(value, "round"), want_integer(digits, "round")
    huge = isinstance(number, decimal.Decimal) and number.is_finite() and number.adjusted() > _MAX_DIGITS
    if huge or not -_MAX_DIGITS < places < _MAX_DIGITS:
        raise ExpressionError("this number has too many digits for `round`")
    try:
        return round(number, places) if places else round(number)
    except (ValueError, OverflowError, decimal.InvalidOperation):
        raise ExpressionError("this number cannot be rounded like that") from None


def _abs(value: Any) -> Any:
    return abs(want_number(value, "abs"))


def _extreme(work: Work, values: tuple[Any, ...], name: str) -> Any:
    items = want_list(values[0], name) if len(values) == 1 else values
    if not items:
        raise ExpressionError(f"`{name}` of an empty list; `default` cannot help: test `len(x) > 0` first")
    work.charge(len(items) >> 3)
    try:
        return min(items) if name == "min" else max(items)
    except TypeError:
        kinds = " and ".join(sorted({kind_of(each) for each in items}))
        raise ExpressionError(f"`{name}` cannot order {kinds}") from None


def _min(work: Work, *values: Any) -> Any:
    return _extreme(work, values, "min")


def _max(work: Work, *values: Any) -> Any:
    return _extreme(work, values, "max")


def _sum(work: Work, values: Any, start: Any = 0) -> Any:
    items = want_list(values, "sum")
    work.charge(len(items) >> 2)
    if isinstance(start, (str, bytes, list, tuple)):
        raise ExpressionError("`sum` adds numbers; `join` makes one text of many, `flatten` one list")
    if set(map(type, items)) <= {int, float} and type(start) in (int, float):
        return sum(items, start)
    total = start
    for item in items:
        if isinstance(item, (str, list, tuple)):
            raise ExpressionError(f"`sum` adds numbers, an item is {kind_of(item)}")
        total = item if total == 0 and isinstance(total, int) and not isinstance(item, bool) else add(total, item)
    return total


def _range(work: Work, start: Any, stop: Any = None, step: Any = 1) -> list[int]:
    first, last = (0, start) if stop is None else (start, stop)
    numbers = [want_integer(each, "range") for each in (first, last, step)]
    if numbers[2] == 0:
        raise ExpressionError("the step of `range` cannot be 0")
    values = range(*numbers)
    if (values.stop - values.start) // values.step > MAX_ITEMS:
        raise ExpressionError(f"`range` gives at most {MAX_ITEMS:,} numbers")
    work.charge(len(values) >> 2)
    return list(values)


def _logical(name: str) -> Any:
    decide = any if name == "any" else all

    def run(work: Work, values: Any) -> bool:
        items = want_list(values, name)
        work.charge(len(items) >> 2)
        return decide(want_flag(each, name) for each in items)

    return run


def _rounded(arguments: Sequence[Type]) -> Type:
    given = arguments[0]
    if len(arguments) > 1:
        return given.not_null()
    return INTEGER if given.kind in ("integer", "number", "decimal") else ANY


def _same(arguments: Sequence[Type]) -> Type:
    return arguments[0].not_null()


def _items(arguments: Sequence[Type]) -> Type:
    return items_of(arguments[0]) if len(arguments) == 1 else union(*arguments)


def _total(arguments: Sequence[Type]) -> Type:
    kind = items_of(arguments[0]).kind
    return {"integer": INTEGER, "number": NUMBER}.get(kind, ANY) if len(arguments) == 1 else ANY


_ANY_NUMBER = (INTEGER, NUMBER, DECIMAL)
_CONVERTED = (STRING, *_ANY_NUMBER)

FUNCTIONS = (
    Function(
        "str",
        (parameter("value"),),
        STRING,
        "The value as text, as `${…}` inside a text puts it.",
        "str(12.5)",
        '"12.5"',
        _str,
        doc="Refused for null, bytes, lists and objects: `json(x)` says those.",
    ),
    Function(
        "int",
        (parameter("value", *_CONVERTED, BOOLEAN),),
        INTEGER,
        "A whole number, from a number or its text.",
        "int('42') + int(2.9)",
        "44",
        _int,
        doc="A fraction is cut off, towards zero. A text holds digits and a sign.",
    ),
    Function(
        "float",
        (parameter("value", *_CONVERTED),),
        NUMBER,
        "A floating-point number, from a number or its text.",
        "float('2.5')",
        "2.5",
        _float,
    ),
    Function(
        "decimal",
        (parameter("value", *_CONVERTED),),
        DECIMAL,
        "An exact decimal number, from a number or its text.",
        "str(decimal('0.10') + decimal('0.20'))",
        '"0.30"',
        _decimal,
    ),
    Function(
        "bool",
        (parameter("value", STRING, INTEGER, BOOLEAN),),
        BOOLEAN,
        "True or false, from 'true', 'false', 1 or 0.",
        "bool('true')",
        "true",
        _bool,
    ),
    Function(
        "round",
        (parameter("value", *_ANY_NUMBER), parameter("digits", INTEGER, optional=True)),
        _rounded,
        "The number rounded; a tie goes to the even neighbour.",
        "round(2.567, 2)",
        "2.57",
        _round,
        doc="Without `digits` the result is an integer.",
    ),
    Function("abs", (parameter("value", *_ANY_NUMBER),), _same, "The number without its sign.", "abs(-3)", "3", _abs),
    Function(
        "min",
        (parameter("values", variadic=True),),
        _items,
        "The smallest item of a list, or of several values.",
        "min([3, 1, 2])",
        "1",
        _min,
        work=True,
    ),
    Function(
        "max",
        (parameter("values", variadic=True),),
        _items,
        "The largest item of a list, or of several values.",
        "max(3, 7)",
        "7",
        _max,
        work=True,
    ),
    Function(
        "sum",
        (
            parameter("values", array(NUMBER), array(Type("duration"))),
            parameter("start", *_ANY_NUMBER, Type("duration"), optional=True),
        ),
        _total,
        "The sum of a list of numbers or durations.",
        "sum([1, 2, 3.5])",
        "6.5",
        _sum,
        work=True,
    ),
    Function(
        "range",
        (
            parameter("start", INTEGER),
            parameter("stop", INTEGER, optional=True),
            parameter("step", INTEGER, optional=True),
        ),
        array(INTEGER),
        "The whole numbers from `start` up to, not including, `stop`.",
        "range(1, 4)",
        "[1, 2, 3]",
        _range,
        doc="With one argument the numbers from 0 up to it.",
        work=True,
    ),
    Function(
        "any",
        (parameter("values", ARRAY),),
        BOOLEAN,
        "Whether at least one item of a list of booleans is true.",
        "any([n > 2 for n in [1, 2, 3]])",
        "true",
        _logical("any"),
        work=True,
    ),
    Function(
        "all",
        (parameter("values", ARRAY),),
        BOOLEAN,
        "Whether every item of a list of booleans is true.",
        "all([n > 2 for n in [1, 2, 3]])",
        "false",
        _logical("all"),
        work=True,
    ),
)
