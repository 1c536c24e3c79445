"""Going from name to name: definitions, references, renaming, the outline of a flow, quick fixes."""

from __future__ import annotations

from difflib import SequenceMatcher

from flowlang.api import format_text
from flowlang.diagnostics import Diagnostic, Edit, Position, Span
from flowlang.document import model
from flowlang.editing import Analysis, subflow_file, why_not_renamed
from flowlang.exceptions import InvalidFlowError
from flowlang.lsp.positions import Lines, lines_of
from flowlang.lsp.services import described_at
from flowlang.records import frozen
from flowlang.views.names import Symbol, at

_RENAMED = ("step", "loop variable", "connection", "var")


class Refused(Exception):
    """A name that cannot be changed, or not to this; the message says why."""


@frozen
class Target:
    """A place to go to: in the same file, or in another."""

    span: Span
    file: str | None = None


@frozen
class Outline:
    """A part of a flow for its outline. `kind`: what it is; `whole` and `name` are its places."""

    name: str
    detail: str
    kind: str
    whole: Span
    place: Span
    parts: tuple[Outline, ...] = ()


def definition(analysis: Analysis, place: Position) -> list[Target]:
    found = at(analysis.symbols, place)
    if found is None:
        described = described_at(analysis, place)
        return [Target(described, described.file)] if described is not None else []
    symbol, span = found
    if symbol.kind == "subflow":
        file = subflow_file(analysis, symbol.name)
        return [Target(Span(Position(1, 1), Position(1, 1)), file)] if file is not None else []
    return [Target(each) for each in symbol.definitions or [span]]


def references(analysis: Analysis, place: Position, *, declaration: bool) -> list[Span]:
    found = at(analysis.symbols, place)
    if found is None or found[0].kind == "subflow":
        return []
    return sorted(found[0].spans if declaration else found[0].references)


# ---------------------------------------------------------------- renaming


def renamable(analysis: Analysis, lines: Lines, place: Position) -> tuple[Symbol, Span]:
    """The name at `place`. Raises `Refused`."""
    found = at(analysis.symbols, place)
    if found is None:
        raise Refused("there is no name of this flow here")
    symbol, span = found
    if symbol.kind not in _RENAMED or not symbol.definitions:
        raise Refused(f"`{symbol.name}` is an {symbol.kind}, which callers know by its name" if symbol.definitions
                      else f"`{symbol.name}` is not written down: give the loop an `as`")  # fmt: skip
    return symbol, _bare(lines, span, symbol.name)


def renamed(analysis: Analysis, lines: Lines, place: Position, name: str) -> list[Edit]:
    """The edits that call the name at `place` `name`, wherever it is meant. Raises `Refused`."""
    symbol, _ = renamable(analysis, lines, place)
    why = why_not_renamed(analysis, symbol, name)
    if why is not None:
        raise Refused(why)
    if name == symbol.name:
        return []
    return [Edit(_bare(lines, each, symbol.name), name) for each in sorted(set(symbol.spans))]


def _bare(lines: Lines, span: Span, name: str) -> Span:
    """`span` without quotes. Raises `Refused` where the name is written in some other way."""
    written = lines.cut(span)
    if written == name:
        return span
    if written[1:-1] == name and written[:1] in "\"'":
        start, end = span.start, span.end
        return Span(Position(start.line, start.column + 1), Position(end.line, end.column - 1), span.file)
    raise Refused(f"`{name}` is written in a way at {span.start} that cannot be changed safely")


# ---------------------------------------------------------------- the outline


def outline(analysis: Analysis) -> list[Outline]:
    """The connections, inputs, steps and outputs of a flow; steps with those inside them."""
    flow = analysis.facts.flow
    if flow is None:
        return []
    found = [_leaf(each.name, each.type.text, "connection", each.span) for each in flow.connections]
    found += [_leaf(each.name, each.type_name, "input", each.span) for each in flow.inputs]
    for word, steps in (("", flow.steps), ("on_cancel", flow.on_cancel), ("finally", flow.finally_)):
        found += [_step(each, word) for each in steps]
    found += [_leaf(each.name, each.type_name or "", "output", each.span) for each in flow.outputs]
    return sorted(found, key=lambda each: each.whole.start)


def _leaf(name: model.Name, detail: str, kind: str, whole: Span) -> Outline:
    return Outline(name.text, detail, kind, _around(whole, name.span), name.span)


def _step(step: model.Step, word: str) -> Outline:
    whole = step.span
    what = _what(step)
    id_ = step.modifiers.id
    place = id_.span if id_ is not None else Span(whole.start, whole.start, whole.file)
    parts = tuple(_step(each, inner) for inner, steps in model.blocks(step) for each in steps)
    detail = " ".join(filter(None, [what if id_ is not None else "", f"({word})" if word else ""]))
    return Outline(id_.text if id_ is not None else what, detail, "step", _around(whole, place), place, parts)


def _what(step: model.Step) -> str:
    if isinstance(step, model.TaskStep):
        return step.task.text or "task"
    if isinstance(step, model.RepeatStep):
        return step.kind
    words = type(step).__name__.removesuffix("Step")
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in words).lstrip("_")


def _around(whole: Span, place: Span) -> Span:
    """`whole`, grown so that it holds `place`, as the protocol wants it."""
    return Span(min(whole.start, place.start), max(whole.end, place.end), whole.file)


# ---------------------------------------------------------------- quick fixes


def fixes(analysis: Analysis, span: Span) -> list[Diagnostic]:
    """The findings in reach of `span` that can be mended by edits."""
    return [
        each
        for each in analysis.findings
        if each.fix is not None
        and each.span.file == analysis.file
        and each.span.start <= span.end
        and span.start <= each.span.end
    ]


# ---------------------------------------------------------------- the canonical form


def formatted(lines: Lines, file: str) -> list[Edit]:
    """The edits, of whole lines, that give a text its canonical form (docs/fmt.md); none for one that is not YAML."""
    try:
        wanted = lines_of(format_text(lines.text, file)).whole()
    except InvalidFlowError:
        return []
    changes = SequenceMatcher(None, lines.whole(), wanted).get_opcodes()
    return [
        Edit(Span(Position(first + 1, 1), Position(last + 1, 1)), "".join(wanted[start:end]))
        for what, first, last, start, end in changes
        if what != "equal"
    ]
