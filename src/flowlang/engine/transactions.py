"""`transaction`: one leased handle for all steps inside on its connection, committed or rolled back at the end.

lease → begin → steps (one at a time on the handle) → commit → release
                      └─ failure, cancellation, exit with failure → roll back → release, or discard
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from flowlang.connections.errors import Classified
from flowlang.connections.lifecycle import RELEASE_TIMEOUT, ConnectionSlot, Live, uninterrupted
from flowlang.engine.failures import OperationError, secrets_of, step_error
from flowlang.engine.fiber import Fiber
from flowlang.engine.leases import Lease
from flowlang.engine.operations import (
    UNLEASED,
    Bound,
    awaitable,
    failure_of,
    is_broken,
    opened,
    original,
    unstarved,
)
from flowlang.engine.steps import Ended, run_block
from flowlang.engine.streams import DONE, Rest, StreamCall, undone
from flowlang.exceptions import StepError
from flowlang.plan import Frame, Operation, Transaction
from flowlang.tasks.stream import Stream

_LOST_TIMEOUT = 1.0  # seconds to roll back on a handle that is broken
_UNSURE = frozenset({"connection_lost", "timeout"})
_USING: ContextVar[Shared | None] = ContextVar("_USING", default=None)


class RolledBack(Exception):
    """Leaves a transaction that is not to be kept though nothing has failed."""


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


# ---------------------------------------------------------------- the block


async def run_transaction(step: Transaction, frame: Frame, fiber: Fiber) -> Ended | None:
    if step.exactly_once:
        from flowlang.engine.exactly_once import run_once

        return await run_once(step, frame, fiber)
    return await carried(step, frame, fiber, await begun(step, fiber))


async def begun(step: Transaction, fiber: Fiber) -> Shared:
    """A transaction for `step`. Raises StepError."""
    slot = fiber.activation.slots[step.connection]
    try:
        return await _begin(slot, fiber.prefix + step.site.path, fiber, once=step.once)
    except OperationError as error:
        raise step_error(error, step.site, fiber) from error.__cause__


async def carried(
    step: Transaction, frame: Frame, fiber: Fiber, shared: Shared, finish: Callable[[], Awaitable[None]] | None = None
) -> Ended | None:
    """The block in a transaction that was begun, to its end. `finish` is done in it when it is to be committed."""
    slot, outer = shared.slot, fiber.transaction
    shared.outer, fiber.transaction = outer, shared
    kept = (id(fiber), shared.live)
    if shared.live.owner is not slot:
        slot.holders.append(kept)
    try:
        ended = await run_block(step.body, frame, fiber)
        if ended is None or ended.status != "failure":
            if finish is not None and shared.lost is None:
                await finish()
            await fiber.committing(step, frame)
    except GeneratorExit:
        raise  # the event loop is gone: nothing can be awaited any more
    except BaseException as error:
        await uninterrupted(rolled_back(shared, error))
        if isinstance(error, StepError):
            raise _undone(error, shared, fiber) from error.__cause__
        raise
    finally:
        fiber.transaction = outer
        if shared.live.owner is not slot:
            slot.holders.remove(kept)
    if ended is not None and ended.status == "failure":
        await uninterrupted(rolled_back(shared, RolledBack()))
        return ended
    try:
        await _commit(shared, fiber)
    except OperationError as error:
        given = fiber.activation.given(slot.name)
        raise step_error(error, step.site, fiber, given=given) from error.__cause__
    return ended


async def _begin(slot: ConnectionSlot, path: str, fiber: Fiber, *, once: bool) -> Shared:
    """Lease a handle, and begin on it. `once`: with the table of `exactly_once` at hand."""
    fiber.timeout = 0.0
    live = slot.live or await opened(slot, fiber, path)
    if slot.holders:
        live = await unstarved(slot, live, fiber, path)
    fiber.limit = slot.acquire_timeout
    if not fiber.watched:
        fiber.run.watch.add(fiber)
    connection, shared = UNLEASED, None
    lease = Lease(fiber.run, path, slot) if fiber.run.detail is not None else None
    try:
        connection = await live.get()
        live.leases += 1
        if lease is not None:
            lease.taken(live)
        fiber.next_phase(0.0)
        if once:
            from flowlang.engine.exactly_once import prepare

            await prepare(slot, live, connection)
        begun = Shared(slot, live, connection)
        begun.lease = lease
        await begun.context.__aenter__()
        shared = begun
        fiber.limit = 0.0
        if fiber.timer is not None:
            fiber.disarm()
    except BaseException as error:
        failed = failure_of(error, fiber, live, slot, acquiring=connection is UNLEASED)
        if shared is not None:
            await uninterrupted(rolled_back(shared, failed))
        elif connection is not UNLEASED and type(error) is not GeneratorExit:
            await slot.give_back(live, connection, broken=is_broken(failed))
            if lease is not None:
                lease.returned()
        if failed is error:
            raise
        raise failed from original(error)
    return shared


async def _commit(shared: Shared, fiber: Fiber) -> None:
    slot, live = shared.slot, shared.live
    if shared.lost is not None:
        await uninterrupted(rolled_back(shared, RolledBack()))
        detail = (
            f"the transaction on `{slot.name}` was rolled back: its handle broke in a step whose failure was handled"
        )
        raise OperationError(replace(shared.lost, outcome_unknown=False), slot.name, detail=detail)
    try:
        await shared.context.__aexit__(None, None, None)
    except GeneratorExit:
        raise
    except BaseException as error:
        failed = failure_of(error, fiber, live, slot)
        await shared.give_back(broken=is_broken(failed))
        if failed is error:
            raise
        if isinstance(failed, OperationError) and failed.classified.error_class in _UNSURE:
            failed.classified = replace(failed.classified, outcome_unknown=True)
            failed.notes = (
                *failed.notes,
                "it happened in the commit: whether all of it is kept, or nothing, is unknown",
            )
        raise failed from original(error)
    await shared.give_back(broken=False)


async def rolled_back(shared: Shared, error: BaseException) -> None:
    """Undo it and give the handle back; one that broke, or cannot be rolled back, is discarded."""
    broken = shared.lost is not None
    limit = asyncio.timeout(_LOST_TIMEOUT if broken else RELEASE_TIMEOUT)
    try:
        async with limit:
            await shared.context.__aexit__(type(error), error, error.__traceback__)
    except BaseException as failed:  # noqa: BLE001 - foreign code; the transaction's own failure is the one to tell
        if failed is not error:
            if not broken:
                shared.slot.trouble("a transaction could not be rolled back", failed)
            broken = True
    await shared.give_back(broken=broken)


def _undone(error: StepError, shared: Shared, fiber: Fiber) -> StepError:
    """The failure that ended a transaction. Nothing is kept, so no outcome on its connection is unknown, and all of it
    may be done again."""
    failure = error.failure
    if failure.connection != shared.slot.name or failure.flow != fiber.activation.plan.flow:
        return error
    retryable = failure.retryable if shared.lost is None else shared.lost.retryable
    return StepError(replace(failure, retryable=retryable, outcome_unknown=False))
