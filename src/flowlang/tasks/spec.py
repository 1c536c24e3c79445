"""What a task is: its parameters, its outputs, and how it may be used. Built from a Python signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Literal

from flowlang.expressions.types import ANY, Type
from flowlang.records import frozen

Effect = Literal["none", "read", "write"]

# How a parameter wants what stands in the flow: as it is, as a SQL statement whose expressions are bound,
# as the name of a table or column, as the path of a URL whose expressions are encoded, or as a query whose operators
# are written and whose expressions are data.
Form = Literal["plain", "sql", "ident", "path", "query"]


Twice = Callable[[Mapping[str, Any]], bool]
"""Of the arguments of a step: whether doing it twice is the same as doing it once."""


class _Computed:
    def __repr__(self) -> str:
        return "<computed>"


COMPUTED = _Computed()
"""An argument, or a part of one, that an expression gives."""


class _Required:
    def __repr__(self) -> str:
        return "<required>"


REQUIRED = _Required()


@frozen
class Parameter:
    """One parameter of a task. `default` is `REQUIRED` when there is none. `keeps`: the value is needed whole, so that
    it is no stream. `tables`: it may be a `Table`."""

    name: str
    type: Type = ANY
    default: object = REQUIRED
    description: str = ""
    form: Form = "plain"
    secret: bool = False
    keeps: bool = False
    tables: bool = False
    choices: tuple[object, ...] | None = None  # from `Literal[...]`

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@frozen
class TaskSpec:
    """A task as flows, checks, docs and editors see it.

    `outputs` maps output names to types, None when the task does not declare them. `effect` is None when the
    author did not say (treated as a write). `twice` tells of the arguments of a step, as they are written, whether
    doing that twice is the same as doing it once, for tasks of which only some calls are `idempotent`; what is computed
    is `COMPUTED` there. `connection_type` is the plugin that owns it, None for file and
    user tasks. `injects` says which of `connection`, `context` the callable asks for.
    `extra` is True when the callable takes `**kwargs` beyond its parameters.
    """

    name: str
    parameters: tuple[Parameter, ...] = ()
    outputs: Mapping[str, Type] | None = None
    summary: str = ""
    description: str = ""
    example: str | None = None
    effect: Effect | None = None
    idempotent: bool | None = None
    twice: Twice | None = None
    connection_type: str | None = None
    injects: frozenset[str] = frozenset()
    streams: bool = False  # an async generator of batches: its output is a stream
    is_async: bool = True
    extra: bool = False
    origin: str = ""  # the package, module or file it comes from
    returns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # output -> description

    def parameter(self, name: str) -> Parameter | None:
        return next((each for each in self.parameters if each.name == name), None)
