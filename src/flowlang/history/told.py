"""The events of a run as they were written down, and as events again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, get_args

from flowlang.durable.lines import UNREADABLE, Told, parsed
from flowlang.durable.records import failure_of
from flowlang.events import Event, kind_of
from flowlang.exceptions import Failure


class Lives:
    """Puts the events of the lives of a run together.

    A run that goes on after a crash goes through its steps again, and tells them again: what was told in an earlier
    life is left out, so that each step is there once, with the times when it was done. `count` is how many lives
    there were.
    """

    def __init__(self) -> None:
        self.count = 0
        self._seen: Counter[tuple[Any, ...]] = Counter()  # how often, in the life that told it most often
        self._now: Counter[tuple[Any, ...]] = Counter()

    def fresh(self, told: Iterable[Told]) -> Iterator[Told]:
        """Those that no earlier life has told."""
        for each in told:
            if each["event"] == "run_started":
                self.count += 1
                self._seen |= self._now
                self._now.clear()
                yield each
                continue
            key = _key(each)
            self._now[key] += 1
            if self.count < 2 or self._now[key] > self._seen[key]:
                yield each


def _key(told: Told) -> tuple[Any, ...]:
    """What makes two events the same one."""
    kind = told["event"]
    return kind, told.get("path", told.get("connection")), told.get("attempt", told.get("done")), told.get("message")


@cache
def _kinds() -> dict[str, type[Any]]:
    return {kind_of(each): each for each in get_args(Event)}


def event_of(told: Told) -> Event | None:
    """The event again; None for one of a kind that this version does not know."""
    kind = _kinds().get(told["event"])
    if kind is None:
        return None
    values: dict[str, Any] = {name: told[name] for name in kind._fields if name in told}
    if isinstance(values.get("failure"), Mapping):
        values["failure"] = failure_told(values["failure"])
    event: Event = kind(**values)
    return event


def failure_told(value: Mapping[str, Any]) -> Failure:
    """The failure that `Failure.as_value` wrote."""
    position = value.get("position") or {}
    return failure_of({**value, **position})


__all__ = ["UNREADABLE", "Lives", "Told", "event_of", "failure_told", "parsed"]
