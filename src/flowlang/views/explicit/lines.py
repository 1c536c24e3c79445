"""Lines of YAML: keys, texts, plain data and durations, each with the note that says where it comes from.

A part of a flow is a list of lines, which the part around it indents. The canonical layout is left to `fmt`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from flowlang.diagnostics import visible
from flowlang.document.scalar_style import block_header, escaped, in_quotes, is_plain

DEFAULT = "default"
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def noted(line: str, note: str = "") -> str:
    return f"{line}  # {visible(note)}" if note else line


def remark(text: str) -> str:
    """A line that only readers see: for what cannot be written."""
    return f"# {visible(text)}"


def nested(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line else line for line in lines]


def item(lines: list[str]) -> list[str]:
    """An item of a list; its first line is no remark."""
    return [f"- {lines[0]}", *nested(lines[1:])]


def setting(key: str, value: str, note: str = "") -> str:
    return noted(f"{key}: {value}", note)


def word(text: str, *, brackets: bool = False) -> str:
    """`text` as a scalar on one line."""
    if is_plain(text, brackets=brackets):
        return text
    return in_quotes(text) if text.isprintable() else escaped(text)


def literal(text: str) -> str:
    """A text that the reader of flows took the escapes of expressions out of, with these put back."""
    return text.replace("${", "$${")


def text_lines(head: str, text: str, note: str = "") -> list[str]:
    """A scalar after `head`: on one line, or as a block when it has several."""
    rows = text.split("\n")
    if len(rows) == 1 or not text.strip() or not all(row.isprintable() for row in rows):
        return [noted(f"{head} {word(text)}", note)]
    breaks = len(text) - len(text.rstrip("\n"))
    rows = [*text.rstrip("\n").split("\n"), *[""] * (breaks - 1)]
    return [noted(f"{head} {block_header('literal', text, '')}", note), *nested(rows)]


def data(value: object) -> str:
    """Plain data on one line; a text in it is no expression."""
    if isinstance(value, str):
        return word(literal(value), brackets=True)
    if isinstance(value, Mapping):
        entries = (f"{word(str(key), brackets=True)}: {data(each)}" for key, each in value.items())
        return "{" + ", ".join(entries) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(data, value)) + "]"
    return number(value) if isinstance(value, float) else json.dumps(value)


def number(value: float) -> str:
    if value - value != 0:
        return {"inf": ".inf", "-inf": "-.inf"}.get(str(value), ".nan")
    return str(value)


def duration(seconds: float) -> str:
    """Seconds in the largest unit that they are a whole number of."""
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    if seconds == 0:
        return "0s"
    thousandths = round(seconds * 1000)
    return f"{thousandths}ms" if thousandths * 0.001 == seconds else f"{number(seconds)}s"
