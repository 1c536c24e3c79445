"""Frames of a dry run: what two ways through the same steps leave behind, put together."""

from __future__ import annotations

from collections.abc import Sequence

from flowlang.dryrun.unknown import Unknown
from flowlang.expressions.runtime import UNSET
from flowlang.plan import Frame


def merge(frame: Frame, ways: Sequence[Frame]) -> None:
    """`frame` behind several ways of which one is gone: a place in which they differ is not known."""
    for place in range(1, len(frame)):
        values = [way[place] for way in ways]
        first = values[0]
        frame[place] = first if all(each is first for each in values) else Unknown()


def blur(frame: Frame, before: Frame) -> None:
    """What was written since `before` may be written again: it is not known any more."""
    for place in range(1, len(frame)):
        if frame[place] is not before[place]:
            frame[place] = Unknown()


def blank(outer: Frame | None, size: int) -> Frame:
    return [outer] + [UNSET] * (size - 1)
