"""Subflows: found, and checked once for each set of inputs that a secret reaches.

A subflow is a file (`parts/notify.yaml`, from this flow's folder) or a name: `notify` is `notify.yaml` or
`notify.yml` beside this flow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowlang.checking.checker import Callee
from flowlang.diagnostics import Diagnostic, code, nearest, respelt
from flowlang.document import model
from flowlang.expressions.types import ANY, Type, record

if TYPE_CHECKING:
    from flowlang.checking.checker import Checker

NOT_FOUND = code(
    "subflow-not-found",
    """A subflow's file does not exist or cannot be read.

A name stands for a file beside the flow: `notify` is `notify.yaml` or `notify.yml`. A path counts from the flow's
folder and ends with `.yaml` or `.yml`.

```yaml wrong
flow: f
steps:
  - subflow: no_such_flow
```

```yaml fragment file=notify.yaml
flow: notify
steps:
  - log: Hello
```

```yaml
flow: f
steps:
  - subflow: notify            # notify.yaml beside this flow
```
""",
    fix="guess",
)
CYCLE = code(
    "subflow-cycle",
    """A flow calls itself, directly or through its subflows: it would never end.

```yaml fragment file=b.yaml
flow: b
steps:
  - subflow: a         # leads back to a.yaml
```

```yaml wrong file=a.yaml
flow: a
steps:
  - subflow: b
```

Repeat with `for_each`, or move what both need into a third flow.
""",
)
DEEP = code(
    "subflow-too-deep",
    """Subflows call subflows through more levels than a run may have.

```yaml fragment
- subflow: next      # the flow it calls calls another one, and so on, more than 32 times
```
""",
)
BROKEN = code(
    "subflow-invalid",
    """A subflow has errors of its own.

They are reported beside this finding, each with its place in the subflow's file. Mend them there.

```yaml fragment file=notify.yaml
flow: notify
steps:
  - log: "${greeting}"
```

```yaml wrong
flow: f
steps:
  - subflow: notify      # notify.yaml has no `greeting`
```

```yaml fragment file=notify.yaml
flow: notify
vars: {greeting: Hello}
steps:
  - log: "${vars.greeting}"
```

```yaml
flow: f
steps:
  - subflow: notify
```
""",
)
OUTPUT = code(
    "subflow-output",
    """A step lists an output that the subflow does not give.

```yaml fragment file=price.yaml
flow: price
vars: {sum: 5}
steps:
  - log: Reckoning
outputs:
  - {name: total, value: "${vars.sum}"}
```

```yaml wrong
flow: f
steps:
  - subflow: price
    id: price
    outputs: [totl]        # price.yaml gives `total`
```

