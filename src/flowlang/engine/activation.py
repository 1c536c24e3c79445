"""One plan at work: the run's own, or that of a subflow. It owns a frame, connections and bound operations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowlang.connections.config import ConfigProblem, prepare
from flowlang.connections.dependencies import advice
from flowlang.connections.errors import Classified, cause_lines
from flowlang.connections.lifecycle import ConnectionSlot, Live, uninterrupted
from flowlang.diagnostics import Diagnostic, Position, Span
from flowlang.engine.failures import OperationError, operation_error, step_error, words
from flowlang.engine.operations import Bound, bind
from flowlang.engine.retry import next_delay, wants_retry
from flowlang.events import ConnectionClosed, ConnectionOpened
from flowlang.exceptions import Failure, InvalidFlowError, PluginError, StepError
from flowlang.expressions.runtime import UNSET
from flowlang.masking import SHORTEST, WITHHELD
from flowlang.plan import ROOTS, ConnectionPlan, Evaluator, Frame, OutputPlan, Plan, Site

if TYPE_CHECKING:
    from flowlang.connections.base import ConnectionPlugin
    from flowlang.engine.fiber import Fiber
    from flowlang.engine.run import Run


class Activation:
    """A plan at work in a run. `slots` are its connections, in the order of the plan."""

    __slots__ = ("_places", "frame", "operations", "plan", "run", "slots", "withheld")

    def __init__(self, run: Run, plan: Plan, inputs: Mapping[str, Any]) -> None:
        self.run = run
        self.plan = plan
        frame: Frame = [None] + [UNSET] * (plan.size - 1)
        frame[ROOTS.inputs] = inputs
        frame[ROOTS.env] = run.env
        frame[ROOTS.secrets] = run.secrets
        frame[ROOTS.run] = run.facts
        self.frame = frame
        self.slots: list[ConnectionSlot] = []
        self.operations: list[Bound] = []
        self.withheld: set[str] = set()  # connections with a secret too short to search for in texts
        self._places: dict[str, ConnectionPlan] = {each.name: each for each in plan.connections}

    # ------------------------------------------------------------ before the first step

    def prepare(self, fiber: Fiber) -> None:
        """Compute `vars` and every connection's config. `InvalidFlowError` has the findings of all of them."""
        plan, frame = self.plan, self.frame
        values: dict[str, Any] = {}
        frame[ROOTS.vars] = values
        for name, evaluator in plan.vars:
            site = Site(f"vars.{name}", "vars", plan.file, 1, 1)
            values[name] = computed(evaluator, site, frame, fiber)
            if name in plan.secret_vars:
                self.run.masker.add(values[name])
        findings: list[Diagnostic] = []
        for each in plan.connections:
            self._add_connection(each, findings, fiber)
        if findings:
            raise InvalidFlowError("the config of a connection is refused", findings)
        try:
            self._bind()
        except PluginError as error:  # a task file that cannot be imported
            raise StepError(self.scrubbed(Failure("config", str(error), plan.flow, file=plan.file))) from error

    def _bind(self) -> None:
        for operation in self.plan.operations:
            if operation.source is not None:
                functions = self.run.load_tasks(operation.source)
                if operation.spec.name not in functions:
                    raise PluginError(f"{operation.source}: there is no task `{operation.spec.name}` any more")
                operation = replace(operation, function=functions[operation.spec.name])
            self.operations.append(bind(operation, self.slots, told=self.run.detail is not None))

    def _add_connection(self, plan: ConnectionPlan, findings: list[Diagnostic], fiber: Fiber) -> None:
        run = self.run
        plugin: ConnectionPlugin = plan.plugin
        site = Site(f"connections.{plan.name}", "connect", plan.file, plan.line, plan.column)
        prepared = plan.ready
        if prepared is None:
            prepared = prepare(plugin, computed(plan.config, site, self.frame, fiber), sources=plan.textual)
        for secret in prepared.secrets:
            run.masker.add(secret)
            if 0 < len(secret) < SHORTEST:
                self.withheld.add(plan.name)
        if prepared.problems:
            findings.extend(_finding(plan, problem, run.masker.text) for problem in prepared.problems)
            return
        slot = ConnectionSlot(
            plan.name,
            plugin,
            prepared.config,
            lazy=plan.lazy,
            connect_timeout=plan.connect_timeout,
            acquire_timeout=plan.acquire_timeout,
            report=self._closed,
            describe=lambda text: self.clean(plan.name, text),
            lender=run.pools if plugin.shareable else None,
            holders=run.holders if plugin.shareable and run.pools is not None else None,
        )
        slot.opener = self.open
        self.slots.append(slot)

    # ------------------------------------------------------------ connections

    async def open_all(self) -> None:
        """Open what is not lazy, all at once. When one fails the others are given up; `close` has those that are
        open."""
        eager = [slot for slot in self.slots if not slot.lazy]
        if len(eager) == 1:
            await self.open(eager[0])
            return
        tasks = [asyncio.get_running_loop().create_task(self.open(slot)) for slot in eager]
        try:
            await asyncio.gather(*tasks)
        finally:
            await cancel_all(tasks)

    async def close(self) -> None:
        """Close every connection, the last one first. It is seen through to its end, also when cancelled."""
        await uninterrupted(self._close())

    async def _close(self) -> None:
        while self.slots:
            await self.slots.pop().close()
        self.operations.clear()  # they hold the slots, which report here: a circle around all that the run has made

    async def open(self, slot: ConnectionSlot, *, once: bool = False, alone: bool = False) -> Live:
        """Open `slot` unless it is open, with the retries of `defaults.retry` unless `once`. `alone`: an instance that
        no other run has."""
        run = self.run
        async with slot.lock:
            known = slot.alone if alone else slot.live
            if known is not None:
                return known
            policy = None if once else self.plan.opening_retry
            began, attempt = run.clock.monotonic(), 1
            while True:
                try:
                    return await self._open_once(slot, alone=alone)
                except StepError as error:
                    failure = replace(error.failure, attempt=attempt)
                    final = StepError(failure)
                    final.__cause__ = error.__cause__
                if policy is None or attempt >= policy.max_attempts:
                    raise final
                delay = next_delay(policy, attempt, failure, run.clock.random())
                elapsed = run.clock.monotonic() - began
                late = policy.max_elapsed is not None and elapsed + delay > policy.max_elapsed
                if late or not wants_retry(policy, failure, repeatable=True):
                    raise final
                await run.clock.sleep(delay)
                attempt += 1

    async def _open_once(self, slot: ConnectionSlot, *, alone: bool) -> Live:
        run = self.run
        began = run.clock.monotonic()
        try:
            live = await slot.open(alone=alone)
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            raise self._connect_error(slot, error, run.clock.monotonic() - began) from error
        if run.emit is not None:
            duration = run.clock.monotonic() - began
            opened = ConnectionOpened(run.run_id, run.clock.time(), slot.name, slot.type, duration)
            if run.detail is not None:
                where = slot.whereabouts
                opened = opened._replace(server=where.server, port=where.port, database=where.database)
            run.emit(opened)
        return live

    def _connect_error(self, slot: ConnectionSlot, error: BaseException, elapsed: float) -> StepError:
        told = operation_error(error, slot, "connect")
        classified = told.classified
        place = self._places[slot.name]
        notes = [f"opening connection `{slot.name}` ({slot.type}) failed after {elapsed:.1f} s"]
        line = advice(slot.plugin) if classified.error_class == "config" else None
        if line is not None:
            notes.append(f"install what it needs: {line}")
        failure = Failure(
            type=classified.error_class,
            detail=told.detail or words(error),
            flow=self.plan.flow,
            connection=slot.name,
            file=place.file,
            line=place.line,
            column=place.column,
            retryable=classified.retryable,
            retry_after=classified.retry_after,
            cause=cause_lines(error),
            notes=tuple(notes),
            code=classified.code,
        )
        return StepError(self.scrubbed(failure))

    def _closed(self, name: str, kind: str, problem: str | None) -> None:
        run = self.run
        if run.emit is not None:
            run.emit(ConnectionClosed(run.run_id, run.clock.time(), name, kind, problem))

    def scrubbed(self, failure: Failure, given: Sequence[object] = (), *, quotes: bool = True) -> Failure:
        """The failure with secrets masked. What a connection with a too short secret said is withheld whole, and so is
        what a task said that was `given` one, when the failure `quotes` it."""
        if failure.connection is not None and failure.connection in self.withheld:
            failure = replace(failure, detail=self._withheld(failure.connection), cause=(), code=None)
        masker = self.run.masker.over(given)
        if masker is None:
            failure = replace(failure, detail=WITHHELD if quotes else failure.detail, cause=(), code=None)
        return (masker or self.run.masker).value(failure)  # type: ignore[no-any-return]

    def clean(self, connection: str, text: str) -> str:
        """Text that comes from a connection beside its tasks, fit to be shown."""
        if connection in self.withheld:
            return self._withheld(connection)
        masker = self.run.masker.over(self.given(connection))
        return WITHHELD if masker is None else masker.text(text)

    def given(self, connection: str) -> tuple[object, ...]:
        """What the tasks on a connection were given of secrets. Behind them nobody knows more than that it was so."""
        return ([],) if connection in self.plan.given_secrets else ()

    @staticmethod
    def _withheld(connection: str) -> str:
        return f"(withheld: connection `{connection}` holds a secret too short to be masked in texts)"

    # ------------------------------------------------------------ after the last step

    def outputs(self, fiber: Fiber) -> dict[str, Any]:
        """The flow's outputs, each of the type that it declares."""
        values: dict[str, Any] = {}
        for each in self.plan.outputs:
            site = Site(f"outputs.{each.name}", "output", self.plan.file, each.line, each.column)
            values[each.name] = _fitting(each, computed(each.value, site, self.frame, fiber), site, fiber)
        return values


