"""Where in a flow a place of the text is: by a look at the lines around it, also while the text is not YAML.

From the line of the cursor the way goes up by indentation; what stands in `{…}` or `[…]` is read from its bracket on.
Only the lines on that way are looked at, so that a keystroke costs the same in a long file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from flowlang.records import frozen

_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[A-Za-z_][\w.\-]*)\s*:(?=\s|$)""")
_DASHES = re.compile(r"(?:- +|-$)*")
_FAR = 60  # lines above the cursor in which a bracket may be open


@dataclass(slots=True)
class Level:
    """An object or a list around a place. Of an object: the keys it has, each with its text when that is on the same
    line, and `key`, the one that leads on; None where the place itself is a key, or an item."""

    kind: Literal["object", "list"]
    keys: dict[str, str] = field(default_factory=dict)
    key: str | None = None


@frozen
class Spot:
    """`levels` from the top of the file inwards. `value` says whether the place is at the value of the last key;
    `text` is what is written of the key or value before the place, `column` (from 0) where that begins. `word` is the
    whole key or value, without quotes, for what the place is on."""

    levels: tuple[Level, ...]
    value: bool
    text: str
    column: int
    word: str
    quote: str = ""

    @property
    def section(self) -> str | None:
        return self.levels[0].key if self.levels else None


@frozen
class _Line:
    """`dashes` are the columns of the `-` that begin items, `column` is where the rest begins."""

    dashes: tuple[int, ...]
    column: int
    key: str | None
    value: str
    at: int  # column of the value

    @property
    def tokens(self) -> list[tuple[str, int]]:
        """What opens here, outermost first, with its column."""
        opened = [("list", each) for each in self.dashes]
        return [*opened, ("object", self.column)] if self.key is not None else opened


def _line(row: str) -> _Line:
    indent = len(row) - len(row.lstrip(" "))
    match = _DASHES.match(row, indent)
    stop = match.end() if match else indent
    dashes = tuple(at for at in range(indent, stop) if row[at] == "-")
    found = _KEY.match(row, stop)
    if found is None:
        return _Line(dashes, stop, None, row[stop:], stop)
    value = row[found.end() :]
    at = found.end() + len(value) - len(value.lstrip())
    return _Line(dashes, stop, found[1].strip("\"'"), value.strip(), at)


def spot(lines: Sequence[str], line: int, column: int) -> Spot:
    """What the place at `line` and `column`, both from 0, is part of."""
    line = max(0, min(line, len(lines) - 1))
    first = _opening(lines, line, column)
    if first is None:
        return _in_block(lines, line, column)
    parsed = _line(lines[first])
    around = _climb(lines, first, parsed.column, parsed)
    if parsed.key is None:
        around.pop()  # the item is what stands in the brackets
    return _in_brackets(lines, first, parsed.at, line, column, around)


# ---------------------------------------------------------------- indentation


def _in_block(lines: Sequence[str], line: int, column: int) -> Spot:
    row = lines[line]
    parsed = _line(row)
    if parsed.key is not None and column >= parsed.at - (parsed.at > len(row.rstrip())) and ":" in row[:column]:
        levels = _climb(lines, line, parsed.column, parsed)
        return _of_value(levels, row, parsed.at, column, parsed.value)
    if parsed.key is None and not row[parsed.column :].strip() and not parsed.dashes:
        parsed = _Line((), column, None, "", column)  # an empty line: what is written there begins at the cursor
    levels = _climb(lines, line, parsed.column, parsed)
    owner = levels[-2] if len(levels) > 1 else None
    if owner is not None and parsed.key is None and owner.key and owner.keys.get(owner.key, "")[:1] in ("|", ">"):
        return Spot(tuple(levels[:-1]), True, row[:column].lstrip(), parsed.column, row.strip())
    word = parsed.key if parsed.key is not None else parsed.value.strip()
    levels[-1].keys.pop(word, None)
    levels[-1].key = None
    return Spot(tuple(levels), False, row[parsed.column : column].lstrip("\"'"), parsed.column, word)


def _of_value(levels: list[Level], row: str, at: int, column: int, whole: str) -> Spot:
    text = row[at:column]
    quote = text[:1] if text[:1] in ('"', "'") else ""
    return Spot(tuple(levels), True, text[len(quote) :], at + len(quote), whole.strip("\"'"), quote)


def _climb(lines: Sequence[str], line: int, column: int, parsed: _Line) -> list[Level]:
    """The levels around the entry that begins at `column` of `line`, that of the entry's own object last."""
    levels: list[Level] = []
    waiting = [("list", each) for each in parsed.dashes] + [("object", column)]
    key = parsed.key
    while True:
        kind, place = waiting.pop()
        if kind == "object":
            levels.append(Level("object", dict(_siblings(lines, line, place)), key))
        else:
            levels.append(Level("list"))
        if not waiting:
            above = _above(lines, line, kind, place)
            if above is None:
                return levels[::-1]
            line, waiting = above
        key = _line(lines[line]).key if waiting[-1][0] == "object" else None


def _above(lines: Sequence[str], line: int, kind: str, place: int) -> tuple[int, list[tuple[str, int]]] | None:
    """The line that what begins at column `place` belongs to, and what of it is around."""
    deeper, beside = " " * (place + 1), " " * place + "- "
    for number in range(line - 1, -1, -1):
        row = lines[number]
        if row.startswith(deeper) or (kind == "list" and row.startswith(beside)):
            continue
        if not row.strip() or row.lstrip().startswith("#"):
            continue
        tokens = _line(row).tokens
        inner = ("object", place) if kind == "list" else None  # a list may stand at the column of its key
        around = [each for each in tokens if each[1] < place or each == inner]
        if around:
            return number, around
        if place == 0 and kind == "object":
            return None
    return None


