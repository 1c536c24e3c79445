"""The stage of one test: what its flow calls is answered by mocks and recordings, or really carried out, and noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flowlang.diagnostics import Diagnostic, Span
from flowlang.engine.clock import Clock
from flowlang.engine.failures import secrets_of
from flowlang.engine.fiber import Fiber
from flowlang.engine.operations import Bound, FunctionCall
from flowlang.exceptions import FlowExecutionError
from flowlang.masking import MASK
from flowlang.plan import Call, Operation, Subflow
from flowlang.tasks.spec import TaskSpec
from flowlang.tasks.stream import Batch, Stream
from flowlang.tasks.table import objects
from flowlang.tasks.values import Ident, Sql, without_marks
from flowlang.testing import codes
from flowlang.testing.model import Case, Mock, Reply, best_mock
from flowlang.testing.places import Place, untold
from flowlang.testing.tape import Tape
from flowlang.testing.values import FormulaError, computed
from flowlang.testing.virtual import VirtualLoop


@dataclass(slots=True)
class Made:
    """A call that the flow made. `inputs` are as a test sees them; `shown` the same with what is tainted masked."""

    path: str
    task: str
    inputs: Mapping[str, Any]
    shown: Mapping[str, Any]


class Stage:
    """`calls` are the calls made so far, in order; `problems` what makes the test fail whatever the run comes to."""

    def __init__(self, case: Case, places: Sequence[Place], loop: VirtualLoop, clock: Clock, tape: Tape) -> None:
        self.case = case
        self.calls: list[Made] = []
        self.problems: list[Diagnostic] = []
        self.tape = tape
        self.loop = loop
        self.clock = clock
        self._places = {each.path: each for each in places}
        self._used: dict[int, int] = {}  # of each mock, how often
        self._broken = False

    def fiber(self) -> type[Fiber]:
        """The fibers of this test's run."""
        stage = self

        class StagedFiber(Fiber):
            __slots__ = ()

            def do(self, path: str, operation: Bound, kwargs: dict[str, Any]) -> Awaitable[Any]:
                return stage.carry_out(self, path, operation, kwargs)

            def call(self, step: Subflow, arguments: Mapping[str, Any]) -> Awaitable[dict[str, Any]]:
                return stage.call(self, step, arguments)

        return StagedFiber

    # ------------------------------------------------------------ calls

    async def carry_out(self, fiber: Fiber, path: str, operation: Bound, kwargs: dict[str, Any]) -> Any:
        """A task: mocked, replayed, or done for real where the test says so."""
        place = self._places[untold(path)]
        assert isinstance(place.step, Call)
        assert place.operation is not None
        spec = place.operation.spec
        made = self._note(path, spec.name, kwargs, place.step.secret_arguments)
        mock = self._mock(path, spec.name)
        connection = place.connection
        recorded = mock.recorded if mock is not None else connection is not None and connection in self.case.recorded
        if recorded and not self.tape.recording:
            return await self._replayed(fiber, made, place.operation, operation, kwargs)
        if mock is not None and not recorded:
            return await self._mocked(fiber, made, mock, place.operation, operation, kwargs)
        if not recorded:
            await self._allow(fiber, path, spec.name, connection)
        return await self._real(fiber, made, place, operation, kwargs, record=recorded)

    async def call(self, fiber: Fiber, step: Subflow, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A subflow: mocked as a whole, or run."""
        path, name = fiber.prefix + step.site.path, step.plan.flow
        mock = self._mock(path, name)
        if mock is None:
            return await fiber.run.call_subflow(step, arguments, fiber)
        made = self._note(path, name, arguments, step.secret_arguments)
        standing_in = Operation(TaskSpec(name))
        outputs: dict[str, Any] = await self._mocked(fiber, made, mock, standing_in, None, dict(arguments))
        return outputs

    def _note(self, path: str, task: str, kwargs: Mapping[str, Any], secret: frozenset[str]) -> Made:
        inputs = plainly(kwargs)
        made = Made(path, task, inputs, hidden(kwargs, inputs, secret))
        self.calls.append(made)
        return made

    def _mock(self, path: str, task: str) -> Mock | None:
        return best_mock(self.case.mocks, path, task)

    # ------------------------------------------------------------ answers

    async def _mocked(
        self, fiber: Fiber, made: Made, mock: Mock, operation: Operation, bound: Bound | None, kwargs: dict[str, Any]
    ) -> Any:
        count = self._used[id(mock)] = self._used.get(id(mock), 0) + 1
        if mock.in_turn and count > len(mock.replies):
            answers = f"{len(mock.replies)} answer" if len(mock.replies) == 1 else f"{len(mock.replies)} answers"
            message = f"`{made.path}` called the mock `{mock.target.text}` once more than its {answers}"
            await self.fail(fiber, codes.USED_UP, message, mock.span)
        reply = mock.replies[count - 1 if mock.in_turn else 0]

        async def answer(**_: Any) -> Any:
            return await self._answer(fiber, reply, made, count)

        return await self._stand_in(fiber, made.path, operation, bound, kwargs, answer)

    async def _answer(self, fiber: Fiber, reply: Reply, made: Made, count: int) -> Any:
        if reply.delay:
            self.loop.call_soon(fiber.set_timer)  # a limit counts from now, not from the next look of the watch
            await asyncio.sleep(reply.delay)
        if reply.raises is not None:
            raises = reply.raises
            raise FlowExecutionError(
                raises.message,
                error_class=raises.type,
                retryable=raises.retryable,
                retry_after=raises.retry_after,
            )
        if reply.returns is None:
            return {}
        try:
            return computed(reply.returns, self.clock, [made.inputs, count])
        except FormulaError as error:
            return await self.fail(fiber, codes.EXPECTATION, f"the answer to `{made.path}`: {error}", error.span)

    async def _replayed(
        self, fiber: Fiber, made: Made, operation: Operation, bound: Bound, kwargs: dict[str, Any]
    ) -> Any:
        reply, problem = self.tape.replay(made.path, made.task, self._masked(fiber, made.shown))
        if reply is None:
            await self.fail(fiber, codes.RECORDING, problem, self.case.name.span, "run `flowlang test --record`")

        async def answer(**_: Any) -> Any:
            assert reply is not None
            return reply()

        return await self._stand_in(fiber, made.path, operation, bound, kwargs, answer)

    async def _stand_in(
        self, fiber: Fiber, path: str, operation: Operation, bound: Bound | None, kwargs: dict[str, Any], answer: Any
    ) -> Any:
        """`answer` in the place of a task, with the time limit and the classes of errors of the real one."""
        spec = replace(operation.spec, injects=frozenset(), is_async=True)
        slot = getattr(bound, "slot", None)
        given = await FunctionCall(replace(operation, spec=spec, function=answer), slot).call(fiber, path, kwargs)
        if not operation.spec.streams or not isinstance(given, Mapping):
            return given
        return {name: _streamed(fiber, each) if isinstance(each, list) else each for name, each in given.items()}

    async def _real(
        self, fiber: Fiber, made: Made, place: Place, bound: Bound, kwargs: dict[str, Any], *, record: bool
    ) -> Any:
        loop = self.loop
        assert isinstance(place.step, Call)
        inputs = self._masked(fiber, made.shown) if record else {}
        try:
            with loop.really():
                given = await bound.call(fiber, made.path, kwargs)
        except Exception as error:
            if record:
                masker = fiber.run.masker.over(secrets_of(place.step, kwargs))
                self.tape.failed(made.path, made.task, inputs, error, masker)
            raise
        for value in given.values() if isinstance(given, Mapping) else ():
            if isinstance(value, Stream):
                value.through(lambda source: _Watched(source, loop))
        if record:
            self.tape.record(made.path, made.task, inputs, given, fiber.run.masker, secret=place.step.secret_outputs)
        return given

    def _masked(self, fiber: Fiber, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        masked: Mapping[str, Any] = fiber.run.masker.value(inputs)
        return masked

    # ------------------------------------------------------------ what must not happen

    async def _allow(self, fiber: Fiber, path: str, task: str, connection: str | None) -> None:
        case = self.case
        if case.strict:
            message = f"step `{path}` ({task}) is not mocked, and the test is `strict`"
            await self.fail(
                fiber, codes.NOT_MOCKED, message, case.name.span, f"add `{path}: {{returns: …}}` to `mocks`"
            )
        if connection is None or connection in case.real:
            return
        message = f"step `{path}` ({task}) would use the connection `{connection}` for real"
        help_ = f"mock it, or allow the connection: `real: [{connection}]`"
        await self.fail(fiber, codes.NOT_MOCKED, message, case.name.span, help_)

    async def fail(self, fiber: Fiber, code: str, message: str, span: Span, help_: str | None = None) -> Any:
        """The test has failed: the run is cancelled, and whatever it still calls while it cleans up fails."""
        if self._broken:
            raise FlowExecutionError("the test has failed already", error_class="cancelled", retryable=False)
        self._broken = True
        self.problems.append(Diagnostic(code, fiber.run.masker.text(message), span, suggestion=help_))
        fiber.run.cancel()
        await self.loop.create_future()

    def idle(self) -> list[Mock]:
        """The mocks that should have been used and were not."""
        return [each for each in self.case.mocks if not each.may_be_idle and not self._calls_of(each)]

    def _calls_of(self, mock: Mock) -> bool:
        return any(self._mock(each.path, each.task) is mock for each in self.calls)


# ---------------------------------------------------------------- values


def plainly(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call as a test sees them: a statement is its text, with `?` for each value that is bound, and
    the values are its `params`; a query is as it reads."""
    found: dict[str, Any] = {}
    for name, value in kwargs.items():
        if isinstance(value, Sql):
            found[name] = "?".join(value.texts)
            if value.values and not kwargs.get("params"):
                found["params"] = [str(each) if isinstance(each, Ident) else each for each in value.values]
        elif name != "params" or name not in found:
            found[name] = str(value) if isinstance(value, Ident) else objects(without_marks(value))
    return found


def hidden(kwargs: Mapping[str, Any], inputs: Mapping[str, Any], secret: frozenset[str]) -> dict[str, Any]:
    """`inputs`, which are `kwargs` plainly, as they may be shown. Of a statement the text stays: it is the flow's own,
    and a recording has to notice that it changed. Its values do not."""
    shown = {name: MASK if name in secret else value for name, value in inputs.items()}
    for name in secret:
        value = kwargs.get(name)
        if isinstance(value, Sql):
            shown[name] = inputs[name]
            if value.values and not kwargs.get("params"):
                shown["params"] = [MASK] * len(value.values)
    return shown


def _streamed(fiber: Fiber, rows: list[Any]) -> Stream:
    """A mocked stream. It ends with the block that opened it, as a real one does."""

    async def source() -> AsyncIterator[list[Any]]:
        if rows:
            yield rows

    stream = Stream(source())
    fiber.hold(stream)
    return stream


class _Watched:
    """The source of a real stream: time does not jump while a batch is on its way."""

    def __init__(self, source: AsyncIterator[Batch], loop: VirtualLoop) -> None:
        self._source = source
        self._loop = loop

    def __aiter__(self) -> _Watched:
        return self

    async def __anext__(self) -> Batch:
        with self._loop.really():
            return await anext(self._source)

    async def aclose(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            with self._loop.really():
                await close()
