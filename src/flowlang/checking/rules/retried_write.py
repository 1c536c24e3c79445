"""A write is retried although it may have happened.

After a broken link or a time limit nobody knows whether the service carried the operation out. Reads, and writes that
give the same state when they are done twice, are retried then anyway. Any other write is retried only because `on`
names the class, and may then be done twice. Leave the class out, or make the write one that may be repeated: on a
database that speaks SQL by `exactly_once`, and where a task takes `context` and hands its `idempotency_key` to the
service, by such a key.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_execute:
      id: paid
      query: INSERT INTO payments (amount) VALUES (5)
      retry: {max_attempts: 3, on: [unavailable, timeout]}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_execute:
      id: paid
      query: INSERT INTO payments (amount) VALUES (5)
      exactly_once: true
      retry: {max_attempts: 3, on: [unavailable, timeout]}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.checking.effects import rerun
from flowlang.connections._sql.dialect import Dialect
from flowlang.diagnostics import Diagnostic, code
from flowlang.document import model
from flowlang.tasks.spec import TaskSpec

CODE = code("retried-write", __doc__ or "")

_UNKNOWN_OUTCOME = ("connection_lost", "timeout")


def check(
    step: model.TaskStep, spec: TaskSpec, retry: model.Retry | None, dialect: Dialect | None
) -> Iterator[Diagnostic]:
    """`retry` is the step's own policy or the flow's default, `dialect` that of a database that speaks SQL."""
    if retry is None or spec.effect != "write" or rerun(spec, step):
        return
    if step.modifiers.idempotency_key is not None:
        return  # the task never sees it: that is a finding of its own
    risky = [each for each in _UNKNOWN_OUTCOME if each in retry.on and each not in retry.unless]
    if not risky:
        return
    own = step.modifiers.retry is not None
    classes = " and ".join(f"`{each}`" for each in risky)
    message = f"`{spec.name}` writes, and is done again after {classes} although it may have been done"
    where = "" if own or retry.span is None else f" (the default at {retry.span.start})"
    span = step.modifiers.spans["retry"] if own and "retry" in step.modifiers.spans else step.task.span
    help_ = f"leave {classes} out of `on`{where}, or make the write one that may be repeated"
    if "context" in spec.injects:
        help_ = f"give it an `idempotency_key`, or leave {classes} out of `on`{where}"
    elif dialect is not None:
        help_ = f"give it `exactly_once: true`, or leave {classes} out of `on`{where}"
    yield Diagnostic(CODE, message, span, "warning", suggestion=help_)
