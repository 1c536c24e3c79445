"""`exactly_once` on a step, or a `transaction`, that cannot be done exactly once, or need not be.

`exactly_once: true` writes the step's key and outputs into the table `flowlang_once`, in the transaction in which the
step does its work. So the step has to work on a connection to a database that speaks SQL, and to change something
there. A stream passes by once and cannot be kept; a secret output may not be.

On a `transaction` it is about all of the block, and what the block leaves is kept. So whatever changes something in it
has to do so on the connection of the transaction, or may be done again anyway; what it leaves may not be secret, and it
does not end the flow.

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

from collections.abc import Iterator, Mapping, Sequence

from flowlang.diagnostics import Diagnostic, Span, code
from flowlang.document import model
from flowlang.expressions.types import Type, holds_secret, record
from flowlang.tasks.spec import TaskSpec

CODE = code("not-exactly-once", __doc__ or "")
_READS = ("none", "read")


def check(step: model.TaskStep, spec: TaskSpec, keeping: bool) -> Iterator[Diagnostic]:
    """`keeping`: the step's connection is to a database that can keep its key."""
    span, name, help_ = step.modifiers.spans["exactly_once"], spec.name, "leave `exactly_once` out"
    if not keeping:
        message = f"`{name}` works on no database that speaks SQL: its key cannot be written together with what it does"
        if "context" in spec.injects:
            help_ += ", and give the step an `idempotency_key` where the service knows one"
    elif spec.streams:
        message = f"`{name}` gives a stream, whose rows pass by only once: they cannot be kept"
    elif spec.effect in _READS:
        message = f"`{name}` changes nothing here: it may be done again as it is"
    elif spec.outputs is not None and holds_secret(record(spec.outputs)):
        message = f"`{name}` gives a secret, and what a step gives that is done exactly once is kept in the database"
        help_ += ", or have the task give something else"
    else:
        return
    yield Diagnostic(CODE, message, span, suggestion=help_)


# ---------------------------------------------------------------- a transaction


def block(
    step: model.TransactionStep, left: Mapping[str, Type], *, keeping: bool, writes: bool
) -> Iterator[Diagnostic]:
    """`left`: what the block leaves behind it; `keeping`: its database can keep a key; `writes`: something in it may
    change something there."""
    span, help_ = step.modifiers.spans["exactly_once"], "leave `exactly_once` out"
    secret = next((name for name, type_ in left.items() if holds_secret(type_)), None)
    if not keeping:
        message = f"`{step.connection.text}` is no database that speaks SQL: no key can be kept there with the block"
    elif not writes:
        message = "this `transaction` changes nothing on its connection: it may be done again as it is"
    elif secret is not None:
        message = f"the block leaves a secret in `{secret}`, and what it leaves is kept in the database"
        help_ += ", or do what gives the secret before the transaction, or behind it"
    else:
        yield from _within(step, step.body)
        return
    yield Diagnostic(CODE, message, span, suggestion=help_)


def _within(around: model.TransactionStep, steps: Sequence[model.Step]) -> Iterator[Diagnostic]:
    """What in the block would not be answered by what was kept of it."""
    for step in steps:
        if isinstance(step, model.SubflowStep):
            yield _beside(around, step.span, "a `subflow` works on connections of its own", "call it")
        elif isinstance(step, model.TransactionStep):
            yield _beside(around, step.span, "another connection is committed by itself", "put it")
        elif isinstance(step, model.ExitStep) and step.status == "success":
            yield _beside(around, step.span, "an `exit` ends the flow, which is not kept with it", "put it")
        else:
            for _, inner in model.blocks(step):
                yield from _within(around, inner)


def outside(step: model.TaskStep, spec: TaskSpec, around: model.TransactionStep, again: bool) -> Iterator[Diagnostic]:
    """A task step in a block that is done exactly once, and not on its connection. `again`: it may be done again."""
    if spec.effect in _READS or again:
        return
    yield _beside(around, step.task.span, f"`{spec.name}` does not work on `{around.connection.text}`", "do it")


def _beside(around: model.TransactionStep, span: Span, what: str, verb: str) -> Diagnostic:
    message = f"the transaction at {around.span.start} is done exactly once, and {what}"
    return Diagnostic(CODE, message, span, suggestion=f"{verb} before the transaction, or behind it")
