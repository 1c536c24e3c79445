"""Tasks that yield batches: the stream that they become owns the lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from flowlang.connections.lifecycle import ConnectionSlot, Live, uninterrupted
from flowlang.engine.failures import OperationError, operation_error, secrets_of
from flowlang.engine.operations import (
    UNLEASED,
    Bound,
    failure_of,
    is_broken,
    opened,
    original,
    unstarved,
)
from flowlang.plan import Operation
from flowlang.tasks.stream import OnClose, Stream
from flowlang.tasks.table import Table

if TYPE_CHECKING:
    from flowlang.engine.fiber import Fiber

DONE: Any = object()  # the source had no batch at all
_TAKEN: Any = object()


class StreamCall(Bound):
    """A task that yields batches. Its first batch is read here, so that a failure to begin is this step's failure
    and can be retried."""

    __slots__ = ("function", "name", "output", "slot", "wants_connection", "wants_context")

    def __init__(self, operation: Operation, slot: ConnectionSlot | None) -> None:
        self.slot = slot
        self.name = operation.spec.name
        self.function = operation.function
        self.output = next(iter(operation.spec.outputs or ("rows",)))
        self.wants_context = "context" in operation.spec.injects
        self.wants_connection = "connection" in operation.spec.injects

    async def call(self, fiber: Fiber, path: str, kwargs: dict[str, Any]) -> Any:
        slot = self.slot
        live = (slot.live or await opened(slot, fiber, path)) if slot is not None else None
        leases = live is not None and self.wants_connection
        if slot is not None and live is not None and leases and slot.holders:
            live = await unstarved(slot, live, fiber, path)
        fiber.limit = slot.acquire_limit(fiber.timeout) if slot is not None and leases else fiber.timeout
        if not fiber.watched:
            fiber.run.watch.add(fiber)
        connection, source = UNLEASED, None
        try:
            if live is not None and leases:
                connection = await live.get()
                live.leases += 1
                kwargs = {**kwargs, "connection": connection}
                fiber.next_phase(fiber.timeout)
            if self.wants_context:
                kwargs = {**kwargs, "context": fiber.context(path, kwargs)}
            source = aiter(self.task(live)(**kwargs))
            first = await anext(source, DONE)
        except BaseException as error:
            failed = failure_of(error, fiber, live, slot, acquiring=leases and connection is UNLEASED)
            if type(error) is not GeneratorExit:
                await uninterrupted(undone(slot, live, connection, source, broken=is_broken(failed)))
            if failed is error:
                raise
            raise failed from original(error)
        rest = Rest(self.name, first, source, slot, secrets_of(fiber.step, kwargs))
        stream = self._stream(fiber, live, connection, rest)
        fiber.hold(stream)
        fiber.limit = 0.0
        if fiber.timer is not None:
            fiber.disarm()
        return {self.output: stream}

    def task(self, live: Live | None) -> Callable[..., Any]:
        if self.function is not None:
            return self.function
        assert live is not None
        return live.tasks[self.name]

    def _stream(self, fiber: Fiber, live: Live | None, connection: Any, rest: Rest) -> Stream:
        slot = self.slot
        if slot is None or live is None or connection is UNLEASED:
            return Stream(rest)
        slot.holders.append((id(fiber), live))

        async def closed(error: BaseException | None) -> None:
            slot.holders.remove((id(fiber), live))
            await slot.give_back(live, connection, broken=error is not None and is_broken(rest.failure(error)))

        return Stream(rest, self.last(closed))

    def last(self, closed: OnClose) -> OnClose:
        """What the end of a stream that holds a lease does."""
        return closed


async def undone(slot: ConnectionSlot | None, live: Live | None, connection: Any, source: Any, *, broken: bool) -> None:
    """A stream could not begin: close what there is of it, then give the lease back."""
    try:
        if source is not None and hasattr(source, "aclose"):
            await source.aclose()
    except Exception as error:  # noqa: BLE001 - the failure to begin is told; this is only its aftermath
        broken = True
        if slot is not None:
            slot.trouble("a stream could not be closed", error)
    finally:
        if connection is not UNLEASED and slot is not None and live is not None:
            await slot.give_back(live, connection, broken=broken)


class Rest:
    """The first batch, then the others; an error on the way is an operation's error like any other. `given` is what
    the task was given of secrets."""

    def __init__(
        self, task: str, first: Any, source: AsyncIterator[Any], slot: ConnectionSlot | None, given: tuple[object, ...]
    ) -> None:
        self._given = given
        self._task = task
        self._first = first
        self._source = source
        self._slot = slot

    def __aiter__(self) -> Rest:
        return self

    async def __anext__(self) -> Any:
        batch, self._first = self._first, _TAKEN
        try:
            if batch is _TAKEN:
                batch = await anext(self._source)
        except StopAsyncIteration:
            raise
        except BaseException as error:
            failed = self.failure(error)
            if failed is error:
                raise
            raise failed from original(error)
        if batch is DONE:
            raise StopAsyncIteration
        if not isinstance(batch, (list, tuple, Table)):
            wrong = TypeError(f"task `{self._task}` yielded {type(batch).__name__}; a stream yields lists of rows")
            raise self.failure(wrong) from wrong
        return batch

    def failure(self, error: BaseException) -> BaseException:
        """`error` as what the reader of this stream gets to see."""
        if isinstance(error, (OperationError, GeneratorExit, KeyboardInterrupt)):
            return error
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            return error
        failed = operation_error(error, self._slot, "task")
        failed.given = failed.given or self._given
        return failed

    async def aclose(self) -> None:
        self._first = _TAKEN
        close = getattr(self._source, "aclose", None)
        if close is None:
            return
        try:
            await close()
        except Exception as error:
            raise self.failure(error) from error
