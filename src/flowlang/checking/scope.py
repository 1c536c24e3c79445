"""What may be named where: the names in sight at one place of a flow, and the place in a frame of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Literal

from flowlang.diagnostics import Span, Text, Words
from flowlang.document import model
from flowlang.expressions.infer import Binding
from flowlang.expressions.types import ANY, Type, union
from flowlang.records import frozen

State = Literal["ready", "maybe", "later", "hidden"]
StreamKey = tuple[int, int, str]


class Layout:
    """The places of one run-time frame. Place 0 is the frame around it.

    `given` lists every place that was handed out, in order; one that exclusive branches share is in it repeatedly.
    """

    def __init__(self, parent: Layout | None = None, first: int = 1) -> None:
        self.parent = parent
        self.size = first
        self.given: list[int] = []

    def place(self) -> int:
        self.given.append(self.size)
        self.size += 1
        return self.size - 1

    def again(self, place: int) -> int:
        """The same place for a second step, of which only one runs."""
        self.given.append(place)
        return place

    def depth_to(self, other: Layout) -> int:
        """How many frames out `other` lies."""
        depth, layout = 0, self
        while layout is not other:
            assert layout.parent is not None, "a name of another frame"
            layout = layout.parent
            depth += 1
        return depth


@frozen
class Entry:
    """A name in sight: what it holds, where it was defined and where its value will stand.

    `needs`, of one that may have been skipped: the conditions that make it certain where all of them hold; None when
    no condition does.
    """

    type: Type
    label: Text
    layout: Layout
    slot: int
    at: Span | model.Name | None = None
    state: State = "ready"
    why: Text = ""
    remedy: str | None = None
    kind: Literal["root", "step", "variable"] = "step"
    needs: frozenset[str] | None = None

    @property
    def span(self) -> Span | None:
        return self.at.span if isinstance(self.at, model.Name) else self.at

    def maybe(self, why: Text, remedy: str | None = None, needs: frozenset[str] | None = None) -> Entry:
        """The same name where it may have been skipped, unless what it `needs` holds."""
        if self.state == "ready":
            return replace(self, state="maybe", why=why, remedy=remedy, needs=needs)
        if self.state == "maybe" and self.needs is not None:
            return replace(self, needs=None if needs is None else self.needs | needs)
        return self

    def hidden(self, why: Text, remedy: str | None = None) -> Entry:
        """The same name where it may not be read."""
        return replace(self, state="hidden", why=why, remedy=remedy)


@frozen
class Unseen:
    """A name that stands in the flow but cannot be read here, and why."""

    state: State
    label: Text
    why: Text = ""
    remedy: str | None = None


class Scope:
    """The names in sight at one place. A block opens an inner scope; what it leaves behind is decided by the
    step that owns the block.

    `holding` are the conditions that hold at this place, `present` the paths that they have shown to be there and not
    null. `added` lists the names that came into sight, in order, so that a step can tell which of them are its own.
    """

    __slots__ = (
        "__weakref__",
        "_bindings",
        "added",
        "busy",
        "cleaning",
        "entries",
        "holding",
        "layout",
        "outer",
        "over_stream",
        "present",
        "recurring",
        "redefined",
        "reusable",
        "streams",
        "unseen",
    )

    def __init__(self, layout: Layout, outer: Scope | None = None) -> None:
        self.layout = layout
        self.outer = outer
        self.entries: dict[str, Entry] = {}
        self.unseen: dict[str, Unseen] = {}
        self.busy = ""  # the id of the step that is being looked at
        self._bindings: dict[str, tuple[Entry, Binding]] = {}
        self.reusable: dict[str, int] = {}  # places of ids in branches that exclude this one
        self.present: frozenset[str] = outer.present if outer is not None else frozenset()
        self.holding: frozenset[str] = outer.holding if outer is not None else frozenset()
        self.cleaning: str = outer.cleaning if outer is not None else ""  # the clean-up that this is part of
        self.over_stream: model.ForEachStep | None = (
            outer.over_stream if outer is not None else None
        )  # a loop that reads one
        self.recurring: frozenset[str] = frozenset()  # ids of the turns of `while` and `until` that begin here
        self.redefined: list[str] = []  # those of them that were defined anew, in order
        self.added: list[str] = []
        self.streams: dict[StreamKey, Span] = {}  # those that have their consumer, and where it stands

    def inner(self) -> Scope:
        """A block that runs in the same frame."""
        return Scope(self.layout, self)

    def turn(self) -> Scope:
        """A block that gets a frame of its own, as a loop's body does. Its `index` is another one."""
        scope = Scope(Layout(self.layout), self)
        scope.holding = frozenset(each for each in self.holding if "index" not in each)
        return scope

    def _chain(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def entry(self, name: str) -> Entry | None:
        scope: Scope | None = self
        while scope is not None:
            found = scope.entries.get(name)
            if found is not None:
                return found
            scope = scope.outer
        return None

    # ------------------------------------------------------------ what expressions ask

    def lookup(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            found = scope.entries.get(name)
            if found is not None:
                known = self._bindings.get(name)
                if known is not None and known[0] is found:
                    return known[1]
                depth = 0 if found.layout is self.layout else self.layout.depth_to(found.layout)
                certain = found.needs is not None and found.needs <= self.holding
                state = "ready" if certain else found.state
                made = Binding(found.type, found.label, state, found.why, found.remedy, depth, found.slot)
                if found.needs is None:
                    self._bindings[name] = (found, made)
                return made
            unseen = scope.unseen.get(name)
            if unseen is not None:
                if name == scope.busy and unseen.state == "later":
                    why = Words("{} is this very step: it has no outputs yet", unseen.label)
                    return Binding(ANY, unseen.label, "hidden", why)
                return Binding(ANY, unseen.label, unseen.state, unseen.why, unseen.remedy)
            scope = scope.outer
        return None

    def known(self) -> Iterable[tuple[str, str]]:
        seen: set[str] = set()
        for scope in self._chain():
            for name, entry in scope.entries.items():
                if name not in seen and entry.state != "hidden":
                    seen.add(name)
                    yield name, str(entry.label)

    # ------------------------------------------------------------ what blocks leave behind

    def add(self, name: str, entry: Entry) -> None:
        self.entries[name] = entry
        self.added.append(name)

    def slot_for(self, name: str) -> int:
        """The place of a step's outputs: that of the same id in a branch that excludes this one, or a new one."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.reusable and scope.layout is self.layout:
                return self.layout.again(scope.reusable[name])
            scope = scope.outer
        return self.layout.place()

    def leave(self, entries: Mapping[str, Entry]) -> None:
        """What an inner block leaves in sight."""
        for name, entry in entries.items():
            self.add(name, entry)

    # ------------------------------------------------------------ turns in the same frame

    def recurs(self, name: str) -> bool:
        """Whether `name` may hold here what an earlier turn of a `while` or `until` left."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.recurring:
                return True
            scope = scope.outer
        return False

    def redefine(self, name: str) -> None:
        """From here on `name` holds something else: what was known of it, and what was known because of it, no
        longer holds."""
        for scope in self._chain():
            scope.redefined.append(name)
            scope.present, scope.holding = without((name,), scope.present, scope.holding)
            for other, entry in scope.entries.items():
                if entry.needs is not None and any(mentions(each, name) for each in entry.needs):
                    scope.entries[other] = replace(entry, needs=None)

    # ------------------------------------------------------------ streams

    def consume(self, key: StreamKey, span: Span) -> Span | None:
        """Note the consumer of a stream; where it is read already, if it is. Branches of which one runs do not
        see each other's."""
        first = next((scope.streams[key] for scope in self._chain() if key in scope.streams), None)
        if first is None:
            self.streams[key] = span
        return first


def mentions(condition: str, name: str) -> bool:
    """Whether a condition, as `values.held` writes it, reads `name`."""
    return name in condition and re.search(rf"(?<![\w.]){name}\b", condition) is not None


def without(
    names: Iterable[str], present: frozenset[str], holding: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """What is known to be there, and the conditions that hold, less what they say of `names`."""
    for name in names:
        present = frozenset(each for each in present if each.partition("\n")[0] != name)
        holding = frozenset(each for each in holding if not mentions(each, name))
    return present, holding


@frozen
class Branch:
    """What one of several branches leaves behind, and the conditions under which it ran, when they are known."""

    entries: Mapping[str, Entry]
    holding: frozenset[str] | None


def merged(branches: list[Branch], *, why: Text, remedy: str) -> dict[str, Entry]:
    """The names behind branches of which one runs: certain when each of them defines it, else "may be skipped"."""
    left: dict[str, list[tuple[Entry, frozenset[str] | None]]] = {}
    for branch in branches:
        for name, entry in branch.entries.items():
            left.setdefault(name, []).append((entry, branch.holding))
    return {name: _joined(found, len(branches), why, remedy) for name, found in left.items()}


def _joined(found: list[tuple[Entry, frozenset[str] | None]], branches: int, why: Text, remedy: str) -> Entry:
    """One name behind `branches` branches, of which those in `found` define it."""
    first, needs = found[0]
    if len(found) == 1:
        return first if branches == 1 else first.maybe(why, remedy, needs)
    joined = replace(first, type=union(*[entry.type for entry, _ in found]))
    unsure = next((entry for entry, _ in found if entry.state != "ready"), None)
    if unsure is not None:
        return replace(joined, state=unsure.state, why=unsure.why, remedy=unsure.remedy, needs=None)
    return joined if len(found) == branches else joined.maybe(why, remedy)
