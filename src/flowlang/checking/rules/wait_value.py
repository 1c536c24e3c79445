"""What a `wait` takes as a length of time: a duration, or a number of seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowlang.checking.rules import value_type
from flowlang.diagnostics import Diagnostic
from flowlang.document import model
from flowlang.expressions.types import ANY, DURATION, NUMERIC, Type

_KINDS = NUMERIC | {"any", "duration"}


def wanted(value: model.Value) -> Type:
    """What the place wants: a literal text is a duration, a number or an expression is looked at by `check`."""
    return DURATION if isinstance(value, model.Constant) and isinstance(value.value, str) else ANY


def check(given: Type, value: model.Value, inputs: Mapping[str, model.Input]) -> Iterator[Diagnostic]:
    if given.kind not in _KINDS or given.nullable:
        yield from value_type.mismatch("wait", DURATION, given, value.span, value, inputs)
