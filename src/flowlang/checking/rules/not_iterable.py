"""A `for_each` goes over something that has no items.

It goes over a list, over an object (each item has `key` and `value`) or over a stream. What may be null has no items
then: say what to use instead.

```yaml wrong
flow: f
inputs:
  - {name: count, type: integer, required: true}
steps:
  - for_each: ${inputs.count}
    do:
      - log: "${index}"
```

```yaml
flow: f
inputs:
  - {name: count, type: integer, required: true}
steps:
  - for_each: ${range(inputs.count)}
    do:
      - log: "${index}"
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, code
from flowlang.document import model
from flowlang.expressions.types import Type

CODE = code("not-iterable", __doc__ or "")

_KINDS = frozenset({"any", "array", "stream", "object"})
_MENDS = {"integer": "range({})", "string": "split({}, ',')"}


def check(source: Type, value: model.Value) -> Iterator[Diagnostic]:
    if source.kind in _KINDS and not source.nullable:
        return
    span, shown = value.span, None
    if isinstance(value, model.Computed) and value.template.whole is not None:
        whole = value.template.whole
        span, shown = value.scalar.locate(*whole.span_of(whole.tree)), whole.source.strip()
    suggestion = None
    if shown is not None and source.kind in _KINDS:
        empty = "{}" if source.kind == "object" else "[]"
        suggestion = f"say what to use instead of null: `${{default({shown}, {empty})}}`"
    elif shown is not None and source.kind in _MENDS and not source.nullable:
        suggestion = f"did you mean `${{{_MENDS[source.kind].format(shown)}}}`?"
    message = f"`for_each` goes over a list, an object or a stream, and this is {source}"
    yield Diagnostic(CODE, message, span, suggestion=suggestion)
