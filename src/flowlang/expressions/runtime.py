"""What compiled expressions call while they run: checked operators, text, bounds on work, and the errors.

Nothing here reaches an attribute of a value, and every bound gives the same error on every run.
"""

from __future__ import annotations

import datetime
import decimal
import math
import operator
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, Protocol

MAX_WORK = (
    1_000_000  # units of work of one evaluation: an item of a comprehension is one, or more when its body is large
)
MAX_TEXT = 10_000_000  # characters of a text that an expression makes
MAX_ITEMS = 1_000_000  # items of a list that an expression makes, and of all lists inside it
MAX_BITS = 13_000  # of a whole number that a multiplication makes; Python shows such a one as text


class ExpressionError(Exception):
    """An expression could not be computed. The message never holds a value, only kinds and sizes."""


class SkippedRead(ExpressionError):
    """A value was read that a step which did not run would have given."""


class Ident(str):
    """The name of a table or column, as `ident(x)` makes it. A plugin quotes it and never binds it."""

    __slots__ = ()


_SKIPPED = "this was read, but the step that would give it did not run"


class _Unset:
    """What a slot holds until it is written."""

    __slots__ = ()

    def _skipped(self, *_: object) -> NoReturn:
        raise SkippedRead(_SKIPPED)

    __getitem__ = __iter__ = __len__ = __bool__ = __contains__ = _skipped

    def __repr__(self) -> str:
        return "UNSET"


UNSET = _Unset()


class Fiber(Protocol):
    """What an evaluation needs of the engine: `read` gives the time, a UUID or a random number, journaled."""

    def read(self, kind: str, position: str) -> Any: ...


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (Ident, "identifier"),
    (str, "string"),
    (type(None), "null"),
    (Mapping, "object"),
    ((bytes, bytearray, memoryview), "bytes"),
    (Sequence, "array"),
    (decimal.Decimal, "decimal"),
    (datetime.datetime, "timestamp"),
    (datetime.date, "date"),
    (datetime.time, "time"),
    (datetime.timedelta, "duration"),
    (uuid.UUID, "uuid"),
    ((set, frozenset), "array"),
    (_Unset, "nothing (its step did not run)"),
)


def kind_of(value: object) -> str:
    """The kind of `value` as flows call it: `string`, `array`, `null`, …; a class's name for anything else."""
    return next((name for kinds, name in _KINDS if isinstance(value, kinds)), type(value).__name__)


