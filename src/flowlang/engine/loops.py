"""`for_each`: over a list, an object's items or a stream, one turn after the other or several at once."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

from flowlang.connections.errors import Classified
from flowlang.engine.failures import OperationError, operation_error, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.join import SHOWN_FAILURES, Join, failures_of, joined, stray
from flowlang.engine.steps import Ended, evaluate, run_block
from flowlang.events import Progress
from flowlang.exceptions import StepError
from flowlang.expressions.runtime import UNSET
from flowlang.plan import Frame, Loop
from flowlang.tasks.stream import Batch, Stream


async def run_loop(step: Loop, frame: Frame, fiber: Fiber) -> Ended | None:
    source = evaluate(step.items, step, frame, fiber)
    turns = _Turns(step, frame, fiber, len(source) if isinstance(source, (list, tuple, Mapping)) else None)
    frame[step.slot] = turns.outputs
    if isinstance(source, Stream):
        return await _over_stream(source, turns, step, fiber)
    items = _items(source, step, fiber)
    if step.max_concurrency > 1:
        return await _at_once(_Items(items), turns, step, fiber)
    for index, item in enumerate(items):
        ended = await turns.run(index, item, fiber)
        if ended is not None:
            return ended
    return None


async def _over_stream(source: Stream, turns: _Turns, step: Loop, fiber: Fiber) -> Ended | None:
    """Pull with backpressure: the next batch is asked for when there is a turn to take it."""
    batches = source.tables(step.batch_size) if step.hands_on else source.batches(step.batch_size)
    whole, index = step.batch_size is not None, 0
    try:
        if step.max_concurrency > 1:
            return await _at_once(_Rows(batches, whole=whole), turns, step, fiber)
        async for batch in batches:
            for item in [batch] if whole else batch:
                ended = await turns.run(index, item, fiber)
                if ended is not None:
                    return ended
                index += 1
    except StepError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a source raises is the failure of the step that reads it
        told = error if isinstance(error, OperationError) else operation_error(error, None, "task")
        if told is not error:
            told.__cause__ = error
        raise step_error(told, step.site, fiber) from told.__cause__
    finally:
        await batches.aclose()
    return None


def _items(source: Any, step: Loop, fiber: Fiber) -> Sequence[Any]:
    if isinstance(source, Mapping):
        source = [{"key": key, "value": value} for key, value in source.items()]
    if not isinstance(source, (list, tuple)):
        detail = f"`for_each` needs a list, an object or a stream, not {type(source).__name__}"
        error = OperationError(Classified("validation", False), None, detail=detail)
        raise step_error(error, step.site, fiber)
    size = step.batch_size
    return [list(source[i : i + size]) for i in range(0, len(source), size)] if size else source


# ---------------------------------------------------------------- where items come from


class _Items:
    """The items of a list, each with its index."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._rest = enumerate(items)

    async def next(self) -> tuple[int, Any] | None:
        return next(self._rest, None)


class _Rows:
    """The rows of a stream, or its batches as a `whole`, each with its index. Several may ask: one of them pulls."""

    def __init__(self, batches: AsyncGenerator[Batch, None], *, whole: bool) -> None:
        self._batches = batches
        self._whole = whole
        self._rest: Iterator[Any] = iter(())
        self._index = -1
        self._pulling = asyncio.Lock()

    async def next(self) -> tuple[int, Any] | None:
        async with self._pulling:
            while True:
                for item in self._rest:
                    self._index += 1
                    return self._index, item
                batch = await anext(self._batches, None)
                if batch is None:
                    return None
                self._rest = iter([batch] if self._whole else batch)


# ---------------------------------------------------------------- turns


