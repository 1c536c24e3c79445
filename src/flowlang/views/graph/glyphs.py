"""How wide a text is, without a font: close enough to lay out boxes, and the same on every machine."""

from __future__ import annotations

import unicodedata

# Widths in thousandths of the font size: those of the widest of the usual sans-serif fonts (DejaVu, Verdana).
_NARROW = dict.fromkeys("ijl|'", 290) | dict.fromkeys(" .,:;!I/\\-", 350) | dict.fromkeys('frt()[]`"', 425)
_WIDE = dict.fromkeys("mwMW@%—…", 985) | dict.fromkeys("ABCDEGHKNOPQRSUVXYZ&+=<>~", 740)
_SANS = {**_NARROW, **_WIDE}
_OTHER = 632
_MONO = 610
_SPAN = 1000


def width(text: str, size: float, *, mono: bool = False) -> float:
    """The width of `text` in pixels, at a font size in pixels."""
    if mono:
        units = sum(_MONO if each < "\u0300" else _unusual(each, _MONO) for each in text)
    else:
        units = sum(_SANS.get(each) or (_OTHER if each < "\u0300" else _unusual(each, 680)) for each in text)
    return units * size / 1000


def _unusual(character: str, otherwise: int) -> int:
    if unicodedata.combining(character):
        return 0
    return _SPAN if unicodedata.east_asian_width(character) in "WF" else otherwise


def wrap(text: str, most: float, size: float, *, lines: int = 2, mono: bool = False) -> list[str]:
    """`text` in at most `lines` lines of at most `most` pixels, broken at spaces where it can be; what does not fit
    ends in an ellipsis. A long text costs no more than what is shown of it."""
    rest = text
    made: list[str] = []
    while rest:
        head = _fitting(rest, most, size, mono=mono)
        if head == len(rest):
            return [*made, rest]
        if len(made) == lines - 1:
            head = _fitting(rest, most - width("…", size, mono=mono), size, mono=mono)
            return [*made, rest[: max(head, 1)].rstrip() + "…"]
        space = rest.rfind(" ", 0, head + 1)
        head = space if space > head // 3 else max(head, 1)
        made.append(rest[:head].rstrip())
        rest = rest[head:].lstrip()
    return made


def _fitting(text: str, most: float, size: float, *, mono: bool) -> int:
    """How many characters of `text` fit."""
    left, count = most, 0
    for each in text:
        left -= width(each, size, mono=mono)
        if left < 0:
            return count
        count += 1
    return count
