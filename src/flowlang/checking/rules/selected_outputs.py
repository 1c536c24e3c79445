"""A step lists an output that its task does not give.

`outputs:` at a step says which of the task's outputs become `${id.key}`; a task that declares its outputs gives no
others.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: SELECT 1, outputs: [row]}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: SELECT 1, outputs: [rows]}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, code, nearest, respelt
from flowlang.document import model
from flowlang.tasks.spec import TaskSpec

CODE = code("unknown-selected-output", __doc__ or "", fix="guess")


def check(step: model.TaskStep, spec: TaskSpec) -> Iterator[Diagnostic]:
    if step.selected is None or spec.outputs is None:
        return
    for name in step.selected:
        if name.text in spec.outputs:
            continue
        close = nearest(name.text, spec.outputs)
        given = ", ".join(f"`{each}`" for each in spec.outputs) or "nothing"
        yield Diagnostic(
            CODE,
            f"task `{spec.name}` has no output `{name.text}`",
            name.span,
            notes=(f"it gives {given}",),
            suggestion=f"did you mean `{close}`?" if close else None,
            fix=respelt(name.span, close),
        )
