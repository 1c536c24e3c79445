"""A secret is put where it is stored, or where nobody could read it.

What a secret feeds is masked wherever a run shows it. Some places cannot be masked: a file keeps what is written to
it, and the name of a table becomes part of a statement's text, which servers log. In others masking leaves nothing
over: a message that holds a secret is shown as `***`.

```yaml wrong
flow: f
inputs:
  - {name: token, type: string, secret: true, required: true}
steps:
  - file_write: {path: token.txt, content: "${inputs.token}"}
  - raise: {message: "the token ${inputs.token} was refused"}
```

```yaml
flow: f
inputs:
  - {name: token, type: string, secret: true, required: true}
steps:
  - log: "a token of ${len(inputs.token)} characters"
  - raise: {message: the token was refused}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, Span, code
from flowlang.document import model
from flowlang.expressions.types import Type, holds_secret
from flowlang.tasks.spec import TaskSpec

CODE = code("secret-stored", __doc__ or "")

KEPT = "leave the secret out, or keep it where secrets are kept"


def argument(spec: TaskSpec, name: str, value: model.Value, given: Type) -> Iterator[Diagnostic]:
    """An argument of a task that writes files."""
    if spec.origin == "flowlang" and spec.effect == "write" and holds_secret(given):
        yield from stored(f"`{name}` of `{spec.name}`", "a file keeps it as it is", value)


def stored(what: str, why: str, where: model.Value | Span) -> Iterator[Diagnostic]:
    """A secret stands at `what`, which keeps it or sends it for the reason `why`."""
    span = where if isinstance(where, Span) else where.span
    yield Diagnostic(CODE, f"{what} holds a secret, and {why}", span, "warning", suggestion=KEPT)


def shown(what: str, value: model.Value | None, given: Type) -> Iterator[Diagnostic]:
    """A message that is masked as a whole."""
    if value is not None and holds_secret(given):
        message = f"{what} holds a secret, so all that is ever shown of it is `***`"
        yield Diagnostic(CODE, message, value.span, "warning", suggestion="leave the secret out of the text")