class Work:
    """The budget of one evaluation, and what it reads from outside once per position."""

    __slots__ = ("_fiber", "_kept", "_reads", "_weights", "left")

    def __init__(self, fiber: Fiber) -> None:
        self.left = MAX_WORK
        self._fiber = fiber
        self._reads: dict[tuple[str, str], Any] = {}
        self._weights: dict[int, int] = {}
        self._kept: list[object] = []  # keeps what `_weights` knows by id alive

    def charge(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise ExpressionError(f"this expression does more than {MAX_WORK:,} steps of work")

    def read(self, kind: str, position: str) -> Any:
        """The time, a UUID or a random number: one per evaluation and position."""
        key = (kind, position)
        if key not in self._reads:
            self._reads[key] = self._fiber.read(kind, position)
        return self._reads[key]

    def each(self, values: Any, weight: int) -> Iterable[Any]:
        """`values` for a comprehension whose body costs `weight` units an item, charged here for all items."""
        if type(values) is not list:
            check_list(values, "a comprehension goes over a list")
            if not hasattr(values, "__len__"):
                return self._counted(values, weight)
        self.charge(4 + len(values) * weight)
        return values  # type: ignore[no-any-return]

    def _counted(self, values: Iterable[Any], weight: int) -> Iterator[Any]:
        for value in values:
            self.charge(weight)
            yield value

    def sized(self, value: Any) -> Any:
        """`value`, with what comparing, slicing or searching it may cost charged."""
        if isinstance(value, (str, bytes)):
            self.charge(len(value) >> 8)
        elif isinstance(value, (list, tuple, dict, set, frozenset)):
            self.charge(1 + (self._deep(value) >> 3))
        return value

    def _deep(self, value: Any) -> int:
        """How many items `value` holds at all levels. Each container is walked once in an evaluation."""
        known = self._weights.get(id(value))
        if known is not None:
            return known
        total = 0
        stack = [value]
        while stack:
            box = stack.pop()
            total += len(box) + 1
            self.charge(len(box) >> 3)
            inside = box.values() if isinstance(box, dict) else box
            stack.extend(each for each in inside if isinstance(each, (list, tuple, dict)))
        self._remember(value, total)
        return total

    def keep(self, value: Any) -> Any:
        """`value`, a list or object made inside nested comprehensions, refused when it holds too much.

        A few characters can put one list into the next thirty times over; what is counted is how much the
        result stands for, not how much memory it takes.
        """
        if isinstance(value, (list, dict)):
            weights = self._weights
            items = value.values() if isinstance(value, dict) else value
            total = len(value) + 1 + sum(weights.get(id(each), 0) for each in items)
            if total > MAX_ITEMS:
                raise ExpressionError(f"the result of this expression holds more than {MAX_ITEMS:,} items")
            self.charge(2 + (len(value) >> 3))
            self._remember(value, total)
        return value

    def _remember(self, value: object, weight: int) -> None:
        self._weights[id(value)] = weight
        self._kept.append(value)

    def add(self, left: Any, right: Any) -> Any:
        """`left + right` inside a comprehension, where small growth adds up."""
        result = add(left, right)
        if isinstance(result, (str, list)):
            self.charge(len(result) >> 4)
        return result


def check_list(value: object, want: str) -> None:
    """Refuse what is not a list (or another plain collection of items)."""
    if isinstance(value, (list, tuple)):
        return
    if isinstance(value, Mapping):
        raise ExpressionError(f"{want}, this is object: say `keys(x)`, `values(x)` or `items(x)`")
    if isinstance(value, (str, bytes, bytearray)) or not isinstance(value, Iterable) or value is UNSET:
        raise ExpressionError(f"{want}, this is {kind_of(value)}")


_TIMES = frozenset({"timestamp", "date", "duration"})
_OPERATORS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "+": (operator.add, "add"),
    "-": (operator.sub, "subtract"),
    "*": (operator.mul, "multiply"),
    "/": (operator.truediv, "divide"),
    "//": (operator.floordiv, "divide"),
    "%": (operator.mod, "take the remainder of"),
}
_NUMBERS = frozenset({"integer", "number", "decimal"})


def add(left: Any, right: Any) -> Any:
    """`+`: numbers, text and text, list and list, times and durations."""
    kind = type(left)
    if kind is type(right):
        if kind is int or kind is float:
            return left + right
        if kind is str or kind is list:
            check_size(len(left) + len(right), kind is str)
            return left + right
    if isinstance(left, str) and isinstance(right, str):
        return str(left) + str(right)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        check_size(len(left) + len(right), False)
        return [*left, *right]
    return _arithmetic("+", left, right)


def check_size(size: int, text: bool) -> None:
    if text and size > MAX_TEXT:
        raise ExpressionError(f"the text that this expression makes is longer than {MAX_TEXT:,} characters")
    if not text and size > MAX_ITEMS:
        raise ExpressionError(f"the list that this expression makes holds more than {MAX_ITEMS:,} items")


def subtract(left: Any, right: Any) -> Any:
    return _arithmetic("-", left, right)


def multiply(left: Any, right: Any) -> Any:
    if type(left) is int and type(right) is int:
        if left.bit_length() + right.bit_length() > MAX_BITS:
            raise ExpressionError(f"the number that this expression makes is larger than {MAX_BITS:,} bits")
        return left * right
    return _arithmetic("*", left, right)


def divide(left: Any, right: Any) -> Any:
    return _arithmetic("/", left, right)


def floor_divide(left: Any, right: Any) -> Any:
    return _arithmetic("//", left, right)


def remainder(left: Any, right: Any) -> Any:
    if type(left) is int and type(right) is int:
        return left % right
    return _arithmetic("%", left, right)


