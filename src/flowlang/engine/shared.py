"""The handle that a `transaction` shares: one task at a time works on it, and what breaks it ends the transaction.

The steps inside call their tasks by `SharedCall` and `SharedStream`; `transactions` begins and ends what they share.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from flowlang.connections.errors import Classified
from flowlang.connections.lifecycle import ConnectionSlot, Live
from flowlang.engine.failures import OperationError, secrets_of
from flowlang.engine.fiber import Fiber
from flowlang.engine.leases import Lease
from flowlang.engine.operations import UNLEASED, Bound, awaitable, failure_of, is_broken, original
from flowlang.engine.streams import DONE, Rest, StreamCall, undone
from flowlang.plan import Operation
from flowlang.tasks.stream import Stream

_USING: ContextVar[Shared | None] = ContextVar("_USING", default=None)


class Shared:
    """The handle of an open transaction. `lost` is what broke it: then nothing more can be done on it, or kept."""

    def __init__(self, slot: ConnectionSlot, live: Live, connection: Any) -> None:
        self.slot = slot
        self.live = live
        self.connection = connection
        self.context: AbstractAsyncContextManager[None] = live.plugin.transaction(connection)
        self.lease: Lease | None = None  # while somebody listens to leases
        self.outer: Shared | None = None  # the transaction around this one, on another connection
        self.lost: Classified | None = None
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Use the handle alone. A task that reads a stream of the same handle has its turn already."""
        if _USING.get() is self:
            yield
            return
        async with self._lock:
            token = _USING.set(self)
            try:
                yield
            finally:
                _USING.reset(token)

    async def give_back(self, *, broken: bool) -> None:
        await self.slot.give_back(self.live, self.connection, broken=broken)
        if self.lease is not None:
            self.lease.returned()

    def check(self) -> None:
        """Raises when the handle broke earlier."""
        if self.lost is not None:
            detail = f"the transaction on `{self.slot.name}` is lost: its handle broke in an earlier step"
            raise OperationError(Classified("connection_lost", False), self.slot.name, detail=detail)

    def noted(self, failed: BaseException) -> BaseException:
        """What an operation raises, after `failed`. One that broke the handle is not repeated on it."""
        if not is_broken(failed) or self.lost is not None:
            return failed
        known = failed.classified if isinstance(failed, OperationError) else Classified("cancelled", False)
        self.lost = known
        if isinstance(failed, OperationError):
            failed.classified = replace(known, retryable=False)
            failed.notes = (*failed.notes, "the transaction around it cannot go on: its handle is given up")
        return failed


# ---------------------------------------------------------------- the operations inside


class SharedCall(Bound):
    """A task on the handle of the transaction around it."""

    __slots__ = ("function", "name", "slot", "wants_context")

    def __init__(self, operation: Operation, slot: ConnectionSlot) -> None:
        self.slot = slot
        self.name = operation.spec.name
        self.function = awaitable(operation)
        self.wants_context = "context" in operation.spec.injects

    async def call(self, fiber: Fiber, path: str, kwargs: dict[str, Any]) -> Any:
        shared = fiber.transaction_on(self.slot)
        if self.wants_context:
            kwargs = {**kwargs, "context": fiber.context(path, kwargs)}
        function = self.task(shared.live)
        async with _operation(fiber, shared):
            return await function(**kwargs, connection=shared.connection)

    def task(self, live: Live) -> Callable[..., Any]:
        """What is called, with the arguments and the handle."""
        return self.function or live.tasks[self.name]


class SharedStream(StreamCall):
    """A task that yields batches from the handle of the transaction around it. It ends with the block, and leaves the
    handle where it is."""

    __slots__ = ()

    async def call(self, fiber: Fiber, path: str, kwargs: dict[str, Any]) -> Any:
        assert self.slot is not None
        shared = fiber.transaction_on(self.slot)
        if self.wants_context:
            kwargs = {**kwargs, "context": fiber.context(path, kwargs)}
        async with _operation(fiber, shared):
            source = _InTurn(aiter(self.task(shared.live)(**kwargs, connection=shared.connection)), shared)
            try:
                first = await source.next()
            except Exception:
                await undone(self.slot, None, UNLEASED, source, broken=False)
                raise
        rest = Rest(self.name, first, source, self.slot, secrets_of(fiber.step, kwargs))

        async def closed(error: BaseException | None) -> None:
            if error is not None:
                shared.noted(rest.failure(error))

        stream = Stream(rest, closed)
        fiber.hold(stream)
        return {self.output: stream}


class _InTurn:
    """A source of batches that uses the handle only in its turn."""

    def __init__(self, source: AsyncIterator[Any], shared: Shared) -> None:
        self._source = source
        self._shared = shared

    def __aiter__(self) -> _InTurn:
        return self

    async def next(self) -> Any:
        async with self._shared.turn():
            self._shared.check()
            return await anext(self._source, DONE)

    async def __anext__(self) -> Any:
        batch = await self.next()
        if batch is DONE:
            raise StopAsyncIteration
        return batch

    async def aclose(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            async with self._shared.turn():
                await close()


@asynccontextmanager
async def _operation(fiber: Fiber, shared: Shared) -> AsyncIterator[None]:
    """Around an operation on the handle: its turn, its limit, and what its failure does to the transaction."""
    fiber.limit = fiber.timeout
    if not fiber.watched:
        fiber.run.watch.add(fiber)
    waiting = True
    try:
        async with shared.turn():
            shared.check()
            waiting = False
            yield
    except BaseException as error:
        failed = failure_of(error, fiber, shared.live, shared.slot)
        if not waiting:
            failed = shared.noted(failed)
        elif isinstance(failed, OperationError) and failed.classified.error_class == "timeout":
            detail = f"the handle of the transaction on `{shared.slot.name}` did not come free in time"
            failed = OperationError(Classified("timeout", True), shared.slot.name, detail=detail)
        if failed is error:
            raise
        raise failed from original(error)
    fiber.limit = 0.0
    if fiber.timer is not None:
        fiber.disarm()
