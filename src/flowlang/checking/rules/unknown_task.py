"""A step names a task that nobody brings.

The first word of a step is a verb of the language, a task of one of the flow's connections, a file task (`csv_read`
and its kin), or a task of the flow's own `tasks:` files.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_qery: {id: q, query: SELECT 1}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: SELECT 1}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.checking.catalogue import Catalogue
from flowlang.diagnostics import Diagnostic, code, nearest, respelt
from flowlang.document import model
from flowlang.document.verbs import VERBS

CODE = code("unknown-task", __doc__ or "", fix="guess")


def check(step: model.TaskStep, catalogue: Catalogue) -> Iterator[Diagnostic]:
    name, span = step.task.text, step.task.span
    close = nearest(name, [*VERBS, *catalogue.names()])
    if close is None:
        note = "no connection type that is installed, no task file and no verb has this name"
        help_ = "`flowlang connection list` shows the installed types, `flowlang connection info TYPE` their tasks"
        yield Diagnostic(CODE, f"no task `{name}`", span, notes=(note,), suggestion=help_)
        return
    owner = catalogue.owner(close)
    by = f" (plugin {owner.name} {owner.version})" if owner is not None else ""
    fix = respelt(span, close)
    yield Diagnostic(CODE, f"no task `{name}`", span, suggestion=f"did you mean `{close}`{by}?", fix=fix)
