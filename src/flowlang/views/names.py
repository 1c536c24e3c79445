"""The names of a flow: where each is defined, and every place that reads it. For definitions and renaming."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from flowlang.diagnostics import Position, Span
from flowlang.document import model
from flowlang.expressions.syntax import Expression

Kind = Literal["step", "loop variable", "input", "var", "connection", "output", "subflow"]
_KEYED = {"inputs": "input", "vars": "var"}  # roots whose keys are declared in the flow


@dataclass(slots=True, eq=False)
class Symbol:
    """`definitions` are several for one id in branches of which one runs. `whole` is all that a step or declaration
    takes, for outlines."""

    kind: Kind
    name: str
    definitions: list[Span] = field(default_factory=list)
    references: list[Span] = field(default_factory=list)
    whole: Span | None = None

    @property
    def spans(self) -> list[Span]:
        return [*self.definitions, *self.references]


def names_of(flow: model.Flow) -> list[Symbol]:
    """Every name that `flow` defines, in the order of the text."""
    return _Names(flow).found


class _Names:
    def __init__(self, flow: model.Flow) -> None:
        self.found: list[Symbol] = []
        self.known: dict[tuple[Kind, str], Symbol] = {}
        for connection in flow.connections:
            self._define("connection", connection.name, connection.span)
        for declared in flow.inputs:
            self._define("input", declared.name, declared.span)
        for name, _ in flow.vars:
            self._define("var", name, name.span)
        for output in flow.outputs:
            self._define("output", output.name, output.span)
        for step in (*flow.steps, *flow.on_cancel, *flow.finally_):
            self._define_ids(step)
        for part in (flow.connections, flow.vars, flow.outputs, flow.concurrency, flow.triggers):
            self._read(part, {})
        for step in (*flow.steps, *flow.on_cancel, *flow.finally_):
            self._step(step, {})

    def _define(self, kind: Kind, name: model.Name, whole: Span) -> Symbol:
        symbol = self.known.get((kind, name.text))
        if symbol is None:
            symbol = self.known[kind, name.text] = Symbol(kind, name.text, whole=whole)
            self.found.append(symbol)
        symbol.definitions.append(name.span)
        return symbol

    def _define_ids(self, step: model.Step) -> None:
        if step.modifiers.id is not None:
            self._define("step", step.modifiers.id, step.span)
        for _, inner in model.blocks(step):
            for each in inner:
                self._define_ids(each)

    def _refer(self, kind: Kind, name: str, span: Span) -> None:
        symbol = self.known.get((kind, name))
        if symbol is not None:
            symbol.references.append(span)

    # ------------------------------------------------------------ steps

    def _step(self, step: model.Step, around: dict[str, Symbol]) -> None:
        """`around` are the loop variables and names of errors in sight."""
        if isinstance(step, (model.TaskStep, model.TransactionStep)) and step.connection is not None:
            self._refer("connection", step.connection.text, step.connection.span)
        if isinstance(step, model.SubflowStep):
            self.found.append(Symbol("subflow", step.flow.text, [step.flow.span]))
        inside = around
        if isinstance(step, model.ForEachStep):
            inside = self._variable(step.variable, step.span, around)
            self._read(step.items, around)
            self._read(step.collect, inside)
        elif isinstance(step, model.TryStep):
            self._handlers(step, around)
        else:
            self._read(step, around)
        self._read(step.modifiers, around)
        for word, inner in model.blocks(step):
            if word.startswith("catch"):
                continue
            for each in inner:
                self._step(each, around if word == "on_error" else inside)

    def _handlers(self, step: model.TryStep, around: dict[str, Symbol]) -> None:
        for handler in step.catches:
            inside = around
            if handler.variable is not None:
                inside = self._variable(handler.variable, handler.span, around)
            self._read(handler.guard, inside)
            for each in handler.steps:
                self._step(each, inside)

    def _variable(self, name: model.Name, whole: Span, around: dict[str, Symbol]) -> dict[str, Symbol]:
        symbol = Symbol("loop variable", name.text, whole=whole)
        if _length(name.span) == len(name.text):  # `item`, when no `as` was written, stands nowhere
            symbol.definitions.append(name.span)
        self.found.append(symbol)
        return around | {name.text: symbol}

    # ------------------------------------------------------------ values

    def _read(self, part: Any, around: dict[str, Symbol]) -> None:
        """What the expressions of `part` read; the steps inside it are not its own."""
        for scalar, expression in _expressions(part):
            for name, node in _reads(expression.tree, frozenset()):
                start, end = expression.span_of(node)
                if isinstance(node, ast.Name):
                    symbol = around.get(name) or self.known.get(("step", name))
                    if symbol is not None:
                        symbol.references.append(scalar.locate(start, end))
                    continue
                root, _, key = name.partition(".")
                if isinstance(node, ast.Subscript):
                    start, end = expression.span_of(node.slice)
                    start, end = start + 1, end - 1
                if end - start >= len(key):
                    self._refer(_KEYED[root], key, scalar.locate(end - len(key), end))  # type: ignore[arg-type]


def _length(span: Span) -> int:
    return span.end.column - span.start.column if span.start.line == span.end.line else -1


def _expressions(part: Any) -> Iterator[tuple[Any, Expression]]:
    """Each expression below `part` with its scalar."""
    if isinstance(part, model.Computed):
        yield from ((part.scalar, each) for each in part.template.expressions)
    elif isinstance(part, model.Condition):
        yield part.scalar, part.expression
    elif isinstance(part, tuple):
        for each in part:
            if not isinstance(each, STEPS):
                yield from _expressions(each)
    elif type(part) in _HOLDERS:
        for name in type(part).__dataclass_fields__:
            if name not in ("at", "scalar", "modifiers"):
                yield from _expressions(getattr(part, name))


STEPS: tuple[type, ...] = model.Step.__args__
_HOLDERS: frozenset[type[Any]] = frozenset(
    (
        *STEPS,
        model.ListValue,
        model.ObjectValue,
        model.ConditionGroup,
        model.Connection,
        model.Output,
        model.Case,
        model.Modifiers,
        model.Cache,
        model.Concurrency,
        model.Trigger,
    )
)


def _reads(node: ast.AST, bound: frozenset[str]) -> Iterator[tuple[str, ast.expr]]:
    """Names that stand for something outside of the expression, and keys of `inputs` and `vars` as `root.key`."""
    if isinstance(node, ast.Name):
        if node.id not in bound:
            yield node.id, node
        return
    if isinstance(node, ast.Call):
        for each in (*node.args, *(keyword.value for keyword in node.keywords)):
            yield from _reads(each, bound)
        return
    if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.DictComp)):
        for generator in node.generators:
            yield from _reads(generator.iter, bound)
            bound |= {each.id for each in ast.walk(generator.target) if isinstance(each, ast.Name)}
            for test in generator.ifs:
                yield from _reads(test, bound)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            yield from _reads(part, bound)
        return
    if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.value, ast.Name):
        key = _key(node)
        if key is not None and node.value.id in _KEYED and node.value.id not in bound:
            yield f"{node.value.id}.{key}", node
            return
    for child in ast.iter_child_nodes(node):
        yield from _reads(child, bound)


def _key(node: ast.Attribute | ast.Subscript) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    index = node.slice
    return index.value if isinstance(index, ast.Constant) and isinstance(index.value, str) else None


def at(symbols: list[Symbol], position: Position) -> tuple[Symbol, Span] | None:
    """The symbol that stands at a position, and where exactly."""
    for symbol in symbols:
        for span in symbol.spans:
            if span.start <= position <= span.end:
                return symbol, span
    return None
