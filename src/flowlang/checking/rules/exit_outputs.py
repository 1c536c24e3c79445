"""An `exit` gives an output that the flow does not declare.

The `outputs` of an `exit` stand in for those of the flow, and whoever calls it goes by what it declares: a flow that
calls it as a subflow can read nothing else.

```yaml wrong
flow: f
steps:
  - exit:
      outputs: {totl: 0}
outputs:
  - {name: total, type: integer, value: 1}
```

```yaml
flow: f
steps:
  - exit:
      outputs: {total: 0}
outputs:
  - {name: total, type: integer, value: 1}
```
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from flowlang.diagnostics import Diagnostic, code, nearest, respelt
from flowlang.document import model

CODE = code("exit-output", __doc__ or "", fix="guess")


def check(given: Sequence[model.Name], declared: Collection[str]) -> Iterator[Diagnostic]:
    """`declared` are the outputs of the flow."""
    names = {each.text for each in given}
    for name in given:
        if name.text in declared:
            continue
        close = nearest(name.text, [each for each in declared if each not in names])
        listed = ", ".join(f"`{each}`" for each in declared)
        help_ = f"declare it: `{{name: {name.text}, value: …}}` in the `outputs` of the flow, or leave it out"
        yield Diagnostic(
            CODE,
            f"the flow declares no output `{name.text}`",
            name.span,
            "warning",
            notes=(f"it declares {listed}" if listed else "it declares none",),
            suggestion=f"did you mean `{close}`?" if close else help_,
            fix=respelt(name.span, close),
        )
