"""Waiting for the tasks of one block: until all are over or one decides for the others. None outlives the block."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flowlang.connections.errors import Classified
from flowlang.engine.activation import cancel_all
from flowlang.engine.failures import OperationError, step_error
from flowlang.engine.fiber import Fiber
from flowlang.exceptions import StepError
from flowlang.plan import Site

SHOWN_FAILURES = 5
_LOOK = 1.0  # seconds


class Join:
    """Counts the tasks of a block that are under way. Each reports its own end: a callback of the task for that would
    cost as much as half a step."""

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self.left = count
        self.clean = True  # every task succeeded and none ends the flow
        self._decided: asyncio.Future[None] = loop.create_future()

    @property
    def decided(self) -> bool:
        """Whether one has decided for the others: what they would still begin is void."""
        return self._decided.done()

    def over(self, *, clean: bool, decides: bool) -> None:
        self.left -= 1
        if not clean:
            self.clean = False
        if (decides or not self.left) and not self._decided.done():
            self._decided.set_result(None)

    async def all(self, fibers: Sequence[Fiber]) -> list[asyncio.Task[Any]]:
        """Wait; cancel those that are left, and wait for them too. Returns the tasks whose end counts, in order, when
        there is something to tell: what the others did once they were cancelled is void."""
        settled: list[asyncio.Task[Any]] = []
        try:
            await self._all(fibers)
            if not self.clean:
                settled = [task for task in _tasks(fibers) if task.done()]
        finally:
            try:
                if self.left:
                    if not self._decided.done():
                        self._decided.cancel()
                    await cancel_all(_tasks(fibers))
            finally:
                for own in fibers:
                    if own.streams:
                        await own.close_streams(0)
        return settled

    async def _all(self, fibers: Sequence[Fiber]) -> None:
        """One that somebody cancels before its first turn never reports: that is seen within a second. The looks
        come ever more seldom, so that a month of waiting is not a million of them."""
        look = _LOOK
        while self.left and not self._decided.done():
            await asyncio.wait([self._decided], timeout=look)
            if self._decided.done():
                return
            look *= 2
            if any(task.cancelled() for task in _tasks(fibers)):
                self.clean = False
                return


def _tasks(fibers: Sequence[Fiber]) -> list[asyncio.Task[Any]]:
    return [own.task for own in fibers if own.task is not None]


def failures_of(settled: Sequence[asyncio.Task[Any]]) -> list[BaseException]:
    return [error for task in settled if not task.cancelled() and (error := task.exception()) is not None]


def stray(what: str, site: Site, fiber: Fiber) -> StepError:
    """A task of the block was cancelled, and not by us."""
    detail = f"a {what} was cancelled from outside the run"
    return step_error(OperationError(Classified("cancelled", False), None, detail=detail), site, fiber)


def joined(errors: Sequence[BaseException], count: int, what: str) -> BaseException:
    """One bounded error for `count` failures, the first of which are `errors`, in source order: the first of all, a
    few others as notes. `what` failed, in the plural."""
    first = errors[0]
    for error in errors:
        if not isinstance(error, StepError):
            return error
    assert isinstance(first, StepError)
    if count == 1:
        return first
    others = [error.failure for error in errors[1 : 1 + SHOWN_FAILURES] if isinstance(error, StepError)]
    notes = [f"also failed: `{each.step}`: {_short(each.detail)}" for each in others]
    if count - 1 > len(others):
        notes.append(f"and {count - 1 - len(others)} more {what} failed")
    merged = StepError(replace(first.failure, notes=(*first.failure.notes, *notes)))
    merged.__cause__ = first.__cause__
    return merged


def _short(text: str, width: int = 200) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
