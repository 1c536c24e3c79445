"""What spans and metrics have in common: they hear events, and keep something of each run that is under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from flowlang.events import Event, RunFinished, RunStarted

R = TypeVar("R")
_KIND = "_hears"


def hears(kind: type[Event]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Marks the method of a `Folds` that takes events of a kind: `method(run, event)`."""

    def mark(method: Callable[..., None]) -> Callable[..., None]:
        setattr(method, _KIND, kind)
        return method

    return mark


class Folds(Generic[R]):
    """Hears the events of any number of runs, and hands each to the method for its kind, with what is kept of its run.

    A subclass makes that in `begun`. It is dropped when the run is over, so memory is bounded by what is under way.
    """

    _methods: ClassVar[dict[type, Callable[..., None]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._methods = {getattr(each, _KIND): each for each in vars(cls).values() if hasattr(each, _KIND)}

    def __init__(self) -> None:
        self._runs: dict[str, R] = {}

    def begun(self, event: RunStarted) -> R:
        """What is kept of a run that begins."""
        raise NotImplementedError

    def feed(self, event: Event) -> None:
        kind = type(event)
        if kind is RunStarted:
            self._runs[event.run_id] = self.begun(event)  # type: ignore[arg-type]
            return
        method = self._methods.get(kind)
        run = self._runs.get(event.run_id) if method is not None else None
        if method is not None and run is not None:
            if kind is RunFinished:
                del self._runs[event.run_id]
            method(self, run, event)
