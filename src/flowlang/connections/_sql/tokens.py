"""The pieces of a SQL text: quoted runs, comments, words and marks.

Nothing here parses SQL. This is enough to tell a placeholder from a question mark inside a literal.
"""

from __future__ import annotations

import re
from functools import lru_cache

from flowlang.connections._sql.dialect import Dialect

Token = tuple[str, str, int]
"""A piece of a statement: its kind, a group of the dialect's pattern, its text, and the index behind it."""


@lru_cache
def _pattern(dialect: Dialect) -> re.Pattern[str]:
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


def tokens(text: str, dialect: Dialect) -> list[Token]:
    """The tokens of a statement in order, comments among them, white space left out."""
    pattern = _pattern(dialect)
    if not dialect.nested_comments or "/*" not in text:
        return [(each.lastgroup or "", each[each.lastgroup or 0], each.end()) for each in pattern.finditer(text)]
    found: list[Token] = []
    end = 0
    while (match := pattern.match(text, end)) is not None:
        kind = match.lastgroup or ""
        start, end = match.span(kind)
        if kind == "comment" and text.startswith("/*", start):
            end = _nested_comment_end(text, start)
        found.append((kind, text[start:end], end))
    return found


_COMMENT_EDGE = re.compile(r"/\*|\*/")


def _nested_comment_end(text: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(text)
