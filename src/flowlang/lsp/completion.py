"""What may be written at a place: names, keys and functions inside `${…}`; keys, tasks and words outside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

from flowlang.diagnostics import Position, Text, Words
from flowlang.editing import Analysis
from flowlang.expressions import FUNCTIONS
from flowlang.expressions.scanner import split
from flowlang.expressions.types import Type
from flowlang.lsp.outline import Spot, spot
from flowlang.lsp.positions import Lines, lines_of, same_line
from flowlang.lsp.structure import Offer, Structure
from flowlang.views.pages import function_markdown

Kind = Literal["key", "task", "word", "variable", "field", "function", "name"]
_PATH = re.compile(r"""([^\W\d]\w*(?:\.\w+|\[[^\[\]]*\])*)(?:\.(\w*)|\[(["'])([^"'\]]*))$""")
_NAME = re.compile(r"(?<![\w.\])\"'])[^\W\d]\w*$|$")
_STEP = re.compile(r"\.(\w+)|\[([^\[\]]*)\]")


class Item(NamedTuple):
    """A proposal. It replaces what stands between `start` and the cursor (columns from 0, on the cursor's line)."""

    label: str
    kind: Kind
    start: int
    insert: str
    detail: Text = ""  # put into words, as `doc` is, when it is sent: most are not
    doc: Text = ""
    first: bool = False


def complete(lines: Lines, line: int, column: int, analysis: Analysis | None, structure: Structure) -> list[Item]:
    """The proposals at `line` and `column`, both from 0. `analysis` may be of an older text."""
    here = spot(lines.lines, line, column)
    inside = expression_before(here, structure)
    if inside is not None:
        names = names_at(analysis, lines, line, column, here) if analysis is not None else {}
        return list(_in_expression(inside, names, column))
    return list(_written(here, structure, analysis))


def expression_before(here: Spot, structure: Structure) -> str | None:
    """The expression as far as it is written before the place, None outside of one."""
    if not here.value:
        return None
    pieces = list(split(here.text))
    if pieces and pieces[-1].kind == "unterminated":
        return pieces[-1].text
    if here.text.endswith("${"):
        return ""
    return here.text if structure.kinds(here.levels) & {"condition"} else None


# ---------------------------------------------------------------- inside of an expression


def _in_expression(text: str, names: Mapping[str, Any], column: int) -> Iterator[Item]:
    path = _PATH.search(text)
    if path is not None:
        yield from _fields(path, names, column)
        return
    if text.count('"') % 2 or text.count("'") % 2:
        return  # inside a text
    word = _NAME.search(text)
    start = column - len(word[0]) if word else column
    for name, entry in reversed(list(names.items())):  # what came into sight last is nearest
        detail = Words("{} (may be skipped)" if entry.state == "maybe" else "{}", entry.type)
        yield Item(name, "variable", start, name, detail, entry.label, first=entry.kind != "root")
    for name, signature, page in _functions():
        yield Item(name, "function", start, f"{name}(", signature, page)


@cache
def _functions() -> list[tuple[str, str, str]]:
    return [(name, each.signature, function_markdown(each)) for name, each in FUNCTIONS.items()]


def _fields(path: re.Match[str], names: Mapping[str, Any], column: int) -> Iterator[Item]:
    """The keys of what a path leads to. One that is no word is written in brackets."""
    found = type_of_path(path[1], names)
    for name, each in ((found.fields or {}) if found is not None else {}).items():
        if path[2] is None:
            yield Item(name, "field", column - len(path[4]), f"{name}{path[3]}]", str(each))
        elif re.fullmatch(r"[^\W\d]\w*", name) and not name.startswith("_"):
            yield Item(name, "field", column - len(path[2]), name, str(each))


def type_of_path(path: str, names: Mapping[str, Any]) -> Type | None:
    """The type of `a.b[0]["c"]`; None when it is not known."""
    root = re.match(r"\w+", path)
    entry = names.get(root[0]) if root else None
    if root is None or entry is None:
        return None
    found: Type = entry.type
    for step in _STEP.finditer(path, root.end()):
        key = step[1] or step[2].strip("\"'")
        if found.kind == "object":
            inner = (found.fields or {}).get(key) or found.items
        else:
            inner = found.items if found.kind in ("array", "stream") and step[1] is None else None
        if inner is None:
            return None
        found = inner
    return found


@lru_cache(8)
def _lines(text: str, encoding: str) -> Lines:
    return lines_of(text, encoding)


def names_at(analysis: Analysis, lines: Lines, line: int, column: int, here: Spot) -> Mapping[str, Any]:
    """The names in sight at a place of the present text, by what is known of the text of `analysis`."""
    facts, section = analysis.facts, here.section
    found = facts.sections.get(section or "steps") or facts.sections.get("steps")
    if found is None or section not in ("steps", "on_cancel", "finally"):
        return found.names() if found is not None else {}
    old = _lines(analysis.text, lines.encoding)
    place = Position(same_line(old, lines, line) + 1, column + 1)
    top = next((at for at, row in enumerate(old.lines, 1) if row.startswith(f"{section}:")), 1)
    depth = len(lines.lines[line]) - len(lines.lines[line].lstrip(" -")) + 1
    for start, columns, sight in facts.places:
        if analysis.mended and start.line == place.line and columns.start < start.column:
            continue  # the end of a step that was cut short on this line
        if start.line >= top and start <= place and (start.line == place.line or depth in columns):
            found = sight
    return found.names()


# ---------------------------------------------------------------- outside


def _written(here: Spot, structure: Structure, analysis: Analysis | None) -> Iterator[Item]:
    """Keys, and words. What begins an item of a list may be either."""
    if not here.value:
        tasks = structure.root["$defs"]
        for offer in structure.keys(here.levels):
            kind: Kind = "task" if f"task.{offer.label}" in tasks else "key"
            yield _item(offer, kind, here, offer.label + ":" + ("" if offer.holds in ("object", "array") else " "))
        if len(here.levels) > 1 and here.levels[-2].kind == "list":
            around = here.levels[:-1]
            yield from (_item(each, "word", here, each.label) for each in structure.words(around))
            yield from _names(here, structure.kinds(around), analysis)
        return
    for offer in structure.words(here.levels):
        yield _item(offer, "word", here, offer.label)
    yield from _names(here, structure.kinds(here.levels), analysis)


def _item(offer: Offer, kind: Kind, here: Spot, insert: str) -> Item:
    detail = "required" if offer.required else f"default {offer.default}" if offer.default is not None else ""
    return Item(offer.label, kind, here.column, insert, detail, offer.doc, first=offer.required)


def _names(here: Spot, kinds: set[str], analysis: Analysis | None) -> Iterator[Item]:
    """Names of the flow's own: connections, where one is meant."""
    flow = analysis.facts.flow if analysis is not None else None
    if flow is not None and "connection" in kinds:
        for each in flow.connections:
            name = each.name.text
            yield Item(name, "name", here.column, name, each.type.text, f"Connection of type `{each.type.text}`.")
