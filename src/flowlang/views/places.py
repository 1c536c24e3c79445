"""What happened at each place of a flow, in however many turns, and all of it as a tree with its durations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from flowlang.diagnostics import visible
from flowlang.views.text import Paint, many, seconds

_TURN = re.compile(r"\[\d+\]")
_LAST_TURN = re.compile(r"\[[^\]]*\]\Z")


class Place:
    """All that happened at one place of the flow, in however many turns. `retries` counts attempts but the first."""

    __slots__ = (
        "cancelled",
        "count",
        "done",
        "duration",
        "failed",
        "key",
        "left",
        "operation",
        "retries",
        "skipped",
        "told",
    )

    def __init__(self, key: str, operation: str) -> None:
        self.key = key
        self.operation = operation
        self.count = self.failed = self.skipped = self.cancelled = self.left = self.retries = self.told = 0
        self.duration = 0.0
        self.done: int | None = None

    @property
    def state(self) -> str:
        if self.failed:
            return "failed"
        if self.cancelled:
            return "cancelled"
        if self.left:
            return "left"
        return "skipped" if self.skipped and not self.count else "done"


def place_of(path: str) -> str:
    """The place of a step: its path with any turn of each loop."""
    return _TURN.sub("[*]", path)


def around(path: str) -> Iterator[str]:
    """The paths around `path`, the nearest first: of `a.b[2].c` these are `a.b` and `a`."""
    while "." in path:
        path = _LAST_TURN.sub("", path.rpartition(".")[0])
        yield path


def tree(places: Mapping[str, Place], paint: Paint, marks: Mapping[str, str]) -> list[str]:
    """The places as a tree with their durations; the turns of a loop share a line."""
    children: dict[str, list[Place]] = {}
    for each in places.values():
        parent = next((key for key in around(each.key) if key in places), "")
        children.setdefault(parent, []).append(each)
    return list(_branch(children, "", "", paint, marks))


def _branch(
    children: Mapping[str, list[Place]], parent: str, lead: str, paint: Paint, marks: Mapping[str, str]
) -> Iterator[str]:
    of_parent = children.get(parent, ())
    for at, place in enumerate(of_parent):
        last = at == len(of_parent) - 1
        joint = marks["last" if last else "joint"] if parent or lead else ""
        label = place.key.removeprefix(parent).removeprefix("[*]").removeprefix(".") if parent else place.key
        yield lead + paint(joint, "dim") + _line(place, label, paint, marks)
        inner = lead + (paint(marks["gap" if last else "bar"], "dim") if joint else "  ")
        yield from _branch(children, place.key, inner, paint, marks)


def _line(place: Place, label: str, paint: Paint, marks: Mapping[str, str]) -> str:
    mark = paint(marks[place.state], STYLES[place.state])
    facts = [place.operation] if place.operation != label else []
    if place.count:
        facts.append(seconds(place.duration))
    if place.count > 1:
        facts.append(f"×{place.count:,}")
    if place.done is not None:
        facts.append(many(place.done, "turn"))
    if place.retries:
        facts.append(many(place.retries, "retry", "retries"))
    if place.failed and place.count > 1:
        facts.append(f"{place.failed:,} failed")
    if place.skipped:
        facts.append("skipped" if not place.count else f"{place.skipped:,} skipped")
    return f"{mark} {visible(label)}  {paint(visible('  '.join(facts)), 'dim')}"


STYLES = {
    "done": "good",
    "failed": "error",
    "skipped": "dim",
    "cancelled": "warning",
    "left": "warning",
    "retry": "warning",
    "warning": "warning",
    "more": "dim",
    "wait": "hint",
}
ASCII = {
    "done": "done", "failed": "failed", "skipped": "skipped", "cancelled": "cancelled", "left": "left",
    "retry": "retry", "warning": "warning", "more": "...", "log": "log", "wait": "wait", "live": "*",
    "joint": "|- ", "last": "`- ", "bar": "|  ", "gap": "   ",
}  # fmt: skip
MARKS = {
    "done": "✓", "failed": "✗", "skipped": "–", "cancelled": "■", "left": "…", "retry": "↻",
    "warning": "!", "more": "…", "log": "│", "wait": "◷", "live": "●", "joint": "├─ ", "last": "└─ ", "bar": "│  ",
    "gap": "   ",
}  # fmt: skip