def _siblings(lines: Sequence[str], line: int, column: int) -> Iterator[tuple[str, str]]:
    """The keys of the object whose keys begin at `column`, from top to bottom."""
    above = []
    deeper = " " * (column + 1)
    for number in range(line, -1, -1):
        row = lines[number]
        if row.startswith(deeper) or not row.strip():
            continue
        parsed = _line(row)
        if parsed.column == column and parsed.key is not None:
            above.append((parsed.key, parsed.value))
        if (parsed.column < column or parsed.dashes) and (number != line or parsed.dashes):
            break
    yield from reversed(above)
    for number in range(line + 1, len(lines)):
        row = lines[number]
        if row.startswith(deeper) or not row.strip():
            continue
        parsed = _line(row)
        if parsed.column != column or parsed.dashes:
            if not row.lstrip().startswith("#"):
                return
        elif parsed.key is not None:
            yield parsed.key, parsed.value


# ---------------------------------------------------------------- brackets

_TOKEN = re.compile(
    r"""(?P<quoted>"(?:[^"\\\n]|\\.)*"?|'(?:[^'\n]|'')*'?)|(?P<open>[{\[])|(?P<close>[}\]])|(?P<comma>,)"""
    r"""|(?P<colon>:(?=[\s,}\]]|$))|(?P<comment>(?<=\s)\#[^\n]*)|(?P<text>\$\{[^}\n]*\}?|[^\s{}\[\],:"'#]+|[:\#])|\s+"""
)
_WORD = re.compile(r"""\s*("(?:[^"\\\n]|\\.)*"?|'(?:[^'\n]|'')*'?|[^\s,{}\[\]:"']+)""")


def _opening(lines: Sequence[str], line: int, column: int) -> int | None:
    """The line on which the outermost bracket around the place is opened."""
    found = None
    for number in range(line, max(-1, line - _FAR), -1):
        parsed = _line(lines[number])
        if parsed.value[:1] in ("{", "[") and (number < line or parsed.at < column):
            rows = [*lines[number:line], lines[line][:column]]
            text = "\n".join(rows)[parsed.at :]
            if _depth(text) > 0:
                found = number
        if parsed.key is not None and parsed.column == 0 and number < line:
            break
    return found


def _depth(text: str) -> int:
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += (match.lastgroup == "open") - (match.lastgroup == "close")
        if depth == 0:
            return 0  # closed: what follows is no part of it
    return depth


@dataclass(slots=True)
class _Open:
    """A bracket that is open. `begun` is where the present key or value begins, None before it."""

    level: Level
    begun: int | None = None
    ended: int = 0
    valued: bool = False


def _in_brackets(lines: Sequence[str], first: int, at: int, line: int, column: int, around: list[Level]) -> Spot:
    text = "\n".join([lines[first][at:], *lines[first + 1 : line + 20]])
    cursor = column - at if line == first else sum(len(each) + 1 for each in lines[first:line]) - at + column
    stack: list[_Open] = []
    for match in _TOKEN.finditer(text):
        if match.start() >= cursor:
            break
        _take(stack, match, text)
        if not stack:
            break
    inner = stack[-1] if stack else _Open(Level("object"))
    levels = [*around, *(each.level for each in stack)]
    begun = inner.begun if inner.begun is not None else cursor
    written = text[begun:cursor]
    quote = written[:1] if written[:1] in ('"', "'") else ""
    found = _WORD.match(text, begun)
    word = found[1].strip("\"'") if found else ""
    value = inner.valued or inner.level.kind == "list"
    if not value:
        inner.level.keys.pop(word, None)
        inner.level.key = None
    inner.level.keys |= {
        key: each for key, each in _rest(text, max(cursor, inner.ended)) if key not in inner.level.keys
    }
    return Spot(tuple(levels), value, written[len(quote) :], column - len(written) + len(quote), word, quote)


def _take(stack: list[_Open], match: re.Match[str], text: str) -> None:
    kind = match.lastgroup
    if kind == "open":
        if stack:
            _begin(stack[-1], match.start())
        stack.append(_Open(Level("object" if match[0] == "{" else "list")))
        return
    if not stack:
        return
    inner = stack[-1]
    if kind == "close":
        stack.pop()
        if stack:
            stack[-1].ended = match.end()
    elif kind == "comma":
        _finish(inner, text)
    elif kind == "colon" and inner.level.kind == "object" and not inner.valued and inner.begun is not None:
        inner.level.key = text[inner.begun : match.start()].strip().strip("\"'")
        inner.level.keys[inner.level.key] = ""
        inner.begun, inner.valued = None, True
    elif kind in ("quoted", "text", "colon"):
        _begin(inner, match.start())
        inner.ended = match.end()


def _begin(inner: _Open, at: int) -> None:
    if inner.begun is None:
        inner.begun = at


def _finish(inner: _Open, text: str) -> None:
    if inner.valued and inner.level.key is not None and inner.begun is not None:
        inner.level.keys[inner.level.key] = text[inner.begun : inner.ended].strip().strip("\"'")
    elif inner.begun is not None and inner.level.kind == "object":
        inner.level.keys[text[inner.begun : inner.ended].strip()] = ""
    inner.level.key, inner.begun, inner.valued = None, None, False


def _rest(text: str, at: int) -> Iterator[tuple[str, str]]:
    """The keys that follow in the same brackets."""
    depth, begun = 0, None
    for match in _TOKEN.finditer(text, at):
        kind = match.lastgroup
        depth += (kind == "open") - (kind == "close")
        if depth < 0:
            return
        if depth == 0 and kind == "comma":
            begun = match.end()
        elif depth == 0 and kind == "colon" and begun is not None:
            yield text[begun : match.start()].strip().strip("\"'"), ""
            begun = None
