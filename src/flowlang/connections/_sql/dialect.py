"""How each family of databases writes SQL: its placeholders, quotes and comments."""

from __future__ import annotations

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
