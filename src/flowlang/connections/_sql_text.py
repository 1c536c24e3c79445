"""SQL as text: where its literals, comments and placeholders are, and how values get into it.

Nothing here parses SQL. A scanner splits a statement into quoted runs, comments, words and marks, which is
enough to tell a placeholder from a question mark inside a literal, and to say where in a statement an
expression of a flow stands. The check asks `holes`, a plugin at run time asks `render`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from flowlang.exceptions import FlowExecutionError
from flowlang.records import frozen
from flowlang.tasks.values import Ident, Sql

ParamStyle = Literal["qmark", "numeric", "format"]
HoleKind = Literal["value", "in_literal", "in_comment", "identifier", "statement"]

_HOLE = "\0"  # stands for an expression while a statement is scanned; no SQL text may hold one itself


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words after which a name is expected, never a value.
_NAME_FOLLOWS = _words(
    "FROM INTO UPDATE JOIN TABLE VIEW INDEX TRIGGER SCHEMA DATABASE SEQUENCE COLUMN CONSTRAINT REFERENCES "
    "EXISTS BY AS SET COLLATE TRUNCATE SAVEPOINT PRAGMA ATTACH DETACH ANALYZE REINDEX ONLY RENAME "
    "DESCRIBE"
)
_CLAUSES = _words(
    "SELECT FROM WHERE SET VALUES BY HAVING LIMIT OFFSET ON USING RETURNING INTO UPDATE JOIN UNION EXCEPT "
    "INTERSECT WHEN THEN ELSE CASE FETCH WINDOW TABLE REFERENCES"
)
_NAME_LISTS = frozenset({"FROM", "BY", "SET", "UPDATE"})  # clauses whose commas are followed by names
_COLUMN_LISTS = frozenset({"INTO", "REFERENCES", "TABLE"})  # clauses whose brackets hold names
_OPENS_NAMES = frozenset({"CONFLICT", "KEY", "UNIQUE", "USING"})  # words whose brackets do
_FROM_IS_SYNTAX = frozenset({"EXTRACT", "SUBSTRING", "TRIM", "OVERLAY"})  # `FROM` inside these takes a value
_READS = _words("SELECT WITH VALUES SHOW DESCRIBE EXPLAIN TABLE")
_WRITES = re.compile(r"(?:INSERT|UPDATE|DELETE|MERGE|REPLACE)\Z")
_ONLY_READS = re.compile(  # most statements that read, without a look at their tokens
    rf"\s*(?:{'|'.join(sorted(_READS))})\s(?!.*\b(?:INSERT|UPDATE|DELETE|MERGE|REPLACE|INTO)\b)",
    re.IGNORECASE | re.DOTALL,
)


@frozen
class Dialect:
    """How one family of databases writes SQL.

    `paramstyle`: `qmark` (`?`), `numeric` (`$1`) or `format` (`%s`). `quote` opens and closes a quoted name.
    `empty_list` is what `IN (…)` holds for an empty list; None when the database has no form that is also
    right after `NOT`, then an empty `IN` becomes `IN (NULL)` and an empty `NOT IN` is refused.
    `longest_name`: characters of a table or column name, None when there is no bound.
    """

    name: str
    paramstyle: ParamStyle
    quote: str = '"'
    empty_list: str | None = None
    longest_name: int | None = None
    backslash_escapes: bool = False
    dollar_quotes: bool = False
    brackets: bool = False
    backticks: bool = False
    nested_comments: bool = False
    mysql_comments: bool = False  # `#` begins one, and `--` only before white space
    escape_strings: bool = False  # E'…', in which a backslash escapes
    foreign_marks: str | None = None  # a pattern for placeholders that the driver knows and FlowLang does not

    def __hash__(self) -> int:
        return hash(self.name)  # it is looked up by for every statement, and there are few

    @property
    def mark(self) -> str:
        """A placeholder as authors write it."""
        return {"qmark": "?", "numeric": "$1", "format": "%s"}[self.paramstyle]


@lru_cache
def _pattern(dialect: Dialect) -> re.Pattern[str]:
    """One pattern for all tokens. Possessive throughout: its time is linear in the text, also when unterminated."""
    plain = r"'[^']*+(?:''[^']*+)*+'?+"
    escaped = r"'(?:[^'\\]++|''|\\.)*+'?+"
    line = r"(?:\#|--(?=\s|\Z))[^\n]*+" if dialect.mysql_comments else r"--[^\n]*+"
    parts = [rf"(?P<comment>{line}|/\*(?:[^*]++|\*(?!/))*+(?:\*/)?+)"]
    parts.append(f"(?P<literal>{escaped if dialect.backslash_escapes else plain}")
    if dialect.escape_strings:
        parts[-1] += f"|[eE]{escaped}"
    if dialect.dollar_quotes:
        parts[-1] += r"|\$(?P<tag>[^\W\d]\w*|)\$(?:.*?\$(?P=tag)\$|.*)"
    parts[-1] += ")"
    quoted = r'"(?:[^"\\]++|""|\\.)*+"?+' if dialect.backslash_escapes else r'"[^"]*+(?:""[^"]*+)*+"?+'
    parts.append(f"(?P<name>{quoted}")
    if dialect.backticks:
        parts[-1] += r"|`[^`]*+(?:``[^`]*+)*+`?+"
    if dialect.brackets:
        parts[-1] += r"|\[[^\]]*+\]?+"
    parts[-1] += ")"
    if dialect.foreign_marks:
        parts.append(f"(?P<foreign>{dialect.foreign_marks})")
    marks = {"qmark": r"\?", "numeric": r"\$\d+", "format": r"%s(?!\w)"}[dialect.paramstyle]
    parts.append(f"(?P<mark>{marks})")
    parts.append(r"(?P<hole>\0)")
    parts.append(r"(?P<word>[\w$]+)")
    parts.append(r"(?P<other>[^\s\w])")
    return re.compile("|".join(parts), re.DOTALL)


class Token(NamedTuple):
    """A piece of a statement: `kind` is a group of the dialect's pattern, `start` and `end` count characters."""

    kind: str
    text: str
    start: int
    end: int


