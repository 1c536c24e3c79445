"""Our records as those of the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lsprotocol import types as lsp

from flowlang.diagnostics import Diagnostic, Edit, Span
from flowlang.lsp.completion import Item
from flowlang.lsp.navigation import Outline
from flowlang.lsp.positions import Lines

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


def completions(items: Sequence[Item], line: int, column: int, lines: Lines) -> lsp.CompletionList:
    found = []
    for number, each in enumerate(items):
        replaced = lsp.Range(_at(lines, line, each.start), _at(lines, line, column))
        found.append(
            lsp.CompletionItem(
                label=each.label,
                kind=_ITEMS[each.kind],
                detail=each.detail or None,
                documentation=markdown(each.doc) if each.doc else None,
                sort_text=f"{not each.first:d}{number:04d}",
                text_edit=lsp.TextEdit(replaced, each.insert),
            )
        )
    return lsp.CompletionList(is_incomplete=False, items=found)


def _at(lines: Lines, line: int, column: int) -> lsp.Position:
    from flowlang.diagnostics import Position

    return lsp.Position(*lines.units(Position(line + 1, column + 1)))


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
