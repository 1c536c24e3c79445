"""Text to `Template` and `Expression`. Nothing here ever raises on any text: what is wrong becomes a `Problem`."""

from __future__ import annotations

import ast
import re
from typing import cast

from flowlang.expressions import codes, grammar, hints
from flowlang.expressions.scanner import split
from flowlang.expressions.syntax import Expression, Problem, Template
from flowlang.expressions.tokens import MAX_BYTES, MAX_DEPTH, RESERVED, Token, ordinary, prepared, tokenise

_DOTTED = r"[A-Za-z]\w*(?:\.[A-Za-z]\w*)*"
_PATH = re.compile(_DOTTED, re.ASCII)
_IN_TEXT = re.compile(rf"\$\{{({_DOTTED})\}}", re.ASCII)
_FOREIGN = re.compile(r"(?<!\$)\{\{-?\s*([A-Za-z]\w*(?:\.\w+)+)\s*-?\}\}")
BROKEN = ...
"""The constant that stands for an expression that could not be parsed, so that its template keeps its shape."""


def parse_template(text: str) -> tuple[Template, list[Problem]]:
    """A scalar's text as literal parts and expressions.

    An expression that cannot be parsed stays in the template as one of unknown type, so that nothing is reported
    twice for it; a template with problems of severity "error" must not be compiled.
    """
    if "${" not in text:
        return Template((text,)), _foreign(text)
    plain = _paths_in_text(text)
    if plain is not None:
        return plain, []
    parts: list[str | Expression] = []
    problems: list[Problem] = []
    for piece in split(text):
        if piece.kind == "literal":
            problems.extend(_foreign(piece.text, piece.start))
            if parts and isinstance(parts[-1], str):
                parts[-1] += piece.text
            else:
                parts.append(piece.text)
            continue
        if piece.kind == "unterminated":
            expression, found = None, [_unterminated(piece.start - 2, piece.end)]
        else:
            expression, found = _parse(piece.text, piece.start, interpolations=False)
        problems.extend(found)
        parts.append(expression or _broken(piece.text, piece.start))
    return Template(tuple(parts)), problems


def _paths_in_text(text: str) -> Template | None:
    """The template of a text that has only paths in it, as most have; None when there is more to look at."""
    if "{{" in text or "$${" in text:
        return None
    parts: list[str | Expression] = []
    opened = at = 0
    for match in _IN_TEXT.finditer(text):
        start, end = match.span()
        expression = _path(match[1], start + 2)
        if expression is None:
            return None
        if start > at:
            parts.append(text[at:start])
        parts.append(expression)
        opened += 1
        at = end
    if text.count("${") != opened:
        return None
    if at < len(text):
        parts.append(text[at:])
    return Template(tuple(parts))


def parse_condition(text: str) -> tuple[Expression | None, list[Problem]]:
    """A condition's text: one expression, in which `${…}` around any part may be left out."""
    return _parse(text, 0, interpolations=True)


def _broken(text: str, offset: int) -> Expression:
    tree = ast.Constant(BROKEN, lineno=1, col_offset=0, end_lineno=1, end_col_offset=len(text))
    return Expression(text, offset, tree)


def _unterminated(start: int, end: int) -> Problem:
    return Problem(
        codes.UNTERMINATED,
        "`${` is never closed",
        start,
        end,
        notes=("quotes and brackets inside an expression must be closed before its `}`",),
        suggestion="add `}` at its end, or write `$${` for the characters themselves",
    )


def _foreign(text: str, offset: int = 0) -> list[Problem]:
    return [
        Problem(
            codes.FOREIGN,
            f"`{match.group()}` is plain text here",
            offset + match.start(),
            offset + match.end(),
            suggestion=f"did you mean `${{{match.group(1)}}}`?",
            replacement=f"${{{match.group(1)}}}",
            severity="hint",
        )
        for match in (_FOREIGN.finditer(text) if "{{" in text else ())
    ]


def _parse(text: str, offset: int, *, interpolations: bool) -> tuple[Expression | None, list[Problem]]:
    source = text.strip()
    if not source:
        return None, [Problem(codes.SYNTAX, "an expression is missing", max(0, offset - 2), offset + len(text) + 1)]
    offset += len(text) - len(text.lstrip())
    if _PATH.fullmatch(source):
        expression = _path(source, offset)
        if expression is not None:
            return expression, []
    expression = _ordinary(source, offset)
    return (expression, []) if expression is not None else _by_tokens(source, offset, interpolations=interpolations)


def _ordinary(source: str, offset: int) -> Expression | None:
    """An expression that is right, without a look at its tokens; they are for those that are not, or need mending
    before Python's parser can read them."""
    if not ordinary(source):
        return None
    try:
        expression = Expression(source, offset, _tree(source))
    except SyntaxError:
        return None
    return expression if not grammar.check(expression) else None


def _by_tokens(source: str, offset: int, *, interpolations: bool) -> tuple[Expression | None, list[Problem]]:
    tokens, problems = tokenise(source, offset, interpolations=interpolations)
    if problems:
        return None, problems
    ready = prepared(source, tokens)
    try:
        tree = _tree(ready)
    except SyntaxError as error:
        return None, [_not_an_expression(error, source, offset, tokens)]
    except (RecursionError, MemoryError):
        message = f"this expression is nested deeper than {MAX_DEPTH} levels"
        return None, [Problem(codes.LIMIT, message, offset, offset + len(source))]
    expression = Expression(source, offset, tree, None if ready.isascii() else _columns(ready))
    problems = grammar.check(expression)
    return (None if problems else expression), problems


def _tree(source: str) -> ast.expr:
    """Raises `SyntaxError`."""
    return cast("ast.Expression", compile(source, "<expression>", "eval", ast.PyCF_ONLY_AST)).body


def _path(source: str, offset: int) -> Expression | None:
    """`a.b.c`, the most frequent expression by far, without tokens and without Python's parser."""
    path = tuple(source.split("."))
    if path[0] in RESERVED or len(path) > MAX_DEPTH or len(source) > MAX_BYTES:
        return None
    return Expression(source, offset, None, None, path)


def _columns(source: str) -> tuple[int, ...]:
    """For every byte of `source` in UTF-8 the number of the character it belongs to, and one past the end."""
    columns: list[int] = []
    for number, character in enumerate(source):
        columns.extend([number] * len(character.encode()))
    return (*columns, len(source))


def _not_an_expression(error: SyntaxError, source: str, offset: int, tokens: list[Token]) -> Problem:
    """Python's parser refused what the tokens allowed: name the token it stopped at."""
    at = max(0, min((error.offset or 1) - 1, len(source)))
    if "'else'" in str(error.msg):
        start, end = next(((each.start, each.end) for each in tokens if each.text == "if"), (0, len(source)))
        message = "this `if` has no `else`"
        return Problem(codes.SYNTAX, message, offset + start, offset + end, suggestion="write `a if condition else b`")
    token = next((each for each in tokens if each.end > at), tokens[-1])
    message = f"this is not an expression: `{hints.short(token.text)}` was not expected here"
    return Problem(codes.SYNTAX, message, offset + token.start, offset + token.end)
