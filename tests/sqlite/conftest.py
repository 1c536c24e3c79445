"""A SQLite connection on a file of its own, and a way to call its tasks as the engine does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from flowlang.connections.sqlite.provider import SQLitePlugin


class Database:
    """An opened plugin. `call` leases a handle for one task and gives it back."""

    def __init__(self, plugin: SQLitePlugin, path: Path) -> None:
        self.plugin = plugin
        self.path = path
        self.tasks = plugin.get_builtin_tasks()

    async def call(self, task: str, **arguments: Any) -> Any:
        handle = await self.plugin.get_connection()
        try:
            return await self.tasks[f"sqlite_{task}"](connection=handle, **arguments)
        finally:
            await self.plugin.release_connection(handle)

    async def rows(self, query: Any, *params: Any) -> list[dict[str, Any]]:
        result = await self.call("query", query=query, params=list(params) or None)
        return result["rows"]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Opens connections with any config; all of them are closed after the test."""
    plugins: list[SQLitePlugin] = []

    async def open_(**config: Any) -> Database:
        plugin = SQLitePlugin()
        plugins.append(plugin)
        config.setdefault("database", str(tmp_path / "test.db"))
        await plugin.connect(config)
        return Database(plugin, Path(config["database"]))

    yield open_
    for plugin in plugins:
        await plugin.disconnect()


@pytest.fixture
async def db(opened: Callable[..., Any]) -> Database:
    """A fresh database in a file, with a table `t (id INTEGER PRIMARY KEY, v)`."""
    database = await opened()
    await database.call("execute", query="CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    return database
