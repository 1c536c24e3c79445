"""`while` and `until`: turns in the frame around the loop."""

from __future__ import annotations

from flowlang.connections.errors import Classified
from flowlang.engine.failures import OperationError, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.steps import Ended, evaluate, run_block
from flowlang.events import Progress
from flowlang.expressions.runtime import UNSET
from flowlang.plan import Frame, Repeat


async def run_repeat(step: Repeat, frame: Frame, fiber: Fiber) -> Ended | None:
    """Turns until the condition says that it is enough. `interval` passes between two of them, and neither before
    the first nor behind the last."""
    run, outer = fiber.run, fiber.prefix
    path, looks_first = outer + step.site.path, step.kind == "while"
    outputs = frame[step.slot] = {"count": 0}
    for slot in step.slots:
        frame[slot] = UNSET
    frame[step.index_slot] = 0
    enough = looks_first and not evaluate(step.condition, step, frame, fiber)
    while not enough:
        turn = outputs["count"]
        if turn == step.max_iterations:
            raise _too_many(step, fiber)
        if turn and step.interval:
            await fiber.pause(path, step.interval)
        frame[step.index_slot] = turn
        fiber.prefix = f"{path}[{turn}]."
        try:
            ended = await run_block(step.body, frame, fiber)
        finally:
            fiber.prefix = outer
        if ended is not None:
            return ended
        outputs["count"] = turn + 1
        if run.emit is not None:
            run.emit(Progress(run.run_id, run.clock.time(), path, turn + 1))
        if looks_first:
            frame[step.index_slot] = turn + 1
        enough = bool(evaluate(step.condition, step, frame, fiber)) is not looks_first
    return None


def _too_many(step: Repeat, fiber: Fiber) -> Exception:
    still = "still holds" if step.kind == "while" else "does not hold"
    most = f"{step.max_iterations} turn{'' if step.max_iterations == 1 else 's'} of its `max_iterations`"
    detail = f"`{step.kind}` has run the {most}, and its condition {still}"
    return step_error(OperationError(Classified("limit", False), None, detail=detail), step.site, fiber)
