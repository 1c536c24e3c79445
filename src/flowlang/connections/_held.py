"""An async context manager that stays entered: one task of its own enters and leaves it, whoever asks for either."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from flowlang.exceptions import ConnectionError

T = TypeVar("T")


class Held(Generic[T]):
    """`enter()` opens it, `leave()` closes it, each at most once.

    Opening and closing are asked for by different tasks of a run; what an `open()` uses inside may be bound to the
    task that entered it (task groups, `asyncio.timeout`, cancel scopes), so it gets one that lives as long as it is
    open. When such a task group gives up, the connection is lost, and `value` says why.
    """

    def __init__(self, manager: AbstractAsyncContextManager[T]) -> None:
        loop = asyncio.get_running_loop()
        self._entered: asyncio.Future[T] = loop.create_future()
        self._leave = asyncio.Event()
        self._task: asyncio.Task[None] = loop.create_task(self._hold(manager), name="flowlang-connection")

    async def _hold(self, manager: AbstractAsyncContextManager[T]) -> None:
        try:
            async with manager as value:
                self._entered.set_result(value)
                await self._leave.wait()
        except Exception as error:
            if self._entered.done():
                raise
            self._entered.set_exception(error)

    async def enter(self) -> T:
        """What the manager gives, or the error of entering it; nothing stays open then, nor after a cancellation."""
        try:
            either: set[asyncio.Future[Any]] = {self._entered, self._task}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._stopped()
            raise
        if not self._entered.done():
            self._task.result()  # raises: something inside cancelled it
            raise ConnectionError("opening ended without a client")
        return self._entered.result()

    async def leave(self) -> None:
        """Close it. Raises what closing raises. When this is cancelled the closing is cancelled too."""
        self._leave.set()
        try:
            await asyncio.wait({self._task})
        except asyncio.CancelledError:
            await self._stopped()
            raise
        if not self._task.cancelled():
            self._task.result()

    async def _stopped(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # seen; the cancellation says more
        if self._entered.done():
            self._entered.exception()

    @property
    def value(self) -> T:
        """What the manager gave. Raises `ConnectionError` when it has been left since."""
        if self._task.done():
            error = None if self._task.cancelled() else self._task.exception()
            raise ConnectionError("the connection was lost") from error
        return self._entered.result()
