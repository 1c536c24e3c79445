"""Findings and failures as people read them, in one layout."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from flowlang.diagnostics import Diagnostic, Position, Span, render
from flowlang.exceptions import Failure
from flowlang.views.text import many

_WORD = re.compile(r"[\w.\-]+")
_LONGEST_NOTES = 12


def findings_text(findings: Sequence[Diagnostic], sources: Mapping[str, str], *, colour: bool = False) -> str:
    """Every finding with its line of the source, an empty line between them."""
    return "\n\n".join(render(each, sources.get(each.span.file), colour=colour) for each in findings)


def summary(findings: Sequence[Diagnostic], files: int) -> str:
    """`2 errors, 1 warning in 3 files`, or that all is well."""
    counts = [(sum(each.severity == kind for each in findings), kind) for kind in ("error", "warning", "hint")]
    told = [many(count, kind) for count, kind in counts if count]
    return f"{', '.join(told) or 'no findings'} in {many(files, 'file')}"


def failure_text(
    failure: Failure, run_id: str | None = None, sources: Mapping[str, str] | None = None, *, colour: bool = False
) -> str:
    """A failure of a run in the layout of a finding; `sources` holds the texts of the flow files by name."""
    source = (sources or {}).get(failure.file or "")
    first, *rest = failure.detail.strip().splitlines() or [""]
    notes = [line for line in rest if line.strip()][:_LONGEST_NOTES]
    start = Position(failure.line or 1, failure.column or 1)
    # A run that somebody has to decide about is no defect, and its notes say what to do.
    stopped = failure.type == "internal" and failure.outcome_unknown and bool(failure.notes)
    finding = Diagnostic(
        "needs_attention" if stopped else failure.type,
        first,
        Span(start, _end(start, source), failure.file or failure.flow or ""),
        notes=(*notes, *_facts(failure, run_id), *failure.notes, *_causes(failure)),
        suggestion=None if stopped else f"`flowlang explain {failure.type}` says what `{failure.type}` means",
    )
    return render(finding, source if failure.line is not None else None, colour=colour)


def _end(start: Position, source: str | None) -> Position:
    """The end of the word that begins at `start`."""
    rows = source.split("\n") if source is not None else []
    if start.line <= len(rows):
        word = _WORD.match(rows[start.line - 1], start.column - 1)
        if word is not None:
            return Position(start.line, word.end() + 1)
    return Position(start.line, start.column + 1)


def _facts(failure: Failure, run_id: str | None) -> list[str]:
    facts = []
    if failure.step is not None:
        facts.append(f"step `{failure.step}`")
    if failure.attempt > 1:
        facts.append(f"attempt {failure.attempt}")
    if failure.connection is not None:
        facts.append(f"connection `{failure.connection}`")
    if failure.flow is not None:
        facts.append(f"flow `{failure.flow}`")
    if run_id is not None:
        facts.append(f"run {run_id}")
    notes = [", ".join(facts)] if facts else []
    if failure.outcome_unknown:
        notes.append("the outcome is unknown: the operation may have taken effect at the service")
    if failure.retryable:
        notes.append("another attempt may help")
    return notes


def _causes(failure: Failure) -> list[str]:
    """The chain of causes; a single one that says the same as the detail is left out."""
    lines = list(failure.cause)
    said = " ".join(failure.detail.split())
    if len(lines) == 1 and said and lines[0].endswith(said) and len(lines[0]) <= len(said) + 40:
        return [f"raised as {lines[0].removesuffix(said).rstrip(': ')}"] if lines[0] != said else []
    return [f"caused by {line}" if at else f"raised as {line}" for at, line in enumerate(lines)]
