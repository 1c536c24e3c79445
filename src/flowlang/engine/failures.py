"""From an exception to a `Failure`: what happened, where in the flow, and whether another try may help."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowlang.connections.errors import Classified, Phase, cause_lines, classify
from flowlang.exceptions import Failure, FlowLangError, StepError
from flowlang.plan import Call, Evaluator, Frame, Site
from flowlang.tasks.values import Sql

if TYPE_CHECKING:
    from flowlang.connections.lifecycle import ConnectionSlot
    from flowlang.engine.fiber import Fiber

_LONGEST = 10_000  # characters of a detail
_MOST_NOTES = 10
DEFECT = "this is a defect of FlowLang: please report it"


class OperationError(Exception):
    """An operation failed. `__cause__` is the error, or `detail` says what there is no exception for.

    `connection` is the name of the connection it used, `given` what it was given of secrets (see `secrets_of`).
    `quotes`: the detail repeats what foreign code said.
    """

    def __init__(
        self,
        classified: Classified,
        connection: str | None,
        *,
        detail: str = "",
        notes: tuple[str, ...] = (),
        given: tuple[object, ...] = (),
        quotes: bool = False,
    ) -> None:
        super().__init__(detail or classified.error_class)
        self.classified = classified
        self.connection = connection
        self.detail = detail
        self.notes = notes
        self.given = given
        self.quotes = quotes or not detail


def operation_error(error: BaseException, slot: ConnectionSlot | None, phase: Phase) -> OperationError:
    """What foreign code raised, classified. One that is an `OperationError` already stays as it is.

    Also of what is no `Exception`: a task that calls `sys.exit`, or raises `CancelledError` though nobody asked it
    to stop, has failed like any other, and ends neither the process nor the run.
    """
    if isinstance(error, OperationError):
        return error
    classified, detail = classify(error, slot.plugin if slot is not None else None, phase), ""
    if isinstance(error, asyncio.CancelledError):
        detail = "it was cancelled from inside: nobody asked the run to stop"
    elif isinstance(error, SystemExit):
        classified = replace(classified, retryable=False)
        detail = f"it tried to end the process: SystemExit: {error}"
    quotes = isinstance(error, SystemExit)
    return OperationError(classified, slot.name if slot is not None else None, detail=detail, quotes=quotes)


def step_error(
    error: BaseException,
    site: Site,
    fiber: Fiber,
    frame: Frame | None = None,
    evaluator: Evaluator | None = None,
    given: tuple[object, ...] = (),
) -> StepError:
    """`error` as the failure of the step at `site`, which was `given` secrets. An error that already is one stays as
    it is."""
    if isinstance(error, StepError):
        return error
    if isinstance(error, OperationError):
        failure = _operation_failure(error, site, fiber)
        return StepError(fiber.activation.scrubbed(failure, error.given or given, quotes=error.quotes))
    failure = _expression_failure(error, site, fiber, frame, evaluator)
    return StepError(fiber.activation.scrubbed(failure, given))


def call_error(
    error: Exception, step: Call, arguments: Mapping[str, Any] | None, frame: Frame, fiber: Fiber
) -> StepError:
    """`error` as the failure of the operation `step`, whose `arguments` are None when they could not be computed."""
    given = secrets_of(step, arguments) if arguments is not None else ()
    return step_error(error, step.site, fiber, frame, step.arguments, given)


def secrets_of(step: Call, arguments: Mapping[str, Any]) -> tuple[object, ...]:
    """The arguments that are secret or have something secret in them. Of a statement, which is the flow's own text,
    the values that are bound to it."""
    found: list[object] = []
    for name in step.secret_arguments:
        value = arguments.get(name)
        if not isinstance(value, Sql):
            found.append(value)
        elif len(value.values) == 1:
            found.append(value.values[0])
        else:
            found.append(list(value.values))
    return tuple(found)


def _operation_failure(error: OperationError, site: Site, fiber: Fiber) -> Failure:
    cause = error.__cause__
    classified = error.classified
    return Failure(
        type=classified.error_class,
        detail=error.detail or words(cause),
        flow=fiber.activation.plan.flow,
        step=fiber.prefix + site.path,
        attempt=fiber.attempt,
        connection=error.connection,
        file=site.file,
        line=site.line,
        column=site.column,
        retryable=classified.retryable,
        retry_after=classified.retry_after,
        outcome_unknown=classified.outcome_unknown,
        cause=cause_lines(cause) if cause is not None else (),
        notes=(*error.notes, *notes_of(cause)),
        code=classified.code,
    )


def notes_of(error: BaseException | None) -> tuple[str, ...]:
    """What a task added to its own error with `add_note`; a driver's notes are for programmers."""
    if not isinstance(error, FlowLangError):
        return ()
    return tuple(each[:_LONGEST] for each in getattr(error, "__notes__", ())[:_MOST_NOTES] if isinstance(each, str))


def words(error: BaseException | None) -> str:
    """What an exception says, in its own words; its type's name when it says nothing. Of bounded length."""
    try:
        text = str(error).strip() or type(error).__name__
    except Exception:  # noqa: BLE001 - a driver's broken __str__ must not hide the failure it belongs to
        text = type(error).__name__
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _expression_failure(
    error: BaseException, site: Site, fiber: Fiber, frame: Frame | None, evaluator: Evaluator | None
) -> Failure:
    from flowlang.expressions import explain

    fault = explain(evaluator, error, frame) if evaluator is not None and frame is not None else None
    if fault is None or fault.where is None:
        return Failure(
            type="internal",
            detail=f"{type(error).__name__}: {error}",
            flow=fiber.activation.plan.flow,
            step=fiber.prefix + site.path,
            attempt=fiber.attempt,
            file=site.file,
            line=site.line,
            column=site.column,
            cause=cause_lines(error),
            notes=(DEFECT,),
        )
    span = fault.where.locate(fault.start, fault.end)
    return Failure(
        type="expression",
        detail=fault.message,
        flow=fiber.activation.plan.flow,
        step=fiber.prefix + site.path,
        attempt=fiber.attempt,
        file=span.file or site.file,
        line=span.start.line,
        column=span.start.column,
        notes=fault.notes,
    )
