"""What a dry run tells: a tree of entries in the order in which a run would come to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from flowlang.records import frozen

How = Literal["runs", "maybe", "skipped", "fails"]
"""`maybe`: it depends on what is not known yet. `skipped`: it is known not to run. `fails`: it is known to fail."""


@frozen
class PlannedCall:
    """A call that would be sent. In `arguments` secrets are masked, and an `Unknown` stands for what is not known."""

    path: str
    operation: str
    connection: str | None
    arguments: Mapping[str, Any]


@frozen
class Entry:
    """A step, or a block of steps with what leads into it. `kind` is the step's verb (`call` for a task), or the word
    of a block: `then`, `else`, `case`, `turn`, `branch`, `try`, `catch`, `finally`, `on_error`, `more`.

    `text` says what is to be said beside it, `values` the values that it computes, `notes` what its modifiers add.
    `place` is its line in the file; `condition`, not decided, is what leads into a block.
    """

    kind: str
    path: str
    text: str = ""
    how: How = "runs"
    call: PlannedCall | None = None
    values: Mapping[str, Any] | None = None
    entries: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()
    place: str = ""
    condition: str = ""


@frozen
class PlannedConnection:
    """A connection that would be opened; `config` has its secrets masked."""

    name: str
    type: str
    lazy: bool
    config: Mapping[str, Any]


@frozen
class DryRun:
    """The whole. `missing` are required inputs that were not given; `ends` is how it ends for certain: `exit`,
    `failed`, or empty."""

    flow: str
    file: str
    inputs: Mapping[str, Any]
    missing: tuple[str, ...]
    connections: tuple[PlannedConnection, ...]
    entries: tuple[Entry, ...]
    outputs: Mapping[str, Any]
    ends: str = ""

    def calls(self) -> Iterator[tuple[Entry, tuple[str, ...]]]:
        """The entry of every call, in order, with the conditions that lead to it and are not decided."""
        return _calls(self.entries, ())


def _calls(entries: tuple[Entry, ...], when: tuple[str, ...]) -> Iterator[tuple[Entry, tuple[str, ...]]]:
    for entry in entries:
        if entry.call is not None:
            yield entry, when
        yield from _calls(entry.entries, (*when, entry.condition) if entry.condition else when)
