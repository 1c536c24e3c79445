"""An opened connection, and who may have it from whom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from flowlang.connections.base import ConnectionPlugin

if TYPE_CHECKING:
    from flowlang.connections.lifecycle import ConnectionSlot


class Lender(Protocol):
    """Has connections that runs share."""

    async def lend(self, slot: ConnectionSlot) -> Live:
        """The instance for `slot`, opened if need be. It may come back at any time, also before it was had."""

    async def take_back(self, slot: ConnectionSlot) -> None:
        """`slot` needs it no longer."""


class Live:
    """An opened plugin instance. `client` is what `connect()` returned; `leases` counts those that are out, and
    `waiting` who waits for one where runs share it. `borrowers` are the slots that have it from its `owner`.

    `discards` tells whether the plugin has a discard of its own, and not the release that stands in for it.
    """

    __slots__ = (
        "borrowers",
        "client",
        "discard",
        "discards",
        "get",
        "leases",
        "owner",
        "plugin",
        "release",
        "tasks",
        "waiting",
    )

    def __init__(self, plugin: ConnectionPlugin, client: Any, owner: ConnectionSlot) -> None:
        self.plugin = plugin
        self.client = client
        self.owner = owner
        self.tasks: Mapping[str, Callable[..., Any]] = plugin.get_builtin_tasks()
        self.get: Callable[[], Awaitable[Any]] = plugin.get_connection
        self.release: Callable[[Any], Awaitable[None]] = plugin.release_connection
        self.discard: Callable[[Any], Awaitable[None]] = plugin.discard_connection
        self.discards = type(plugin).discard_connection is not ConnectionPlugin.discard_connection
        self.leases = 0
        self.waiting = 0
        self.borrowers: set[ConnectionSlot] = set()

    def lend(self, slot: ConnectionSlot) -> None:
        """Another run has it from now on."""
        if not self.borrowers:
            self.get = self._counted
        self.borrowers.add(slot)

    async def _counted(self) -> Any:
        self.waiting += 1
        try:
            return await self.plugin.get_connection()
        finally:
            self.waiting -= 1

    @property
    def full(self) -> bool:
        """Whether one more lease would have to wait for another to come back."""
        capacity = self.plugin.capacity
        return capacity is not None and self.leases + self.waiting >= capacity
