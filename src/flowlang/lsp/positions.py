"""Places in a text, as the protocol counts them and as FlowLang does.

The protocol counts lines from 0 and, within a line, units of an encoding (UTF-16 unless both sides agree on another);
a line ends with `\\n`, `\\r\\n` or `\\r`. FlowLang counts lines and characters from 1. Offsets count characters of the
whole text from 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import accumulate, pairwise

from flowlang.diagnostics import Position, Span
from flowlang.records import frozen

_BREAK = re.compile(r"\r\n|\n|\r")


@frozen
class Lines:
    """The lines of a text without their ends, and where each begins."""

    text: str
    lines: tuple[str, ...]
    starts: tuple[int, ...]
    encoding: str

    def whole(self) -> list[str]:
        """The lines with their ends."""
        return [self.text[first:last] for first, last in pairwise([*self.starts, len(self.text)])]

    # ------------------------------------------------------------ from the protocol

    def column(self, line: int, character: int) -> int:
        """The character of a line, from 0, that stands at `character` units of it."""
        row = self.lines[line]
        if row.isascii() or self.encoding == "utf-32":
            return max(0, min(character, len(row)))
        width = _WIDTHS[self.encoding]
        seen = 0
        for place, each in enumerate(row):
            if seen >= character:
                return place
            seen += width(each)
        return len(row)

    def offset(self, line: int, character: int) -> int:
        """Past the last line is the end of the text, as the protocol says."""
        if line >= len(self.lines):
            return len(self.text)
        return self.starts[max(0, line)] + self.column(max(0, line), character)

    def position(self, line: int, character: int) -> Position:
        line = max(0, min(line, len(self.lines) - 1))
        return Position(line + 1, self.column(line, character) + 1)

    # ------------------------------------------------------------ to the protocol

    def units(self, position: Position) -> tuple[int, int]:
        """Line and units, both from 0, of a position of ours; one outside of the text is moved to its nearest end."""
        line = position.line - 1
        if line >= len(self.lines):
            line = len(self.lines) - 1
            return line, self._units(line, len(self.lines[line]))
        return max(0, line), self._units(max(0, line), position.column - 1)

    def _units(self, line: int, column: int) -> int:
        row = self.lines[line][: max(0, column)]
        if row.isascii() or self.encoding == "utf-32":
            return len(row)
        width = _WIDTHS[self.encoding]
        return sum(map(width, row))

    def cut(self, span: Span) -> str:
        """What stands at `span`."""
        first, last = (self.offset_of(each) for each in (span.start, span.end))
        return self.text[first:last]

    def offset_of(self, position: Position) -> int:
        if position.line > len(self.lines):
            return len(self.text)
        return min(self.starts[position.line - 1] + position.column - 1, len(self.text))


def _utf16(character: str) -> int:
    return 2 if ord(character) > 0xFFFF else 1


def _utf8(character: str) -> int:
    return len(character.encode("utf-8", "surrogatepass"))


_WIDTHS: dict[str, Callable[[str], int]] = {"utf-16": _utf16, "utf-8": _utf8}


def lines_of(text: str, encoding: str = "utf-16") -> Lines:
    if "\r" not in text:  # nearly always, and at each key
        rows = text.split("\n")
        return Lines(text, tuple(rows), tuple(accumulate((len(each) + 1 for each in rows[:-1]), initial=0)), encoding)
    starts, lines, begun = [0], [], 0
    for match in _BREAK.finditer(text):
        lines.append(text[begun : match.start()])
        begun = match.end()
        starts.append(begun)
    lines.append(text[begun:])
    return Lines(text, tuple(lines), tuple(starts), encoding)


def same_line(old: Lines, new: Lines, line: int) -> int:
    """The line of `old` (from 0) that line `line` of `new` was, or that stands where it was put in."""
    if old.text == new.text:
        return line
    shared = min(len(old.lines), len(new.lines))
    first = next((at for at in range(shared) if old.lines[at] != new.lines[at]), shared)
    if line < first:
        return line
    last = 0
    while last < shared - first and old.lines[-1 - last] == new.lines[-1 - last]:
        last += 1
    if line >= len(new.lines) - last:
        return line - len(new.lines) + len(old.lines)
    return min(line, max(first, len(old.lines) - last))
