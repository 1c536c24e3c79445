"""`try`: the first handler that fits a failure, and what runs in any case."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from flowlang.engine.cleanup import clean_up, noted
from flowlang.engine.fiber import Fiber
from flowlang.engine.steps import Ended, evaluate, run_block
from flowlang.exceptions import Failure, StepError
from flowlang.expressions.runtime import UNSET
from flowlang.plan import Frame, Handler, Try


async def run_try(step: Try, frame: Frame, fiber: Fiber) -> Ended | None:
    """The body with its handlers, then `finally`: also after an `exit`, a failure or a cancellation, each time once.

    Cut short by a cancellation, `finally` has a grace period of its own, and the cancellation goes on behind it. What
    goes wrong in it never hides what went wrong before, and is told beside it.
    """
    if not step.finally_:
        return await _handled(step, frame, fiber)
    try:
        ended = await _handled(step, frame, fiber)
    except asyncio.CancelledError:
        requests = fiber.absorb()
        cleaned = await clean_up("finally", step.finally_, frame, fiber)
        if cleaned.failure is not None:
            fiber.run.aftermath(f"`finally` of `{fiber.prefix}{step.site.path}` failed: {cleaned.failure.detail}")
        if requests + cleaned.requests:
            await fiber.cancel_again(requests + cleaned.requests)
        raise
    except Exception as error:
        try:
            await run_block(step.finally_, frame, fiber)
        except StepError as other:
            if isinstance(error, StepError):
                raise StepError(noted(error.failure, "finally", other.failure)) from error.__cause__
        raise
    await run_block(step.finally_, frame, fiber)
    return ended


async def _handled(step: Try, frame: Frame, fiber: Fiber) -> Ended | None:
    try:
        return await run_block(step.body, frame, fiber)
    except StepError as error:
        handler = _handler(step, error.failure, frame, fiber)
        if handler is None:
            raise
    return await run_block(handler.body, frame, fiber)


def _handler(step: Try, failure: Failure, frame: Frame, fiber: Fiber) -> Handler | None:
    """The first handler for `failure`, which it can read by now; a cancellation has none."""
    if failure.type == "cancelled":
        return None
    fitting = [each for each in step.handlers if not each.on or failure.type in each.on]
    if fitting:
        for slot in step.slots:
            frame[slot] = UNSET
    for handler in fitting:
        frame[handler.error_slot] = failure.as_value()
        if handler.guard is None or _holds(handler, step, failure, frame, fiber):
            return handler
    return None


def _holds(handler: Handler, step: Try, failure: Failure, frame: Frame, fiber: Fiber) -> bool:
    """Whether the handler's `if` holds. When it cannot be computed that is told, beside what was to be handled."""
    assert handler.guard is not None
    try:
        return bool(evaluate(handler.guard, step, frame, fiber))
    except StepError as error:
        note = f"it was to decide about another failure: {failure.type}: {failure.detail}"
        raise StepError(replace(error.failure, notes=(*error.failure.notes, note))) from error.__cause__
