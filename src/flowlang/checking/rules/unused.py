"""Hints: what a flow declares and never uses. Nothing is wrong with such a flow, so none of them is an error or a
warning, and `--strict` lets them pass. They are worked out when somebody asks, for a flow without errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from flowlang.diagnostics import Diagnostic, Span, code
from flowlang.document import model
from flowlang.expressions.syntax import Expression
from flowlang.plan import Plan
from flowlang.tasks.spec import TaskSpec

INPUT = code(
    "unused-input",
    """Hint: an input is never read.

A caller may give it, and nothing comes of it: a part of the flow is missing, or the input is left over.

```yaml hint
flow: f
inputs:
  - {name: first, type: string, required: true}
  - {name: last, type: string, required: true}
steps:
  - log: "Hello ${inputs.first}"
```

```yaml
flow: f
inputs:
  - {name: first, type: string, required: true}
  - {name: last, type: string, required: true}
steps:
  - log: "Hello ${inputs.first} ${inputs.last}"
```
""",
)
VARIABLE = code(
    "unused-var",
    """Hint: a value under `vars` is never read.

```yaml hint
flow: f
vars: {greeting: Hello, parting: Bye}
steps:
  - log: "${vars.greeting}"
```

```yaml
flow: f
vars: {greeting: Hello}
steps:
  - log: "${vars.greeting}"
```
""",
)
CONNECTION = code(
    "unused-connection",
    """Hint: no step uses a connection.

Unless it is `lazy`, a run opens it all the same, and fails when it cannot.

```yaml hint
flow: f
connections:
  db: {type: sqlite, database: ":memory:"}
  other: {type: sqlite, database: other.db}
steps:
  - sqlite_execute: {connection: db, query: CREATE TABLE t (n INTEGER)}
```

```yaml
flow: f
connections:
  db: {type: sqlite, database: ":memory:"}
steps:
  - sqlite_execute: {connection: db, query: CREATE TABLE t (n INTEGER)}
```
""",
)
STEP = code(
    "unused-step",
    """Hint: a step only reads or computes, and nothing uses what it gives.

Of a step that writes, or whose failure is handled, nothing is said; nor of one without an `id`.

```yaml hint
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: found, query: SELECT 1 AS n}
  - sqlite_query: {id: again, query: SELECT 2 AS n}
outputs:
  - {name: rows, value: "${found.rows}"}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: found, query: SELECT 1 AS n}
outputs:
  - {name: rows, value: "${found.rows}"}
```
""",
)

_ROOTS = ("inputs", "vars")


def hints(flow: model.Flow, plan: Plan) -> Iterator[Diagnostic]:
    """What `flow`, which became `plan`, declares and never uses, in the order of the text."""
    read = _Read()
    for expression in _expressions(flow):
        read.look(expression.tree)
    for each in flow.inputs:
        if not read.holds("inputs", each.name.text):
            help_ = f"remove it, or read it: `${{inputs.{each.name.text}}}`"
            yield _hint(INPUT, f"input `{each.name.text}` is never read", each.name.span, help_)
    for name, _ in flow.vars:
        if not read.holds("vars", name.text):
            help_ = f"remove it, or read it: `${{vars.{name.text}}}`"
            yield _hint(VARIABLE, f"`vars.{name.text}` is never read", name.span, help_)
    used = {each.connection_name for each in plan.operations} | set(_transactions(flow))
    for connection in flow.connections:
        if connection.name.text not in used:
            opened = "" if connection.lazy else "; it is opened all the same"
            message = f"no step uses connection `{connection.name.text}`{opened}"
            yield _hint(CONNECTION, message, connection.name.span, "remove it")
    specs = {each.spec.name: each.spec for each in plan.operations}
    for block in (flow.steps, flow.on_cancel, flow.finally_):
        yield from _steps(block, read.names, specs)


def _hint(kind: str, message: str, span: Span, help_: str) -> Diagnostic:
    return Diagnostic(kind, message, span, "hint", suggestion=help_)


# ---------------------------------------------------------------- what is read


class _Read:
    """The names that expressions begin with, and which keys of `inputs` and `vars` they take."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._keys: set[tuple[str, str]] = set()

    def holds(self, root: str, key: str) -> bool:
        return root in self.names or (root, key) in self._keys

    def look(self, tree: ast.AST) -> None:
        waiting: list[ast.AST] = [tree]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Name):
                self.names.add(node.id)  # a root that stands alone is read as a whole
            elif isinstance(node, (ast.Attribute, ast.Subscript)) and (key := _key(node)) is not None:
                self._keys.add(key)
            else:
                waiting.extend(ast.iter_child_nodes(node))


def _key(node: ast.Attribute | ast.Subscript) -> tuple[str, str] | None:
    """The root and the key of `inputs.x` or `inputs["x"]`."""
    if not isinstance(node.value, ast.Name) or node.value.id not in _ROOTS:
        return None
    if isinstance(node, ast.Attribute):
        return node.value.id, node.attr
    known = isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)
    return (node.value.id, str(node.slice.value)) if known and isinstance(node.slice, ast.Constant) else None


def _expressions(part: object) -> Iterator[Expression]:
    """Every expression in a part of the model, whatever its records are."""
    waiting = [part]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Expression):
            yield each
        elif isinstance(each, (tuple, list)):
            waiting.extend(each)
        elif is_dataclass(each) and not isinstance(each, type):
            waiting.extend(getattr(each, field.name) for field in fields(each) if field.name not in _PLAIN)


_PLAIN = frozenset({"span", "scalar", "name", "text", "source", "spans", "type"})  # fields without expressions


def _transactions(flow: model.Flow) -> Iterator[str]:
    waiting = [*flow.steps, *flow.on_cancel, *flow.finally_]
    while waiting:
        step = waiting.pop()
        if isinstance(step, model.TransactionStep):
            yield step.connection.text
        for _, inner in model.blocks(step):
            waiting.extend(inner)


# ---------------------------------------------------------------- steps


def _steps(steps: tuple[model.Step, ...], read: set[str], specs: dict[str, TaskSpec]) -> Iterator[Diagnostic]:
    for step in steps:
        modifiers = step.modifiers
        handled = modifiers.on_error is not None or modifiers.continue_on_error
        if modifiers.id is not None and modifiers.id.text not in read and not handled and _only_reads(step, specs):
            message = f"nothing uses what step `{modifiers.id.text}` gives"
            yield _hint(STEP, message, modifiers.id.span, "remove the step, or use its outputs")
        for word, inner in model.blocks(step):
            if not (handled and word != "on_error") and word != "try":  # there a step may stand for its failure alone
                yield from _steps(inner, read, specs)


def _only_reads(step: model.Step, specs: dict[str, TaskSpec]) -> bool:
    if not isinstance(step, model.TaskStep):
        return isinstance(step, model.SetStep)
    spec = specs.get(step.task.text)
    if spec is None or spec.effect not in ("read", "none"):
        return False
    query = next((value for name, value in step.arguments if name.text == "query"), None)
    statement = query.scalar.text if isinstance(query, (model.Constant, model.Computed)) else "select"
    return re.match(r"\s*(select|with|values|table|pragma|explain|show)\b", statement, re.IGNORECASE) is not None
