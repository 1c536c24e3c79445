"""Opening and closing done carelessly."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any, ClassVar

from tests.conformance.double.pool import Pool
from tests.conformance.double.provider import LineKVPlugin
from tests.conformance.mutants import catches

from flowlang.exceptions import ConnectionError, FlowExecutionError


def leave_socket() -> None:
    """Open a pair of sockets and leave them for longer than the kit looks."""
    one, other = socket.socketpair()
    timer = threading.Timer(4, lambda: (one.close(), other.close()))
    timer.name = "conformance-timer"
    timer.start()


@catches("lifecycle/open-close-clean")
class LeavesThread(LineKVPlugin):
    async def connect(self, config: dict[str, Any]) -> Any:
        threading.Thread(target=time.sleep, args=(4,), name="keep-alive", daemon=True).start()
        return await super().connect(config)


@catches("lifecycle/close-twice")
class ClosesOnce(LineKVPlugin):
    async def disconnect(self) -> None:
        was_open = hasattr(self, "_was")
        self._was = True
        if was_open:
            raise RuntimeError("it is closed already")
        await super().disconnect()


@catches("lifecycle/close-before-open")
class NeedsOpening(LineKVPlugin):
    async def disconnect(self) -> None:
        if self._pool is None and not hasattr(self, "_was"):
            raise RuntimeError("it is not open")
        self._was = True
        await super().disconnect()


@catches("lifecycle/failed-open-clean")
class LeavesHalfOpen(LineKVPlugin):
    async def connect(self, config: dict[str, Any]) -> Any:
        try:
            return await super().connect(config)
        except Exception:
            leave_socket()
            raise


class SharesClient(LineKVPlugin):
    """The client belongs to the class."""

    shared: ClassVar[list[Any]] = []

    async def connect(self, config: dict[str, Any]) -> Any:
        client = await super().connect(config)
        type(self).shared = [*self.shared, client]
        return client

    async def disconnect(self) -> None:
        pools, type(self).shared = self.shared[-1:], self.shared[:-1]
        self._pool = None
        for each in pools:
            await each.close()


@catches("lifecycle/second-fails")
class ForgetsFirst(LineKVPlugin):
    current: ClassVar[Any] = None
    lost: ClassVar[list[Any]] = []

    async def connect(self, config: dict[str, Any]) -> Any:
        cls = type(self)
        cls.lost.append(cls.current)
        cls.current = None
        cls.current = await super().connect(config)
        return cls.current

    async def disconnect(self) -> None:
        cls = type(self)
        pool, cls.current, self._pool = cls.current, None, None
        if pool is not None:
            await pool.close()


@catches("lifecycle/cancel-open")
class WrapsCancelledOpen(LineKVPlugin):
    async def connect(self, config: dict[str, Any]) -> Any:
        try:
            return await super().connect(config)
        except BaseException as error:
            raise ConnectionError(f"no connection: {error}") from error


class LosingPool(Pool):
    async def acquire(self) -> Any:
        try:
            return await super().acquire()
        except asyncio.CancelledError:
            self.__dict__["lost"] = self.__dict__.get("lost", 0) + 1
            raise

    async def release(self, link: Any) -> None:
        await super().release(link)
        while self.__dict__.get("lost") and self._free._value:
            self._free._value -= 1
            self.__dict__["lost"] -= 1


@catches("lifecycle/cancel-lease")
class LosesPlaces(LineKVPlugin):
    async def connect(self, config: dict[str, Any]) -> Any:
        pool = await super().connect(config)
        pool.__class__ = LosingPool
        return pool


@catches("lifecycle/cancel-operation")
class FinishesFirst(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        work = asyncio.ensure_future(super().ask(connection, verb, **arguments))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.sleep(5)
            raise


@catches("lifecycle/cancel-close")
class LeavesOnCancel(LineKVPlugin):
    async def disconnect(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await pool.close()
            except asyncio.CancelledError:
                leave_socket()
                raise


@catches("lifecycle/reopen")
class OpensOnce(LineKVPlugin):
    async def disconnect(self) -> None:
        self._closed = True
        await super().disconnect()

    async def get_connection(self) -> Any:
        if hasattr(self, "_closed"):
            raise ConnectionError("it was closed")
        return await super().get_connection()


@catches("lifecycle/close-in-time")
class WaitsForGoodbye(LineKVPlugin):
    async def disconnect(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.gather(*(each.ask("QUIT") for each in list(pool.links)), return_exceptions=True)
            finally:
                await pool.close()


@catches("lifecycle/close-after-loss")
class InsistsOnGoodbye(LineKVPlugin):
    async def disconnect(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(2):
                    for each in list(pool.links):
                        await each.ask("QUIT")
            finally:
                await pool.close()


@catches("lifecycle/lazy-unused")
class OpensEarly(LineKVPlugin):
    def __init__(self) -> None:
        super().__init__()
        self._early = socket.socket()

    def __del__(self) -> None:
        self._early.close()


@catches("lifecycle/ping-truth")
class AlwaysWell(LineKVPlugin):
    async def ping(self, connection: Any) -> None:
        """Believes the best."""


@catches("lifecycle/restart-recovers")
class GivesUp(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        if connection is getattr(self, "_broken", None):
            raise FlowExecutionError("the link is broken", error_class="conflict", retryable=False)
        try:
            return await super().ask(connection, verb, **arguments)
        except FlowExecutionError as error:
            self._broken = connection
            raise FlowExecutionError("the link broke", error_class="conflict", retryable=False) from error

    async def connect(self, config: dict[str, Any]) -> Any:
        pool = await super().connect(config)
        pool.__class__ = BlindPool
        return pool


class BlindPool(Pool):
    """Hands out links that broke, and keeps them when they are discarded."""

    async def acquire(self) -> Any:
        if self._idle:
            return self._idle[-1]
        link = await super().acquire()
        self._idle.append(link)
        return link

    async def release(self, link: Any) -> None:
        """Nothing is looked at."""

    def discard(self, link: Any) -> None:
        """Neither here."""


@catches("lifecycle/loop-not-blocked")
class Blocks(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        if verb == "SLOW":
            time.sleep(min(arguments["seconds"], 0.5))  # noqa: ASYNC251 - the defect
            return 0
        return await super().ask(connection, verb, **arguments)


@catches("lifecycle/two-loops")
class OneLoop(LineKVPlugin):
    gate: ClassVar[asyncio.Semaphore] = asyncio.Semaphore(1)

    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        async with self.gate:
            return await super().ask(connection, verb, **arguments)
