"""How each family of databases writes SQL: its placeholders, quotes and comments, and one pattern for its tokens."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from flowlang.records import frozen

ParamStyle = Literal["qmark", "numeric", "format"]


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

    # Each is one of a kind, and what is remembered of a statement is looked up by it: compared without its fields.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def mark(self) -> str:
        """A placeholder as authors write it."""
        return {"qmark": "?", "numeric": "$1", "format": "%s"}[self.paramstyle]


@lru_cache
def token_pattern(dialect: Dialect) -> re.Pattern[str]:
    """One pattern for all tokens, white space before each included. Possessive throughout: its time is linear in the
    text, also when unterminated.

    The name of a group is the kind of the token. Most tokens are words, so those that begin with a letter that begins
    nothing else are tried first; `rest` are the other ones.
    """
    plain = r"'[^']*+(?:''[^']*+)*+'?+"
    escaped = r"'(?:[^'\\]++|''|\\.)*+'?+"
    line = r"(?:\#|--(?=\s|\Z))[^\n]*+" if dialect.mysql_comments else r"--[^\n]*+"
    parts = [r"(?P<word>[A-DF-Za-df-z_][\w$]*+)"]
    parts.append(rf"(?P<comment>{line}|/\*(?:[^*]++|\*(?!/))*+(?:\*/)?+)")
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
    parts.append(r"(?P<rest>[\w$]+)")
    parts.append(r"(?P<other>[^\s\w])")
    return re.compile(rf"\s*+(?:{'|'.join(parts)})", re.DOTALL)


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
