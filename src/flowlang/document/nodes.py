"""Located nodes: the YAML text as a tree in which every part knows where it stands.

A node keeps the indexes of its text and makes its `span` when it is asked: most spans never are, and making
them all would cost more than reading the file.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from flowlang.diagnostics import Position, Span

if TYPE_CHECKING:
    from flowlang.document.positions import Offsets

Style = Literal["plain", "single", "double", "literal", "folded"]
_BREAK = re.compile("\n")


@dataclass(slots=True, eq=False)
class Source:
    """The text of a file, and the file's name. Indexes count its characters from 0."""

    text: str
    file: str
    _lines: list[int] | None = field(default=None, repr=False)  # where each line begins

    def position(self, index: int) -> Position:
        lines = self._lines or self._index()
        line = bisect_right(lines, index)
        return Position(line, index - lines[line - 1] + 1)

    def span(self, start: int, stop: int) -> Span:
        """The characters `start` to `stop` (exclusive)."""
        lines = self._lines or self._index()
        line = bisect_right(lines, start)
        before = lines[line - 1] - 1
        if line < len(lines) and stop >= lines[line]:
            return Span(Position(line, start - before), self.position(stop), self.file)
        return Span(Position(line, start - before), Position(line, stop - before), self.file)

    def _index(self) -> list[int]:
        self._lines = [0, *(match.end() for match in _BREAK.finditer(self.text))]
        return self._lines


# Not frozen: a frozen dataclass takes three times as long to make. Nothing writes to a node after the reader.
@dataclass(slots=True, eq=False)
class Scalar:
    """`value` is the text, int, float, bool or None that the scalar means; `text` its characters before typing.

    It is written from index `start` to `stop` of its source; a block scalar includes its trailing blank lines.
    """

    value: object
    text: str
    style: Style
    source: Source
    start: int
    stop: int
    offsets: Offsets | None = field(default=None, repr=False)  # made by `positions`, once

    @property
    def raw(self) -> str:
        """The scalar as written in the file (quotes or block header included), beginning at `span.start`."""
        return self.source.text[self.start : self.stop]

    @property
    def end(self) -> int:
        """The index after the last character that is not on a blank line."""
        return self.start + len(self.raw.rstrip()) if self.style in ("literal", "folded") else self.stop

    @property
    def span(self) -> Span:
        return self.source.span(self.start, self.end)

    def locate(self, start: int, end: int) -> Span:
        """The place in the file of the characters `start`..`end` (from 0, end exclusive) of `text`."""
        from flowlang.document.positions import locate

        return locate(self, start, end)


@dataclass(slots=True, eq=False)
class Mapping:
    """Keys are text scalars, each once. `span` covers the whole mapping."""

    entries: tuple[tuple[Scalar, Node], ...]
    source: Source
    start: int
    stop: int

    @property
    def span(self) -> Span:
        return self.source.span(self.start, self.stop)

    def get(self, key: str) -> Node | None:
        return next((value for name, value in self.entries if name.text == key), None)

    def key(self, key: str) -> Scalar | None:
        return next((name for name, _ in self.entries if name.text == key), None)


@dataclass(slots=True, eq=False)
class Sequence:
    items: tuple[Node, ...]
    source: Source
    start: int
    stop: int

    @property
    def span(self) -> Span:
        return self.source.span(self.start, self.stop)


Node = Scalar | Mapping | Sequence

START = Position(1, 1)
