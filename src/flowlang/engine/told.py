"""The events around a step: started, then exactly one of succeeded, failed, cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowlang.engine.failures import step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.steps import Ended, Runner, hidden
from flowlang.events import StepCancelled, StepFailed, StepStarted, StepSucceeded
from flowlang.masking import MASK
from flowlang.plan import Call, Frame, Step, Transaction


class Told:
    """Tells of one step while somebody listens: started, then exactly one of succeeded, failed, cancelled."""

    __slots__ = ("attempts", "begun", "cached", "emit", "fiber", "outputs", "path", "started", "step")

    def __init__(self, step: Step, fiber: Fiber) -> None:
        assert fiber.run.emit is not None
        self.step = step
        self.fiber = fiber
        self.emit = fiber.run.emit
        self.path = fiber.prefix + step.site.path
        self.outputs: Mapping[str, Any] | None = None
        self.begun = self.cached = False
        self.attempts = 1
        self.started = 0.0

    def __enter__(self) -> Told:
        self.started = self.fiber.run.clock.monotonic()
        return self

    def begin(self, arguments: Mapping[str, Any] | None = None) -> None:
        step, run = self.step, self.fiber.run
        connection = None
        if type(step) is Call:
            connection = self.fiber.activation.plan.operations[step.operation].connection_name
            if arguments is not None and step.secret_arguments:
                arguments = hidden(arguments, step.secret_arguments)
        elif type(step) is Transaction:
            connection = step.connection_name
        self.begun = True
        self.emit(StepStarted(run.run_id, run.clock.time(), self.path, step.site.operation, connection, arguments))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not self.begun:
            self.begin()
        run = self.fiber.run
        at, duration = run.clock.time(), run.clock.monotonic() - self.started
        if error is None:
            outputs = self.outputs
            if outputs is not None and type(self.step) is Call and self.step.secret_outputs:
                outputs = dict.fromkeys(outputs, MASK)
            self.emit(StepSucceeded(run.run_id, at, self.path, duration, self.attempts, outputs, self.cached))
        elif isinstance(error, Exception):
            failure = step_error(error, self.step.site, self.fiber).failure
            self.emit(StepFailed(run.run_id, at, self.path, duration, failure))
        else:
            self.emit(StepCancelled(run.run_id, at, self.path, duration, run.abandoned))


class Untold:
    """`Told` while nobody listens."""

    __slots__ = ("attempts", "cached", "outputs")

    attempts: int
    cached: bool
    outputs: Mapping[str, Any] | None

    def __enter__(self) -> Untold:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def begin(self, arguments: Mapping[str, Any] | None = None) -> None:
        pass


def observed(runner: Runner) -> Runner:
    """`runner` with the events of its step."""

    async def run(step: Any, frame: Frame, fiber: Fiber) -> Ended | None:
        with Told(step, fiber) as told:
            told.begin()
            return await runner(step, frame, fiber)

    return run
