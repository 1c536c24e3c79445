"""What a trigger gives to the flow, and who may set one off."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence

from flowlang.diagnostics import Diagnostic, Edit, Fix, code, nearest
from flowlang.document import model

INPUT = code(
    "trigger-input",
    """A trigger does not give what the flow needs, or gives what the flow does not know.

A schedule gives no inputs: each needs a default, or may not be required. The `inputs` of a webhook name inputs of the
flow, and give all that are required.

```yaml wrong
flow: f
inputs:
  - {name: day, type: string, required: true}
triggers:
  - every: {interval: 1h}
steps: []
```

```yaml
flow: f
inputs:
  - {name: day, type: string, default: today}
triggers:
  - every: {interval: 1h}
steps: []
```
""",
    fix="guess",
)
SECRET = code(
    "webhook-secret",
    """What protects a webhook is not a secret.

Whoever reads the file could call it. Name a secret, alone: it is compared with what the caller sends.

```yaml wrong
flow: f
triggers:
  - webhook: {path: /orders, auth: {bearer: abc123}}
steps: []
```

```yaml
flow: f
triggers:
  - webhook: {path: /orders, auth: {bearer: "${secrets.ORDERS_TOKEN}"}}
steps: []
```
""",
)


def literal_secret(value: model.Value) -> Iterator[Diagnostic]:
    whole = value.template.whole if isinstance(value, model.Computed) else None
    if whole is not None and _is_secret(whole.tree):
        return
    literal = isinstance(value, model.Constant)
    message = "a secret stands in the file" if literal else "this is not the value of a secret"
    help_ = "name one: `${secrets.NAME}`; `FLOWLANG_SECRET_NAME` or `--secrets` gives its value"
    yield Diagnostic(SECRET, message, value.span, suggestion=help_)


def _is_secret(tree: ast.AST) -> bool:
    if isinstance(tree, ast.Subscript):
        tree = tree.value if isinstance(tree.slice, ast.Constant) else tree
    elif isinstance(tree, ast.Attribute):
        tree = tree.value
    return isinstance(tree, ast.Name) and tree.id == "secrets"


def meant(name: model.Name, inputs: Mapping[str, model.Input]) -> str | None:
    """The input that an unknown name most likely stands for."""
    return nearest(name.text, inputs)


def unknown_input(name: model.Name, close: str | None, inputs: Mapping[str, model.Input]) -> Iterator[Diagnostic]:
    known = ", ".join(f"`{each}`" for each in inputs) or "none"
    fix = Fix(f"write `{close}`", (Edit(name.span, close),)) if close is not None else None
    yield Diagnostic(
        INPUT,
        f"the flow has no input `{name.text}`",
        name.span,
        notes=(f"its inputs: {known}",),
        suggestion=f"did you mean `{close}`?" if close is not None else None,
        fix=fix,
    )


def not_given(trigger: model.Trigger, inputs: Sequence[model.Input], given: Collection[str]) -> Iterator[Diagnostic]:
    """Each required input that the trigger does not give."""
    for each in inputs:
        if not each.required or each.name.text in given:
            continue
        message = (
            f"input `{each.name.text}` ({each.name.span.start}) is required, and `{trigger.kind}` does not give it"
        )
        add = f"add `{each.name.text}: …` to its `inputs`" if trigger.kind == "webhook" else "give it a `default`"
        yield Diagnostic(INPUT, message, trigger.span, suggestion=add)
