"""One run, from its inputs to its result.

    refuse bad config → open connections → steps → outputs → on_cancel → finally → close → result

A subflow goes the same way inside its parent's run. Everything that changes during a run lives in `Run`,
`Activation`, `Fiber` and their frames; plan, plugins and engine are shared and never change.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flowlang.connections.errors import Classified, cause_lines
from flowlang.connections.lifecycle import Lender, Live
from flowlang.engine.activation import Activation, computed
from flowlang.engine.cleanup import Cleaned, clean_up, noted
from flowlang.engine.clock import Clock
from flowlang.engine.common import Common
from flowlang.engine.failures import DEFECT, OperationError, step_error
from flowlang.engine.fiber import Fiber, Watch
from flowlang.engine.gates import Ticket
from flowlang.engine.inputs import accept
from flowlang.engine.result import RunResult
from flowlang.engine.runners import run_block
from flowlang.engine.steps import Ended
from flowlang.engine.tasklog import TaskLogger
from flowlang.engine.waiting import Signals
from flowlang.events import RunFinished, RunQueued, RunStarted, Sink, emitters
from flowlang.exceptions import Failure, InvalidFlowError, StepError
from flowlang.masking import Masker
from flowlang.plan import Admission, Plan, Site, Step, Subflow

MOST_NOTES = 10


@dataclass(slots=True)
class Conclusion:
    """How one activation ended. `requests` are those to cancel it, which were answered by its clean-up."""

    status: str
    requests: int = 0
    failure: Failure | None = None
    ended: Ended | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None


class Run:
    """What all parts of one run share."""

    def __init__(
        self,
        plan: Plan,
        inputs: Mapping[str, Any],
        *,
        run_id: str,
        env: Mapping[str, str],
        secrets: Mapping[str, str],
        sinks: Sequence[Sink] = (),
        clock: Clock | None = None,
        fiber_type: type[Fiber] = Fiber,
        load_tasks: Callable[[str], Mapping[str, Callable[..., Any]]] | None = None,
        common: Common | None = None,
        pools: Lender | None = None,
    ) -> None:
        self.plan = plan
        self.inputs = inputs
        self.run_id = run_id
        self.env = env
        self.secrets = secrets
        self.clock = clock or Clock()
        self.common = common or Common()
        self.pools = pools
        self.holders: list[tuple[int, Live]] = []  # of leases that are kept, on all connections that runs share
        self.fiber_type = fiber_type
        self.load_tasks = load_tasks or _load_tasks
        self.masker = Masker(secrets.values())
        self.emit, self.detail = emitters(sinks, self.masker)
        self.logger = logging.getLogger("flowlang.run")
        self.watch = Watch()
        self.signals = Signals()
        self.started_at = self.clock.now()
        self.epoch = self.clock.time() - self.clock.monotonic()  # what an event's `at` counts from, without jumps
        self._task: asyncio.Task[Any] | None = None
        self._ticket: Ticket | None = None  # while it counts for `concurrency`
        self._unwanted = False  # cancelled before it began
        self._ending = False  # the steps are over: what is left is to clean up
        self._displaced = False  # a newer run has taken its place
        self._aftermath: list[str] = []  # what went wrong while a cancellation was answered
        self.abandoned = False  # it goes on elsewhere, or later: nothing is cleaned up here but the connections
        self.quiet = False  # what operations do was told in an earlier life
        self.spent = 0.0  # seconds that earlier lives of it took
        self.queued = False
        self.facts = {"id": run_id, "attempt": 1, "started_at": self.started_at, "trigger": "manual"}

    def cancel(self) -> None:
        """Ask the run to stop. When it is cleaning up already, the clean-up step under way is cut short."""
        if self._task is None:
            self._unwanted = True
        else:
            self._task.cancel()

    def _give_way(self) -> None:
        """Stop for a newer run. One that is cleaning up already is over soon, and is left to it."""
        if not self._ending:
            self._displaced = True
            self.cancel()

    async def execute(self) -> RunResult:
        """Run to the end, whatever the end is. A cancellation of the surrounding task ends the run as
        `cancelled`, after its clean-up. `InvalidFlowError`: refused before anything ran."""
        began = self.clock.monotonic()
        self._task = asyncio.current_task()
        activation, fiber = self._activate(self.plan, self.inputs)
        conclusion = self._prepared(activation, fiber)
        if self.emit is not None:
            self.emit(RunStarted(self.run_id, self.clock.time(), self.plan.flow, self.plan.file))
        try:
            if conclusion is None:
                conclusion = await self._conduct(activation, fiber)
        finally:
            self.watch.close()
            if self._ticket is not None:
                self.common.gates.leave(self._ticket)
        if self._aftermath and conclusion.failure is not None:
            notes = (*conclusion.failure.notes, *self._aftermath)
            conclusion.failure = replace(conclusion.failure, notes=notes)
        return self._result(conclusion, self.clock.monotonic() - began)

    def _prepared(self, activation: Activation, fiber: Fiber) -> Conclusion | None:
        """Compute what comes before the first connection. A conclusion when the run is over with that."""
        if self._unwanted:
            return Conclusion("cancelled", failure=self._cancelled(self.plan))
        try:
            activation.prepare(fiber)
        except InvalidFlowError:
            raise
        except Exception as error:  # noqa: BLE001 - the one place where a run's end is made of what went wrong
            return self._ended_by(error, self.plan)
        return None

    def _activate(
        self, plan: Plan, inputs: Mapping[str, Any], parent: Fiber | None = None, prefix: str = ""
    ) -> tuple[Activation, Fiber]:
        self.masker.add([inputs.get(each.name) for each in plan.inputs if each.secret])
        activation = Activation(self, plan, inputs)
        return activation, self.fiber_type(self, activation, prefix, parent, asyncio.current_task())

    async def _conduct(self, activation: Activation, fiber: Fiber) -> Conclusion:
        """Open, run, clean up, close. Only the end is told; nothing is raised."""
        plan = activation.plan
        conclusion = Conclusion("failed")
        begun = False
        limit = asyncio.timeout(self._left(plan, fiber))
        try:
            async with limit:
                if fiber.parent is not None or await self._admitted(activation, fiber, conclusion):
                    await activation.open_all()
                    begun = True
                    await self._body(activation, fiber, conclusion)
        except asyncio.CancelledError:
            conclusion = Conclusion("cancelled", failure=self._cancelled(plan))
        except Exception as error:  # noqa: BLE001 - the one place where a run's end is made of what went wrong
            if isinstance(error, TimeoutError) and limit.expired():
                detail = f"the flow took longer than its limit of {plan.timeout:g} s"
                conclusion = Conclusion("timed_out", failure=self._failure("timeout", detail, plan))
            else:
                conclusion = self._ended_by(error, plan)
        await self._clean_up(activation, fiber, conclusion, begun=begun)
        return conclusion

    def _left(self, plan: Plan, fiber: Fiber) -> float | None:
        """Seconds that are left of the flow's own limit."""
        if plan.timeout is None or fiber.parent is not None:
            return plan.timeout
        return max(plan.timeout - self.spent, 0.0)

    async def _admitted(self, activation: Activation, fiber: Fiber, conclusion: Conclusion) -> bool:
        """Wait for the run's turn, where its flow bounds how many run at once; False when it is to be skipped."""
        plan, limits = self.plan, self.plan.concurrency
        if limits is None:
            return True
        key = self._concurrency_key(limits, activation, fiber)
        flow = (plan.folder, os.path.basename(plan.file), plan.flow, key)
        ticket, ahead = self.common.gates.arrive(flow, limits.limit, limits.on_conflict, self._give_way)
        if ticket is None:
            self._skip(limits, conclusion)
            return False
        self._ticket = ticket
        if ahead:
            self.queued = True
            if self.emit is not None:
                self.emit(RunQueued(self.run_id, self.clock.time(), plan.flow, ahead))
            try:
                await ticket.turn
            finally:
                self.queued = False
        return True

    def _concurrency_key(self, limits: Admission, activation: Activation, fiber: Fiber) -> Any:
        if limits.key is None:
            return None
        site = Site("concurrency", "concurrency", self.plan.file, limits.line, limits.column)
        return computed(limits.key, site, activation.frame, fiber)

    def _skip(self, limits: Admission, conclusion: Conclusion) -> None:
        conclusion.status = "skipped"
        conclusion.reason = f"{limits.limit} of its runs are under way, as many as `concurrency` allows"

    def _ended_by(self, error: Exception, plan: Plan) -> Conclusion:
        """The failure of a step; anything else that gets here is a defect of ours, and still no reason to leave
        connections open."""
        if isinstance(error, StepError):
            return Conclusion("failed", failure=error.failure)
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"raised at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
        failure = self._failure("internal", f"{type(error).__name__}: {error}", plan)
        failure = replace(failure, cause=cause_lines(error), notes=(DEFECT, where))
        return Conclusion("failed", failure=self.masker.value(failure))

    async def _body(self, activation: Activation, fiber: Fiber, conclusion: Conclusion) -> None:
        """The steps, then the outputs: the flow's own, or those that an `exit` gives."""
        ended = await run_block(activation.plan.steps, activation.frame, fiber)
        if ended is None:
            conclusion.outputs = activation.outputs(fiber)
            conclusion.status = "succeeded"
            return
        conclusion.ended = ended
        conclusion.outputs = ended.outputs or {}
        conclusion.status = "succeeded" if ended.status == "success" else "failed"

    async def _clean_up(self, activation: Activation, fiber: Fiber, conclusion: Conclusion, *, begun: bool) -> None:
        """`on_cancel`, `finally`, then the connections. A cancellation that was answered no longer stands in the
        way; another one cuts the part under way short."""
        conclusion.requests = fiber.absorb()
        self._ending = self._ending or fiber.parent is None
        fiber.attempt, fiber.retries = 1, False
        plan = activation.plan
        begun = begun and not self.abandoned
        if begun and conclusion.status == "cancelled":
            await self._grace("on_cancel", plan.on_cancel, activation, fiber, conclusion)
        if begun:
            await self._grace("finally", plan.finally_, activation, fiber, conclusion)
        try:
            await activation.close()
        except asyncio.CancelledError:
            conclusion.requests += fiber.absorb()

    async def _grace(
        self, name: str, steps: tuple[Step, ...], activation: Activation, fiber: Fiber, conclusion: Conclusion
    ) -> None:
        """Clean-up steps under their own limit. Their failure is told, but hides no earlier one."""
        if not steps:
            return
        outer, fiber.prefix = fiber.prefix, f"{fiber.prefix}{name}."
        try:
            cleaned = await clean_up(name, steps, activation.frame, fiber)
        except Exception as error:  # noqa: BLE001 - told, and no reason to leave connections open
            cleaned = Cleaned(self._ended_by(error, activation.plan).failure)
        finally:
            fiber.prefix = outer
        conclusion.requests += cleaned.requests
        problem = cleaned.failure
        if problem is None:
            return
        if conclusion.failure is not None:
            conclusion.failure = noted(conclusion.failure, name, problem)
            return
        conclusion.failure = problem
        if conclusion.status == "succeeded":
            conclusion.status = cleaned.status

    # ------------------------------------------------------------ subflows

    async def call_subflow(self, step: Subflow, arguments: Mapping[str, Any], fiber: Fiber) -> dict[str, Any]:
        """Run a subflow in this run's tree: its own frame and connections; clock, sinks and secrets are shared."""
        plan = step.plan
        inputs, findings = accept(plan, arguments)
        activation, inner = self._activate(plan, inputs, fiber, f"{fiber.prefix}{step.site.path}.")
        error_class = "validation"
        if not findings:
            try:
                activation.prepare(inner)
            except InvalidFlowError as error:
                findings, error_class = list(error.findings), "config"
        if findings:
            detail = "; ".join(each.message for each in findings)
            raise self._subflow_error(step, fiber, error_class, detail)
        conclusion = await self._conduct(activation, inner)
        if conclusion.requests:
            for note in conclusion.failure.notes if conclusion.failure is not None else ():
                self.aftermath(f"in `{fiber.prefix}{step.site.path}`: {note}")
            await inner.cancel_again(conclusion.requests)
        if conclusion.failure is not None:
            failure = conclusion.failure
            if failure.step is None:
                failure = replace(failure, step=fiber.prefix + step.site.path)
            raise StepError(failure)
        if conclusion.status != "succeeded":
            reason = conclusion.ended.reason if conclusion.ended is not None else None
            raise self._subflow_error(step, fiber, "task", reason or "it ended with `exit` and status failure")
        return conclusion.outputs

    def _subflow_error(self, step: Subflow, fiber: Fiber, error_class: str, detail: str) -> StepError:
        text = f"subflow `{step.plan.flow}`: {detail}"
        error = OperationError(Classified(error_class, False, None, False), None, detail=text)
        return step_error(error, step.site, fiber)

    # ------------------------------------------------------------ telling

    def aftermath(self, trouble: str) -> None:
        """Something went wrong while a cancellation passed by, which carries no failure of its own. It is logged, and
        told beside the failure of the run if it has one."""
        trouble = self.masker.text(trouble)
        self.logger.warning("%s", trouble)
        if len(self._aftermath) < MOST_NOTES:
            self._aftermath.append(trouble)

    def task_logger(self, path: str, given: Sequence[object] = ()) -> logging.LoggerAdapter[logging.Logger]:
        """For a task that is `given` secrets: what it writes is masked, and withheld where that cannot be."""
        return TaskLogger(self.run_id, path, self.masker.over(given))

    def _cancelled(self, plan: Plan) -> Failure:
        why = " by a newer run with the same `concurrency` key" if self._displaced else ""
        return self._failure("cancelled", f"the run was cancelled{why}", plan)

    def _failure(self, error_class: str, detail: str, plan: Plan) -> Failure:
        return Failure(error_class, detail, flow=plan.flow, file=plan.file)

    def _result(self, conclusion: Conclusion, duration: float) -> RunResult:
        ended = conclusion.ended
        secret = frozenset(each.name for each in self.plan.outputs if each.secret)
        if ended is not None:
            secret = ended.secret_outputs
        reason = ended.reason if ended is not None else conclusion.reason
        reason = self.masker.text(reason) if reason is not None else None
        if self.emit is not None:
            at, flow = self.clock.time(), self.plan.flow
            self.emit(RunFinished(self.run_id, at, flow, conclusion.status, duration, reason, conclusion.failure))
        return RunResult(
            run_id=self.run_id,
            flow=self.plan.flow,
            status=conclusion.status,
            outputs=conclusion.outputs if conclusion.status == "succeeded" or ended is not None else {},
            failure=conclusion.failure,
            reason=reason,
            started_at=self.started_at,
            duration=duration,
            secret_outputs=secret,
            masker=self.masker,
        )


def _load_tasks(path: str) -> Mapping[str, Callable[..., Any]]:
    from flowlang.tasks.userfiles import load_tasks

    return load_tasks(path)
