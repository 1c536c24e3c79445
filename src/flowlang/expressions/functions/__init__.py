"""The functions of the language: one table that the check, the compiler, the documentation and editors read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from flowlang.expressions.functions import lists, numbers, text, values
from flowlang.expressions.functions.model import Function, Parameter

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {each.name: each for each in (*lists.FUNCTIONS, *numbers.FUNCTIONS, *text.FUNCTIONS, *values.FUNCTIONS)}
)

__all__ = ["FUNCTIONS", "Function", "Parameter"]
