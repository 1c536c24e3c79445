"""A loop variable and something else have the same name.

Inside the loop one of the two would be out of reach. Name the variable with `as`, or the step with another `id`.

```yaml wrong
flow: f
inputs:
  - {name: orders, type: array, default: []}
steps:
  - for_each: ${inputs.orders}
    do:
      - for_each: ${item.lines}
        do:
          - log: "${item.sku}"
```

```yaml
flow: f
inputs:
  - {name: orders, type: array, default: []}
steps:
  - for_each: ${inputs.orders}
    as: order
    do:
      - for_each: ${order.lines}
        as: line
        do:
          - log: "${line.sku}"
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.checking.scope import Entry, Scope
from flowlang.diagnostics import Diagnostic, code
from flowlang.document import model

CODE = code("loop-name-taken", __doc__ or "")


def loop_variable(step: model.ForEachStep, scope: Scope) -> Iterator[Diagnostic]:
    variable = step.variable
    taken = scope.entry(variable.text)
    if taken is None or taken.kind == "root":  # that a root cannot be a name is said where it is read
        return
    message = f"the loop variable `{variable.text}` would hide the {_named(taken)}"
    help_ = f"name it with `as: {_free(variable.text, scope)}`"
    yield Diagnostic(CODE, message, variable.span, suggestion=help_)


def error_variable(name: model.Name, scope: Scope) -> Iterator[Diagnostic]:
    taken = scope.entry(name.text)
    if taken is None or name.text == "error":
        return
    message = f"the error variable `{name.text}` would hide the {_named(taken)}"
    yield Diagnostic(CODE, message, name.span, suggestion=f"name it with `as: {_free(name.text, scope)}`")


def step_id(name: model.Name, scope: Scope) -> Iterator[Diagnostic]:
    taken = scope.entry(name.text)
    if taken is None or taken.kind != "variable":
        return
    message = f"step `{name.text}` would hide the {_named(taken)}"
    yield Diagnostic(CODE, message, name.span, suggestion=f"name the step `{_free(name.text, scope)}`")


def _named(taken: Entry) -> str:
    return f"{taken.label} ({taken.span.start})" if taken.kind == "variable" and taken.span else str(taken.label)


def _free(name: str, scope: Scope) -> str:
    return next(each for n in range(2, 1000) if scope.entry(each := f"{name}_{n}") is None)
