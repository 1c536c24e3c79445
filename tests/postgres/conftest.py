"""A PostgreSQL connection on a database of its own, and a way to call its tasks as the engine does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from flowlang.connections.config import prepare
from flowlang.connections.postgres.provider import PostgresPlugin


class Database:
    """An opened plugin. `call` leases a session for one task and gives it back."""

    def __init__(self, plugin: PostgresPlugin, url: str) -> None:
        self.plugin = plugin
        self.url = url
        self.tasks = plugin.get_builtin_tasks()

    async def call(self, task: str, **arguments: Any) -> Any:
        handle = await self.plugin.get_connection()
        try:
            return await self.tasks[f"pg_{task}"](connection=handle, **arguments)
        finally:
            await self.plugin.release_connection(handle)

    async def rows(self, query: Any, *params: Any) -> list[dict[str, Any]]:
        result = await self.call("query", query=query, params=list(params) or None)
        return result["rows"]

    async def value(self, query: Any, *params: Any) -> Any:
        (row,) = await self.rows(query, *params)
        return next(iter(row.values()))


@pytest.fixture
async def opened(postgres_url: str) -> AsyncIterator[Callable[..., Any]]:
    """Opens connections with any config; all of them are closed after the test."""
    plugins: list[PostgresPlugin] = []

    async def open_(url: str = postgres_url, **config: Any) -> Database:
        plugin = PostgresPlugin()
        prepared = prepare(plugin, {"url": url, **config})
        assert prepared.problems == ()
        plugins.append(plugin)
        await plugin.connect(prepared.config)
        return Database(plugin, url)

    yield open_
    for plugin in plugins:
        await plugin.disconnect()


@pytest.fixture
async def db(opened: Callable[..., Any]) -> Database:
    """A fresh database with a table `t (id integer primary key, v text)`."""
    database = await opened()
    await database.call("execute", query="CREATE TABLE t (id integer PRIMARY KEY, v text)")
    return database
