"""What a check learned on its way, for editors: the names in sight at each step, and the flow's own tasks.

A check that nobody watches records nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from weakref import WeakKeyDictionary

from flowlang.checking.scope import Entry, Scope
from flowlang.diagnostics import Position
from flowlang.document import model
from flowlang.records import frozen
from flowlang.tasks.spec import TaskSpec

_FAR = 1 << 30


@frozen
class Sight:
    """The names in sight at a place: those of `outer`, and what has changed since (None: no longer to be read).

    A place differs from the one before it in a name or two. All names of each would be, together, as many as the
    square of the steps.
    """

    outer: Sight | None
    changes: Mapping[str, Entry | None]

    def names(self) -> dict[str, Entry]:
        """Every name that may be read, the innermost of each, the latest last."""
        chain: list[Sight] = []
        each: Sight | None = self
        while each is not None:
            chain.append(each)
            each = each.outer
        found: dict[str, Entry] = {}
        for each in reversed(chain):
            for name, entry in each.changes.items():
                if entry is not None:
                    found[name] = entry
                else:
                    found.pop(name, None)
        return {name: entry for name, entry in found.items() if entry.state != "hidden"}


@dataclass(slots=True)
class Facts:
    """`places` are in the order of the walk: from a position on, these names are in sight for what begins in that
    range of columns. `sections` has the names at the head of each top-level key that computes. `pause` is
    called before each step: whoever has something more urgent may hold the check up there."""

    flow: model.Flow | None = None
    own_tasks: dict[str, TaskSpec] = field(default_factory=dict)
    sections: dict[str, Sight] = field(default_factory=dict)
    places: list[tuple[Position, range, Sight]] = field(default_factory=list)
    pause: Callable[[], None] = field(default=lambda: None)
    _told: WeakKeyDictionary[Scope, tuple[Sight, int, int]] = field(default_factory=WeakKeyDictionary)

    def section(self, key: str, scope: Scope) -> None:
        self.sections[key] = self._sight(scope)

    def before(self, step: model.Step, scope: Scope) -> None:
        self.pause()
        start = step.span.start
        self.places.append((start, range(start.column, _FAR), self._sight(scope)))

    def after(self, step: model.Step, scope: Scope) -> None:
        span = step.span
        column = span.start.column  # what stands further right goes on with the step
        self.places.append((span.end, range(column, column + 1), self._sight(scope)))

    def inside(self, start: Position, column: int, scope: Scope) -> None:
        """The names of a turn or a handler: from `start` on, for what stands at `column` or further right."""
        self.places.append((start, range(column, _FAR), self._sight(scope)))

    def _sight(self, scope: Scope) -> Sight:
        """What is in sight in a scope now, on top of what was when it was asked for last. What a scope hides, it hides
        of those around it."""
        last, added, hidden = self._told.get(scope, (None, 0, 0))
        if last is None:
            outer = self._sight(scope.outer) if scope.outer is not None else None
            changes: dict[str, Entry | None] = {**_hidden(scope, 0), **scope.entries}
        elif added == len(scope.added) and hidden == len(scope.unseen):
            return last
        else:
            outer, changes = last, _hidden(scope, hidden)
            changes.update({name: scope.entries[name] for name in scope.added[added:]})
        sight = Sight(outer, changes)
        self._told[scope] = sight, len(scope.added), len(scope.unseen)
        return sight


def _hidden(scope: Scope, first: int) -> dict[str, Entry | None]:
    if scope.outer is None:
        return {}
    return {name: None for name in islice(scope.unseen, first, None) if name not in scope.entries}
