"""A MySQL connection to an empty database, and a way to call its tasks as the engine does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncmy
import pytest

from flowlang.connections.mysql.config import settings
from flowlang.connections.mysql.provider import MySQLPlugin


class Database:
    """An opened plugin. `call` leases a handle for one task and gives it back."""

    def __init__(self, plugin: MySQLPlugin, url: str) -> None:
        self.plugin = plugin
        self.url = url
        self.tasks = plugin.get_builtin_tasks()

    async def call(self, task: str, **arguments: Any) -> Any:
        async with self.lease() as handle:
            return await self.tasks[f"mysql_{task}"](connection=handle, **arguments)

    async def rows(self, query: Any, *params: Any) -> list[dict[str, Any]]:
        result = await self.call("query", query=query, params=list(params) or None)
        return result["rows"]

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Any]:
        handle = await self.plugin.get_connection()
        try:
            yield handle
        except asyncio.CancelledError:
            await self.plugin.discard_connection(handle)
            raise
        except BaseException:
            await self.plugin.release_connection(handle)
            raise
        await self.plugin.release_connection(handle)


@pytest.fixture
async def opened(mysql_url: str) -> AsyncIterator[Callable[..., Any]]:
    """Opens connections with any config; all of them are closed after the test."""
    plugins: list[MySQLPlugin] = []

    async def open_(**config: Any) -> Database:
        plugin = MySQLPlugin()
        plugins.append(plugin)
        config.setdefault("url", mysql_url)
        await plugin.connect(config)
        return Database(plugin, config["url"])

    yield open_
    for plugin in plugins:
        await plugin.disconnect()


@pytest.fixture
async def db(opened: Callable[..., Any]) -> Database:
    """An empty database with a table `t (id INTEGER PRIMARY KEY, v TEXT)`."""
    database = await opened()
    await database.call("execute", query="CREATE TABLE t (id INTEGER PRIMARY KEY, v LONGTEXT)")
    return database


class Watcher:
    """A second pair of eyes at the server, through the bare driver."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def rows(self, text: str) -> list[Any]:
        async with self.connection.cursor() as cursor:
            await cursor.execute(text)
            return list(await cursor.fetchall())

    async def sessions(self, database: str) -> list[int]:
        found = await self.rows(f"SELECT id FROM information_schema.processlist WHERE db = '{database}'")
        return [row[0] for row in found if row[0] != self.connection.thread_id()]

    async def running(self, part: str) -> int:
        text = (
            f"SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%{part}%' AND id <> connection_id()"
        )
        return int((await self.rows(text))[0][0])


@pytest.fixture
async def watcher(mysql_url: str) -> AsyncIterator[Watcher]:
    at = settings({"url": mysql_url})
    connection = await asyncmy.connect(host=at.host, port=at.port, user=at.user, password=at.password, autocommit=True)
    try:
        yield Watcher(connection)
    finally:
        await connection.ensure_closed()
