"""Fixes of findings, applied to the text that they were found in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from flowlang.diagnostics import Diagnostic, Edit, Position

MOST_ROUNDS = 20


class Mended(NamedTuple):
    """`text` with the fixes of `mended` applied, in the order they were; `findings` are those that are left."""

    text: str
    mended: list[Diagnostic]
    findings: Sequence[Diagnostic]


def mend(text: str, file: str, check: Callable[[str], Sequence[Diagnostic]], *, unsafe: bool = False) -> Mended:
    """Applies the fixes of what `check` finds in `text` until none is left; the unsafe ones only when asked.

    One mend can bring another to light, so the text is checked after each round; there are at most `MOST_ROUNDS`, and
    a text that was seen before ends it.
    """
    mended: list[Diagnostic] = []
    seen = {text}
    findings = check(text)
    for _ in range(MOST_ROUNDS):
        fixable = [each for each in findings if _applies(each, file, unsafe=unsafe)]
        changed, done = apply(text, fixable)
        if not done or changed in seen:
            break
        text = changed
        seen.add(text)
        mended += done
        findings = check(text)
    return Mended(text, mended, findings)


def _applies(finding: Diagnostic, file: str, *, unsafe: bool) -> bool:
    fix = finding.fix
    return fix is not None and (fix.safe or unsafe) and all(each.span.file == file for each in fix.edits)


def apply(text: str, findings: Iterable[Diagnostic]) -> tuple[str, list[Diagnostic]]:
    """`text` with the fixes of `findings`, and those whose fix was applied: of two that touch the same characters,
    only the first. Positions are those of `text`."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    taken: list[tuple[int, int]] = []
    edits: list[tuple[int, int, str]] = []
    done = []
    for finding in findings:
        if finding.fix is None:
            continue
        own = [_placed(each, starts, len(text)) for each in finding.fix.edits]
        if any(start <= last and first <= stop for start, stop, _ in own for first, last in taken):
            continue
        taken += [(start, stop) for start, stop, _ in own]
        edits += own
        done.append(finding)
    for start, stop, instead in sorted(edits, reverse=True):
        text = text[:start] + instead + text[stop:]
    return text, done


def _placed(edit: Edit, starts: list[int], size: int) -> tuple[int, int, str]:
    def index(at: Position) -> int:
        return min(starts[min(at.line, len(starts)) - 1] + at.column - 1, size)

    return index(edit.span.start), index(edit.span.end), edit.text
