"""Which steps and branches of a flow its tests have taken, told by the events of their runs.

A step is run or not. A branch is one way that a flow may go at a step: `then`, `elif1`, `else` (also one that is not
written), a case of a `switch`, a `catch`, an `on_error`, a guard that holds or does not, a loop with no turn, one turn
or several.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flowlang.events import Event, StepFailed, StepSkipped, StepStarted, StepSucceeded
from flowlang.plan import Choose, Loop, Repeat, Switch, Try
from flowlang.records import frozen
from flowlang.testing.places import Place, blocks, untold

_TURN = re.compile(r"^(?P<path>.*)\[(?P<turn>\d+)\]$")
Key = tuple[str, str, str]
"""File, path of the step in its flow, word of the branch (empty: the step itself)."""


@frozen
class Point:
    """Something that a test can take. `line` is where it stands, or where the step stands that it belongs to."""

    file: str
    path: str
    word: str
    line: int


@dataclass(slots=True)
class FlowCoverage:
    """The points of one flow file, in the order of the text, and which of them were taken."""

    file: str
    points: list[Point] = field(default_factory=list)
    taken: set[Key] = field(default_factory=set)

    def of(self, kind: str) -> tuple[int, int]:
        """How many `steps` or `branches` were taken, and how many there are."""
        points = [each for each in self.points if bool(each.word) == (kind == "branches")]
        return sum(_key(each) in self.taken for each in points), len(points)

    def missed(self) -> list[Point]:
        """What no test took, once: what lies inside of a step that never ran, or of a branch, goes without saying."""
        missed = [each for each in self.points if _key(each) not in self.taken]
        idle = {(each.path, each.word) for each in missed}
        return [each for each in missed if not (each.word and (each.path, "") in idle) and not _inside(each.path, idle)]


def _inside(path: str, idle: set[tuple[str, str]]) -> bool:
    """Whether a step around the one at `path` never ran either, or the branch that it stands in."""
    parts = path.split(".")
    around = [(".".join(parts[:size]), parts[size]) for size in range(1, len(parts))]
    return any((outer, "") in idle or (outer, word) in idle for outer, word in around)


def _key(point: Point) -> Key:
    return point.file, point.path, point.word


class Coverage:
    """The union over all tests. A flow that is a subflow of several is one flow."""

    def __init__(self) -> None:
        self.flows: dict[str, FlowCoverage] = {}
        self._known: set[Key] = set()

    def add(self, places: Sequence[Place], events: Iterable[Event]) -> None:
        """What one test's run has taken of the flow with these steps."""
        for place in places:
            for point in _points(place, _local(place, places)):
                if _key(point) not in self._known:
                    self._known.add(_key(point))
                    self.flows.setdefault(point.file, FlowCoverage(point.file)).points.append(point)
        for file, path, word in _taken(places, events):
            self.flows[file].taken.add((file, path, word))

    def share(self) -> float:
        """Per cent of all points that were taken; 100 when there are none."""
        known = [each for flow in self.flows.values() for each in flow.points]
        taken = sum(_key(each) in self.flows[each.file].taken for each in known)
        return 100.0 * taken / len(known) if known else 100.0


def _local(place: Place, places: Sequence[Place]) -> str:
    """The path of a step in its own flow: what the subflow steps around it add is taken away."""
    around = [each.path for each in places if each.task is not None and place.path.startswith(f"{each.path}.")]
    outer = max(around, key=len, default="")
    return place.path[len(outer) + 1 :] if outer else place.path


# ---------------------------------------------------------------- what there is


def _points(place: Place, path: str) -> Iterator[Point]:
    """A step, and the ways to go at it."""
    file, line = place.site.file, place.site.line
    yield Point(file, path, "", line)
    if place.modified is not None and place.modified.guard is not None:
        yield Point(file, path, "if holds", line)
        yield Point(file, path, "if does not hold", line)
    if isinstance(place.step, (Choose, Switch, Try)):
        for word, body in blocks(place.step):
            if word not in ("try", "finally"):
                yield Point(file, path, word, body[0].site.line if body else line)
    elif isinstance(place.step, (Loop, Repeat)):
        until = isinstance(place.step, Repeat) and place.step.kind == "until"
        for word in ("one turn", "several turns") if until else ("no turn", "one turn", "several turns"):
            yield Point(file, path, word, line)
    if place.modified is not None and place.modified.handler is not None:
        handler = place.modified.handler
        yield Point(file, path, "on_error", handler[0].site.line if handler else line)


# ---------------------------------------------------------------- what was taken


@dataclass(slots=True)
class _Seen:
    """What the events tell of one step in one turn of the loops around it."""

    started: bool = False
    skipped: bool = False
    succeeded: bool = False
    entered: set[str] = field(default_factory=set)
    turns: int = 0


def _taken(places: Sequence[Place], events: Iterable[Event]) -> Iterator[Key]:
    known = {each.path: each for each in places}
    seen: dict[str, _Seen] = {}
    for event in events:
        path = getattr(event, "path", None)
        if path is not None:
            _note(str(path), event, seen, known)
    local = {each.path: _local(each, places) for each in places}
    for path, each in seen.items():
        place = known.get(untold(path))
        if place is not None:
            for word in _words(place, each):
                yield place.site.file, local[place.path], word


def _note(path: str, event: Event, seen: dict[str, _Seen], known: Mapping[str, Place]) -> None:
    own = seen.setdefault(path, _Seen())
    own.started |= isinstance(event, (StepStarted, StepFailed))
    own.skipped |= isinstance(event, StepSkipped)
    own.succeeded |= isinstance(event, StepSucceeded)
    parts = path.split(".")
    for size in range(1, len(parts)):
        around = ".".join(parts[:size])
        match = _TURN.match(around)
        if match is not None:
            loop = seen.setdefault(match["path"], _Seen())
            loop.turns = max(loop.turns, int(match["turn"]) + 1)
        elif untold(around) in known:
            seen.setdefault(around, _Seen()).entered.add(parts[size])


def _words(place: Place, seen: _Seen) -> Iterator[str]:
    """The points of a step that were taken."""
    guarded = place.modified is not None and place.modified.guard is not None
    if seen.skipped and guarded:
        yield "if does not hold"
    if not seen.started:
        return
    yield ""
    if guarded:
        yield "if holds"
    if isinstance(place.step, (Loop, Repeat)):
        if seen.turns or seen.succeeded:
            yield "several turns" if seen.turns > 1 else "one turn" if seen.turns else "no turn"
    elif isinstance(place.step, (Choose, Switch, Try)):
        words = dict(blocks(place.step))
        entered = [each for each in seen.entered if each in words and each not in ("try", "finally")]
        yield from entered
        missing = "else" if isinstance(place.step, Choose) else "default"
        if not entered and seen.succeeded and not words.get(missing, (None,)):
            yield missing
    if "on_error" in seen.entered:
        yield "on_error"
