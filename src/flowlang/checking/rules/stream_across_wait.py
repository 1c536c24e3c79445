"""A `wait` stands where a stream is open.

A stream holds a handle of its connection until it is read. A `wait` may take days, and gives handles back, so that a
stream neither is read around it nor lives on behind it: wait first, or read the rows into a list.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_stream: {id: events, query: SELECT 1 AS n}
  - for_each: ${events.rows}
    as: row
    do:
      - wait: 1s
      - log: "${row.n}"
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: events, query: SELECT 1 AS n}
  - for_each: ${events.rows}
    as: row
    do:
      - wait: 1s
      - log: "${row.n}"
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.checking.scope import Entry, Scope
from flowlang.diagnostics import Diagnostic, code
from flowlang.document import model

CODE = code("stream-across-wait", __doc__ or "")


def check(step: model.WaitStep, scope: Scope) -> Iterator[Diagnostic]:
    if scope.over_stream is None:
        return
    loop = scope.over_stream
    message = f"this `wait` stands in the loop at {loop.start}, whose stream would stay open meanwhile"
    collect = f"`do: []`, `collect: ${{{loop.variable.text}}}`"
    help_ = f"wait before the loop; or collect the rows first ({collect}), and loop over the `results` of that"
    yield Diagnostic(CODE, message, step.head, suggestion=help_)


def close(step: model.WaitStep, scope: Scope) -> None:
    """The streams in sight cannot be read any more, behind `step`."""
    for name, _ in scope.known():
        entry = scope.entry(name)
        if entry is not None and _is_stream(entry) and entry.state != "hidden":
            why = f"{entry.label} gives a stream, which does not outlive the `wait` at {step.span.start}"
            scope.add(name, entry.hidden(why, "read it before the `wait`, or open it behind"))


def _is_stream(entry: Entry) -> bool:
    fields = entry.type.fields
    return bool(fields) and all(each.kind == "stream" for each in (fields or {}).values())