def computed(evaluator: Evaluator, site: Site, frame: Frame, fiber: Fiber) -> Any:
    """The value of an expression that stands outside the steps."""
    try:
        return evaluator(frame, fiber)
    except Exception as error:
        raise step_error(error, site, fiber, frame, evaluator) from error


async def cancel_all(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel what still runs and wait until it is gone. When the waiting is itself cancelled they are told again,
    and the cancellation goes on once they are gone."""
    interrupted = False
    for task in tasks:
        task.cancel()
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            interrupted = True
            for task in tasks:
                task.cancel()
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: asyncio need not complain
    if interrupted:
        raise asyncio.CancelledError


def _finding(plan: ConnectionPlan, problem: ConfigProblem, clean: Any) -> Diagnostic:
    path = tuple(problem.path)
    while path and path not in plan.spans:
        path = path[:-1]
    start = Position(plan.line, plan.column)
    span = plan.spans.get(path) or Span(start, Position(start.line, start.column + len(plan.name)), plan.file)
    message = clean(f"connection `{plan.name}`: {problem.message}")
    return Diagnostic(problem.code, message, span, suggestion=problem.suggestion)


def _fitting(output: OutputPlan, value: Any, site: Site, fiber: Fiber) -> Any:
    from flowlang.expressions.types import accepts, type_of
    from flowlang.tasks.stream import Stream

    detail = None
    if isinstance(value, Stream):
        detail = f"output `{output.name}` is a stream; an output is a value: collect it first"
    elif output.type is not None and value is not None and not accepts(replace(output.type, enum=None), type_of(value)):
        detail = f"output `{output.name}` is declared {output.type}, but its value is {type_of(value)}"
    if detail is None:
        return value
    raise step_error(OperationError(Classified("validation", False, None, False), None, detail=detail), site, fiber)
