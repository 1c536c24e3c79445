"""An `idempotency_key` that does nothing, or that shows a secret."""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, code
from flowlang.document import model
from flowlang.tasks.spec import TaskSpec

UNUSED = code(
    "key-without-effect",
    """A step has an `idempotency_key`, and its task never sees it.

A key protects from doing something twice only when the task hands it to the service. A task gets it as
`context.idempotency_key`, when it asks for `context`; this one does not, and the step would be retried as if it were
safe. On a database that speaks SQL `exactly_once` keeps the key beside what the step writes.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_execute:
      query: INSERT INTO payments (amount) VALUES (5)
      idempotency_key: ${run.id}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_execute:
      query: INSERT INTO payments (amount) VALUES (5)
      idempotency_key: ${run.id}
      exactly_once: true
```
""",
)
SECRET = code(
    "secret-key",
    """An `idempotency_key` is made of a secret.

Services keep the keys that they were sent, and write them into their logs. Make the key of what is done: the number of
an order, the id of the run.

```python file=shop.py
import flowlang


@flowlang.task(effect="write")
async def charge(amount: int, context: object) -> None: ...
```

```yaml wrong
flow: f
tasks: [shop.py]
steps:
  - charge:
      amount: 5
      idempotency_key: ${secrets.API_KEY}
```

```yaml
flow: f
tasks: [shop.py]
steps:
  - charge:
      amount: 5
      idempotency_key: ${run.id}
```
""",
)


def without_effect(step: model.TaskStep, spec: TaskSpec, *, sql: bool) -> Iterator[Diagnostic]:
    """`sql`: the task is one of a database that speaks SQL."""
    if "context" in spec.injects or step.modifiers.exactly_once:
        return
    message = f"`idempotency_key` has no effect: task `{spec.name}` does not take `context`, and never sees it"
    help_ = "leave it out"
    if sql and spec.effect == "write":
        help_ = "add `exactly_once: true`, which keeps the key in the database"
    elif spec.connection_type is None:
        help_ = "leave it out, or give the task a parameter `context`"
    yield Diagnostic(UNUSED, message, step.modifiers.spans["idempotency_key"], suggestion=help_)


def on_block(step: model.TransactionStep) -> Iterator[Diagnostic]:
    """A key of a `transaction` that nobody keeps."""
    if step.modifiers.idempotency_key is None or step.modifiers.exactly_once:
        return
    message = "`idempotency_key` has no effect on a `transaction` that is not `exactly_once`"
    help_ = "add `exactly_once: true`, which keeps the key in the database"
    yield Diagnostic(UNUSED, message, step.modifiers.spans["idempotency_key"], suggestion=help_)


def secret(value: model.Value) -> Iterator[Diagnostic]:
    message = "`idempotency_key` would send a secret as a key, which services keep and show"
    help_ = "make it of what is done: the number of an order, the id of the run"
    yield Diagnostic(SECRET, message, value.span, suggestion=help_)
