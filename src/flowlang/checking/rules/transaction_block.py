"""What a `transaction` cannot be, and what cannot stand in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowlang.connections.base import ConnectionPlugin, transactional
from flowlang.diagnostics import Diagnostic, Span, code
from flowlang.document import model

UNSUPPORTED = code(
    "no-transactions",
    """A `transaction` stands on a connection whose type has none.

Databases have them; a type says so by the member `transaction` of its plugin.

```yaml fragment
connections:
  mail: {type: smtp, host: localhost}
steps:
  - transaction: mail      # there is no way to take a sent letter back
    do: []
```
""",
)
NESTED = code(
    "transaction-nested",
    """A `transaction` stands inside one on the same connection.

The steps inside are part of the transaction around them already. Leave the inner one out, or use a second connection.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - transaction: db
    do:
      - transaction: db
        do:
          - sqlite_execute: {query: DELETE FROM notes}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - transaction: db
    do:
      - sqlite_execute: {query: DELETE FROM notes}
```
""",
)
WAITS = code(
    "wait-in-transaction",
    """A `wait` stands inside a `transaction`.

While a flow waits its connections are free for others; a transaction would have to keep its handle, and the locks of
the database with it. Wait before it, or behind it.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - transaction: db
    do:
      - sqlite_execute: {query: DELETE FROM notes}
      - wait: 1h
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - transaction: db
    do:
      - sqlite_execute: {query: DELETE FROM notes}
  - wait: 1h
```
""",
)


def unsupported(
    step: model.TransactionStep, connection: model.Connection, plugin: ConnectionPlugin | None
) -> Iterator[Diagnostic]:
    if plugin is None or transactional(type(plugin)):
        return
    name = connection.name
    message = f"`{name.text}` ({name.span.start}) is {connection.type.text}, which has no transactions"
    yield Diagnostic(UNSUPPORTED, message, step.connection.span, suggestion="leave the `transaction` out")


def nested(step: model.TransactionStep, around: Span | None) -> Iterator[Diagnostic]:
    if around is None:
        return
    message = f"`{step.connection.text}` is in the transaction at {around.start} already"
    help_ = "leave this one out: its steps are part of that one"
    yield Diagnostic(NESTED, message, step.connection.span, suggestion=help_)


def waits(step: model.TransactionStep) -> Iterator[Diagnostic]:
    """Each `wait` in the block; those in a transaction inside it are its own."""
    for each in _waits(step.body):
        message = f"a `wait` inside the transaction at {step.span.start} would keep its handle, and its locks"
        yield Diagnostic(WAITS, message, each.span, suggestion="wait before the transaction, or behind it")


def _waits(steps: Sequence[model.Step]) -> Iterator[model.WaitStep]:
    for step in steps:
        if isinstance(step, model.WaitStep):
            yield step
        elif not isinstance(step, model.TransactionStep):
            for _, inner in model.blocks(step):
                yield from _waits(inner)
