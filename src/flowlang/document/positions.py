"""Where the characters of a scalar's value stand in the file.

The value of a scalar is not what is written: quotes go, escapes become characters, lines are folded. `Offsets`
undoes that for one scalar: for each character of its value the stretch of the file it came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowlang.diagnostics import Span
from flowlang.document.nodes import Scalar
from flowlang.records import frozen


@frozen
class Offsets:
    """Character `i` of the value stands in `raw` from `starts[i]` to `ends[i]`."""

    starts: list[int]
    ends: list[int]


def locate(scalar: Scalar, start: int, end: int) -> Span:
    """The place in the file of the characters `start` to `end` (exclusive) of the scalar's `text`.

    Offsets outside the text are moved to its nearest end.
    """
    size = len(scalar.text)
    start = max(0, min(start, size))
    end = max(start, min(end, size))
    quote = 0 if scalar.style == "plain" else 1
    if _is_verbatim(scalar, quote):
        first = scalar.start + quote
        return scalar.source.span(first + start, first + end)
    if scalar.offsets is None:
        scalar.offsets = _offsets(scalar)
    starts, ends = scalar.offsets.starts, scalar.offsets.ends
    count = len(starts)
    if not count:
        return scalar.source.span(scalar.start + quote, scalar.start + quote)
    where = starts[start] if start < count else ends[-1]
    until = ends[min(end, count) - 1] if end > start else where
    return scalar.source.span(scalar.start + where, scalar.start + max(where, until))


def _is_verbatim(scalar: Scalar, quote: int) -> bool:
    """Whether the value is what is written between the quotes, all on one line."""
    if scalar.style in ("literal", "folded") or scalar.stop - scalar.start - 2 * quote != len(scalar.text):
        return False
    return scalar.source.text.startswith(scalar.text, scalar.start + quote)


def _offsets(scalar: Scalar) -> Offsets:
    raw, size = scalar.raw, len(scalar.text)
    if scalar.style in ("literal", "folded"):
        pieces = _block(raw, scalar.text, folded=scalar.style == "folded")
    else:
        pieces = _flow(raw, scalar.style)
    starts: list[int] = []
    ends: list[int] = []
    for start, end in pieces:
        if len(starts) == size:
            break
        starts.append(start)
        ends.append(end)
    return Offsets(starts, ends)


# ---------------------------------------------------------------- plain and quoted

_BREAK = r"\r?\n[ \t]*"
_TOKENS = {
    "plain": re.compile(rf"(?P<fold>[ \t]*+(?:{_BREAK})++)|(?P<run>[ \t]++|[^ \t\r\n]++)"),
    "single": re.compile(rf"(?P<fold>[ \t]*+(?:{_BREAK})++)|(?P<escape>'')|(?P<run>[ \t]++|[^ \t\r\n']++)"),
    "double": re.compile(
        rf"(?P<fold>[ \t]*+(?:{_BREAK})++)|(?P<join>\\(?:{_BREAK})++)"
        r"|(?P<escape>\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.))|(?P<run>[ \t]++|[^ \t\r\n\\]++)"
    ),
}


def _flow(raw: str, style: str) -> Iterator[tuple[int, int]]:
    """The stretch of each character of a plain or quoted scalar."""
    index, stop = (0, len(raw)) if style == "plain" else (1, len(raw) - 1)
    token = _TOKENS[style]
    while index < stop and (match := token.match(raw, index, stop)):
        start, index = match.span()
        kind = match.lastgroup
        if kind == "run":
            yield from ((each, each + 1) for each in range(start, index))
        elif kind == "escape":
            yield start, index
        else:
            yield from _breaks(raw, start, index, folded=kind == "fold")


def _breaks(raw: str, start: int, stop: int, *, folded: bool) -> Iterator[tuple[int, int]]:
    """One line break in a text is a space, or nothing after a backslash; each further one is a line break."""
    breaks = [match.span() for match in re.finditer(r"\r?\n", raw[start:stop])]
    if folded and len(breaks) == 1:
        yield start, stop
        return
    for first, last in breaks[1:]:
        yield start + first, start + last


# ---------------------------------------------------------------- blocks


@frozen
class Line:
    """A line of a block: where its text begins (the indentation taken off), where it ends, where the next begins."""

    start: int
    end: int
    next: int

    @property
    def empty(self) -> bool:
        return self.start >= self.end


def _block(raw: str, text: str, *, folded: bool) -> Iterator[tuple[int, int]]:
    """The stretch of each character of a literal or folded block scalar, and of line breaks after it."""
    lines = block_lines(raw, text)
    kept = max((number for number, line in enumerate(lines) if not line.empty), default=-1)
    previous: Line | None = None
    pending: list[Line] = []  # empty lines after `previous`
    for line in lines[: kept + 1]:
        if line.empty:
            pending.append(line)
            continue
        if previous is not None:
            spaced = raw[previous.start] in " \t" or raw[line.start] in " \t"
            if not folded or spaced or not pending:
                yield previous.end, previous.next
        yield from ((each.end, each.next) for each in pending)
        yield from ((each, each + 1) for each in range(line.start, line.end))
        previous, pending = line, []
    if previous is not None:
        yield previous.end, previous.next
    yield from ((each.end, each.next) for each in lines[kept + 1 :])


def block_lines(raw: str, text: str) -> list[Line]:
    """The lines below the header of a block scalar that is written as `raw` and means `text`."""
    header = raw.find("\n") + 1
    spans = [match.span() for match in re.finditer(r"[^\n]*\n|[^\n]+\Z", raw[header:])] if header else []
    indent = _indent(raw, header, spans, text)
    lines = []
    for first, last in spans:
        first, last = first + header, last + header
        end = last
        if raw[end - 1] == "\n":
            end -= 2 if end - 2 >= first and raw[end - 2] == "\r" else 1
        start = first
        while start < end and start - first < indent and raw[start] == " ":
            start += 1
        lines.append(Line(start, end, last))
    return lines


_LEAD = re.compile(r"( *+)[^ \r\n]")


def _indent(raw: str, header: int, spans: list[tuple[int, int]], text: str) -> int:
    """How many spaces each line of a block loses: what the first line with something on it has lost, or the
    longest one when there are only spaces."""
    kept = _LEAD.search(text)
    if kept:
        for first, last in spans:
            written = _LEAD.match(raw, header + first, header + last)
            if written:
                return max(0, len(written[1]) - len(kept[1]))
    longest = max((len(raw[header + first : header + last].rstrip("\r\n")) for first, last in spans), default=0)
    return max(0, longest - max(map(len, text.split("\n"))))