class _Turns:
    """The turns of one loop: a frame for each, what is collected, and how many failed."""

    def __init__(self, step: Loop, frame: Frame, fiber: Fiber, total: int | None) -> None:
        self.step = step
        self.total = total
        self.prefix = fiber.prefix + step.site.path
        self.outputs: dict[str, Any] = {"count": 0, "failed": 0}
        self.collected: list[tuple[int, Any]] | None = None  # in the order of their ends, with several at once
        if step.collect is not None:
            self.outputs["results"] = []
        self.blank: Frame = [frame] + [UNSET] * (step.size - 1)
        self.failures: list[tuple[int, StepError]] = []  # the first few, in source order
        self.ended: list[tuple[int, Ended]] = []

    async def run(self, index: int, item: Any, fiber: Fiber) -> Ended | None:
        step, outer = self.step, fiber.prefix
        turn = self.blank.copy()
        turn[1] = item
        turn[2] = index
        fiber.prefix = f"{self.prefix}[{index}]."
        try:
            ended = await run_block(step.body, turn, fiber)
            if step.collect is not None:
                self._collect(index, evaluate(step.collect, step, turn, fiber))
        except StepError as error:
            self._failed(index, error)
            if self.exceeded:
                told = self.failure()
                raise told from told.__cause__
            ended = None
        finally:
            fiber.prefix = outer
        self.outputs["count"] += 1
        if fiber.run.emit is not None:
            run, done = fiber.run, self.outputs["count"]
            fiber.run.emit(Progress(run.run_id, run.clock.time(), self.prefix, done, self.total))
        return ended

    def _collect(self, index: int, value: Any) -> None:
        if self.collected is None:
            self.outputs["results"].append(value)
        else:
            self.collected.append((index, value))

    def _failed(self, index: int, error: StepError) -> None:
        self.outputs["failed"] += 1
        insort(self.failures, (index, error), key=lambda each: each[0])
        del self.failures[SHOWN_FAILURES + 1 :]

    @property
    def exceeded(self) -> bool:
        return bool(self.outputs["failed"] > self.step.max_failures)

    def failure(self) -> BaseException:
        return joined([error for _, error in self.failures], self.outputs["failed"], "turns")


# ---------------------------------------------------------------- several at once


async def _at_once(source: _Items | _Rows, turns: _Turns, step: Loop, fiber: Fiber) -> Ended | None:
    """Turns in up to `max_concurrency` tasks, each of which takes the next item when it is done with one. Whoever
    takes an item while there are fewer starts another, so that a short list has few tasks."""
    crew = _Crew(source, turns, step, fiber)
    turns.collected = []
    crew.more()
    try:
        settled = await crew.join.all(crew.fibers)
    finally:
        if step.collect is not None:
            turns.outputs["results"] += [value for _, value in sorted(turns.collected, key=lambda each: each[0])]
    return None if crew.join.clean else _outcome(settled, turns, step, fiber)


class _Crew:
    """The tasks of one loop."""

    __slots__ = ("fiber", "fibers", "join", "most", "source", "turns")

    def __init__(self, source: _Items | _Rows, turns: _Turns, step: Loop, fiber: Fiber) -> None:
        self.source = source
        self.turns = turns
        self.most = step.max_concurrency
        self.fiber = fiber
        self.fibers: list[Fiber] = []
        self.join = Join(0, asyncio.get_running_loop())

    def more(self) -> None:
        """Another task, while there may be one."""
        if len(self.fibers) < self.most:
            around = self.fiber
            own = type(around)(around.run, around.activation, around.prefix, around)
            self.join.left += 1
            own.task = asyncio.get_running_loop().create_task(self._work(own))
            self.fibers.append(own)

    async def _work(self, fiber: Fiber) -> None:
        source, turns, join = self.source, self.turns, self.join
        try:
            while not join.decided and (taken := await source.next()) is not None:
                self.more()
                ended = await turns.run(*taken, fiber)
                if ended is not None:
                    turns.ended.append((taken[0], ended))
                    join.over(clean=False, decides=True)
                    return
        except BaseException:
            join.over(clean=False, decides=True)
            raise
        join.over(clean=True, decides=False)


def _outcome(settled: Sequence[asyncio.Task[None]], turns: _Turns, step: Loop, fiber: Fiber) -> Ended | None:
    """What the loop comes to: the failures, those of the source included, or else the first `exit` in source order."""
    failures = failures_of(settled)
    if turns.exceeded and all(isinstance(each, StepError) for each in failures):
        raise turns.failure()
    if failures:
        raise failures[0]
    if any(task.cancelled() for task in settled):
        raise stray("turn", step.site, fiber)
    return min(turns.ended, key=lambda each: each[0])[1] if turns.ended else None
