"""The expressions in a part of a flow, wherever they stand in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from flowlang.document.model import Computed, Condition, Constant, Name
from flowlang.expressions.syntax import Expression

_LEAVES = (Constant, Name, str, int, float, type(None))
_NOT_VALUES = frozenset({"at", "spans", "scalar", "id", "retry"})


def expressions(part: object) -> Iterator[Expression]:
    """Every expression in a step, a list of steps or a value; those of the steps inside included."""
    if isinstance(part, _LEAVES):
        return
    if isinstance(part, Computed):
        yield from part.template.expressions
    elif isinstance(part, Condition):
        yield part.expression
    elif isinstance(part, tuple):
        for each in part:
            yield from expressions(each)
    elif is_dataclass(part):
        for field in fields(part):
            if field.name not in _NOT_VALUES:
                yield from expressions(getattr(part, field.name))
