"""Where the expressions of a text begin and end: `${…}`, found by a scan that knows quotes and brackets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_OPEN = re.compile(r"\$?\$\{")
_INSIDE = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|['"]|[()\[\]{}]""", re.DOTALL)
_SIMPLE = re.compile(r"[\w. ]*\}")  # most expressions: nothing in them could hide a brace
_PAIRS = {"(": ")", "[": "]", "{": "}"}


class Piece(NamedTuple):
    """A literal stretch (`text` with `$${` undone) or an expression (`text` is what stands between the braces).

    `start` and `end` are offsets of `text`'s place in the scalar, the braces left out.
    """

    text: str
    start: int
    end: int
    kind: str  # literal, expression, unterminated


def split(text: str) -> Iterator[Piece]:
    """The pieces of `text` in order. Literal pieces may follow one another."""
    at = 0
    while match := _OPEN.search(text, at):
        if match.start() > at:
            yield Piece(text[at : match.start()], at, match.start(), "literal")
        if match.group() == "$${":
            yield Piece("${", match.start(), match.end(), "literal")
            at = match.end()
            continue
        end = closing(text, match.end())
        if end < 0:
            yield Piece(text[match.end() :], match.end(), len(text), "unterminated")
            return
        yield Piece(text[match.end() : end], match.end(), end, "expression")
        at = end + 1
    if at < len(text):
        yield Piece(text[at:], at, len(text), "literal")


def closing(text: str, at: int) -> int:
    """The index of the `}` that closes the `${` whose inside begins at `at`, or -1.

    An unclosed quote or bracket inside is left for the parser to name when a `}` follows nevertheless.
    """
    simple = _SIMPLE.match(text, at)
    if simple is not None:
        return simple.end() - 1
    opened: list[str] = []
    fallback = -1
    for match in _INSIDE.finditer(text, at):
        sign = match.group()
        if sign in _PAIRS:
            opened.append(sign)
        elif sign in (")", "]", "}"):
            if not opened and sign == "}":
                return match.start()
            if opened and _PAIRS[opened[-1]] == sign:
                opened.pop()
            if sign == "}" and fallback < 0:
                fallback = match.start()
        elif len(sign) == 1:
            return text.find("}", match.end()) if fallback < 0 else fallback
    return fallback if opened and "{" not in opened else -1
