"""One coroutine per kind of step: the short ones, and the table of all."""

from __future__ import annotations

from typing import Any

from flowlang.connections.errors import Classified
from flowlang.engine.attempt import run_try
from flowlang.engine.failures import OperationError, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.loops import run_loop
from flowlang.engine.modifiers import run_modified
from flowlang.engine.parallel import run_parallel
from flowlang.engine.repeat import run_repeat
from flowlang.engine.steps import OBSERVED, RUNNERS, Ended, evaluate, run_block, selected
from flowlang.engine.told import observed
from flowlang.engine.transactions import run_transaction
from flowlang.engine.waiting import run_wait
from flowlang.events import LogWritten
from flowlang.exceptions import ERROR_CLASSES
from flowlang.expressions.runtime import UNSET
from flowlang.masking import MASK
from flowlang.plan import (
    Assign,
    Choose,
    Exit,
    Frame,
    Log,
    Loop,
    Modified,
    Parallel,
    Raise,
    Repeat,
    Subflow,
    Switch,
    Transaction,
    Try,
    Wait,
)

# ---------------------------------------------------------------- values and choices


async def run_assign(step: Assign, frame: Frame, fiber: Fiber) -> None:
    """Each value sees those before it. One that comes later is, in the turns of a `while`, still that of the turn
    before."""
    values: dict[str, Any] = {}
    before = frame[step.slot]
    seen = frame[step.slot] = values if before is UNSET else dict(before)
    for name, evaluator in step.values:
        seen[name] = values[name] = evaluate(evaluator, step, frame, fiber)
    frame[step.slot] = values


async def run_choose(step: Choose, frame: Frame, fiber: Fiber) -> Ended | None:
    for condition, body in step.branches:
        if evaluate(condition, step, frame, fiber):
            return await run_block(body, frame, fiber)
    return await run_block(step.otherwise, frame, fiber)


def same(a: object, b: object) -> bool:
    """Equality as flows mean it: 1 is 1.0 and is not true."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


async def run_switch(step: Switch, frame: Frame, fiber: Fiber) -> Ended | None:
    subject = evaluate(step.subject, step, frame, fiber)
    for candidates, body in step.cases:
        for candidate in candidates:
            if same(subject, evaluate(candidate, step, frame, fiber)):
                return await run_block(body, frame, fiber)
    return await run_block(step.default, frame, fiber)


# ---------------------------------------------------------------- the rest of the verbs


async def run_subflow(step: Subflow, frame: Frame, fiber: Fiber) -> None:
    arguments = evaluate(step.arguments, step, frame, fiber)
    outputs = await fiber.call(step, arguments)
    try:
        frame[step.slot] = selected(outputs, step.selected, f"subflow `{step.plan.flow}`")
    except OperationError as error:  # it left by an `exit` that states other outputs
        raise step_error(error, step.site, fiber) from None


async def run_exit(step: Exit, frame: Frame, fiber: Fiber) -> Ended:
    reason = evaluate(step.reason, step, frame, fiber) if step.reason is not None else None
    outputs = evaluate(step.outputs, step, frame, fiber) if step.outputs is not None else None
    told = None if reason is None else MASK if step.secret_reason else str(reason)
    return Ended(step.status, told, outputs, step.secret_outputs)


async def run_raise(step: Raise, frame: Frame, fiber: Fiber) -> None:
    message = evaluate(step.message, step, frame, fiber)
    detail = MASK if step.secret else str(message)
    retryable = ERROR_CLASSES[step.error_class].retryable
    error = OperationError(Classified(step.error_class, retryable), None, detail=detail)
    raise step_error(error, step.site, fiber)


async def run_log(step: Log, frame: Frame, fiber: Fiber) -> None:
    message = MASK if step.secret else str(evaluate(step.message, step, frame, fiber))
    run = fiber.run
    path = fiber.prefix + step.site.path
    if fiber.run.emit is not None:
        fiber.run.emit(LogWritten(run.run_id, run.clock.time(), path, message))
    run.logger.info("%s: %s", path, run.masker.text(message))


async def run_in_transaction(step: Transaction, frame: Frame, fiber: Fiber) -> Ended | None:
    return await fiber.transact(step, frame, run_transaction)


# ---------------------------------------------------------------- the table

RUNNERS.update(
    {
        Assign: run_assign,
        Choose: run_choose,
        Switch: run_switch,
        Loop: run_loop,
        Repeat: run_repeat,
        Parallel: run_parallel,
        Transaction: run_in_transaction,
        Try: run_try,
        Wait: run_wait,
        Subflow: run_subflow,
        Exit: run_exit,
        Raise: run_raise,
        Log: run_log,
        Modified: run_modified,
    }
)
OBSERVED.update({kind: observed(runner) for kind, runner in RUNNERS.items()})
OBSERVED.update({Modified: run_modified})

__all__ = ["RUNNERS", "run_block"]