def scan(text: str, dialect: Dialect) -> Iterator[Token]:
    """The tokens of a statement in order, comments among them, white space left out."""
    pattern, position = _pattern(dialect), 0
    if not dialect.nested_comments:
        for each in pattern.finditer(text):
            yield Token(each.lastgroup or "other", each.group(), each.start(), each.end())
        return
    while (match := pattern.search(text, position)) is not None:
        kind = match.lastgroup or "other"
        start, end = match.span()
        if kind == "comment" and text.startswith("/*", start):
            end = _nested_comment_end(text, start)
        yield Token(kind, text[start:end], start, end)
        position = end


_COMMENT_EDGE = re.compile(r"/\*|\*/")


def _nested_comment_end(text: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(text)


@frozen
class Hole:
    """Where an expression stands in a statement.

    `quote` is the character that opens the literal or quoted name around it (kind `in_literal`). `in_list`:
    it stands directly in the brackets of `IN (…)`, or right after `IN`; `alone`: with nothing else there;
    `negated`: after `NOT IN`.
    """

    kind: HoleKind
    quote: str = ""
    in_list: bool = False
    alone: bool = False
    bare: bool = False  # right after IN, without brackets
    negated: bool = False


def holes(texts: Sequence[str], dialect: Dialect | None = None) -> list[Hole]:
    """What each expression of a SQL template is to the statement, in order; one less than `texts`.

    `value`: it will be bound. `in_literal`, `in_comment`: it stands inside quotes or a comment and can never
    be bound. `identifier`: the name of a table or column is wanted there, `ident(x)`. `statement`: it is the
    whole statement.
    """
    return list(_template(tuple(texts), dialect or GENERIC).holes) if len(texts) > 1 else []


@frozen
class Shape:
    """What a statement asks of those who fill it: how many values `params` has to have, and what makes it one that
    nobody can fill. `mark` is how a placeholder is written; `empty`: there is no statement."""

    expected: int
    mark: str
    foreign: str | None
    empty: bool


def shape(texts: Sequence[str], dialect: Dialect) -> Shape:
    template = _template(tuple(texts), dialect)
    foreign = template.problem if not any(hole.kind in _UNFIT for hole in template.holes) else None
    return Shape(template.expected, dialect.mark, foreign, not template.leading)


_UNFIT = frozenset({"in_literal", "in_comment", "statement"})


def writes(texts: Sequence[str], dialect: Dialect | None = None) -> bool:
    """Whether a statement may change something, judged by its words: anything but a plain SELECT, VALUES, SHOW …

    `texts` are what stands around its expressions, as for `holes`. A word before a bracket is a function
    (`replace(…)`), and one after FOR a lock.
    """
    statement = _HOLE.join(texts)
    if statement.isascii() and _ONLY_READS.match(statement):
        return False
    kept = [each for each in scan(statement, dialect or GENERIC) if each.kind != "comment"]
    words = [token.text.upper() if token.kind == "word" else "" for token in kept]
    if not any(words) or words[0] not in _READS:
        return any(words)
    follows = [token.text for token in kept[1:]] + [""]
    for before, word, after in zip(["", *words], words, follows):
        if word == "INTO" or (_WRITES.match(word) and before != "FOR" and after != "("):
            return True
    return False


def leading_word(sql: Sql | str, dialect: Dialect) -> str:
    """The first word of a statement in capitals, comments passed over; empty when there is none."""
    return _template(sql.texts if isinstance(sql, Sql) else (sql,), dialect).leading


@dataclass(slots=True)
class _Place:
    """One level of brackets while holes are classified: what opened it, and the clause reached inside."""

    opener: str = ""
    clause: str = ""
    in_list: bool = False
    negated: bool = False
    names: bool = False


def _classify(tokens: list[Token], joined: str) -> tuple[list[Hole], list[Hole]]:
    """What each expression and each of the author's placeholders is, in order."""
    found: list[Hole] = []
    marks: list[Hole] = []
    whole = [each.kind for each in tokens if each.kind != "comment" and each.text != ";"] == ["hole"]
    places = [_Place()]
    before = ("", "", "")  # the three words or marks before, the nearest last
    for number, token in enumerate(tokens):
        kind, text = token.kind, token.text
        word = kind
        if kind == "word":
            word = text.upper()
            if word in _CLAUSES:
                places[-1].clause, places[-1].names = word, False
        elif kind == "other":
            word = text
            _enter(text, before, places)
        elif kind == "comment":
            found.extend([Hole("in_comment")] * text.count(_HOLE))
            continue
        elif kind in ("literal", "name"):
            found.extend([Hole("in_literal", quote=_quote_of(text))] * text.count(_HOLE))
        elif kind in ("hole", "mark"):
            hole = _hole(token, _after(tokens, number), before, places[-1], joined)
            (marks if kind == "mark" else found).append(Hole("statement") if whole and kind == "hole" else hole)
        before = (before[1], before[2], word)
    return found, marks


def _after(tokens: list[Token], number: int) -> str:
    """The text of what follows token `number`."""
    behind = (tokens[at] for at in range(number + 1, len(tokens)))
    return next((each.text for each in behind if each.kind != "comment" and each.text != ";"), "")


def _quote_of(text: str) -> str:
    if text[0] != "$":
        return text[1] if text[0] in "eE" else text[0]
    return text[: text.index("$", 1) + 1]


def _enter(text: str, before: tuple[str, str, str], places: list[_Place]) -> None:
    """Follow brackets."""
    if text == "(":
        last = before[2]
        names = last in _OPENS_NAMES or places[-1].clause in _COLUMN_LISTS
        places.append(_Place(opener=last, in_list=last == "IN", negated=before[1:] == ("NOT", "IN"), names=names))
    elif text == ")" and len(places) > 1:
        places.pop()


def _hole(token: Token, follows: str, before: tuple[str, str, str], place: _Place, joined: str) -> Hole:
    last = before[2]
    if _touches_name(joined, token) or _wants_name(last, before, place, follows):
        return Hole("identifier")
    bare = last == "IN"
    if bare or (place.in_list and last in ("(", ",")):
        alone = bare or (last == "(" and follows == ")")
        negated = before[1] == "NOT" if bare else place.negated
        return Hole("value", in_list=True, alone=alone, bare=bare, negated=negated)
    return Hole("value")


_NAME_ENDS, _NAME_GOES_ON = re.compile(r"[\w.$]"), re.compile(r"[\w.]")


def _touches_name(joined: str, token: Token) -> bool:
    """Glued to a word or a dot (`logs_${day}`, `${schema}.t`): part of a name."""
    glued = token.start > 0 and _NAME_ENDS.match(joined, token.start - 1) is not None
    return glued or _NAME_GOES_ON.match(joined, token.end) is not None


def _wants_name(last: str, before: tuple[str, str, str], place: _Place, follows: str) -> bool:
    if last == "FROM":
        distinct = before[1] == "DISTINCT" and before[0] in ("IS", "NOT")
        return not distinct and place.opener not in _FROM_IS_SYNTAX
    if last in _NAME_FOLLOWS:
        return True
    if place.names and last in ("(", ","):
        return True
    if last != "," or place.clause not in _NAME_LISTS:
        return False
    return follows == "=" if place.clause in ("SET", "UPDATE") else True


_QUOTED = frozenset({"comment", "literal", "name"})  # what may have expressions inside, where they are not bound


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
    joined = _HOLE.join(texts)
    if joined.count(_HOLE) != len(texts) - 1:
        unknown = (Hole("value"),) * (len(texts) - 1)
        return _Template(("",), (), unknown, (), 0, "", "the statement holds a NUL character", "")
    tokens = list(scan(joined, dialect))
    pieces: list[str] = []
    sources: list[int] = []
    position = hole = mark = highest = 0
    for token in tokens:
        if token.kind == "hole" or (token.kind == "mark" and dialect.paramstyle != "numeric"):
            pieces.append(joined[position : token.start])
            position = token.end
            sources.append(hole if token.kind == "hole" else ~mark)
            mark += token.kind == "mark"
        elif token.kind == "mark":
            highest = max(highest, int(token.text[1:]))
        hole += token.kind == "hole" or (token.kind in _QUOTED and token.text.count(_HOLE))
    pieces.append(joined[position:])
    expected = highest if dialect.paramstyle == "numeric" else mark
    if dialect.paramstyle == "format" and sources:
        pieces = [_percent_signs(piece) for piece in pieces]
    text = _joined(pieces, sources, expected, dialect)
    found, marks = _classify(tokens, joined)
    problem = _problem(tokens, found, dialect)
    leading = next((token.text.upper() for token in tokens if token.kind != "comment"), "")
    return _Template(tuple(pieces), tuple(sources), tuple(found), tuple(marks), expected, text, problem, leading)


def _problem(tokens: list[Token], found: list[Hole], dialect: Dialect) -> str | None:
    """Why no such statement can be filled."""
    for token in tokens:
        if token.kind == "foreign":
            return f"`{token.text}` is no placeholder of FlowLang: write `{dialect.mark}`, or an expression `${{…}}`"
    for hole in found:
        if hole.kind == "in_literal":
            return f"an expression stands between quotes ({hole.quote}): leave the quotes out, it is bound"
        if hole.kind == "in_comment":
            return "an expression stands inside a comment of the statement"
        if hole.kind == "statement":
            return "the whole statement is one expression: its text must be written in the flow"
    return None


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


GENERIC = Dialect("SQL", "qmark", backticks=True, dollar_quotes=True)
"""What the check uses when it does not know which database a statement goes to."""

SQLITE = Dialect(
    "SQLite",
    "qmark",
    # Not the standard's double quotes: SQLite takes "x" for a text when there is no column x.
    quote="`",
    empty_list="",
    backticks=True,
    brackets=True,
    foreign_marks=r"\?\d+|[:@][^\W\d]\w*|\$[^\W\d]\w*",
)
POSTGRES = Dialect(
    "PostgreSQL", "numeric", longest_name=63, dollar_quotes=True, nested_comments=True, escape_strings=True
)
MYSQL = Dialect(
    "MySQL", "format", quote="`", longest_name=64, backslash_escapes=True, backticks=True, mysql_comments=True
)
