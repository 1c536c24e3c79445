"""`wait`: for a while, until a time, or for a signal from outside."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from flowlang.connections.errors import Classified
from flowlang.engine.activation import cancel_all
from flowlang.engine.clock import Clock
from flowlang.engine.failures import OperationError, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.steps import evaluate
from flowlang.events import StepWaiting
from flowlang.expressions.types import type_of
from flowlang.plan import Evaluator, Frame, Wait


class Signals:
    """The signals of one run. Each that is sent satisfies one `wait`; one that nobody waits for is kept until
    somebody does, and those who wait for the same are served in the order in which they came."""

    __slots__ = ("_kept", "_waiting")

    def __init__(self) -> None:
        self._kept: dict[str, deque[Any]] = {}
        self._waiting: dict[str, deque[asyncio.Future[Any]]] = {}

    def send(self, name: str, payload: Any) -> None:
        waiting = self._waiting.get(name)
        while waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(payload)
                return
        self._kept.setdefault(name, deque()).append(payload)

    def receive(self, name: str) -> asyncio.Future[Any]:
        """The next payload of `name`. Whoever gives up waiting hands the future to `give_up`."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        kept = self._kept.get(name)
        if kept:
            future.set_result(kept.popleft())
        else:
            self._waiting.setdefault(name, deque()).append(future)
        return future

    def give_up(self, name: str, future: asyncio.Future[Any]) -> None:
        """Nobody waits for `future` any more; what it got meanwhile is there for the next."""
        if future.done() and not future.cancelled():
            self._kept.setdefault(name, deque()).appendleft(future.result())
        elif future in self._waiting.get(name, ()):
            self._waiting[name].remove(future)


async def run_wait(step: Wait, frame: Frame, fiber: Fiber) -> None:
    if step.signal is not None:
        frame[step.slot] = {"payload": await fiber.receive(step, step.signal)}
        return
    if step.duration is not None:
        seconds = _seconds(step, step.duration, frame, fiber)
    else:
        assert step.until is not None
        seconds = _left(step, step.until, frame, fiber)
    if seconds > 0:
        await fiber.sleep(step, seconds)


def tell(step: Wait, fiber: Fiber, seconds: float | None, signal: str | None) -> None:
    run = fiber.run
    if run.emit is not None:
        now = run.clock.time()
        until = None if seconds is None else now + seconds
        run.emit(StepWaiting(run.run_id, now, fiber.prefix + step.site.path, until, signal))


def _seconds(step: Wait, evaluator: Evaluator, frame: Frame, fiber: Fiber) -> float:
    value = evaluate(evaluator, step, frame, fiber)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) and value == value:
        return float(value)
    raise _refused(step, fiber, f"`wait` takes a duration or a number of seconds, not {type_of(value)}")


def _left(step: Wait, evaluator: Evaluator, frame: Frame, fiber: Fiber) -> float:
    """Seconds until a time of day; a time without a zone is meant in UTC."""
    value = evaluate(evaluator, step, frame, fiber)
    if not isinstance(value, datetime):
        raise _refused(step, fiber, f"`until` takes a timestamp, not {type_of(value)}")
    moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return (moment - fiber.run.clock.now()).total_seconds()


def _refused(step: Wait, fiber: Fiber, detail: str) -> Exception:
    return step_error(OperationError(Classified("validation", False), None, detail=detail), step.site, fiber)


async def received(step: Wait, name: str, fiber: Fiber) -> Any:
    """The payload of the next signal of that name, sent to this run in this process."""
    signals = fiber.run.signals
    future = signals.receive(name)
    if not future.done():
        tell(step, fiber, step.timeout, name)
        try:
            await _done_within(future, step.timeout, fiber.run.clock)
        except BaseException:
            signals.give_up(name, future)
            raise
    if future.done():
        return future.result()
    signals.give_up(name, future)
    detail = f"no signal `{name}` came within {step.timeout:g} s"
    raise step_error(OperationError(Classified("timeout", True), None, detail=detail), step.site, fiber)


async def _done_within(future: asyncio.Future[Any], seconds: float | None, clock: Clock) -> None:
    """Wait for `future`, at most so long by the clock of the run."""
    if seconds is None:
        await asyncio.wait((future,))
        return
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((future, timer), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_all((timer,))
