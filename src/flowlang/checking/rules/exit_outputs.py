"""An `exit` gives an output under a name that looks mistyped.

The `outputs` of an `exit` stand in for those of the flow. A name that the flow does not declare is allowed, but one
that is nearly a declared one is most likely a slip: whoever reads the declared one finds nothing.

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
        close = nearest(name.text, [each for each in declared if each not in names])
        if name.text in declared or close is None:
            continue
        yield Diagnostic(
            CODE,
            f"the flow declares no output `{name.text}`",
            name.span,
            "warning",
            suggestion=f"did you mean `{close}`?",
            fix=respelt(name.span, close),
        )
