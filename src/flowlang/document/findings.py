"""Collects what is wrong with a file while it is read."""

from __future__ import annotations

from collections.abc import Iterable

from flowlang.diagnostics import Diagnostic, Edit, Fix, Severity, Span, nearest, one_slip
from flowlang.document.texts import shown

_MOST = 200
_LONGEST_NAME = 100


class Findings:
    """The findings of one file, bounded: a file of nothing but mistakes must not take minutes to explain."""

    def __init__(self) -> None:
        self.all: list[Diagnostic] = []

    @property
    def full(self) -> bool:
        return len(self.all) >= _MOST

    def add(
        self,
        code: str,
        message: str,
        span: Span,
        suggestion: str | None = None,
        *,
        notes: tuple[str, ...] = (),
        fix: Fix | None = None,
        severity: Severity = "error",
    ) -> None:
        if not self.full:
            self.all.append(Diagnostic(code, message, span, severity, notes, suggestion, fix))

    def nearest(self, name: str, known: Iterable[str]) -> str | None:
        """The known name that `name` most likely meant: the one a single slip away, or else one much like it."""
        if self.full or len(name) > _LONGEST_NAME:
            return None
        candidates = list(known)
        slips = [each for each in candidates if one_slip(name, each)]
        return nearest(name, slips) or slips[0] if slips else nearest(name, candidates)


def replacing(span: Span, text: str, *, safe: bool = False) -> Fix:
    """The fix that writes `text` over what stands at `span`."""
    return Fix(f"replace by {shown(text)}", (Edit(span, text),), safe)


def meant(word: str) -> str:
    return f"did you mean `{word}`?"
