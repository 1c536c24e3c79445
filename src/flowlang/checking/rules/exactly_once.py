"""`exactly_once` on a step that cannot be done exactly once, or need not be.

`exactly_once: true` writes the step's key and outputs into the table `flowlang_once`, in the transaction in which the
step does its work. So the step has to work on a connection to a database that speaks SQL, and to change something
there. A stream passes by once and cannot be kept; a secret output may not be.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query:
      id: notes
      query: SELECT * FROM notes
      exactly_once: true
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query:
      id: notes
      query: SELECT * FROM notes
  - sqlite_execute:
      query: INSERT INTO looks (notes) VALUES (${notes.count})
      exactly_once: true
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, code
from flowlang.document import model
from flowlang.expressions.types import holds_secret, record
from flowlang.tasks.spec import TaskSpec

CODE = code("not-exactly-once", __doc__ or "")


def check(step: model.TaskStep, spec: TaskSpec, keeping: bool) -> Iterator[Diagnostic]:
    """`keeping`: the step's connection is to a database that can keep its key."""
    span, name, help_ = step.modifiers.spans["exactly_once"], spec.name, "leave `exactly_once` out"
    if not keeping:
        message = f"`{name}` works on no database that speaks SQL: its key cannot be written together with what it does"
        if "context" in spec.injects:
            help_ += ", and give the step an `idempotency_key` where the service knows one"
    elif spec.streams:
        message = f"`{name}` gives a stream, whose rows pass by only once: they cannot be kept"
    elif spec.effect in ("none", "read"):
        message = f"`{name}` changes nothing here: it may be done again as it is"
    elif spec.outputs is not None and holds_secret(record(spec.outputs)):
        message = f"`{name}` gives a secret, and what a step gives that is done exactly once is kept in the database"
        help_ += ", or have the task give something else"
    else:
        return
    yield Diagnostic(CODE, message, span, suggestion=help_)
