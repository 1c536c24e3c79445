"""An expression stands in a SQL text where no value can be bound.

Expressions in SQL become parameters of the statement; the text itself never changes. So they cannot stand inside a
quoted literal or a comment, be the whole statement, or name a table or column.

```yaml wrong
flow: f
inputs:
  - {name: name, type: string, required: true}
  - {name: table, type: string, required: true}
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: a, query: "SELECT * FROM people WHERE name = '${inputs.name}'"}
  - sqlite_query: {id: b, query: "SELECT * FROM ${inputs.table}"}
```

A value stands without quotes. A name is put in with `ident(x)`; give the input an `enum`, so that it can only be a
name you know.

```yaml
flow: f
inputs:
  - {name: name, type: string, required: true}
  - {name: table, type: string, required: true, enum: [people, places]}
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: a, query: "SELECT * FROM people WHERE name = ${inputs.name}"}
  - sqlite_query: {id: b, query: "SELECT * FROM ${ident(inputs.table)}"}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.connections._sql.dialect import Dialect
from flowlang.connections._sql.holes import Hole, statement
from flowlang.diagnostics import Diagnostic, Span, code
from flowlang.document import model
from flowlang.document.nodes import Scalar
from flowlang.expressions.syntax import Expression, Template
from flowlang.expressions.types import Type

CODE = code("sql-text", __doc__ or "")
FILE = code(
    "query-file",
    """A `query_file` cannot be read, or is not a plain path.

The file is part of the flow's source: it is read when the flow is checked, its path counts from the flow's folder and
stays below it, and its text is the statement as it stands. Values come in through `params`.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query_file: "${run.id}.sql"}
```

```yaml fragment
- sqlite_query: {id: q, query_file: queries/by_name.sql, params: ["${inputs.name}"]}
```
""",
)


PARAMS = code(
    "sql-params",
    """A statement and its `params` do not go together, or there is no statement.

`params` has one value for each placeholder of the statement, in the order of the text. Expressions in the statement
itself, `${…}`, need none. The same holds for each of the `queries` of one transaction.

```yaml wrong
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: "SELECT ? + ?", params: [1]}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: "SELECT ? + ?", params: [1, 2]}
```
""",
)


def params(
    query: model.Value, texts: tuple[str, ...], given: model.Value | None, dialect: Dialect
) -> Iterator[Diagnostic]:
    """The placeholders of a statement against the values for them, when these are written as a list."""
    wanted = statement(texts, dialect)
    if not wanted.leading:
        yield Diagnostic(PARAMS, "the statement is empty", query.span, suggestion="write what the database is to do")
        return
    if wanted.foreign is not None:
        yield Diagnostic(PARAMS, wanted.foreign, query.span)
        return
    if given is not None and not isinstance(given, model.ListValue):
        return
    number = len(given.items) if given is not None else 0
    if number == wanted.expected:
        return
    noun = "placeholder" if wanted.expected == 1 else "placeholders"
    values = f"`params` has {number} {'value' if number == 1 else 'values'}" if given else "there are no `params`"
    message = f"the statement has {wanted.expected} {noun} ({dialect.mark}), and {values}"
    help_ = "add `params: […]`, or write `${…}` where the value belongs" if given is None else None
    if wanted.expected == 0:
        help_ = f"write `{dialect.mark}` in the statement where each value belongs, or take `params` out"
    yield Diagnostic(PARAMS, message, (given or query).span, suggestion=help_)


def entry(value: model.ObjectValue, dialect: Dialect) -> Iterator[Diagnostic]:
    """The same for one of several statements, `{query, params}`."""
    given = {name.text: each for name, each in value.entries}
    query = given.get("query")
    if not given.keys() <= {"query", "params"}:
        return  # a mistyped key is reported as that, and may be the other one
    if isinstance(query, model.Computed):
        yield from params(query, split(query.template)[0], given.get("params"), dialect)
    elif isinstance(query, model.Constant) and isinstance(query.value, str):
        yield from params(query, (query.value,), given.get("params"), dialect)


def split(template: Template) -> tuple[tuple[str, ...], list[Expression]]:
    """The texts around the expressions, one more than there are expressions."""
    texts, expressions = [""], []
    for part in template.parts:
        if isinstance(part, Expression):
            expressions.append(part)
            texts.append("")
        else:
            texts[-1] += part
    return tuple(texts), expressions


def check(hole: Hole, expression: Expression, given: Type, scalar: Scalar) -> Iterator[Diagnostic]:
    if hole.kind == "value" or (hole.kind == "identifier" and given.kind in ("identifier", "any")):
        return
    source = expression.source.strip()
    start = max(0, scalar.text.rfind("${", 0, expression.offset))
    span = scalar.locate(start, scalar.text.find("}", expression.offset + len(expression.source)) + 1)
    if hole.kind == "in_literal":
        yield Diagnostic(
            CODE,
            "an expression inside a quoted SQL literal would be text, not a value",
            span,
            suggestion=f"leave the quotes out: `${{{source}}}` is bound as a parameter",
        )
    elif hole.kind == "in_comment":
        yield Diagnostic(CODE, "an expression inside a SQL comment is never used", span, suggestion="take it out")
    elif hole.kind == "statement":
        yield Diagnostic(
            CODE,
            "the whole statement is one expression: text that comes from data would be run as SQL",
            span,
            suggestion="write the statement here and bind the values in it",
        )
    elif hole.kind == "identifier":
        yield Diagnostic(
            CODE,
            "a table or column name cannot be a bound parameter, and pasting text would be SQL injection",
            span,
            suggestion=f"use `${{ident({source})}}` and give the input an `enum`",
        )


def file_name(span: Span) -> Iterator[Diagnostic]:
    yield Diagnostic(FILE, "`query_file` is a plain path: the file is read before the run", span)


def outside(value: model.Constant) -> Iterator[Diagnostic]:
    message = f"`{value.value}` is outside the flow's folder"
    yield Diagnostic(FILE, message, value.span, suggestion="keep the files of a flow beside it, or below")


def unreadable(value: model.Constant, error: OSError) -> Iterator[Diagnostic]:
    yield Diagnostic(FILE, f"cannot read `{value.value}`: {(error.strerror or str(error)).lower()}", value.span)
