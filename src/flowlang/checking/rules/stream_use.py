"""A stream is read twice.

A stream hands its rows out once, to one consumer: one `for_each`, or one task. It cannot be read again by a later
step, by a parallel branch, or by each turn of a loop around its reader. When the rows are needed twice, ask for them
twice, or query them into a list.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_stream: {id: events, query: SELECT 1 AS n}
  - sqlite_batch_insert: {id: one, table: a, records: "${events.rows}"}
  - sqlite_batch_insert: {id: two, table: b, records: "${events.rows}"}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: events, query: SELECT 1 AS n}
  - sqlite_batch_insert: {id: one, table: a, records: "${events.rows}"}
  - sqlite_batch_insert: {id: two, table: b, records: "${events.rows}"}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.checking.scope import Scope
from flowlang.diagnostics import Diagnostic, Span, code
from flowlang.document import model
from flowlang.expressions.narrowing import path_key

CODE = code("stream-use", __doc__ or "")


def check(value: model.Value, scope: Scope) -> Iterator[Diagnostic]:
    """`value` is a stream, and `scope` the place of its consumer."""
    whole = value.template.whole if isinstance(value, model.Computed) else None
    path = path_key(whole.tree) if whole is not None else None
    if whole is None or path is None or not isinstance(value, model.Computed):
        return
    entry = scope.entry(path.partition("\n")[0])
    if entry is None:
        return
    span = value.scalar.locate(*whole.span_of(whole.tree))
    first = scope.consume((id(entry.layout), entry.slot, path), span)
    shown = f"the stream `{whole.source.strip()}`"
    if first is not None:
        yield Diagnostic(CODE, f"{shown} is already read at {first.start}: a stream has one consumer", span)
    elif entry.layout is not scope.layout:
        message = f"{shown} would be read anew by each turn of the loop: a stream has one consumer"
        yield Diagnostic(CODE, message, span, suggestion="make the stream inside the loop, or a list before it")


def closed(label: str, where: Span) -> str:
    """Why the outputs of a step with a stream cannot be read behind the block it stands in."""
    return f"{label} gives a stream, which is closed when the block at {where.start} ends"
