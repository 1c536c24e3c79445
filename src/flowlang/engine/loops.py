"""`for_each`: over a list, an object's items or a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.connections.errors import Classified
from flowlang.engine.failures import OperationError, operation_error, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.steps import Ended, evaluate, run_block
from flowlang.events import Progress
from flowlang.exceptions import StepError
from flowlang.expressions.runtime import UNSET
from flowlang.plan import Frame, Loop
from flowlang.tasks.stream import Stream


async def run_loop(step: Loop, frame: Frame, fiber: Fiber) -> Ended | None:
    source = evaluate(step.items, step, frame, fiber)
    turn = _Turns(step, frame, fiber, len(source) if isinstance(source, (list, tuple, Mapping)) else None)
    frame[step.slot] = turn.outputs
    if isinstance(source, Stream):
        return await _over_stream(source, turn, step, fiber)
    for item in _items(source, step, fiber):
        ended = await turn.run(item)
        if ended is not None:
            return ended
    return None


async def _over_stream(source: Stream, turn: _Turns, step: Loop, fiber: Fiber) -> Ended | None:
    """Pull with backpressure: the next batch is asked for when the turns of this one are over."""
    batches = source.batches(step.batch_size)
    try:
        async for batch in batches:
            for item in [batch] if step.batch_size else batch:
                ended = await turn.run(item)
                if ended is not None:
                    return ended
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


class _Turns:
    """The turns of one loop: a frame for each, what is collected, and how many failed."""

    def __init__(self, step: Loop, frame: Frame, fiber: Fiber, total: int | None) -> None:
        self.step = step
        self.fiber = fiber
        self.frame = frame
        self.total = total
        self.index = 0
        self.prefix = fiber.prefix + step.site.path
        self.outputs: dict[str, Any] = {"count": 0, "failed": 0}
        if step.collect is not None:
            self.outputs["results"] = []
        self.blank: Frame = [frame] + [UNSET] * (step.size - 1)

    async def run(self, item: Any) -> Ended | None:
        step, fiber, outer = self.step, self.fiber, self.fiber.prefix
        turn = self.blank.copy()
        turn[1] = item
        turn[2] = self.index
        fiber.prefix = f"{self.prefix}[{self.index}]."
        self.index += 1
        try:
            ended = await run_block(step.body, turn, fiber)
            if step.collect is not None:
                self.outputs["results"].append(evaluate(step.collect, step, turn, fiber))
        except StepError:
            self.outputs["failed"] += 1
            if self.outputs["failed"] > step.max_failures:
                raise
            ended = None
        finally:
            fiber.prefix = outer
        self.outputs["count"] += 1
        if fiber.run.emit is not None:
            fiber.run.emit(Progress(fiber.run.run_id, fiber.run.clock.time(), self.prefix, self.index, self.total))
        return ended
