"""Tasks bound to the connections of one run: lease, call, give back, on every path."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowlang.connections.errors import Classified
from flowlang.connections.lifecycle import RELEASE_TIMEOUT, ConnectionSlot, Live
from flowlang.engine.failures import OperationError, operation_error
from flowlang.exceptions import FlowExecutionError, StepError
from flowlang.plan import Operation, spread

if TYPE_CHECKING:
    from flowlang.engine.fiber import Fiber

_BROKEN = frozenset({"timeout", "cancelled", "connection_lost", "connect"})


class Bound:
    """An operation of one run, ready to be called by `Fiber.do`."""

    __slots__ = ()

    async def call(self, fiber: Fiber, path: str, kwargs: dict[str, Any]) -> Any:
        """Carry it out. `kwargs` stays as it is: what is injected goes into a copy."""
        raise NotImplementedError


def bind(operation: Operation, slots: Sequence[ConnectionSlot], *, told: bool = False) -> Bound:
    """The operation, with its connection among `slots`. `told`: somebody listens to its leases."""
    slot = slots[operation.connection] if operation.connection is not None else None
    if slot is not None and operation.once:
        from flowlang.engine.exactly_once import OnceCall, SharedOnce, ToldOnce

        kind = SharedOnce if operation.shared else ToldOnce if told else OnceCall
        return kind(operation, slot)
    if slot is not None and operation.shared:
        from flowlang.engine.shared import SharedCall, SharedStream

        return SharedStream(operation, slot) if operation.spec.streams else SharedCall(operation, slot)
    leased = slot is not None and "connection" in operation.spec.injects
    if leased and told:
        from flowlang.engine.leases import ToldCall, ToldStream

        assert slot is not None
        return ToldStream(operation, slot) if operation.spec.streams else ToldCall(operation, slot)
    if operation.spec.streams:
        from flowlang.engine.streams import StreamCall

        return StreamCall(operation, slot)
    if leased:
        assert slot is not None
        return LeasedCall(operation, slot)
    return FunctionCall(operation, slot)


class FunctionCall(Bound):
    """A task that leases nothing: a file task, a user's own, or a plugin's that asks for no `connection`."""

    __slots__ = ("function", "name", "slot", "wants_context")

    def __init__(self, operation: Operation, slot: ConnectionSlot | None) -> None:
        self.slot = slot
        self.name = operation.spec.name
        self.function = awaitable(operation)
        self.wants_context = "context" in operation.spec.injects

    async def call(self, fiber: Fiber, path: str, kwargs: dict[str, Any]) -> Any:
        slot, function, live = self.slot, self.function, None
        if function is None:
            assert slot is not None
            live = slot.live or await opened(slot, fiber, path)
            function = live.tasks[self.name]
        fiber.limit = fiber.timeout
        if not fiber.watched:
            fiber.run.watch.add(fiber)
        try:
            if self.wants_context:
                kwargs = {**kwargs, "context": fiber.context(path, kwargs)}
            result = await function(**kwargs)
        except BaseException as error:
            failed = failure_of(error, fiber, live, slot)
            if failed is error:
                raise
            raise failed from original(error)
        fiber.limit = 0.0
        if fiber.timer is not None:
            fiber.disarm()
        return result


class LeasedCall(Bound):
    """A task on a connection. The lease lasts as long as the call."""

    __slots__ = ("bound", "function", "live", "name", "slot", "wants_context")

    def __init__(self, operation: Operation, slot: ConnectionSlot) -> None:
        self.slot = slot
        self.live: Live | None = None  # the instance that `bound` belongs to
        self.bound: Callable[..., Any] | None = None
        self.name = operation.spec.name
        self.function = awaitable(operation)
        self.wants_context = "context" in operation.spec.injects

    async def call(self, fiber: Fiber, path: str, kwargs: dict[str, Any]) -> Any:
        slot = self.slot
        live = slot.live or await opened(slot, fiber, path)
        if slot.holders:
            live = await unstarved(slot, live, fiber, path)
        if live is not self.live:
            self.live = live
            self.bound = self.task(live)
        bound, invoke = self.bound, fiber.step.invoke
        if self.wants_context:
            invoke, kwargs = spread, {**kwargs, "context": fiber.context(path, kwargs)}
        timeout = fiber.timeout
        limit = slot.acquire_timeout
        if 0.0 < timeout <= limit:
            limit = timeout
        fiber.limit = limit
        if not fiber.watched:
            fiber.run.watch.add(fiber)
        connection = UNLEASED
        try:
            connection = await live.get()
            live.leases += 1
            if limit != timeout or fiber.timer is not None:
                fiber.next_phase(timeout)
            result = await invoke(bound, kwargs, connection)
        except BaseException as error:
            failed = failure_of(error, fiber, live, slot, acquiring=connection is UNLEASED)
            if connection is not UNLEASED and type(error) is not GeneratorExit:
                await slot.give_back(live, connection, broken=is_broken(failed))
            if failed is error:
                raise
            raise failed from original(error)
        if not timeout or fiber.timer is not None:
            fiber.next_phase(RELEASE_TIMEOUT, fresh=True)
        live.leases -= 1
        try:
            await live.release(connection)
        except BaseException as error:  # noqa: BLE001 - `_unreleased` raises it again where it has to
            await _unreleased(error, fiber, live, slot, connection)
        fiber.limit = 0.0
        if fiber.timer is not None:
            fiber.disarm()
        return result

    def task(self, live: Live) -> Callable[..., Any]:
        """What is called with a handle of `live`."""
        return self.function or live.tasks[self.name]


async def _unreleased(error: BaseException, fiber: Fiber, live: Live, slot: ConnectionSlot, connection: Any) -> None:
    """A release did not come to its end. The step has succeeded all the same, unless it is to be cancelled."""
    late = fiber.expired()
    if isinstance(error, (GeneratorExit, KeyboardInterrupt)):
        raise error
    stop = fiber.cancelled
    if late or not isinstance(error, asyncio.CancelledError):
        limit = f"it took longer than {RELEASE_TIMEOUT:g} s"
        slot.trouble("a lease could not be given back", TimeoutError(limit) if late else error)
    await slot.drop(live, connection)
    if stop:
        raise asyncio.CancelledError


class _Unleased:
    pass


UNLEASED: Any = _Unleased()


# ---------------------------------------------------------------- getting ready


async def opened(slot: ConnectionSlot, fiber: Fiber, path: str, *, alone: bool = False) -> Live:
    """Open a connection on its first use, within what the step may take. Its step's retries are all there are."""
    limit, loop = fiber.timeout, fiber.run.watch.loop
    began = loop.time()
    timer = asyncio.timeout(limit or None)
    try:
        async with timer:
            live = await slot.opener(slot, once=fiber.retries, alone=alone)
    except StepError as error:
        attempt = fiber.attempt if fiber.retries else error.failure.attempt
        raise StepError(replace(error.failure, step=path, attempt=attempt)) from error.__cause__
    except TimeoutError:
        detail = f"connection `{slot.name}` could not be opened within the step's limit of {limit:g} s"
        raise OperationError(Classified("timeout", True), slot.name, detail=detail) from None
    if limit:
        fiber.timeout = max(limit - (loop.time() - began), 0.001)
    return live


