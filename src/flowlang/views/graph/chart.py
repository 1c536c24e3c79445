"""What a picture of a flow shows: its steps as nodes, and those that hold others as groups with lanes.

A group's lanes stand side by side; every one begins where the group is entered and ends where it is left. What the
two forms of the picture, text and drawing, have in common is decided before: the words on each part.
"""

from __future__ import annotations

from typing import Literal

from flowlang.records import frozen


@frozen
class Badge:
    """The connection that a step uses, and its type."""

    name: str
    type: str


@frozen
class Node:
    """A step that holds no others, or the inputs or outputs of the flow. `detail` is all of what `lines` say."""

    key: str
    kind: str
    title: str
    lines: tuple[str, ...] = ()
    badge: Badge | None = None
    guard: str | None = None
    notes: tuple[str, ...] = ()
    detail: str = ""
    place: str = ""
    ends: bool = False


@frozen
class Lane:
    """Steps one after the other. `label` says when they run; `how` is `error` for those that a failure leads to."""

    key: str
    label: str
    parts: tuple[Part, ...]
    how: Literal["branch", "error", "body"] = "body"

    @property
    def ends(self) -> bool:
        """Whether nothing runs behind it."""
        return any(each.ends for each in self.parts)


@frozen
class Group:
    """A step that holds others. `after` are lanes that run when those in `lanes` are over, whatever came of them."""

    key: str
    kind: str
    title: str
    label: str
    lanes: tuple[Lane, ...]
    after: tuple[Lane, ...] = ()
    badge: Badge | None = None
    guard: str | None = None
    notes: tuple[str, ...] = ()
    detail: str = ""
    place: str = ""

    @property
    def ends(self) -> bool:
        if self.guard is not None or self.kind in ("for_each", "while", "subflow"):
            return False
        if self.kind == "parallel":
            return any(each.ends for each in self.lanes)
        return all(each.ends for each in self.lanes) or any(each.ends for each in self.after)


@frozen
class Handled:
    """A step whose failure leads into a lane, `on_error`, and on from there."""

    part: Node | Group
    lane: Lane

    @property
    def key(self) -> str:
        return self.part.key

    @property
    def ends(self) -> bool:
        return self.part.ends and self.lane.ends


Part = Node | Group | Handled


@frozen
class Chart:
    """A whole flow. `cleanups` are its lanes beside the way through it: `on_cancel` and `finally`."""

    title: str
    description: str
    connections: tuple[Badge, ...]
    main: Lane
    cleanups: tuple[Lane, ...] = ()
