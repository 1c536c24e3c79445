"""The flow's own task files: read for their signatures, never run by the check."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

from flowlang.checking.catalogue import Catalogue, Entry, file_tasks
from flowlang.diagnostics import Diagnostic, code, nearest, respelt
from flowlang.document import model

CODE = code(
    "task-file",
    """A file or module under `tasks:` cannot be found or read, or defines no task.

`check` reads the signatures of its `@task` functions without running anything of it; `run` imports it. A path counts
from the flow's folder, and a module is looked up there first.

```yaml wrong
flow: f
tasks: [no_such_file.py]
steps:
  - log: hello
```

```yaml fragment
tasks: [tasks/shop.py]     # a file below the flow's folder, with functions marked `@flowlang.task`
```
""",
    fix="guess",
)
CLASH = code(
    "task-clash",
    """Two tasks have the same name.

Nothing is replaced silently: neither one of the flow's task files by another, nor a file task or a task of one of
the flow's connections by one of yours. Give one of them another name: `@task(name="…")`.

```python file=tasks/shop.py
import flowlang


@flowlang.task
async def reserve(order: int) -> None: ...
```

```python file=tasks/stock.py
import flowlang


@flowlang.task
async def reserve(item: int) -> None: ...
```

```yaml wrong
flow: f
tasks: [tasks/shop.py, tasks/stock.py]
steps:
  - reserve: {order: 5}
```

```python file=tasks/stock.py
import flowlang


@flowlang.task(name="reserve_item")
async def reserve(item: int) -> None: ...
```

```yaml
flow: f
tasks: [tasks/shop.py, tasks/stock.py]
steps:
  - reserve: {order: 5}
  - reserve_item: {item: 7}
```
""",
)


def read(
    flow: model.Flow, folder: str, read_text: Callable[[str], str], catalogue: Catalogue
) -> tuple[dict[str, Entry], list[Diagnostic]]:
    """The tasks of all files under `tasks:`, beside those of the caller, which `catalogue` has already."""
    found, findings = dict(catalogue.own), []
    taken = _taken(flow, catalogue) if flow.tasks or found else {}
    for name in flow.tasks:
        entries, problems = _one(name, folder, read_text)
        findings += problems
        for entry in entries:
            task = entry.spec.name
            owner = found[task].spec.origin if task in found else taken.get(task)
            if owner is None:
                found[task] = entry
                continue
            message = f"task `{task}` of `{name.text}` is already defined by {_owner(owner)}"
            help_ = f'give it another name: `@task(name="{task}_2")`'
            findings.append(Diagnostic(CLASH, message, name.span, suggestion=help_))
    return found, findings


def _taken(flow: model.Flow, catalogue: Catalogue) -> dict[str, str]:
    """The tasks that the flow has without any file, and who brings them."""
    taken = dict.fromkeys(file_tasks(), "FlowLang itself")
    for kind in dict.fromkeys(each.type.text for each in flow.connections):
        taken |= dict.fromkeys(catalogue.provider(kind).tasks, f"the plugin `{kind}`")
    return taken


def _owner(origin: str) -> str:
    return {"caller": "the caller of the check"}.get(origin, origin if " " in origin else f"`{origin}`")


def _one(name: model.Name, folder: str, read_text: Callable[[str], str]) -> tuple[list[Entry], list[Diagnostic]]:
    path = locate(name.text, folder)
    if path is None:
        return [], list(_not_found(name, folder))
    try:
        text = read_text(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return [], [Diagnostic(CODE, f"cannot read `{name.text}`: {reason}", name.span)]
    from flowlang.tasks.userfiles import read_tasks

    specs, problems = read_tasks(text, name.text)
    if not specs and not problems:
        message = f"`{name.text}` defines no task"
        return [], [Diagnostic(CODE, message, name.span, suggestion="mark its functions with `@flowlang.task`")]
    return [Entry(spec, None, path) for spec in specs], [Diagnostic(CODE, each, name.span) for each in problems]


def _not_found(name: model.Name, folder: str) -> Iterator[Diagnostic]:
    base = os.path.join(folder, os.path.dirname(name.text))
    try:
        files = sorted(each for each in os.listdir(base) if each.endswith(".py"))
    except OSError:
        files = []
    close = nearest(os.path.basename(name.text), files)
    meant = os.path.join(os.path.dirname(name.text), close) if close else None
    yield Diagnostic(
        CODE,
        f"no task file or module `{name.text}`",
        name.span,
        suggestion=f"did you mean `{meant}`?" if meant else "a path counts from the flow's folder",
        fix=respelt(name.span, meant),
    )


def locate(name: str, folder: str) -> str | None:
    """The file of a path (from the flow's folder) or of a dotted module name, without importing anything."""
    if "\0" in name:
        return None
    if name.endswith(".py") or "/" in name or os.sep in name:
        path = os.path.join(folder, name)
        return os.path.realpath(path) if os.path.isfile(path) else None
    parts = name.split(".")
    for root in [folder, *sys.path]:
        base = os.path.join(root or os.getcwd(), *parts)
        for path in (base + ".py", os.path.join(base, "__init__.py")):
            if os.path.isfile(path):
                return os.path.realpath(path)
    return None
