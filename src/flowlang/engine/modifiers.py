"""What stands around a step: guard, handler, time limit, retries, from the outside in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from flowlang.connections.errors import Classified
from flowlang.document.model import Retry
from flowlang.engine.cache import Key, SharedFailure
from flowlang.engine.failures import OperationError, secrets_of, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.retry import next_delay, wants_retry
from flowlang.engine.steps import RUNNERS, Ended, evaluate, run_block, send
from flowlang.engine.told import Told, Untold
from flowlang.events import AttemptFailed, StepSkipped
from flowlang.exceptions import Failure, StepError
from flowlang.expressions.runtime import UNSET
from flowlang.plan import Caching, Call, Frame, Modified
from flowlang.tasks.stream import Stream


async def run_modified(step: Modified, frame: Frame, fiber: Fiber) -> Ended | None:
    """Guard, then the step under its time limit and retries, then what handles its failure."""
    if step.guard is not None and not _holds(step, frame, fiber):
        if fiber.run.emit is not None:
            run, path = fiber.run, fiber.prefix + step.site.path
            fiber.run.emit(StepSkipped(run.run_id, run.clock.time(), path, step.site.operation))
        return None
    try:
        return await _told(step, frame, fiber)
    except StepError as error:
        if step.handler is None and not step.continue_on_error:
            raise
        failure = error.failure
    for slot in step.slots:
        frame[slot] = UNSET
    if step.handler is None:
        return None
    frame[step.error_slot] = failure.as_value()
    return await run_block(step.handler, frame, fiber)


def _holds(step: Modified, frame: Frame, fiber: Fiber) -> bool:
    """Whether the step's `if` holds. When it cannot be computed the step has failed before it began."""
    assert step.guard is not None
    try:
        return bool(evaluate(step.guard, step, frame, fiber))
    except StepError:
        if fiber.run.emit is not None:
            with Told(step.body, fiber):
                raise
        raise


async def _told(step: Modified, frame: Frame, fiber: Fiber) -> Ended | None:
    """The step without its guard and handler, with its events; arguments are computed once for all attempts."""
    body = step.body
    with Told(body, fiber) if fiber.run.emit is not None else Untold() as told:
        arguments: dict[str, Any] | None = None
        if type(body) is Call:
            arguments = evaluate(body.arguments, body, frame, fiber)
        told.begin(arguments)
        ended = await _limited(step, arguments, told, frame, fiber)
        if type(body) is Call:
            told.outputs = frame[body.slot]
        return ended


async def _limited(
    step: Modified, arguments: dict[str, Any] | None, told: Told | Untold, frame: Frame, fiber: Fiber
) -> Ended | None:
    """The step's own time limit, over all attempts and the waits between them."""
    if step.timeout is None:
        return await _answered(step, arguments, told, frame, fiber)
    limit = asyncio.timeout(step.timeout)
    try:
        async with limit:
            return await _answered(step, arguments, told, frame, fiber)
    except TimeoutError as error:
        if not limit.expired():
            raise
        detail = f"the step took longer than its limit of {step.timeout:g} s"
        timed_out = OperationError(Classified("timeout", True, outcome_unknown=True), None, detail=detail)
        raise step_error(timed_out, step.site, fiber) from error.__cause__


async def _answered(
    step: Modified, arguments: dict[str, Any] | None, told: Told | Untold, frame: Frame, fiber: Fiber
) -> Ended | None:
    """The step itself, or what an earlier call of it gave."""
    body = step.body
    if step.cache is None and step.idempotency_key is None:
        return await _attempts(step, arguments, told, frame, fiber)
    if step.idempotency_key is not None:
        fiber.idempotency_key = _idempotency_key(step, frame, fiber)
    try:
        if step.cache is None or type(body) is not Call:
            return await _attempts(step, arguments, told, frame, fiber)

        async def call() -> dict[str, Any]:
            await _attempts(step, arguments, told, frame, fiber)
            outputs: dict[str, Any] = frame[body.slot]
            return outputs

        run, key = fiber.run, _cache_key(step, body, step.cache, frame, fiber)
        try:
            frame[body.slot], told.cached = await run.common.cache.answer(key, step.cache.ttl, run.clock, call)
        except SharedFailure as shared:
            raise _shared(shared.failure, body, arguments or {}, fiber) from None
        if body.secret_outputs:
            run.masker.note(frame[body.slot])
        return None
    finally:
        fiber.idempotency_key = None


