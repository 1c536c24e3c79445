"""A value has another type than its place wants.

The check knows the type of every input, step output and function result; what is not known (`any`) is never reported.
Nothing is converted silently, so say it where a conversion is meant: `${int(x)}`, `${str(x)}`, `${default(x, 0)}`.

```yaml wrong
flow: f
inputs:
  - {name: top, type: string, required: true}
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: SELECT 1, limit: "${inputs.top}"}
```

```yaml
flow: f
inputs:
  - {name: top, type: integer, required: true}
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: SELECT 1, limit: "${inputs.top}"}
```
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from flowlang.diagnostics import Diagnostic, Edit, Fix, Position, Span, code, nearest, respelt
from flowlang.document import model
from flowlang.expressions.durations import nearest_duration, parse_duration
from flowlang.expressions.functions import FUNCTIONS
from flowlang.expressions.runtime import ExpressionError
from flowlang.expressions.types import Type, accepts, type_of

CODE = code("value-type", __doc__ or "", fix="certain")
CHOICE = code(
    "invalid-choice",
    """A value is none of the few words that its place takes.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_batch_insert: {id: i, table: t, records: [], on_conflict: replace}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_batch_insert: {id: i, table: t, records: [], on_conflict: update}
```
""",
    fix="guess",
)

_CONVERT = {"integer": "int", "number": "float", "string": "str", "decimal": "decimal", "boolean": "bool"}
_CONVERT |= {"timestamp": "parse_time", "duration": "duration"}
_CONVERTIBLE = frozenset({"string", "integer", "number", "decimal", "boolean"})
_BOOLEANS = {"no": "false", "off": "false", "n": "false", "yes": "true", "on": "true", "y": "true"}


# ---------------------------------------------------------------- literals


def _seconds(text: str) -> timedelta:
    seconds = parse_duration(text)
    if seconds is None:
        raise ValueError(text)
    return timedelta(seconds=seconds)


_READERS: dict[str, Callable[[str], Any]] = {
    "timestamp": FUNCTIONS["parse_time"].call,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "duration": _seconds,
    "uuid": UUID,
}


def as_wanted(value: object, wanted: Type) -> tuple[object, Type]:
    """A literal as its place wants it: YAML has no times, decimals and the like, so text that is one becomes one."""
    if isinstance(value, str) and wanted.kind in _READERS:
        try:
            parsed = _READERS[wanted.kind](value)
        except (ValueError, ExpressionError):
            return value, type_of(value)
        return parsed, wanted.not_null()
    if wanted.kind == "decimal" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(str(value)), wanted.not_null()
    return value, type_of(value)


def choice(what: str, wanted: Type, value: model.Constant) -> Iterator[Diagnostic]:
    """A literal where only some words fit."""
    if wanted.enum is None or value.value is None or value.value in wanted.enum:
        return
    words = ", ".join(f"`{each}`" for each in wanted.enum)
    close = nearest(str(value.value), map(str, wanted.enum))
    yield Diagnostic(
        CHOICE,
        f"`{what}` cannot be `{_short(value.scalar.text)}`",
        value.span,
        notes=(f"it is one of {words}",),
        suggestion=f"did you mean `{close}`?" if close else None,
        fix=respelt(value.span, close),
    )


def apart(what: str, wanted: Type, given: Type, value: model.Computed) -> Iterator[Diagnostic]:
    """An expression none of whose possible values fits, where both are known."""
    if wanted.enum is None or not given.enum or given.nullable or set(wanted.enum) & set(given.enum):
        return
    words, possible = (", ".join(f"`{each}`" for each in every) for every in (wanted.enum, given.enum))
    span = value.scalar.locate(0, len(value.scalar.text))
    yield Diagnostic(CHOICE, f"`{what}` cannot be any of {possible}", span, notes=(f"it is one of {words}",))


# ---------------------------------------------------------------- what does not fit


def mismatch(
    what: str, wanted: Type, given: Type, span: Span, value: model.Value, inputs: Mapping[str, model.Input]
) -> Iterator[Diagnostic]:
    if isinstance(value, model.Constant):
        yield _constant(what, wanted, given, span, value)
    elif isinstance(value, model.Computed):
        yield _computed(what, wanted, given, value, inputs)
    else:
        kind = "a list" if isinstance(value, model.ListValue) else "an object"
        beginning = Span(span.start, Position(span.start.line, span.start.column + 1), span.file)
        yield Diagnostic(CODE, f"`{what}` expects {wanted}, this is {kind}", beginning)


def _computed(
    what: str, wanted: Type, given: Type, value: model.Computed, inputs: Mapping[str, model.Input]
) -> Diagnostic:
    whole = value.template.whole
    if whole is None:
        return Diagnostic(CODE, f"`{what}` expects {wanted}, this is text with expressions in it", value.span)
    span = value.scalar.locate(0, len(value.scalar.text))
    source = whole.source.strip()
    declared = _input(whole.tree, inputs)
    origin = f" (input `{declared.name.text}`, {declared.name.span.start})" if declared is not None else ""
    if given.nullable and accepts(wanted, given.not_null()):
        message = f"`{what}` expects {wanted}, this expression may be null{origin}"
        help_ = f"say what to use instead of null: `${{default({source}, …)}}`"
        if declared is not None:
            help_ = f"add `required: true` or a `default` there, or `${{default({source}, …)}}` here"
        return Diagnostic(CODE, message, span, suggestion=help_)
    return Diagnostic(
        CODE,
        f"`{what}` expects {wanted}, this expression is {given}{origin}",
        span,
        suggestion=_mend(wanted, given, source, declared),
    )


def _mend(wanted: Type, given: Type, source: str, declared: model.Input | None) -> str | None:
    function = next((_CONVERT[each.kind] for each in wanted.options or (wanted,) if each.kind in _CONVERT), None)
    here = f"`${{{function}({source})}}`" if function and given.kind in _CONVERTIBLE and not given.nullable else None
    if declared is not None and declared.type_name == wanted.kind:
        return None  # it is the items or properties that do not fit
    if declared is not None and wanted.kind in _TYPES:
        there = f"`type: {wanted.kind}` there"
        return f"{there} or {here} here" if here else there
    if given.kind == "stream" and wanted.kind == "array":
        return "read the stream in a `for_each` with `collect`, or query a list"
    return f"convert it: {here}" if here else None


_TYPES = frozenset({"string", "integer", "number", "boolean", "object", "array", "timestamp", "duration"})


def _input(tree: ast.expr, inputs: Mapping[str, model.Input]) -> model.Input | None:
    """The input that an expression reads, when that is all it does."""
    if isinstance(tree, ast.Attribute) and isinstance(tree.value, ast.Name) and tree.value.id == "inputs":
        return inputs.get(tree.attr)
    return None


def _constant(what: str, wanted: Type, given: Type, span: Span, value: model.Constant) -> Diagnostic:
    shown = value.scalar.text
    if wanted.secret:
        return Diagnostic(CODE, f"`{what}` expects {wanted}, this is {given}", span)
    if given.kind == "null":
        return Diagnostic(CODE, f"`{what}` expects {wanted}, not null", span)
    if wanted.kind == "boolean" and isinstance(value.value, str):
        word = _BOOLEANS.get(value.value.lower()) or nearest(value.value.lower(), ("true", "false"))
        reads = value.value.lower() in _BOOLEANS and value.scalar.style == "plain"
        said = f'; YAML 1.2 reads `{shown}` as the text "{shown}"' if reads else f", `{_short(shown)}` is text"
        fix = respelt(span, word)
        help_ = f"did you mean `{word}`?" if word else None
        return Diagnostic(CODE, f"`{what}` expects boolean{said}", span, suggestion=help_, fix=fix)
    message = f"`{what}` expects {wanted}, `{_short(shown)}` is {'text' if given.kind == 'string' else given}"
    if wanted.option("string").kind == "string" and value.scalar.style == "plain":
        fix = Fix("quote it", (Edit(span, f'"{shown}"'),), safe=True)
        return Diagnostic(CODE, message, span, suggestion=f'quote it: "{_short(shown)}"', fix=fix)
    return Diagnostic(CODE, message, span, suggestion=_retyped(wanted, value))


def _retyped(wanted: Type, value: model.Constant) -> str | None:
    """What to write when a text reads like a value of the wanted type."""
    plain = value.scalar.text.strip()
    if wanted.kind == "duration" and (word := nearest_duration(plain)):
        return f"did you mean `{word}`?"
    if wanted.kind == "array":
        return f"write `[{_short(plain)}]`"
    if wanted.kind in ("integer", "number") and isinstance(value.value, str):
        digits = plain.removeprefix("-")
        if digits.isdecimal() or (wanted.kind == "number" and digits.replace(".", "", 1).isdecimal()):
            return f"write {plain} without quotes"
    forms = {"duration": "250ms, 5s, 2m, 1h, 1d, PT5S", "timestamp": "2030-12-31T23:59:00Z", "date": "2030-12-31"}
    return f"forms: {forms[wanted.kind]}" if wanted.kind in forms else None


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:39] + "…"