def awaitable(operation: Operation) -> Callable[..., Any] | None:
    """The operation's own function, if it has one, as something to await."""
    function = operation.function
    return function if function is None or operation.spec.is_async else in_thread(function)


def in_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function as a coroutine function that runs it off the event loop.

    A thread cannot be stopped from outside: when the step is cancelled, `context.cancelled` turns True for the
    function to see, and the step ends without waiting for it.
    """

    async def call(**kwargs: Any) -> Any:
        context = kwargs.get("context")
        variables = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(None, lambda: variables.run(_called, function, kwargs))
        except asyncio.CancelledError:
            if context is not None:
                context.abandon()
            raise

    return call


def _called(function: Callable[..., Any], kwargs: dict[str, Any]) -> Any:
    try:
        return function(**kwargs)
    except (StopIteration, KeyboardInterrupt) as error:  # a future cannot carry the one, and no one pressed the other
        raise RuntimeError(f"the task raised {type(error).__name__}") from error


async def unstarved(slot: ConnectionSlot, live: Live, fiber: Fiber, path: str) -> Live:
    """The instance to lease from while leases are kept around this step, by streams and transactions.

    Who keeps a lease of a shared instance never waits for another run's: two that wait for each other would wait for
    ever. When nothing is free at once it has an instance of its own, as if nothing were shared. Raises OperationError
    when every handle is held by streams that wait for this very step.
    """
    lineage = fiber.lineage()
    held = [kept for holder, kept in slot.holders if holder in lineage]
    if held and live.owner is not slot and live.full:
        live = slot.alone or await opened(slot, fiber, path, alone=True)
    capacity = live.plugin.capacity
    if capacity is not None and sum(kept is live for kept in held) >= capacity:
        handles = "its only handle is" if capacity == 1 else f"all of its {capacity} handles are"
        reason = FlowExecutionError(
            f"connection `{slot.name}`: {handles} held by a stream that is still open around this step: "
            f"waiting for another would never end"
        )
        notes = ("use a second connection for the steps inside the loop, or a larger pool",)
        raise OperationError(Classified("limit", False), slot.name, notes=notes) from reason
    return live


# ---------------------------------------------------------------- what went wrong


def is_broken(error: BaseException) -> bool:
    """Whether what ended an operation leaves its handle in an unknown state."""
    if isinstance(error, OperationError):
        return error.classified.error_class in _BROKEN
    return not isinstance(error, Exception)


def original(error: BaseException) -> BaseException | None:
    """What to chain: the error itself; nothing for a cancellation, which says nothing."""
    return None if isinstance(error, asyncio.CancelledError) else error


def failure_of(
    error: BaseException, fiber: Fiber, live: Live | None, slot: ConnectionSlot | None, *, acquiring: bool = False
) -> BaseException:
    """What an operation raises for `error`. A cancellation that somebody asked for stays one, whatever the driver
    made of it; all else is a failure, a cancellation that nobody asked for included. Ends the operation's limit."""
    asked = fiber.limit
    if fiber.expired():
        return _late(fiber, live, slot, asked, acquiring=acquiring)
    if isinstance(error, (GeneratorExit, KeyboardInterrupt)):
        return error
    if fiber.cancelled:
        return error if isinstance(error, asyncio.CancelledError) else asyncio.CancelledError()
    return operation_error(error, slot, "connect" if acquiring and live is not None else "task")


def _late(
    fiber: Fiber, live: Live | None, slot: ConnectionSlot | None, asked: float, *, acquiring: bool
) -> OperationError:
    if slot is None:
        return OperationError(Classified("timeout", True), None, detail=f"no answer within {fiber.timeout:g} s")
    if acquiring:
        detail = f"no handle of connection `{slot.name}` came free in time"
        return OperationError(Classified("timeout", True), slot.name, detail=detail, notes=slot.exhausted(live, asked))
    unknown = Classified("timeout", True, outcome_unknown=True)
    notes = ("the outcome at the service is unknown",)
    return OperationError(unknown, slot.name, detail=f"no answer within {fiber.timeout:.3g} s", notes=notes)
