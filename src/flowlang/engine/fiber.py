"""A fiber: one line of execution of a run, which is one asyncio task.

A run begins with one; each parallel branch gets its own. It carries what changes along the way (the path so
far, the attempt, the clock of the current operation) while frames carry the values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowlang.engine.failures import OperationError, secrets_of, words
from flowlang.masking import WITHHELD
from flowlang.plan import Call, Frame, Subflow, Transaction, Wait
from flowlang.tasks.context import Context
from flowlang.tasks.stream import Stream

if TYPE_CHECKING:
    from flowlang.connections.lifecycle import ConnectionSlot
    from flowlang.engine.activation import Activation
    from flowlang.engine.operations import Bound
    from flowlang.engine.run import Run
    from flowlang.engine.shared import Shared
    from flowlang.engine.steps import Ended, Runner


class _Mark:
    """Stands in `Fiber.timer` where there is no timer."""

    __slots__ = ()

    def cancel(self) -> None:
        pass


_EXPIRED = _Mark()  # the limit has passed, and the task has been asked to stop
_WAITED = _Mark()  # the operation has no limit, but it waits: its end deserves a second look

TICK = 0.01  # seconds between two looks at what is waiting
_EXACT = 0.2  # seconds; a limit below this is not left to the next look


class Watch:
    """Arms the time limits of the operations of one run that really wait.

    Most operations answer at once, and a timer for each would cost more than the step. So an operation only
    notes its `limit` on its fiber. A look every `TICK`, while there is something to look at, arms a timer for each
    operation that was under way at the look before and still is. Such a one has waited for a tick at least, which
    counts; it may have waited for two, so that a limit may pass up to a tick late.
    """

    __slots__ = ("handle", "loop", "seen", "waiting")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiting: list[Fiber] = []  # with an operation that began since the last look
        self.seen: list[Fiber] = []  # those of the look before
        self.handle: asyncio.TimerHandle | None = None

    def add(self, fiber: Fiber) -> None:
        fiber.watched = True
        self.waiting.append(fiber)
        if self.handle is None:
            self.handle = self.loop.call_later(TICK, self.look)
        if 0.0 < fiber.limit < _EXACT:
            self.loop.call_soon(fiber.set_timer)

    def look(self) -> None:
        seen, self.seen, self.waiting = self.seen, self.waiting, []
        for fiber in seen:
            if not fiber.watched:  # no other operation has begun since
                fiber.set_timer(waited=TICK)
        for fiber in self.seen:
            fiber.watched = False
        self.handle = self.loop.call_later(TICK, self.look) if self.seen else None

    def close(self) -> None:
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None
        self.waiting.clear()
        self.seen.clear()


class Fiber:
    """The state of one line of execution. `limit` is that of the operation under way (seconds, 0 for none), see
    `Watch`; `timer` is None while nothing is armed. `settled` is how many requests to cancel its task had when the
    fiber began: one more, and somebody wants it to stop."""

    __slots__ = (
        "activation",
        "attempt",
        "idempotency_key",
        "limit",
        "parent",
        "prefix",
        "retries",
        "run",
        "settled",
        "started",
        "step",
        "streams",
        "task",
        "timeout",
        "timer",
        "transaction",
        "watched",
    )

    step: Call  # the operation under way, once there is one

    def __init__(
        self,
        run: Run,
        activation: Activation,
        prefix: str = "",
        parent: Fiber | None = None,
        task: asyncio.Task[Any] | None = None,
    ) -> None:
        self.run = run
        self.activation = activation
        self.prefix = prefix
        self.parent = parent
        self.attempt = 1
        self.idempotency_key: str | None = None  # of the step under way, when it has one of its own
        self.retries = False  # whether the step under way has a retry policy of its own
        self.streams: Sequence[Stream] = ()
        self.transaction: Shared | None = None  # the innermost that was begun here
        self.task = task
        self.settled = task.cancelling() if task is not None else 0
        self.watched = False
        self.timeout = 0.0  # of the step under way, for one attempt
        self.limit = 0.0
        self.timer: asyncio.TimerHandle | _Mark | None = None

    # ------------------------------------------------------------ the seam

    def do(self, path: str, operation: Bound, kwargs: dict[str, Any]) -> Awaitable[Any]:
        """Carry out `operation` for the step at `path`. A durable run replaces this, and only this; a test may."""
        return operation.call(self, path, kwargs)

    def call(self, step: Subflow, arguments: Mapping[str, Any]) -> Awaitable[dict[str, Any]]:
        """The outputs of the subflow that `step` calls. A test may replace this."""
        return self.run.call_subflow(step, arguments, self)

    async def transact(self, step: Transaction, frame: Frame, runner: Runner) -> Ended | None:
        """Run a transaction with `runner`."""
        return await runner(step, frame, self)

    async def committing(self, step: Transaction, frame: Frame) -> None:
        """The innermost transaction is about to be committed."""

    async def pause(self, path: str, seconds: float) -> None:
        """Wait between two attempts of the step at `path`, or between two turns of it."""
        await self.run.clock.sleep(seconds)

    async def sleep(self, step: Wait, seconds: float) -> None:
        """The `wait` of a step."""
        from flowlang.engine.waiting import tell

        tell(step, self, seconds, None)
        await self.run.clock.sleep(seconds)

    async def receive(self, step: Wait, name: str) -> Any:
        """The payload of the signal that `step` waits for."""
        from flowlang.engine.waiting import received

        return await received(step, name, self)

    def read(self, kind: str, position: int) -> Any:
        """`now`, `uuid` or `random` for an expression; `position` tells several in one step apart."""
        clock = self.run.clock
        if kind == "now":
            return clock.now()
        return clock.uuid() if kind == "uuid" else clock.random()

    def context(self, path: str, arguments: Mapping[str, Any]) -> Context:
        """For a task that is called with `arguments`."""
        run = self.run
        return Context(
            run_id=run.run_id,
            flow=self.activation.plan.flow,
            step=path,
            attempt=self.attempt,
            idempotency_key=self.idempotency_key or f"{run.run_id}:{path}",
            logger=run.task_logger(path, secrets_of(self.step, arguments)),
        )

    # ------------------------------------------------------------ the limit of the current operation

    def set_timer(self, waited: float = 0.0) -> None:
        """Called from the event loop: whatever is under way is waiting, and has been for `waited` seconds."""
        if self.timer is not None and self.timer is not _WAITED:
            return
        if self.limit:
            loop = self.run.watch.loop
            self.started: float = loop.time() - waited
            self.timer = loop.call_at(self.started + self.limit, self._expire)
        else:
            self.timer = _WAITED

    def _expire(self) -> None:
        assert self.task is not None
        if not self.cancelled:  # otherwise it is on its way out already, and that is not our doing
            self.timer = _EXPIRED
            self.task.cancel()

    def next_phase(self, limit: float, *, fresh: bool = False) -> None:
        """Another limit for what follows in the same operation. Time already waited counts, unless `fresh`."""
        timer, self.timer = self.timer, None
        if timer is None or timer is _WAITED:
            self.limit = limit
        else:
            self._stop(timer)
            waited = 0.0 if fresh else self.run.watch.loop.time() - self.started
            self.limit = max(limit - waited, 0.001) if limit else 0.0
        if not self.watched:
            self.run.watch.add(self)

    def disarm(self) -> None:
        """The operation is over, and it has waited. A cancellation that it swallowed goes on here."""
        self.limit = 0.0
        timer, self.timer = self.timer, None
        if timer is not None:
            self._stop(timer)
        if self.cancelled:
            raise asyncio.CancelledError

    def expired(self) -> bool:
        """Whether the operation, which has failed, was stopped by its limit and by nothing else. Ends it."""
        self.limit = 0.0
        timer, self.timer = self.timer, None
        if timer is None:
            return False
        self._stop(timer)
        return timer is _EXPIRED and not self.cancelled

    @property
    def late(self) -> bool:
        """Whether the limit of the operation under way has run out."""
        return self.timer is _EXPIRED

    def _stop(self, timer: asyncio.TimerHandle | _Mark) -> None:
        if timer is _EXPIRED:
            assert self.task is not None
            self.task.uncancel()  # our own request
        else:
            timer.cancel()

    # ------------------------------------------------------------ cancellation

    @property
    def cancelled(self) -> bool:
        """Whether somebody has asked this fiber's task to stop, and is still waiting for it."""
        return self.task is not None and self.task.cancelling() > self.settled

    def absorb(self) -> int:
        """Take the requests to stop back, so that what cleans up can wait. Returns how many there were."""
        requests = 0
        while self.task is not None and self.cancelled:
            self.task.uncancel()
            requests += 1
        return requests

    async def cancel_again(self, requests: int) -> None:
        """Raise the cancellation that was absorbed, with the requests it came with."""
        assert self.task is not None
        for _ in range(requests):
            self.task.cancel()
        await asyncio.sleep(0)

    # ------------------------------------------------------------ streams

    def hold(self, stream: Stream) -> None:
        """Take over a stream that was opened; the end of its block closes it."""
        self.streams = [*self.streams, stream]

    async def close_streams(self, keep: int) -> None:
        """Close the streams that a block opened and did not use up; `keep` were open before it."""
        interrupted = False
        streams = self.streams
        while isinstance(streams, list) and len(streams) > keep:
            try:
                await streams.pop().aclose()
            except asyncio.CancelledError:
                interrupted = interrupted or self.cancelled
            except Exception as error:  # noqa: BLE001 - trouble beside the flow's business, which has its own end
                self.run.logger.warning("a stream could not be closed: %s", self._told(error))
        if interrupted:
            raise asyncio.CancelledError

    def _told(self, error: Exception) -> str:
        """What a stream that could not be closed said, fit to be shown."""
        given = error.given if isinstance(error, OperationError) else ()
        masker = self.run.masker.over(given)
        cause = error.__cause__ if isinstance(error, OperationError) and error.__cause__ is not None else error
        return WITHHELD if masker is None else masker.text(f"{type(cause).__name__}: {words(cause)}")

    def transaction_on(self, slot: ConnectionSlot) -> Shared:
        """The transaction around the step under way on the connection `slot`: the check says that there is one."""
        fiber: Fiber | None = self
        while fiber is not None:
            shared = fiber.transaction
            while shared is not None and shared.slot is not slot:
                shared = shared.outer
            if shared is not None:
                return shared
            fiber = fiber.parent
        raise AssertionError(f"no transaction on `{slot.name}` around this step")

    def lineage(self) -> set[int]:
        """The identities of this fiber and of those that wait for it."""
        found: set[int] = set()
        fiber: Fiber | None = self
        while fiber is not None:
            found.add(id(fiber))
            fiber = fiber.parent
        return found
