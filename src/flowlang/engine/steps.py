"""The loop over the steps, and the one kind of step that it carries out itself: an operation.

A runner takes `(step, frame, fiber)`. It returns None to carry on, or an `Ended` when the step ends the flow;
a failure is a raised `StepError`, a cancellation asyncio's own. `flowlang.engine.runners` has one for each kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from flowlang.connections.errors import Classified
from flowlang.engine.failures import OperationError, call_error, step_error
from flowlang.engine.fiber import Fiber
from flowlang.events import StepCancelled, StepFailed, StepStarted, StepSucceeded
from flowlang.exceptions import StepError
from flowlang.masking import MASK
from flowlang.plan import Call, Evaluator, Frame, Step
from flowlang.records import frozen


@frozen
class Ended:
    """An `exit` was reached. `outputs` is None when the flow's own outputs are to be computed."""

    status: str
    reason: str | None
    outputs: dict[str, Any] | None
    secret_outputs: frozenset[str] = frozenset()


Runner = Callable[[Any, Frame, Fiber], Awaitable[Ended | None]]
RUNNERS: dict[type, Runner] = {}  # one for each kind of step, filled by `flowlang.engine.runners`
OBSERVED: dict[type, Runner] = {}  # the same with the events of their steps


async def run_steps(steps: Sequence[Step], frame: Frame, fiber: Fiber) -> Ended | None:
    """The steps one after the other. A plain operation that nobody watches is carried out right here: it is what
    most steps are, and a coroutine of its own would be a tenth of its price."""
    if fiber.run.emit is not None:
        return await _run_observed(steps, frame, fiber)
    operations, do, prefix = fiber.activation.operations, fiber.do, fiber.prefix
    for step in steps:
        if type(step) is not Call:
            ended = await RUNNERS[type(step)](step, frame, fiber)
            if ended is not None:
                return ended
            continue
        fiber.timeout = step.timeout
        fiber.step = step
        arguments = None
        try:
            path = prefix + step.path if prefix else step.path
            arguments = step.arguments(frame, fiber)
            outputs = await do(path, operations[step.operation], arguments)
            if not step.plain or type(outputs) is not dict:
                outputs = returned(step, outputs, fiber)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this step's failure
            raise call_error(error, step, arguments, frame, fiber) from _cause(error)
        frame[step.slot] = outputs
    return None


async def _run_observed(steps: Sequence[Step], frame: Frame, fiber: Fiber) -> Ended | None:
    """The same with events. Those of an operation are spelled out here, and made without the named tuple's own
    constructor, because with somebody listening they are half of its price."""
    run = fiber.run
    emit, monotonic, epoch, run_id = run.emit, run.clock.monotonic, run.epoch, run.run_id
    assert emit is not None
    for step in steps:
        if type(step) is not Call:
            ended = await OBSERVED[type(step)](step, frame, fiber)
            if ended is not None:
                return ended
            continue
        site, path, connection = step.site, fiber.prefix + step.path, step.connection
        arguments: dict[str, Any] | None = None
        began = monotonic()
        try:
            arguments = step.arguments(frame, fiber)
            if not run.quiet:
                shown = arguments if not step.secret_arguments else hidden(arguments, step.secret_arguments)
                emit(_made(StepStarted, (run_id, epoch + began, path, site.operation, connection, shown)))
            fiber.timeout = step.timeout
            fiber.step = step
            outputs = await fiber.do(path, fiber.activation.operations[step.operation], arguments)
            if not step.plain or type(outputs) is not dict:
                outputs = returned(step, outputs, fiber)
        except asyncio.CancelledError:
            now = monotonic()
            emit(StepCancelled(run_id, epoch + now, path, now - began, run.abandoned))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this step's failure
            if arguments is None:
                emit(StepStarted(run_id, epoch + began, path, site.operation, connection))
            failed = call_error(error, step, arguments, frame, fiber)
            now = monotonic()
            emit(StepFailed(run_id, epoch + now, path, now - began, failed.failure))
            raise failed from _cause(error)
        frame[step.slot] = outputs
        if run.quiet:
            continue
        told = outputs if not step.secret_outputs else dict.fromkeys(outputs, MASK)
        now = monotonic()
        emit(_made(StepSucceeded, (run_id, epoch + now, path, now - began, 1, told, False)))
    return None


_made = tuple.__new__


async def run_block(steps: Sequence[Step], frame: Frame, fiber: Fiber) -> Ended | None:
    """The steps of a block; streams that it opened and did not use up are closed at its end."""
    keep = len(fiber.streams)
    try:
        return await run_steps(steps, frame, fiber)
    finally:
        if len(fiber.streams) > keep:
            await fiber.close_streams(keep)


# ---------------------------------------------------------------- one operation


async def send(step: Call, arguments: dict[str, Any], frame: Frame, fiber: Fiber) -> None:
    """One attempt with arguments that have been computed."""
    fiber.timeout = step.timeout
    fiber.step = step
    try:
        outputs = await fiber.do(fiber.prefix + step.path, fiber.activation.operations[step.operation], arguments)
        frame[step.slot] = returned(step, outputs, fiber)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this step's failure
        raise call_error(error, step, arguments, frame, fiber) from _cause(error)


def returned(step: Call, outputs: Any, fiber: Fiber) -> dict[str, Any]:
    """What the task returned, as the step's outputs: a dict with the keys that were asked for."""
    if step.secret_outputs:
        fiber.run.masker.note(outputs)
    what = f"task `{step.site.operation}`"
    if outputs is None:
        outputs = {}
    elif not isinstance(outputs, Mapping):
        detail = f"{what} returned {type(outputs).__name__}; a task returns a dict of its outputs"
        raise OperationError(Classified("task", False), None, detail=detail)
    return selected(outputs, step.selected, what)


def selected(outputs: Mapping[str, Any], wanted: Sequence[str] | None, what: str) -> dict[str, Any]:
    """The outputs that a step lists, all of them when it lists none."""
    if wanted is None:
        return dict(outputs)
    missing = [key for key in wanted if key not in outputs]
    if missing:
        names = ", ".join(f"`{key}`" for key in missing)
        given = ", ".join(f"`{key}`" for key in outputs) or "nothing"
        detail = f"{what} did not return the listed output {names}; it returned {given}"
        raise OperationError(Classified("task", False), None, detail=detail, quotes=True)
    return {key: outputs[key] for key in wanted}


def hidden(values: Mapping[str, Any], secret: frozenset[str]) -> Mapping[str, Any]:
    """`values` with what is tainted replaced."""
    if not secret:
        return values
    return {name: MASK if name in secret else value for name, value in values.items()}


def _cause(error: BaseException) -> BaseException | None:
    """What a `StepError` is chained to: the task's own error rather than our wrapping of it."""
    if isinstance(error, StepError):
        return error.__cause__
    return error.__cause__ if isinstance(error, OperationError) else error


def evaluate(evaluator: Evaluator, step: Any, frame: Frame, fiber: Fiber) -> Any:
    """The value of an expression of `step`; a failure names the part that failed."""
    try:
        return evaluator(frame, fiber)
    except Exception as error:
        raise step_error(error, step.site, fiber, frame, evaluator) from error
