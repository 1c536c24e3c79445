"""A stream is put where a value is kept.

A stream's rows pass by once and are never whole in memory. It cannot stand in `set`, in an output, in the input of a
subflow, or inside a list or object. Read it in a `for_each` and `collect` what you need of each row, or give it to a
task that takes one.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_stream: {id: events, query: SELECT 1 AS n}
outputs:
  - {name: rows, value: "${events.rows}"}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_stream: {id: events, query: SELECT 1 AS n}
  - id: numbers
    for_each: ${events.rows}
    as: row
    do:
      - log: "${row.n}"
    collect: ${row.n}
outputs:
  - {name: rows, value: "${numbers.results}"}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, code
from flowlang.document import model
from flowlang.expressions.types import Type

CODE = code("stream-kept", __doc__ or "")


def check(what: str, given: Type, value: model.Computed) -> Iterator[Diagnostic]:
    whole = value.template.whole
    span = value.scalar.locate(*whole.span_of(whole.tree)) if whole is not None else value.span
    holds = "would keep a stream" if given.kind == "stream" else "would keep something that holds a stream"
    yield Diagnostic(
        CODE,
        f"`{what}` {holds}, whose rows pass by only once",
        span,
        suggestion="read it in a `for_each` and `collect` what you need of each row",
    )