def _shared(failure: Failure, step: Call, arguments: dict[str, Any], fiber: Fiber) -> StepError:
    """The failure of the call that a cached step waited for, as its own: it may be of another run, or another turn."""
    note = "this step waited for another call with the same `cache` key, which failed"
    own = replace(failure, step=fiber.prefix + step.path, notes=(*failure.notes, note))
    return StepError(fiber.activation.scrubbed(own, secrets_of(step, arguments)))


def _idempotency_key(step: Modified, frame: Frame, fiber: Fiber) -> str:
    assert step.idempotency_key is not None
    key = evaluate(step.idempotency_key, step, frame, fiber)
    if isinstance(key, str) and key:
        return key
    given = "empty" if key == "" else f"of type {type(key).__name__}"
    detail = f"`idempotency_key` must be a text that tells this operation from all others; it is {given}"
    raise step_error(OperationError(Classified("validation", False), None, detail=detail), step.site, fiber)


def _cache_key(step: Modified, body: Call, cache: Caching, frame: Frame, fiber: Fiber) -> Key:
    """Which answers may stand for each other: of the same step of the same text, on the same service."""
    activation = fiber.activation
    operation = activation.plan.operations[body.operation]
    service = None if operation.connection is None else activation.slots[operation.connection].fingerprint
    return (cache.step, operation.function, service, evaluate(cache.key, step, frame, fiber))


async def _attempts(
    step: Modified, arguments: dict[str, Any] | None, told: Told | Untold, frame: Frame, fiber: Fiber
) -> Ended | None:
    if step.retry is None:
        return await _attempt(step, arguments, frame, fiber)
    began, attempt = fiber.run.clock.monotonic(), 1
    outer = fiber.attempt, fiber.retries
    fiber.retries = True
    try:
        while True:
            fiber.attempt = told.attempts = attempt
            try:
                return await _attempt(step, arguments, frame, fiber)
            except StepError as error:
                delay = _pause(step, step.retry, error.failure, attempt, began, arguments, fiber)
                if delay is None:
                    raise
                failure = error.failure
            await _wait(step, step.retry, failure, attempt, delay, fiber)
            for slot in step.slots:
                frame[slot] = UNSET
            attempt += 1
    finally:
        fiber.attempt, fiber.retries = outer


def _pause(
    step: Modified,
    policy: Retry,
    failure: Failure,
    attempt: int,
    began: float,
    arguments: dict[str, Any] | None,
    fiber: Fiber,
) -> float | None:
    """Seconds to wait before another attempt; None when there is to be none."""
    if attempt >= policy.max_attempts or not wants_retry(policy, failure, repeatable=step.repeatable):
        return None
    if arguments and any(isinstance(value, Stream) for value in arguments.values()):
        return None  # what was read of a stream is gone: a second attempt would not be the same
    clock = fiber.run.clock
    delay = next_delay(policy, attempt, failure, clock.random())
    if policy.max_elapsed is not None and clock.monotonic() - began + delay > policy.max_elapsed:
        return None
    return delay


async def _wait(step: Modified, policy: Retry, failure: Failure, attempt: int, delay: float, fiber: Fiber) -> None:
    run = fiber.run
    if fiber.run.emit is not None:
        path, most = fiber.prefix + step.site.path, policy.max_attempts
        fiber.run.emit(AttemptFailed(run.run_id, run.clock.time(), path, attempt, most, failure, delay))
    await fiber.pause(fiber.prefix + step.site.path, delay)


async def _attempt(step: Modified, arguments: dict[str, Any] | None, frame: Frame, fiber: Fiber) -> Ended | None:
    body = step.body
    if type(body) is Call:
        assert arguments is not None
        await send(body, arguments, frame, fiber)
        return None
    return await RUNNERS[type(body)](body, frame, fiber)
