"""A step is cached whose outputs cannot be kept.

`cache` answers a step with what it returned before, so the task has to be one that only reads: one that declares it
(`@task(effect="read")`), with a statement that changes nothing. A stream passes by once and cannot be kept, and what is
read inside a `transaction` is nobody else's business.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_execute:
      query: DELETE FROM notes
      cache: {key: notes, ttl: 1h}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query:
      id: notes
      query: SELECT * FROM notes
      cache: {key: notes, ttl: 1h}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, Span, code
from flowlang.document import model
from flowlang.tasks.spec import TaskSpec

CODE = code("not-cacheable", __doc__ or "")


def check(step: model.TaskStep, spec: TaskSpec, around: Span | None) -> Iterator[Diagnostic]:
    """`around` is the transaction that the step is part of."""
    span = step.modifiers.spans["cache"]
    help_ = "leave `cache` out"
    if spec.streams:
        message = f"`{spec.name}` gives a stream, whose rows pass by only once: it cannot be cached"
        yield Diagnostic(CODE, message, span, suggestion="cache a step that gives a list")
    elif spec.effect == "write":
        yield Diagnostic(CODE, f"`{spec.name}` writes here: it has to be done each time", span, suggestion=help_)
    elif spec.effect is None:
        message = f"`{spec.name}` does not say that it only reads, so what it does may not be left out"
        help_ += ', or declare the task with `@task(effect="read")`'
        yield Diagnostic(CODE, message, span, suggestion=help_)
    elif around is not None:
        message = f"what is read in the transaction at {around.start} may not be kept for others"
        yield Diagnostic(CODE, message, span, suggestion=help_)
