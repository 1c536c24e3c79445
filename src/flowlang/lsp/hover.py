"""What a place means: a function, a name, a key, a task, a word, and what the check found there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flowlang.diagnostics import CODES, Diagnostic, Position, Span
from flowlang.document.model import Input
from flowlang.editing import Analysis
from flowlang.expressions import FUNCTIONS
from flowlang.lsp.completion import expression_before, names_at, type_of_path
from flowlang.lsp.outline import Spot, spot
from flowlang.lsp.positions import Lines
from flowlang.lsp.structure import Structure
from flowlang.records import frozen
from flowlang.views.pages import finding_markdown, function_markdown

_WORD = re.compile(r"[^\W\d]\w*")
_BEFORE = re.compile(r"""[^\W\d]\w*(?:\.\w+|\[[^\[\]]*\])*$""")


@frozen
class Hover:
    """`text` is markdown, about the characters from `start` to `stop` (from 0) of the line."""

    text: str
    start: int
    stop: int


def hover(lines: Lines, line: int, column: int, analysis: Analysis, structure: Structure) -> Hover | None:
    """What is known of the place at `line` and `column`, both from 0."""
    row = lines.lines[line] if line < len(lines.lines) else ""
    word = next((each for each in _WORD.finditer(row) if each.start() <= column <= each.end()), None)
    here = spot(lines.lines, line, word.start() if word else column)
    parts = []
    if word is not None:
        whole = spot(lines.lines, line, word.end())
        inside = expression_before(whole, structure)
        if inside is not None:
            parts.append(_in_expression(row, word, inside, names_at(analysis, lines, line, column, whole), analysis))
        else:
            parts.append(_outside(here, word[0], structure, analysis))
    parts += [finding_markdown(each, CODES.get(each.code)) for each in findings_at(analysis, line, column)]
    told = "\n\n---\n\n".join(filter(None, parts))
    if not told:
        return None
    return Hover(told, word.start() if word else column, word.end() if word else column)


def findings_at(analysis: Analysis, line: int, column: int) -> list[Diagnostic]:
    place = Position(line + 1, column + 1)
    return [each for each in analysis.findings if each.span.file == analysis.file and _holds(each.span, place)]


def _holds(span: Span, place: Position) -> bool:
    return span.start <= place <= span.end


def _in_expression(row: str, word: re.Match[str], inside: str, names: Mapping[str, Any], analysis: Analysis) -> str:
    path = _BEFORE.search(inside)
    if path is None:
        return ""
    if "." not in path[0] and "[" not in path[0]:
        if word[0] in FUNCTIONS and row[word.end() :].lstrip().startswith("("):
            return function_markdown(FUNCTIONS[word[0]])
        entry = names.get(word[0])
        if entry is None:
            return ""
        skipped = f"\n\nIt may be skipped: {entry.why}." if entry.state == "maybe" and entry.why else ""
        return f"{entry.label}: {entry.type}{skipped}" + _fields(entry.type)
    declared = _declared(path[0], analysis)
    if declared is not None:
        return declared
    found = type_of_path(path[0], names)
    return f"`{path[0]}`: {found}" + _fields(found) if found is not None else ""


def _fields(given: object) -> str:
    fields = getattr(given, "fields", None) or {}
    return "\n\n" + "\n".join(f"- `{name}` {each}" for name, each in fields.items()) if fields else ""


def _declared(path: str, analysis: Analysis) -> str | None:
    """The declaration of an input."""
    flow = analysis.facts.flow
    root, _, name = path.partition(".")
    if flow is None or root != "inputs":
        return None
    found = next((each for each in flow.inputs if each.name.text == name), None)
    return _input(found) if found is not None else None


def _input(each: Input) -> str:
    said = "required" if each.required else "***" if each.secret else f"default `{each.default}`"
    lines = [f"input `{each.name.text}` ({each.name.span.start}): {each.type_name}, {said}"]
    if each.description:
        lines.append(each.description)
    if each.enum is not None:
        lines.append("One of " + ", ".join(f"`{value}`" for value in each.enum) + ".")
    return "\n\n".join(lines)


def _outside(here: Spot, word: str, structure: Structure, analysis: Analysis) -> str:
    if here.value:
        offer = next((each for each in structure.words(here.levels) if each.label == here.word), None)
        flow = analysis.facts.flow
        if flow is not None and "connection" in structure.kinds(here.levels):
            named = next((each for each in flow.connections if each.name.text == word), None)
            if named is not None:
                return f"connection `{word}` ({named.name.span.start}) of type `{named.type.text}`"
        return offer.doc if offer is not None else ""
    here.levels[-1].keys.pop(here.word, None)
    offers = structure.keys(here.levels)
    return next((each.doc for each in offers if each.label == here.word), "")
