"""A subflow is called with an input that is missing, unknown, or outside its bounds.

The `inputs` of the step are held against the `inputs` of the subflow: names, types, and of values that are written out
also `minimum`, `pattern` and the other rules.

```yaml fragment file=notify.yaml
flow: notify
inputs:
  - {name: address, type: string, required: true}
steps:
  - log: "${inputs.address}"
```

```yaml wrong
flow: f
steps:
  - subflow: notify
    inputs: {adress: somebody@example.org}       # notify.yaml declares `address`
```

```yaml
flow: f
steps:
  - subflow: notify
    inputs: {address: somebody@example.org}
```
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from flowlang.diagnostics import Diagnostic, Edit, Fix, Span, code, nearest
from flowlang.document import model
from flowlang.document.unfit import place_in, unfit

if TYPE_CHECKING:
    from flowlang.checking.checker import Callee

CODE = code("subflow-input", __doc__ or "", fix="guess")


def names(step: model.SubflowStep, callee: Callee) -> Iterator[Diagnostic]:
    """The names of the step's `inputs`."""
    plan = callee.plan
    declared = {each.name: each for each in plan.inputs}
    given = {name.text for name, _ in step.arguments}
    meant: set[str | None] = set()
    for name, _ in step.arguments:
        if name.text not in declared:
            close = nearest(name.text, [each for each in declared if each not in given])
            meant.add(close)
            known = ", ".join(f"`{each}`" for each in declared) or "none"
            yield Diagnostic(
                CODE,
                f"subflow `{plan.flow}` has no input `{name.text}`",
                name.span,
                notes=(f"its inputs: {known}",),
                suggestion=f"did you mean `{close}`?" if close else None,
                fix=Fix(f"write `{close}`", (Edit(name.span, close),)) if close else None,
            )
    for each in plan.inputs:
        if each.required and each.name not in given and each.name not in meant:
            kind = "" if each.type_name == "any" else f"{each.type_name}, "
            message = f"input `{each.name}` ({kind}required) of subflow `{plan.flow}` is missing"
            yield Diagnostic(CODE, message, step.flow.span, suggestion=f"add `{each.name}: …` to its `inputs`")


_BOUNDS = frozenset("pattern minimum maximum minLength maxLength minItems maxItems".split())


def bounds(step: model.SubflowStep, callee: Callee) -> Iterator[Diagnostic]:
    """Values that are written out, held against the rules of the inputs they are for. (Types and the words of an `enum`
    are checked where the value stands.)"""
    declared = {each.name: each for each in callee.plan.inputs}
    for name, value in step.arguments:
        wanted = declared.get(name.text)
        if wanted is None or not _BOUNDS & _keywords(wanted.schema):
            continue
        plain, known = _written(value)
        if not known or plain is None:
            continue
        import jsonschema_rs

        for error in jsonschema_rs.validator_for(dict(wanted.schema), offline=True).iter_errors(plain):
            if error.schema_path and error.schema_path[-1] in _BOUNDS:
                said = "is not as declared" if wanted.secret else unfit(error)
                yield Diagnostic(
                    CODE,
                    f"input `{place_in(name.text, error.instance_path)}` of subflow `{callee.plan.flow}` {said}",
                    _at(value, error.instance_path),
                    notes=(f"it is declared at {wanted.span}",),
                )


def _keywords(schema: object) -> frozenset[str]:
    if not isinstance(schema, Mapping):
        return frozenset()
    inner = [schema.get("items"), *(schema.get("properties") or {}).values()]
    return frozenset(map(str, schema)).union(*map(_keywords, inner))


def _written(value: model.Value) -> tuple[object, bool]:
    """A value as plain data, and whether all of it is written out."""
    if isinstance(value, model.Constant):
        return value.value, True
    if isinstance(value, model.ListValue):
        items = [_written(each) for each in value.items]
        return [each for each, _ in items], all(known for _, known in items)
    if isinstance(value, model.ObjectValue):
        entries = [(name.text, *_written(each)) for name, each in value.entries]
        return {name: each for name, each, _ in entries}, all(known for _, _, known in entries)
    return None, False


def _at(value: model.Value, path: Iterable[str | int]) -> Span:
    for part in path:
        if isinstance(value, model.ListValue) and isinstance(part, int):
            value = value.items[part]
        elif isinstance(value, model.ObjectValue):
            value = next(each for name, each in value.entries if name.text == part)
    return value.span
