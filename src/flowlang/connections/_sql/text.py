"""SQL as text: how values get into a statement, and how names are quoted.

`dialect` says how a family of databases writes SQL, `holes` where a statement has its expressions and
placeholders. The check asks `holes`, a plugin at run time asks `render`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from flowlang.connections._sql.dialect import Dialect
from flowlang.connections._sql.holes import Hole, statement
from flowlang.exceptions import FlowExecutionError
from flowlang.records import frozen
from flowlang.tasks.values import Ident, Sql


def leading_word(sql: Sql | str, dialect: Dialect) -> str:
    """The first word of a statement in capitals, comments passed over; empty when there is none."""
    return _template(sql.texts if isinstance(sql, Sql) else (sql,), dialect).leading


@frozen
class _Template:
    """A scanned statement, ready to be filled.

    `pieces` alternates: text, then a hole (its index among the values, 0 and up) or a user's placeholder
    (`~index` among the params), text, … . `text` and `sources` are the result when every value stays one
    placeholder.
    """

    pieces: tuple[str, ...]
    sources: tuple[int, ...]
    holes: tuple[Hole, ...]
    marks: tuple[Hole, ...]
    expected: int  # how many params the statement asks for
    text: str
    problem: str | None
    leading: str  # the first word, in capitals


@lru_cache(maxsize=1024)
def _template(texts: tuple[str, ...], dialect: Dialect) -> _Template:
    found = statement(texts, dialect)
    pieces, position = [], 0
    for start, end, _ in found.fills:
        pieces.append(found.joined[position:start])
        position = end
    pieces.append(found.joined[position:])
    sources = tuple([source for _, _, source in found.fills])
    if dialect.paramstyle == "format":
        pieces = [_percent_signs(piece) for piece in pieces]
    text = _joined(pieces, sources, found.expected, dialect)
    return _Template(
        tuple(pieces), sources, found.holes, found.marks, found.expected, text, found.problem, found.leading
    )


def _percent_signs(piece: str) -> str:
    """A driver with `%s` placeholders reads `%` as their start wherever it stands."""
    return piece.replace("%", "%%")


def _joined(pieces: Sequence[str], sources: Sequence[int], expected: int, dialect: Dialect) -> str:
    if dialect.paramstyle == "numeric":
        between = [f"${expected + 1 + index}" for index in range(len(sources))]
    else:
        between = [dialect.mark] * len(sources)
    return "".join(part for pair in zip(pieces, [*between, ""]) for part in pair)


def render(sql: Sql | str, params: Sequence[object] | None, dialect: Dialect) -> tuple[str, list[Any]]:
    """The statement as the driver takes it, and the values to bind, in order.

    Expressions and `params` are bound in the order of the text. With `$n`, the author's numbers keep meaning
    `params` and expressions get the numbers after them. A list in `IN (…)` becomes one placeholder an item
    (anywhere else it is one value); an `Ident` becomes a quoted name.

    Raises FlowExecutionError (`validation`): another number of params than placeholders; an expression inside
    a literal or a comment, or in place of the whole statement.
    """
    if isinstance(sql, Sql):
        template, values = _template(sql.texts, dialect), sql.values
    else:
        template, values = _template((sql,), dialect), ()
    given: Sequence[object] = () if params is None else params
    if template.problem is not None:
        raise _invalid(template.problem)
    if isinstance(given, (str, bytes, dict)) or len(given) != template.expected:
        raise _wrong_count(template.expected, given, dialect)
    if not template.sources:
        return template.text, list(given)
    if any(isinstance(each, (Ident, list, tuple)) for each in (*values, *given)):
        return _expanded(template, values, given, dialect)
    if dialect.paramstyle == "numeric":
        return template.text, [*given, *values]
    return template.text, [values[source] if source >= 0 else given[~source] for source in template.sources]


def _expanded(
    template: _Template, values: Sequence[object], given: Sequence[object], dialect: Dialect
) -> tuple[str, list[Any]]:
    """Fill a template some of whose values are names or lists."""
    text: list[str] = []
    bound: list[Any] = list(given) if dialect.paramstyle == "numeric" else []
    for piece, source in zip(template.pieces, template.sources):
        text.append(piece)
        if source < 0:
            value, hole = given[~source], template.marks[~source]
        else:
            value, hole = values[source], template.holes[source]
        if isinstance(value, Ident):
            if source < 0:
                raise _invalid("a name cannot be one of `params`: put `${ident(…)}` into the statement itself")
            quoted = quote_name(value, dialect)
            text.append(_percent_signs(quoted) if dialect.paramstyle == "format" else quoted)
        elif isinstance(value, (list, tuple)) and hole.in_list:
            text.append(_list_marks(value, hole, len(bound), dialect))
            bound.extend(value)
        else:
            text.append(_mark(len(bound), dialect))
            bound.append(value)
    text.append(template.pieces[-1])
    return "".join(text), bound


def _mark(position: int, dialect: Dialect) -> str:
    return f"${position + 1}" if dialect.paramstyle == "numeric" else dialect.mark


def _list_marks(items: Sequence[object], hole: Hole, bound: int, dialect: Dialect) -> str:
    if items:
        marks = ", ".join(_mark(bound + index, dialect) for index in range(len(items)))
    elif hole.alone and dialect.empty_list is not None:
        marks = dialect.empty_list
    elif hole.negated:
        raise _invalid("the list after NOT IN is empty: leave the condition out with an `if` when there is nothing")
    else:
        marks = "NULL"  # equal to nothing
    return f"({marks})" if hole.bare else marks


def quote_name(name: str, dialect: Dialect) -> str:
    """`name` quoted for the dialect. A dot separates parts: `shop.orders` is table `orders` in `shop`.

    Raises FlowExecutionError (`validation`): an empty part, a NUL, a part longer than the database allows.
    """
    if not isinstance(name, str):
        raise _invalid(f"a name of a table or column must be text, not {type(name).__name__}")
    return ".".join(_quoted_part(part, name, dialect) for part in name.split("."))


def _quoted_part(part: str, name: str, dialect: Dialect) -> str:
    if not part or "\0" in part:
        raise _invalid(f"{name!r} is no name of a table or column: a part of it is empty or holds a NUL")
    if dialect.longest_name is not None and len(part) > dialect.longest_name:
        limit = f"{dialect.name} allows {dialect.longest_name}"
        raise _invalid(f"the name {part[:20]!r}… has {len(part)} characters; {limit}")
    quote = dialect.quote
    return f"{quote}{part.replace(quote, quote * 2)}{quote}"


def quote_column(name: str, dialect: Dialect) -> str:
    """One column name, quoted whole: a dot in it is part of the name."""
    if not isinstance(name, str):
        raise _invalid(f"a column name must be text, not {type(name).__name__}")
    return _quoted_part(name, name, dialect)


def _wrong_count(expected: int, given: Sequence[object], dialect: Dialect) -> FlowExecutionError:
    if isinstance(given, (str, bytes, dict)):
        return _invalid(f"`params` must be a list, not {type(given).__name__}")
    noun = "placeholder" if expected == 1 else "placeholders"
    return _invalid(
        f"the statement has {expected} {noun} ({dialect.mark}) and `params` has {len(given)}"
        f" {'value' if len(given) == 1 else 'values'}"
    )


def _invalid(message: str) -> FlowExecutionError:
    return FlowExecutionError(message, error_class="validation")
