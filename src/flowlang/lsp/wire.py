"""Our records as those of the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lsprotocol import types as lsp

from flowlang.diagnostics import Diagnostic, Edit, Position, Span
from flowlang.lsp.completion import Item
from flowlang.lsp.navigation import Outline
from flowlang.lsp.positions import Lines

_MOST = 200  # proposals in one answer
_SEVERITIES = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "hint": lsp.DiagnosticSeverity.Hint,
}
_ITEMS = {
    "key": lsp.CompletionItemKind.Property,
    "task": lsp.CompletionItemKind.Method,
    "word": lsp.CompletionItemKind.EnumMember,
    "variable": lsp.CompletionItemKind.Variable,
    "field": lsp.CompletionItemKind.Field,
    "function": lsp.CompletionItemKind.Function,
    "name": lsp.CompletionItemKind.Reference,
}
_SYMBOLS = {
    "connection": lsp.SymbolKind.Interface,
    "input": lsp.SymbolKind.Variable,
    "step": lsp.SymbolKind.Function,
    "output": lsp.SymbolKind.Property,
}


def range_of(span: Span, lines: Lines) -> lsp.Range:
    start, end = lines.units(span.start), lines.units(span.end)
    return lsp.Range(lsp.Position(*start), lsp.Position(*max(start, end)))


def markdown(text: str) -> lsp.MarkupContent:
    return lsp.MarkupContent(lsp.MarkupKind.Markdown, text)


def diagnostics(found: Iterable[Diagnostic], file: str, lines: Lines) -> list[lsp.Diagnostic]:
    """Those of this file; what is wrong in a subflow is shown there, and at the step that calls it."""
    return [
        lsp.Diagnostic(
            range=range_of(each.span, lines),
            message="\n".join([each.message, *each.notes, *filter(None, [each.suggestion])]),
            severity=_SEVERITIES[each.severity],
            code=each.code,
            source="flowlang",
            tags=[lsp.DiagnosticTag.Unnecessary] if each.severity == "hint" else None,
        )
        for each in found
        if each.span.file == file
    ]


def completions(items: Sequence[Item], line: int, column: int, lines: Lines) -> dict[str, Any]:
    """A `CompletionList`, as plain data: the classes of the protocol would take longer to make than all the rest.

    Only what fits the word that is begun, and not more than `_MOST`: the editor asks again when more is written."""
    word = lines.lines[line][items[0].start : column].casefold() if items else ""
    fitting = [each for each in items if _fits(word, each.label.casefold())]
    cut = len(items) > _MOST
    shown = fitting[:_MOST] if cut else items
    end = _at(lines, line, column)
    starts = {each: _at(lines, line, each) for each in {item.start for item in shown}}
    found = []
    for number, each in enumerate(shown):
        record: dict[str, Any] = {
            "label": each.label,
            "kind": _ITEMS[each.kind].value,
            "sortText": f"{not each.first:d}{number:04d}",
            "textEdit": {"range": {"start": starts[each.start], "end": end}, "newText": each.insert},
        }
        if each.detail:
            record["detail"] = str(each.detail)
        if each.doc:
            record["documentation"] = {"kind": "markdown", "value": str(each.doc)}
        found.append(record)
    return {"isIncomplete": cut, "items": found}


def _fits(word: str, label: str) -> bool:
    """Whether the letters of `word` stand in `label`, in this order."""
    at = -1
    return all((at := label.find(each, at + 1)) >= 0 for each in word)


def _at(lines: Lines, line: int, column: int) -> dict[str, int]:
    row, units = lines.units(Position(line + 1, column + 1))
    return {"line": row, "character": units}


def edits(found: Iterable[Edit], lines: Lines) -> list[lsp.TextEdit]:
    return [lsp.TextEdit(range_of(each.span, lines), each.text) for each in found]


def symbols(found: Iterable[Outline], lines: Lines) -> list[lsp.DocumentSymbol]:
    return [
        lsp.DocumentSymbol(
            name=each.name or "?",
            detail=each.detail or None,
            kind=_SYMBOLS[each.kind],
            range=range_of(each.whole, lines),
            selection_range=range_of(each.place, lines),
            children=symbols(each.parts, lines),
        )
        for each in found
    ]
