"""What people who know another language most likely meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowlang.expressions import codes
from flowlang.expressions.syntax import Problem

if TYPE_CHECKING:
    from flowlang.expressions.tokens import Token

other_words = {
    "AND": "and",
    "OR": "or",
    "NOT": "not",
    "And": "and",
    "Or": "or",
    "Not": "not",
    "IN": "in",
    "eq": "==",
    "ne": "!=",
}
"""Words of other languages that stand between two values, and ours."""

_OPERATORS: dict[str, tuple[str, str | None]] = {
    "&&": ("there is no `&&`", "and"),
    "||": ("there is no `||`", "or"),
    "!": ("there is no `!`", "not "),
    "=": ("`=` does not compare", "=="),
    "===": ("there is no `===`", "=="),
    "!==": ("there is no `!==`", "!="),
    "<>": ("there is no `<>`", "!="),
    "**": ("there is no `**`", None),
    "<<": ("there is no shift operator", None),
    ">>": ("there is no shift operator", None),
    "&": ("there are no bit operators", "and"),
    "^": ("there are no bit operators", None),
    "~": ("there are no bit operators", None),
    "=>": ("there are no functions to write", None),
    "->": ("there is no `->`", None),
    ":=": ("there is no assignment", None),
    "@": ("there is no `@`", None),
    ";": ("an expression is one value, `;` cannot divide it", None),
}
FUNCTION_WORDS: dict[str, str] = {
    "length": "len", "size": "len", "count": "len", "startswith": "starts_with", "startsWith": "starts_with",
    "endswith": "ends_with", "endsWith": "ends_with", "includes": "contains", "toUpperCase": "upper",
    "toLowerCase": "lower", "uppercase": "upper", "lowercase": "lower", "trim": "strip", "tojson": "json",
    "toJSON": "json", "toJson": "json", "to_json": "json", "dumps": "json", "fromjson": "from_json",
    "fromJSON": "from_json", "fromJson": "from_json", "loads": "from_json", "string": "str", "toString": "str",
    "integer": "int", "parseInt": "int", "number": "float", "parseFloat": "float", "boolean": "bool",
    "uniq": "unique", "sort": "sorted", "sort_by": "sorted", "today": "now", "utcnow": "now", "strftime": "format_time",
    "isoformat": "format_time", "strptime": "parse_time", "fromisoformat": "parse_time", "defined": "has",
    "exists": "has", "isset": "has", "ifnull": "default", "nvl": "default", "get": "default", "groupby": "group_by",
    "concat": "join", "search": "matches", "match": "matches", "fullmatch": "matches", "regex": "matches",
    "test": "matches", "find": "contains", "b64encode": "base64", "sha256": "hash", "md5": "hash", "uuid4": "uuid",
    "rand": "random", "round_": "round", "reduce": "sum", "update": "merge", "assign": "merge", "quote": "ident",
}  # fmt: skip
"""Names that functions have elsewhere, and here."""

_WORDS = {
    "is": ("`is` is not needed", "compare with `==` or `!=`"),
    "lambda": ("expressions have no functions to write", "use a comprehension: `[f(x) for x in list]`"),
}
_PATH_BEFORE = re.compile(r"[^\W\d][\w.\[\]\"']*\s*$")
_FILTER = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?")


def short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def foreign_operator(text: str, start: int, end: int, source: str, before: list[Token]) -> Problem | None:
    """The problem with an operator that expressions do not have; None when they have it."""
    if text == "|":
        return _filter(start, end, source)
    if text == "?":
        return Problem(codes.OPERATOR, "there is no `? :`", start, end, suggestion="write `a if condition else b`")
    if text == "?.":
        return Problem(codes.OPERATOR, "there is no `?.`", start, end, suggestion="did you mean `default(a.b, null)`?")
    if text == "??":
        return Problem(codes.OPERATOR, "there is no `??`", start, end, suggestion="did you mean `default(a, b)`?")
    found = _OPERATORS.get(text)
    if found is None:
        if text == "{" and before and before[-1].text == "{" and before[-1].end == start:
            return Problem(
                codes.SYNTAX, "`{{ }}` is not needed here", start - 1, end, suggestion="one pair of braces: `${…}`"
            )
        return None
    message, ours = found
    if text == "&" and "&&" not in source:
        ours = "and"
    suggestion = f"did you mean `{ours.strip()}`?" if ours else None
    return Problem(codes.OPERATOR, message, start, end, suggestion=suggestion, replacement=ours)


def _filter(start: int, end: int, source: str) -> Problem:
    """`x | length` of template languages."""
    message = "`|` does not filter a value: functions are called"
    left = _PATH_BEFORE.search(source, 0, start)
    right = _FILTER.match(source, end)
    if left is None or right is None:
        return Problem(codes.OPERATOR, message, start, end)
    value = left.group().strip()
    name = FUNCTION_WORDS.get(right.group(1), right.group(1))
    call = f"{name}({', '.join(filter(None, [value, (right.group(2) or '').strip()]))})"
    return Problem(codes.OPERATOR, message, start, end, suggestion=f"did you mean `{call}`?")


def foreign_character(text: str, at: int, source: str) -> Problem:
    """The problem with a character that no expression holds."""
    if text == "#":
        return Problem(
            codes.SYNTAX, "an expression cannot hold a comment", at, len(source), suggestion="put it outside `${…}`"
        )
    if text == "`":
        return Problem(codes.SYNTAX, "texts stand in ' or \", not in `", at, at + 1)
    if text == "$":
        return Problem(codes.SYNTAX, "`$` has no meaning inside an expression", at, at + 1, suggestion="leave it out")
    if text in "“”„‘’‚«»":
        return Problem(codes.SYNTAX, f"{text} is a typographic quote", at, at + 1, suggestion="write ' or \"")
    shown = text if text.isprintable() else f"\\u{ord(text):04x}"
    return Problem(codes.SYNTAX, f"the character `{shown}` cannot stand in an expression", at, at + 1)


def python_word(text: str, start: int, end: int) -> Problem:
    message, suggestion = _WORDS.get(text, (f"`{text}` is a word of Python that expressions leave out", None))
    return Problem(codes.FORM, message, start, end, suggestion=suggestion)


def method(name: str, receiver: str, arguments: list[str]) -> str | None:
    """The call or form that does what the method `name` would do, as text; None when there is none."""
    if name in ("get",):
        key = arguments[0] if arguments else '"key"'
        return f"default({receiver}[{key}], {arguments[1] if len(arguments) > 1 else 'null'})"
    if name == "join" and len(arguments) == 1:
        return f"join({arguments[0]}, {receiver})"
    if name in ("append", "push", "add", "extend", "concat"):
        item = ", ".join(arguments)
        return f"{receiver} + {item}" if name in ("extend", "concat") else f"{receiver} + [{item}]"
    if name in ("map", "filter", "forEach"):
        tail = " if …" if name == "filter" else ""
        return f"[x for x in {receiver}{tail}]"
    if name in ("isnull", "isNull"):
        return f"{receiver} == null"
    ours = FUNCTION_WORDS.get(name, name)
    return f"{ours}({', '.join([receiver, *arguments])})" if ours else None
