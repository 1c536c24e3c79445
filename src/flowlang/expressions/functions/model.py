"""What a function of the language is, and the checks its arguments go through."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from flowlang.expressions.runtime import ExpressionError, check_list, kind_of
from flowlang.expressions.types import ANY, Type
from flowlang.records import frozen

Returns = Type | Callable[[Sequence[Type]], Type]


@frozen
class Parameter:
    """`types`: an argument must fit one of them. A variadic parameter is the last and takes any number."""

    name: str
    types: tuple[Type, ...] = (ANY,)
    optional: bool = False
    variadic: bool = False

    def __str__(self) -> str:
        return f"*{self.name}" if self.variadic else f"{self.name}?" if self.optional else self.name


@frozen
class Function:
    """A function of the language.

    `returns` is a type, or computes one from the types of the arguments as given. `example` is an expression and
    `result` the JSON text of its value. `call` does it; when `work` is set its first argument is the budget.
    `reads` marks what is read from outside once per evaluation and position. `lazy` functions are compiled in a
    special way, because a missing key in their first argument is not an error.
    """

    name: str
    parameters: tuple[Parameter, ...]
    returns: Returns
    summary: str
    example: str
    result: str
    call: Callable[..., Any]
    doc: str = ""
    work: bool = False
    reads: Literal["now", "uuid", "random"] | None = None
    lazy: bool = False

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(map(str, self.parameters))})"

    def returned(self, arguments: Sequence[Type]) -> Type:
        return self.returns if isinstance(self.returns, Type) else self.returns(arguments)


def parameter(name: str, *types: Type, optional: bool = False, variadic: bool = False) -> Parameter:
    return Parameter(name, types or (ANY,), optional, variadic)


def want_text(value: Any, function: str) -> str:
    if isinstance(value, str):
        return value
    raise ExpressionError(f"`{function}` needs a string, this is {kind_of(value)}")


def want_list(value: Any, function: str) -> Sequence[Any]:
    """`value` as something that has a length and can be walked more than once."""
    check_list(value, f"`{function}` needs a list")
    return value if isinstance(value, (list, tuple)) else list(value)


def want_object(value: Any, function: str) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    raise ExpressionError(f"`{function}` needs an object, this is {kind_of(value)}")


def want_integer(value: Any, function: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ExpressionError(f"`{function}` needs an integer, this is {kind_of(value)}")


def want_number(value: Any, function: str) -> Any:
    if isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool):
        return value
    raise ExpressionError(f"`{function}` needs a number, this is {kind_of(value)}")


def want_flag(value: Any, function: str) -> bool:
    if isinstance(value, bool):
        return value
    raise ExpressionError(f"`{function}` needs true or false, this is {kind_of(value)}")


def items_of(given: Type) -> Type:
    return given.items or ANY if given.kind in ("array", "stream") else ANY
