"""A task is asked to work on a connection that is not of its type, or on none.

A task of a plugin works on connections of that plugin's type; a file task and most tasks of your own use none.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - file_read: {id: read, connection: db, path: notes.txt}
```

```yaml
flow: f
steps:
  - file_read: {id: read, path: notes.txt}
```
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowlang.connections.base import ConnectionPlugin
from flowlang.diagnostics import Diagnostic, code, respelt
from flowlang.document import model

CODE = code("wrong-connection", __doc__ or "", fix="guess")


def check(
    step: model.TaskStep, owner: str, named: model.Connection, fitting: Sequence[model.Connection]
) -> Iterator[Diagnostic]:
    assert step.connection is not None
    first = fitting[0]
    message = (
        f"`{step.task.text}` needs a {owner} connection, "
        f"`{named.name.text}` ({named.name.span.start}) is {named.type.text}"
    )
    fix = respelt(step.connection.span, first.name.text)
    suggestion = f"use `{first.name.text}` ({first.name.span.start})"
    yield Diagnostic(CODE, message, step.connection.span, suggestion=suggestion, fix=fix)


def missing(step: model.TaskStep, plugin: ConnectionPlugin, named: model.Connection | None) -> Iterator[Diagnostic]:
    needs = f"`{step.task.text}` needs a {plugin.name} connection"
    if named is not None and step.connection is not None:
        given = f"`{named.name.text}` ({named.name.span.start}) is {named.type.text}"
        yield Diagnostic(CODE, f"{needs}, {given}", step.connection.span, suggestion=_define(plugin))
        return
    if step.connection is None:
        yield Diagnostic(CODE, f"{needs}, and the flow defines none", step.task.span, suggestion=_define(plugin))


def unwanted(step: model.TaskStep) -> Iterator[Diagnostic]:
    assert step.connection is not None
    message = f"task `{step.task.text}` uses no connection"
    yield Diagnostic(CODE, message, step.connection.span, suggestion="leave it out")


def _define(plugin: ConnectionPlugin) -> str:
    return f"define one under `connections`: `flowlang connection scaffold {plugin.name}` writes it"
