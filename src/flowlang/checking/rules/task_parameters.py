"""What a step gives a task, held against the task's signature: nothing unknown, nothing missing."""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, code, nearest, respelt
from flowlang.document import model
from flowlang.document.modifiers import COMMON, SERVICE
from flowlang.expressions.types import STRING, Type, accepts
from flowlang.tasks.spec import Parameter, TaskSpec

MISSING = code(
    "missing-parameter",
    """A step does not give its task a parameter that it needs.

A parameter without a default must be given; `flowlang connection info TYPE` lists the parameters of a type's tasks.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: SELECT 1}
```
""",
)
UNKNOWN = code(
    "unknown-parameter",
    """A step gives its task a parameter that it does not have.

The signature of a task is its specification, and it is closed: a mistyped name would otherwise be ignored silently.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: SELECT 1, limits: 5}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: SELECT 1, limit: 5}
```
""",
    fix="certain",
)
BOTH = code(
    "query-given-twice",
    """A step gives both `query` and `query_file`.

```yaml fragment
- sqlite_query: {id: q, query: SELECT 1, query_file: one.sql}   # which of the two?
- sqlite_query: {id: q, query_file: one.sql}
```

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_execute: {query: DELETE FROM orders, query_file: clean.sql}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_execute: {query: DELETE FROM orders}
```
""",
)

FILE = "query_file"  # takes the place of a parameter `query` that is a SQL text


def check(step: model.TaskStep, spec: TaskSpec, flow: model.Flow) -> Iterator[Diagnostic]:
    given = {name.text: name for name, _ in step.arguments}
    known = [each.name for each in spec.parameters]
    query = spec.parameter("query")
    from_file = FILE in given and FILE not in known and query is not None and query.form == "sql"
    if from_file and "query" in given:
        yield _both(given[FILE], given["query"])
    mistyped: set[str | None] = {"query"} if from_file else set()
    if not spec.extra:
        for name in given.values():
            if name.text in known or (from_file and name.text == FILE):
                continue
            close = nearest(name.text, [each for each in (*known, *_free(step)) if each not in given])
            mistyped.add(close)
            yield _unknown(name, spec, close, known)
    for each in spec.parameters:
        if each.required and each.name not in given and each.name not in mistyped:
            yield _missing(step, spec, each, flow)


def _free(step: model.TaskStep) -> list[str]:
    """The modifiers that the step does not have yet: one of them may be meant by an unknown parameter."""
    return [each for each in (*COMMON, *SERVICE) if each not in step.modifiers.spans]


def _both(file: model.Name, query: model.Name) -> Diagnostic:
    message = f"`query` is already given at {query.span.start}, and `{FILE}` takes its place"
    return Diagnostic(BOTH, message, file.span, suggestion="remove one of the two")


def _unknown(name: model.Name, spec: TaskSpec, close: str | None, known: list[str]) -> Diagnostic:
    names = ", ".join(f"`{each}`" for each in known) or "none"
    return Diagnostic(
        UNKNOWN,
        f"task `{spec.name}` has no parameter `{name.text}`",
        name.span,
        notes=(f"its parameters: {names}",),
        suggestion=f"did you mean `{close}`?" if close else None,
        fix=respelt(name.span, close, name.text, known),
    )


def _missing(step: model.TaskStep, spec: TaskSpec, parameter: Parameter, flow: model.Flow) -> Diagnostic:
    wanted = STRING if parameter.form == "ident" else parameter.type
    kind = {"any": "", "sql": "a SQL text, "}.get(wanted.kind, f"{wanted}, ")
    value, notes = "…", tuple[str, ...]()
    fitting = sorted(_fitting(wanted, parameter.name, flow), key=lambda each: each != parameter.name)
    if fitting:
        value = f'"${{inputs.{fitting[0]}}}"'
        notes = (f"inputs that fit: {', '.join(f'`{each}`' for each in fitting)}",)
    return Diagnostic(
        MISSING,
        f"parameter `{parameter.name}` ({kind}required) of task `{spec.name}` is missing",
        step.task.span,
        notes=notes,
        suggestion=f"add `{parameter.name}: {value}`",
    )


def _fitting(wanted: Type, name: str, flow: model.Flow) -> list[str]:
    """The inputs that could be given: by their type, or where that is not known by their name."""
    if wanted.kind == "sql":
        return []
    names = {each.name.text: each.type for each in flow.inputs}
    if wanted.kind == "any":
        return [name] if name in names else []
    return [each for each, given in names.items() if given.kind != "any" and accepts(wanted, given)]
