"""Runs one test: its flow in a loop whose time jumps, on a stage of mocks and recordings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowlang import api
from flowlang.diagnostics import Diagnostic
from flowlang.engine.common import Common
from flowlang.engine.result import RunResult
from flowlang.events import Event, StepStarted
from flowlang.exceptions import Failure, InvalidFlowError
from flowlang.masking import Masker
from flowlang.records import frozen
from flowlang.testing import codes
from flowlang.testing.model import Case, Suite
from flowlang.testing.recording import Recorded
from flowlang.testing.stage import Stage
from flowlang.testing.staged import needs, staged
from flowlang.testing.tape import Tape
from flowlang.testing.values import FormulaError, computed
from flowlang.testing.verdict import verdict
from flowlang.testing.virtual import VirtualClock, VirtualLoop


@frozen
class Outcome:
    """How one test ended. `problems` are why it failed, none when it passed; all texts are masked.

    `duration` is how long the run took by its own clock, `seconds` how long the test took, both in seconds.
    """

    file: str
    name: str
    line: int
    flow: str
    problems: tuple[Diagnostic, ...] = ()
    failure: Failure | None = None
    status: str | None = None
    duration: float = 0.0
    seconds: float = 0.0
    events: tuple[Event, ...] = ()
    recorded: tuple[Recorded, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.problems


@frozen
class Options:
    """What all tests of a call share. `recording`: make recordings anew."""

    recording: bool = False
    files_root: str | None = None
    registry: Any = None


def run_case(suite: Suite, case: Case, recorded: Sequence[Recorded] | None, options: Options) -> Outcome:
    """One test, from its inputs to its outcome. It needs a thread without a running event loop."""
    began = time.perf_counter()
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        outcome = runner.run(_Trial(suite, case, recorded, options).play())
    return replace(outcome, seconds=time.perf_counter() - began)


class _Trial:
    """One test while it runs."""

    def __init__(self, suite: Suite, case: Case, recorded: Sequence[Recorded] | None, options: Options) -> None:
        self.suite = suite
        self.case = case
        self.options = options
        self.tape = Tape(recorded, recording=options.recording)
        self.events: list[Event] = []
        self.masker = Masker(suite.secrets)
        self.task: asyncio.Task[Any] | None = None

    async def play(self) -> Outcome:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.task = asyncio.current_task()
        case, suite = self.case, self.suite
        clock = VirtualClock(loop, case.now, case.seed)
        stage = Stage(case, suite.places, loop, clock, self.tape)
        try:
            result = await self._run(loop, clock, stage)
        except FormulaError as error:
            found = Diagnostic(codes.EXPECTATION, f"an input cannot be computed: {error}", error.span)
            return self._outcome([found], None)
        problems = stage.problems or [*self._judged(result, stage, clock), *self._left_over(stage)]
        return self._outcome(problems, result)

    async def _run(self, loop: VirtualLoop, clock: VirtualClock, stage: Stage) -> RunResult:
        case, suite, options = self.case, self.suite, self.options
        plan = suite.checked.plan
        assert plan is not None
        inputs = {name: computed(formula, clock) for name, formula in case.inputs.items()}
        needed = needs(case, suite.places, recording=options.recording)
        plan = staged(plan, needed, loop)
        env, secrets = self._surroundings(any(needed(each.plan, connection) for each in suite.places
                                              for connection in each.plan.connections))  # fmt: skip
        try:
            handle = api.start(
                api.Flow(replace(suite.checked, plan=plan)),
                inputs,
                env=env,
                secrets=secrets,
                on_event=self.events.append,
                files_root=options.files_root,
                registry=options.registry,
                clock=clock,
                run_id=str(clock.uuid()),
                fiber_type=stage.fiber(),
                common=Common(),
            )
        except InvalidFlowError as error:
            return api.invalid(error.findings, plan.flow)
        self.masker = handle.masker
        for each in suite.secrets:
            self.masker.add(each)
        for signal in case.signals:
            payload = computed(signal.payload, clock) if signal.payload is not None else None
            loop.call_later(signal.at, handle.signal, signal.name, payload)
        if case.cancel_at is not None:
            loop.call_later(case.cancel_at, handle.cancel)
        loop.on_stuck = _Stuck(self, stage, handle)
        try:
            return await handle
        except InvalidFlowError as error:
            return api.invalid(error.findings, plan.flow)
        finally:
            loop.on_stuck = None

    def _surroundings(self, real: bool) -> tuple[Mapping[str, str], dict[str, str]]:
        """The environment and the secrets: those of the test before those that `run` would take. When nothing is done
        for real, whatever is not set anywhere holds its own name."""
        import os

        from flowlang import secretstore

        plan = self.suite.checked.plan
        assert plan is not None
        env = {**os.environ, **self.case.env}
        secrets = dict(self.case.secrets)
        if not real:
            _, missing = secretstore.resolve(plan.secret_names, secrets, env)
            secrets |= {name: f"secret {name}" for name in missing}
            env = {**{name: name for name in plan.env_names}, **env}
        return env, secrets

    # ------------------------------------------------------------ judging

    def _judged(self, result: RunResult, stage: Stage, clock: VirtualClock) -> list[Diagnostic]:
        if result.status == "invalid" and self.case.expect.status.text != "invalid":
            notes = tuple(f"{each.span}: {each.message}" for each in result.findings)
            help_ = result.findings[0].suggestion if result.findings else None
            refused = "the run was refused before it began"
            return [Diagnostic(codes.REFUSED, refused, self.case.name.span, notes=notes, suggestion=help_)]
        return list(verdict(self.case.expect, result, self.events, stage.calls, clock))

    def _left_over(self, stage: Stage) -> list[Diagnostic]:
        problems = [
            Diagnostic(
                codes.IDLE_MOCK,
                f"nothing called the mock `{each.target.text}`",
                each.span,
                suggestion="remove it, or say `may_be_idle: true`",
            )
            for each in stage.idle()
        ]
        span = self.case.name.span
        return problems + [Diagnostic(codes.RECORDING, each, span) for each in self.tape.problems]

    def _outcome(self, problems: Sequence[Diagnostic], result: RunResult | None) -> Outcome:
        case, suite = self.case, self.suite
        masked = tuple(replace(each, message=self.masker.text(each.message),
                               notes=tuple(map(self.masker.text, each.notes))) for each in problems)  # fmt: skip
        recorded: tuple[Recorded, ...] = ()
        if self.options.recording:
            recorded = self.tape.recorded([each.path for each in suite.places])
        return Outcome(
            file=suite.file,
            name=case.name.text,
            line=case.name.span.start.line,
            flow=suite.checked.file,
            problems=masked,
            failure=result.failure if result is not None and problems else None,
            status=result.status if result is not None else None,
            duration=result.duration if result is not None else 0.0,
            events=tuple(self.events),
            recorded=recorded,
        )


class _Stuck:
    """Ends a run that waits for what never comes. What it does to clean up may be stuck in its turn."""

    def __init__(self, trial: _Trial, stage: Stage, handle: api.RunHandle) -> None:
        self._trial = trial
        self._stage = stage
        self._handle = handle
        self._times = 0

    def __call__(self) -> None:
        self._times += 1
        if self._times == 1:
            if not self._stage.problems:
                self._stage.problems.append(self._finding())
            self._handle.cancel()
            return
        for task in asyncio.all_tasks(asyncio.get_running_loop()) - {self._trial.task}:
            task.cancel()

    def _finding(self) -> Diagnostic:
        begun: dict[str, None] = {}
        for each in self._trial.events:
            path = getattr(each, "path", None)
            if isinstance(each, StepStarted):
                begun[each.path] = None
            elif type(each).__name__ in ("StepSucceeded", "StepFailed", "StepCancelled"):
                begun.pop(str(path), None)
        where = f" in step `{list(begun)[-1]}`" if begun else ""
        message = f"the flow waits{where} for something that never comes"
        return Diagnostic(codes.STUCK, message, self._trial.case.name.span)