```yaml
flow: f
steps:
  - subflow: price
    id: price
    outputs: [total]
```
""",
    fix="guess",
)

_DEEPEST = 32


def resolve(checker: Checker, step: model.SubflowStep, tainted: frozenset[str] = frozenset()) -> Callee | None:
    """The subflow, checked once per check and set of `tainted` inputs; None, and a finding, when it cannot be
    called."""
    path = file_of(checker.folder, step.flow.text)
    if path is None:
        checker.add(_not_found(checker.folder, step))
        return None
    if path in checker.chain:
        names = " → ".join(os.path.basename(each) for each in (*checker.chain[checker.chain.index(path) :], path))
        checker.report(CYCLE, f"this subflow leads back here: {names}", step.flow.span)
        return None
    if len(checker.chain) >= _DEEPEST:
        message = f"subflows call each other through more than {_DEEPEST} levels here"
        checker.report(DEEP, message, step.flow.span)
        return None
    found = _callee(checker, step, path, tainted)
    if found is not None:
        for names_, inner in (
            (checker.env_names, found.plan.env_names),
            (checker.secret_names, found.plan.secret_names),
        ):
            for name, span in inner.items():
                names_.setdefault(name, span)
    return found


def known(checker: Checker, step: model.SubflowStep) -> Callee | None:
    """The subflow if it can be called; what is wrong with the step itself is left to `resolve`."""
    path = file_of(checker.folder, step.flow.text)
    if path is None or path in checker.chain or len(checker.chain) >= _DEEPEST:
        return None
    return _callee(checker, step, path)


def _callee(
    checker: Checker, step: model.SubflowStep, path: str, tainted: frozenset[str] = frozenset()
) -> Callee | None:
    key = (path, tainted)
    if key not in checker.callees:
        callee, findings = _checked(checker, step, path, tainted)
        checker.callees[key] = callee
        checker.add(findings)
    return checker.callees[key]


def _checked(
    checker: Checker, step: model.SubflowStep, path: str, tainted: frozenset[str]
) -> tuple[Callee | None, list[Diagnostic]]:
    from flowlang.checking.flows import check_text

    name = step.flow
    try:
        text = checker.read(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return None, [Diagnostic(NOT_FOUND, f"cannot read `{name.text}`: {reason}", name.span)]
    checked = check_text(text, _shown(path), path=path, parent=checker, tainted=tainted)
    findings = list(checked.findings)
    if checked.plan is None:
        errors = [each for each in findings if each.severity == "error"]
        message = f"subflow `{name.text}` has {len(errors)} error{'s' * (len(errors) != 1)}"
        findings.append(Diagnostic(BROKEN, message, name.span, suggestion=f"the first is at {errors[0].span}"))
        return None, findings
    return Callee(checked.plan, checked.output_types), findings


def file_of(folder: str, name: str) -> str | None:
    """The file that a subflow step names, None when there is none."""
    if "\0" in name:
        return None
    base = os.path.join(folder, name)
    wanted = [base] if name.endswith((".yaml", ".yml")) else [base + ".yaml", base + ".yml"]
    return next((os.path.realpath(each) for each in wanted if os.path.isfile(each)), None)


def _shown(path: str) -> str:
    """The path as findings name it: from the working directory when the file is below it."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return path
    return path if relative.startswith("..") else relative


def _not_found(folder: str, step: model.SubflowStep) -> Iterator[Diagnostic]:
    name = step.flow.text
    parent, base = os.path.split(name)
    try:
        files = sorted(each for each in os.listdir(os.path.join(folder, parent)) if each.endswith((".yaml", ".yml")))
    except (OSError, ValueError):
        files = []
    if not parent and step.flow.span.file is not None:  # it is not itself that a flow means
        files = [each for each in files if each != os.path.basename(step.flow.span.file)]
    known = files if name.endswith((".yaml", ".yml")) else [each.rsplit(".", 1)[0] for each in files]
    close = nearest(base, known)
    meant = os.path.join(parent, close) if close else None
    written = f"`{name}`" if name.endswith((".yaml", ".yml")) else f"`{name}.yaml` or `{name}.yml`"
    yield Diagnostic(
        NOT_FOUND,
        f"there is no {written}; the path of a subflow counts from the folder of this flow",
        step.flow.span,
        suggestion=f"did you mean `{meant}`?" if meant else None,
        fix=respelt(step.flow.span, meant),
    )


def selected(step: model.SubflowStep, callee: Callee) -> Iterator[Diagnostic]:
    known = [each.name for each in callee.plan.outputs]
    for name in step.selected or ():
        if name.text not in known:
            close = nearest(name.text, known)
            yield Diagnostic(
                OUTPUT,
                f"subflow `{callee.plan.flow}` has no output `{name.text}`",
                name.span,
                notes=(f"it gives {', '.join(f'`{each}`' for each in known) or 'nothing'}",),
                suggestion=f"did you mean `{close}`?" if close else None,
                fix=respelt(name.span, close),
            )


def outputs(step: model.SubflowStep, callee: Callee) -> Type:
    """What the step's id holds."""
    if step.selected is None:
        return record(callee.outputs)
    chosen = {each.text: callee.outputs.get(each.text, ANY) for each in step.selected}
    return record(chosen if chosen.keys() <= callee.outputs.keys() else {**callee.outputs, **chosen})