def _arithmetic(sign: str, left: Any, right: Any) -> Any:
    """An operator on numbers or times; on anything else an error that names both kinds."""
    run, verb = _OPERATORS[sign]
    a, b = kind_of(left), kind_of(right)
    numeric = a in _NUMBERS and b in _NUMBERS
    if numeric and {a, b} == {"decimal", "number"}:
        raise ExpressionError(f"cannot {verb} decimal and number: convert one with `decimal(x)` or `float(x)`")
    timed = a in _TIMES or b in _TIMES
    if not numeric and not (timed and a in _TIMES | _NUMBERS and b in _TIMES | _NUMBERS):
        raise ExpressionError(f"cannot {verb} {a} and {b}")
    try:
        return run(left, right)
    except TypeError:
        raise ExpressionError(f"cannot {verb} {a} and {b}") from None


def negative(value: Any) -> Any:
    if kind_of(value) not in _NUMBERS | {"duration"}:
        raise ExpressionError(f"`-` needs a number, this is {kind_of(value)}")
    return -value


def positive(value: Any) -> Any:
    if kind_of(value) not in _NUMBERS:
        raise ExpressionError(f"`+` needs a number, this is {kind_of(value)}")
    return value


def boolean(value: Any) -> bool:
    """`value`, which must be true or false: nothing else counts as either."""
    if value is True or value is False:
        return value
    if value is UNSET:
        ready(value)
    raise ExpressionError(f"a boolean is needed here, this is {kind_of(value)}")


def ready(value: Any) -> Any:
    """`value`, which must have been written."""
    if value is UNSET:
        raise SkippedRead(_SKIPPED)
    return value


def look(value: Any, *keys: Any) -> Any:
    """The value at the end of a path, or None when a key, an item or its step is missing on the way, or is null."""
    for key in keys:
        if value is None or value is UNSET:
            return None
        if isinstance(value, Mapping):
            try:
                value = value[key]
            except KeyError:
                return None
        elif isinstance(value, Sequence) and isinstance(key, int):
            if not -len(value) <= key < len(value):
                return None
            value = value[key]
        else:
            raise ExpressionError(f"{_shown(key)} cannot be looked up in {kind_of(value)}")
    return None if value is UNSET else value


def _shown(key: object) -> str:
    return "an item" if isinstance(key, int) else "a key"


def fallback(value: Any, otherwise: Callable[[], Any]) -> Any:
    return otherwise() if value is None else value


def present(value: Any) -> bool:
    return value is not None


def text(value: Any) -> str:
    """`value` put into text. Null, bytes, lists and objects are refused: `json(x)` says them on purpose."""
    if type(value) is str:
        return value
    if type(value) is int and -_SHORT < value < _SHORT:  # nearly all that are
        return str(value)
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ExpressionError("this number has too many digits for text")
    return str(value) if type(value) is int else _other_text(value)


_SHORT = 1 << 62


def _other_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, decimal.Decimal):
        return decimal_text(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return duration_text(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    ready(value)
    kind = kind_of(value)
    if kind in ("array", "object", "null"):
        raise ExpressionError(f"{kind} cannot be put into text; `json(x)` does it on purpose")
    raise ExpressionError(f"{kind} cannot be put into text")


def decimal_text(value: decimal.Decimal) -> str:
    """`value` in full, without an exponent."""
    if value.is_finite() and abs(value.adjusted()) > 10_000:
        raise ExpressionError("this decimal has too many digits for text")
    return format(value, "f")


def duration_text(value: datetime.timedelta) -> str:
    """`value` in ISO 8601: `PT5M`, `P1DT0.5S`, `-PT1H`."""
    sign = "-" if value < datetime.timedelta() else ""
    value = abs(value)
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    days = f"{value.days}D" if value.days else ""
    parts = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else ""]
    parts.append(f"{seconds}{fraction}S" if seconds or fraction else "")
    clock = "".join(parts)
    return f"{sign}P{days}{'T' + clock if clock else ''}" if days or clock else "PT0S"


def finite(value: float) -> bool:
    return math.isfinite(value)
