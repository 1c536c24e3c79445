"""A connection type without a service behind it, so that what is measured is FlowLang."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from flowlang.connections import ConnectionPlugin, plugin_registry


async def op(first: int, second: str, third: list[Any]) -> dict[str, Any]:
    """The operation of every floor: it returns a dict at once."""
    return {"rows": third, "count": first}


async def waiting_op(first: int, second: str, third: list[Any]) -> dict[str, Any]:
    """The same, but it gives way to the event loop once, as everything that waits for a service does."""
    await asyncio.sleep(0)
    return {"rows": third, "count": first}


class BenchPlugin(ConnectionPlugin):
    name = "bench"
    description = "Operations that cost nothing"
    version = "1.0.0"

    def get_config_schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": {}, "additionalProperties": False}

    async def connect(self, config: dict[str, Any]) -> object:
        return self

    async def disconnect(self) -> None:
        pass

    async def get_connection(self) -> object:
        return self

    async def release_connection(self, connection: object) -> None:
        pass

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        return {"bench_op": self._task_op, "bench_waiting_op": self._task_waiting_op}

    async def _task_op(self, first: int, second: str, third: list[Any], connection: Any = None) -> dict[str, Any]:
        return {"rows": third, "count": first}

    async def _task_waiting_op(
        self, first: int, second: str, third: list[Any], connection: Any = None
    ) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"rows": third, "count": first}


plugin_registry.register(BenchPlugin)
