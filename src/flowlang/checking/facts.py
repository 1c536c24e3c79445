"""What a check learned on its way, for editors: the names in sight at each step, and the flow's own tasks.

A check that nobody watches records nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flowlang.checking.scope import Entry, Scope
from flowlang.diagnostics import Position
from flowlang.document import model
from flowlang.tasks.spec import TaskSpec

Names = Mapping[str, Entry]
_FAR = 1 << 30


@dataclass(slots=True)
class Facts:
    """`places` are in the order of the walk: from a position on, these names are in sight for what begins in that
    range of columns. `sections` has the names at the head of each top-level key that computes. `pause` is
    called before each step: whoever has something more urgent may hold the check up there."""

    flow: model.Flow | None = None
    own_tasks: dict[str, TaskSpec] = field(default_factory=dict)
    sections: dict[str, Names] = field(default_factory=dict)
    places: list[tuple[Position, range, Names]] = field(default_factory=list)
    pause: Callable[[], None] = field(default=lambda: None)

    def section(self, key: str, scope: Scope) -> None:
        self.sections[key] = _names(scope)

    def before(self, step: model.Step, scope: Scope) -> None:
        self.pause()
        start = step.span.start
        self.places.append((start, range(start.column, _FAR), _names(scope)))

    def after(self, step: model.Step, scope: Scope) -> None:
        span = step.span
        column = span.start.column  # what stands further right goes on with the step
        self.places.append((span.end, range(column, column + 1), _names(scope)))

    def inside(self, start: Position, column: int, scope: Scope) -> None:
        """The names of a turn or a handler: from `start` on, for what stands at `column` or further right."""
        self.places.append((start, range(column, _FAR), _names(scope)))


def _names(scope: Scope) -> Names:
    """Every name that may be read, the innermost of each."""
    chain: list[Scope] = []
    each: Scope | None = scope
    while each is not None:
        chain.append(each)
        each = each.outer
    found: dict[str, Entry] = {}
    for each in reversed(chain):
        for name in each.unseen:
            found.pop(name, None)
        found |= each.entries
    return {name: entry for name, entry in found.items() if entry.state != "hidden"}
