"""An object that is written out has a key that its place does not know, or lacks one that it needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flowlang.diagnostics import Diagnostic, Position, Span, code, nearest, respelt
from flowlang.document import model
from flowlang.expressions.types import Type

UNKNOWN = code(
    "unknown-object-key",
    """An object has a key that its place does not know.

Where a task says which keys an object has, those are all: a mistyped one would be ignored silently.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_transaction:
      id: t
      queries:
        - {query: "SELECT ?", parms: [1]}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_transaction:
      id: t
      queries:
        - {query: "SELECT ?", params: [1]}
```
""",
    fix="certain",
)
MISSING = code(
    "missing-object-key",
    """An object lacks a key that its place needs.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_transaction:
      id: t
      queries:
        - {params: [1]}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_transaction:
      id: t
      queries:
        - {query: "SELECT ?", params: [1]}
```
""",
)


def check(what: str, wanted: Type, value: model.ObjectValue) -> Iterator[Diagnostic]:
    """The keys of `value`, where `what` wants an object of known keys."""
    fields = wanted.fields
    if not fields or wanted.open:
        return
    given = {name.text for name, _ in value.entries}
    meant: set[str | None] = set()
    for name, _ in value.entries:
        if name.text not in fields:
            close = nearest(name.text, [each for each in fields if each not in given])
            meant.add(close)
            yield _unknown(what, name, close, fields.keys())
    for each in sorted(wanted.required - given - meant):
        start = value.span.start
        span = Span(start, Position(start.line, start.column + 1), value.span.file)
        described = "" if fields[each].kind == "any" else f" ({_words(fields[each])})"
        message = f"`{each}`{described} is missing in `{what}`"
        yield Diagnostic(MISSING, message, span, suggestion=f"add `{each}: …`")


def _unknown(what: str, name: model.Name, close: str | None, known: Iterable[str]) -> Diagnostic:
    keys = ", ".join(f"`{each}`" for each in known)
    return Diagnostic(
        UNKNOWN,
        f"unknown key `{name.text}` in `{what}`",
        name.span,
        notes=(f"allowed keys: {keys}",),
        suggestion=f"did you mean `{close}`?" if close else None,
        fix=respelt(name.span, close, name.text, known),
    )


def _words(wanted: Type) -> str:
    return "a SQL text" if wanted.kind == "sql" else str(wanted)
