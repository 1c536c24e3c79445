"""Which connection a step works on: the one it names, or the only one of the task's type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from flowlang.diagnostics import Diagnostic, code, nearest, one_slip, respelt
from flowlang.document import model

UNKNOWN = code(
    "unknown-connection",
    """A step names a connection that the flow does not define.

```yaml wrong
flow: f
connections: {orders: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, connection: order, query: SELECT 1}
```

```yaml
flow: f
connections: {orders: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, connection: orders, query: SELECT 1}
```
""",
    fix="guess",
)
AMBIGUOUS = code(
    "connection-needed",
    """A step does not say which connection it means.

`connection:` may be left out when the flow has exactly one connection of the task's type.

```yaml wrong
flow: f
connections:
  orders: {type: sqlite, database: orders.db}
  stock: {type: sqlite, database: stock.db}
steps:
  - sqlite_query: {id: q, query: SELECT 1}
```

```yaml
flow: f
connections:
  orders: {type: sqlite, database: orders.db}
  stock: {type: sqlite, database: stock.db}
steps:
  - sqlite_query: {id: q, connection: stock, query: SELECT 1}
```
""",
)


def unknown(written: model.Name, connections: Mapping[str, model.Connection]) -> Iterator[Diagnostic]:
    name, span = written.text, written.span
    close = nearest(name, connections) or _slip_of(name, connections)
    known = ", ".join(f"`{each}`" for each in connections) or "none"
    if close is None:
        yield Diagnostic(UNKNOWN, f"the flow defines no connection `{name}`", span, notes=(f"it defines: {known}",))
        return
    fix = respelt(span, close)
    where = f" ({connections[close].name.span.start})"
    yield Diagnostic(
        UNKNOWN, f"the flow defines no connection `{name}`", span, suggestion=f"did you mean `{close}`{where}?", fix=fix
    )


def _slip_of(name: str, connections: Iterable[str]) -> str | None:
    """The one connection that `name` is a slip away from: short names (`db`) are like nothing else."""
    near = [each for each in connections if len(each) > 1 and one_slip(name, each)]
    return near[0] if len(near) == 1 else None


def ambiguous(step: model.TaskStep, fitting: Sequence[model.Connection]) -> Iterator[Diagnostic]:
    task = step.task.text
    if not fitting:
        message = f"task `{task}` needs a connection, and the flow defines none"
        yield Diagnostic(AMBIGUOUS, message, step.task.span, suggestion="define one under `connections`")
        return
    names = ", ".join(f"`{each.name.text}` ({each.name.span.start})" for each in fitting)
    yield Diagnostic(
        AMBIGUOUS,
        f"task `{task}` does not say which connection it means",
        step.task.span,
        notes=(f"these fit: {names}",),
        suggestion=f"add `connection: {fitting[0].name.text}`",
    )
