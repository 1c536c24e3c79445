"""Collects what is wrong with a file while it is read."""

from __future__ import annotations

from collections.abc import Iterable

from flowlang.diagnostics import Diagnostic, Edit, Fix, Severity, Span, nearest
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


def one_slip(written: str, meant: str) -> bool:
    """Whether one character too many, too few, wrong, or a swap of two is all that tells the words apart."""
    if written == meant or abs(len(written) - len(meant)) > 1:
        return False
    same = next((i for i, (a, b) in enumerate(zip(written, meant, strict=False)) if a != b), None)
    if same is None:
        return True
    a, b = written[same:], meant[same:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def replacing(span: Span, text: str, *, safe: bool = False) -> Fix:
    """The fix that writes `text` over what stands at `span`."""
    return Fix(f"replace by {shown(text)}", (Edit(span, text),), safe)


def meant(word: str) -> str:
    return f"did you mean `{word}`?"
