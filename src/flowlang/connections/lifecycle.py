"""The connections of one run: one fresh plugin instance per named connection, opened, leased and closed once.

    ConnectionSlot (a name in the flow)  ── live ──▶  Live (an opened instance, its bound tasks, its leases)

A slot outlives its `Live`: when a single client breaks, the next lease opens a fresh instance.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from flowlang.connections.base import ConnectionPlugin

CLOSE_TIMEOUT = 10.0  # seconds for one `disconnect()`
_LOG = logging.getLogger("flowlang.connections")


class Live:
    """An opened plugin instance. `client` is what `connect()` returned; `leases` counts those that are out."""

    __slots__ = ("client", "discard", "get", "leases", "plugin", "release", "retired", "tasks")

    def __init__(self, plugin: ConnectionPlugin, client: Any) -> None:
        self.plugin = plugin
        self.client = client
        self.tasks: Mapping[str, Callable[..., Any]] = plugin.get_builtin_tasks()
        self.get: Callable[[], Awaitable[Any]] = plugin.get_connection
        self.release: Callable[[Any], Awaitable[None]] = plugin.release_connection
        self.discard: Callable[[Any], Awaitable[None]] = plugin.discard_connection
        self.leases = 0
        self.retired = False


class ConnectionSlot:
    """One named connection of one run.

    `config` is ready to be handed to `connect()`. `report(name, problem)` hears of an instance that was closed.
    """

    def __init__(
        self,
        name: str,
        prototype: ConnectionPlugin,
        config: Mapping[str, Any],
        *,
        lazy: bool = False,
        connect_timeout: float = 30.0,
        acquire_timeout: float = 30.0,
        report: Callable[[str, str, str | None], None] | None = None,
        describe: Callable[[str], str] = str,
    ) -> None:
        self.name = name
        self.type = prototype.name
        self.lazy = lazy
        self.connect_timeout = connect_timeout
        self.acquire_timeout = acquire_timeout
        self.live: Live | None = None
        self.lock = asyncio.Lock()
        self.held_by_streams: list[int] = []
        self.opener: Callable[[ConnectionSlot], Awaitable[Live]] = ConnectionSlot.open  # the engine adds retries
        self._prototype = type(prototype)
        self._config = config
        self._report = report
        self._describe = describe
        self._retired: list[Live] = []

    def acquire_limit(self, timeout: float) -> float:
        """Seconds to wait for a lease, when the step itself may take `timeout` (0: as long as it likes)."""
        return timeout if 0.0 < timeout < self.acquire_timeout else self.acquire_timeout

    async def open(self) -> Live:
        """Open a fresh instance, once: one attempt, under the connection's own limit.

        A `connect()` that fails or is cancelled half-way is followed by `disconnect()`, so nothing stays open.
        """
        from copy import deepcopy

        plugin = self._prototype()
        try:
            async with asyncio.timeout(self.connect_timeout):
                client = await plugin.connect(deepcopy(dict(self._config)))
        except BaseException:
            await self._disconnect(plugin)
            raise
        self.live = Live(plugin, client)
        return self.live

    async def broke(self, live: Live, connection: Any) -> None:
        """A lease of `live` was found broken. A single client is replaced on the next lease; a pool looks after
        its own handles."""
        if connection is live.client and self.live is live:
            self.live = None
            live.retired = True
            self._retired.append(live)
        if live.retired and live.leases <= 0 and live in self._retired:
            self._retired.remove(live)
            await self._closed(live.plugin)

    async def close(self) -> None:
        """Close whatever is open. It never raises for a plugin's trouble; that is reported."""
        left, self._retired = self._retired, []
        if self.live is not None:
            left.append(self.live)
            self.live = None
        for live in left:
            await self._closed(live.plugin)

    async def _closed(self, plugin: ConnectionPlugin) -> None:
        problem = await self._disconnect(plugin)
        if self._report is not None:
            self._report(self.name, self.type, problem)

    async def _disconnect(self, plugin: ConnectionPlugin) -> str | None:
        """`disconnect()` once, under its own limit. Returns what went wrong, in words."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await plugin.disconnect()
        except TimeoutError:
            problem = f"closing took longer than {CLOSE_TIMEOUT:g} s and was given up"
        except Exception as error:
            problem = self._describe(f"{type(error).__name__}: {error}")
        else:
            return None
        _LOG.warning("connection %s (%s): %s", self.name, self.type, problem)
        return problem

    def trouble(self, what: str, error: BaseException) -> None:
        """Something went wrong beside the flow's own business: it is logged, masked, and the run goes on."""
        text = self._describe(f"{type(error).__name__}: {error}")
        _LOG.warning("connection %s (%s): %s: %s", self.name, self.type, what, text)

    def exhausted(self, live: Live | None) -> tuple[str, ...]:
        """What to say when no lease came in time."""
        out = live.leases if live is not None else 0
        note = f"no handle of `{self.name}` came free within {self.acquire_timeout:g} s; {out} in use: the pool is exhausted"
        return (note, "raise the pool's size, or `acquire_timeout`, or run fewer steps at once")
