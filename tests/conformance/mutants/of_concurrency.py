"""Pools that are none, and state that everybody shares."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from tests.conformance.double.pool import Pool
from tests.conformance.double.provider import LineKVPlugin
from tests.conformance.mutants import catches
from tests.conformance.mutants.of_lifecycle import BlindPool

from flowlang.exceptions import FlowExecutionError


@catches("concurrency/connections-isolated")
class LastConfigWins(LineKVPlugin):
    latest: ClassVar[Any] = None

    async def connect(self, config: dict[str, Any]) -> Any:
        type(self).latest = await super().connect(config)
        return self._pool

    async def get_connection(self) -> Any:
        if self._pool is None:
            return await super().get_connection()
        return await type(self).latest.acquire()

    async def release_connection(self, connection: Any) -> None:
        await (type(self).latest or self._pool).release(connection)


@catches("concurrency/runs-isolated")
class ClosesAll(LineKVPlugin):
    pools: ClassVar[list[Any]] = []

    async def connect(self, config: dict[str, Any]) -> Any:
        self.pools.append(await super().connect(config))
        return self._pool

    async def disconnect(self) -> None:
        self._pool = None
        while self.pools:
            await self.pools.pop().close()


class BoundlessPool(Pool):
    async def acquire(self) -> Any:
        link = await self._open()
        self.links.add(link)
        return link

    async def release(self, link: Any) -> None:
        await asyncio.sleep(0.02)
        self._drop(link)

    def discard(self, link: Any) -> None:
        self._drop(link)


@catches("concurrency/pool-bound")
class Boundless(LineKVPlugin):
    async def connect(self, config: dict[str, Any]) -> Any:
        pool = await super().connect(config)
        pool.__class__ = BoundlessPool
        return pool


@catches("concurrency/exhaustion-told")
class Mumbles(LineKVPlugin):
    async def get_connection(self) -> Any:
        try:
            return await asyncio.wait_for(super().get_connection(), 0.1)
        except TimeoutError as error:
            raise FlowExecutionError("something is wrong") from error


@catches("concurrency/given-back")
class KeepsAfterTimeout(LineKVPlugin):
    async def discard_connection(self, connection: Any) -> None:
        if self._pool is not None:
            self._pool._drop(connection)


@catches("concurrency/broken-not-reused")
class ReusesBroken(LineKVPlugin):
    async def connect(self, config: dict[str, Any]) -> Any:
        pool = await super().connect(config)
        pool.__class__ = BlindPool
        return pool


class LeavingPool(Pool):
    async def release(self, link: Any) -> None:
        if link in self.links:
            self._idle.append(link)
            self._free.release()


@catches("concurrency/session-reset")
class LeavesSession(LineKVPlugin):
    async def connect(self, config: dict[str, Any]) -> Any:
        pool = await super().connect(config)
        pool.__class__ = LeavingPool
        return pool


@catches("concurrency/settings-apart")
class KeyedByPlace(LineKVPlugin):
    pools: ClassVar[dict[Any, Any]] = {}
    users: ClassVar[dict[Any, int]] = {}

    async def connect(self, config: dict[str, Any]) -> Any:
        self._key = (asyncio.get_running_loop(), *self.place(config)[:2])
        if self._key in self.pools:
            self._pool = self.pools[self._key]
            self.capacity = config["pool_size"]
        else:
            self.pools[self._key] = await super().connect(config)
        self.users[self._key] = self.users.get(self._key, 0) + 1
        return self._pool

    async def disconnect(self) -> None:
        key = getattr(self, "_key", None)
        if self._pool is None or key not in self.users:
            await super().disconnect()
            return
        self.users[key] -= 1
        pool, self._pool = self._pool, None
        if not self.users[key]:
            del self.users[key], self.pools[key]
            await pool.close()


@catches("concurrency/shared-by-runs")
class DiscardsAll(LineKVPlugin):
    """One link that breaks takes the pool with it, which another instance would not notice."""

    async def discard_connection(self, connection: Any) -> None:
        await self.disconnect()


class UnfairPool(Pool):
    """Who came last is served first."""

    async def acquire(self) -> Any:
        waiting = self.__dict__.setdefault("waiting", [])
        while self._free.locked():
            turn = asyncio.get_running_loop().create_future()
            waiting.append(turn)
            await turn
        return await super().acquire()

    def wake(self) -> None:
        waiting = self.__dict__.setdefault("waiting", [])
        while waiting:
            turn = waiting.pop()
            if not turn.done():
                turn.set_result(None)
                return

    async def release(self, link: Any) -> None:
        await super().release(link)
        self.wake()

    def discard(self, link: Any) -> None:
        super().discard(link)
        self.wake()


@catches("concurrency/no-waiter-starves")
class Unfair(LineKVPlugin):
    async def connect(self, config: dict[str, Any]) -> Any:
        pool = await super().connect(config)
        pool.__class__ = UnfairPool
        return pool


@catches("concurrency/nested-step")
class CapacityUnknown(LineKVPlugin):
    async def connect(self, config: dict[str, Any]) -> Any:
        pool = await super().connect(config)
        self.capacity = None
        return pool
