"""A case of a `switch` can never be chosen.

Its `when` has another type than what the `switch` looks at (1 is never equal to "1"), or is a word that the value
cannot have because an `enum` lists them all, or stands in an earlier case already.

```yaml wrong
flow: f
inputs:
  - {name: tier, type: string, enum: [gold, silver], default: gold}
steps:
  - switch: ${inputs.tier}
    cases:
      - when: sliver
        do:
          - log: second
```

```yaml
flow: f
inputs:
  - {name: tier, type: string, enum: [gold, silver], default: gold}
steps:
  - switch: ${inputs.tier}
    cases:
      - when: silver
        do:
          - log: second
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, code, nearest, respelt
from flowlang.document import model
from flowlang.expressions.types import NUMERIC, Type

CODE = code("case-never-matches", __doc__ or "", fix="guess")


class Cases:
    """The cases of one `switch`, looked at in order."""

    def __init__(self, subject: Type) -> None:
        self.subject = subject
        self._seen: dict[tuple[type, object], model.Constant] = {}

    def check(self, value: model.Value, given: Type) -> Iterator[Diagnostic]:
        subject = self.subject
        if not _comparable(subject, given):
            message = f"this is {given}, the `switch` looks at {subject}: they are never equal"
            yield Diagnostic(CODE, message, value.span, "warning", suggestion=_retyped(subject, value))
            return
        if not isinstance(value, model.Constant):
            return
        words = subject.enum
        if words is not None and value.value not in words and value.value is not None:
            yield _not_a_word(value, words)
            return
        first = self._seen.setdefault((type(value.value), value.value), value)
        if first is not value:
            message = f"`{value.scalar.text}` is already a case at {first.span.start}, which is chosen first"
            yield Diagnostic(CODE, message, value.span, "warning", suggestion="remove one of the two")


def _comparable(subject: Type, given: Type) -> bool:
    if "any" in (subject.kind, given.kind) or "null" in (subject.kind, given.kind) or subject.kind == given.kind:
        return True
    return subject.kind in NUMERIC and given.kind in NUMERIC


def _retyped(subject: Type, value: model.Value) -> str | None:
    if not isinstance(value, model.Constant):
        return None
    if subject.kind == "string":
        return f'write "{value.scalar.text}"'
    plain = value.scalar.text.strip()
    if subject.kind in NUMERIC and plain.replace(".", "", 1).removeprefix("-").isdigit():
        return f"write {plain} without quotes"
    return f"write {plain} without quotes" if subject.kind == "boolean" and plain in ("true", "false") else None


def _not_a_word(value: model.Constant, words: tuple[object, ...]) -> Diagnostic:
    listed = ", ".join(f"`{each}`" for each in words)
    close = nearest(str(value.value), map(str, words))
    return Diagnostic(
        CODE,
        f"this can never be chosen: `{value.scalar.text}` is no value of what the `switch` looks at",
        value.span,
        "warning",
        (f"it is one of {listed}",),
        f"did you mean `{close}`?" if close else None,
        respelt(value.span, close),
    )
