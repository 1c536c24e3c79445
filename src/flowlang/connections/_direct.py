"""A connection used from Python, without a flow: opened, leased and closed as a run does it, one task at a time.

async with opened("myservice", {"api_key": key}) as service:
    item = await service.run("myservice_get", resource_id="7")
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from flowlang.connections.base import ConnectionPlugin
from flowlang.exceptions import FlowExecutionError


class Service:
    """An opened connection. Its tasks may run at the same time, each on a lease of its own."""

    def __init__(self, plugin: ConnectionPlugin) -> None:
        self.plugin = plugin
        self._tasks = plugin.get_builtin_tasks()

    async def run(self, task: str, **arguments: Any) -> dict[str, Any]:
        """Run a task and return its outputs. Raises what the task raises."""
        async with self._leased() as connection:
            outputs: dict[str, Any] = await self._tasks[task](**self._arguments(task, arguments, connection))
        return outputs

    async def stream(self, task: str, **arguments: Any) -> AsyncIterator[list[Any]]:
        """The batches of a task that streams; the lease lasts until they are exhausted or closed."""
        async with self._leased() as connection:
            batches = self._tasks[task](**self._arguments(task, arguments, connection))
            try:
                async for batch in batches:
                    yield batch
            finally:
                await batches.aclose()

    @asynccontextmanager
    async def _leased(self) -> AsyncIterator[Any]:
        connection = await self.plugin.get_connection()
        try:
            yield connection
        except Exception:
            await self.plugin.release_connection(connection)
            raise
        except BaseException:
            await self.plugin.discard_connection(connection)
            raise
        await self.plugin.release_connection(connection)

    def _arguments(self, task: str, arguments: Mapping[str, Any], connection: Any) -> dict[str, Any]:
        from flowlang.connections.registry import plugin_registry

        spec = plugin_registry.tasks(self.plugin.name)[task]
        injected = {"connection": connection} if "connection" in spec.injects else {}
        return {**arguments, **injected}


@asynccontextmanager
async def opened(kind: str, config: Mapping[str, Any]) -> AsyncIterator[Service]:
    """Open a connection of type `kind` and close it at the end of the `async with` block.

    Raises `PluginError` when there is no such type, `FlowExecutionError` of class `config` when `config` does not
    fit its schema, and what the plugin raises when the service cannot be reached.
    """
    from flowlang.connections.config import prepare
    from flowlang.connections.registry import plugin_registry

    plugin = plugin_registry.new(kind)
    prepared = prepare(plugin, config)
    if prepared.problems:
        reasons = "; ".join(each.message for each in prepared.problems)
        raise FlowExecutionError(f"the config of this {kind} connection: {reasons}", error_class="config")
    try:
        await plugin.connect(prepared.config)
        yield Service(plugin)
    finally:
        await plugin.disconnect()
