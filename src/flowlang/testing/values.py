"""Values in a test file: compiled by the same compiler as those of a flow, checked against the type they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.checking.catalogue import Catalogue
from flowlang.checking.checker import Checker
from flowlang.checking.literal_secrets import Sources
from flowlang.checking.scope import Entry, Layout, Scope
from flowlang.checking.values import Compiler, Wanted
from flowlang.connections.registry import PluginRegistry
from flowlang.diagnostics import Diagnostic, has_errors
from flowlang.document import model
from flowlang.document.context import Context
from flowlang.engine.clock import Clock
from flowlang.expressions.types import ANY, Type
from flowlang.testing.model import Formula


class Reader:
    """What a formula asks for `now()`, `uuid()` and `random()`: the clock of the test."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def read(self, kind: str, position: int) -> Any:
        clock = self._clock
        return clock.now() if kind == "now" else clock.uuid() if kind == "uuid" else clock.random()


class Formulas:
    """Compiles the values of one test file. What is wrong with them is in `findings`. Once the `context` of the file
    has findings nothing is compiled any more, and only looked at."""

    def __init__(self, flow: model.Flow, registry: PluginRegistry, context: Context) -> None:
        self._context = context
        self._checker = Checker(
            flow, registry=registry, catalogue=Catalogue(registry, {}), read=lambda _: "", sources=Sources()
        )

    @property
    def findings(self) -> list[Diagnostic]:
        return self._checker.findings

    def value(
        self, value: model.Value, what: str, type_: Type = ANY, roots: Mapping[str, Type] | None = None
    ) -> Formula:
        """`value` where the `roots` can be read, in this order: the frame to compute it with is `[None, *values]`."""
        compiler = self._compiler(roots or {})
        code, _ = compiler.value(value, Wanted(what, type_))
        return compiler.function(code, what)

    def condition(self, guard: model.Guard, what: str, roots: Mapping[str, Type]) -> Formula:
        compiler = self._compiler(roots)
        return compiler.function(compiler.guard(guard), what)

    def _compiler(self, roots: Mapping[str, Type]) -> Compiler:
        self._checker.unparsed = has_errors(self._context.findings.all)
        layout = Layout()
        scope = Scope(layout)
        for name, type_ in roots.items():
            scope.add(name, Entry(type_, f"root `{name}`", layout, layout.place(), kind="root"))
        return Compiler(self._checker, scope)


def computed(formula: Formula, clock: Clock, roots: Sequence[Any] = ()) -> Any:
    """The value of a formula. Raises `FormulaError`."""
    from flowlang.expressions import explain

    frame = [None, *roots]
    try:
        return formula(frame, Reader(clock))
    except Exception as error:
        fault = explain(formula, error, frame)
        if fault.where is None:
            raise
        raise FormulaError(fault.message, fault.where.locate(fault.start, fault.end)) from error


class FormulaError(Exception):
    """An expression of a test could not be computed. `span` is its place in the test file."""

    def __init__(self, message: str, span: Any) -> None:
        super().__init__(message)
        self.span = span
