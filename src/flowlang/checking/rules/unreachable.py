"""A step can never run, because the one before it always ends the flow.

Nothing follows `exit` and `raise`, nor an `if`, `switch` or `parallel` all of whose ways end with one of them.

```yaml wrong
flow: f
steps:
  - exit: nothing to do
  - log: never said
```

```yaml
flow: f
inputs:
  - {name: count, type: integer, default: 0}
steps:
  - if: inputs.count == 0
    then:
      - exit: nothing to do
  - log: said when there is something to do
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, code
from flowlang.document import model

CODE = code("unreachable", __doc__ or "")


def check(step: model.Step, before: model.Step) -> Iterator[Diagnostic]:
    message = f"this step can never run: the one at {before.start} always ends the flow"
    yield Diagnostic(CODE, message, step.head, "warning", suggestion="remove it, or give the one before it an `if`")
