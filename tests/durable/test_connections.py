"""Connections to a PostgreSQL that fail before they are used, or while they are closed: each is given back.

What is asked of the server when a connection begins is hidden from it, by its name, behind what fails, and first waits
while a gate is shut.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.durable.workers import PATIENCE
from tests.faults.proxy import Proxy

from flowlang.durable import postgres
from flowlang.durable.hosts import Hosts
from flowlang.durable.opening import open_store
from flowlang.durable.postgres import PostgresDatabase, open_postgres
from flowlang.exceptions import StoreError, StoreUnavailable

HIDING = """
    CREATE TABLE gate (i integer);
    CREATE FUNCTION broken() RETURNS integer LANGUAGE plpgsql AS
        $$ BEGIN LOCK TABLE public.gate IN ACCESS SHARE MODE; RAISE 'broken'; END $$;
    CREATE SCHEMA settings;
    CREATE VIEW settings.pg_settings AS SELECT broken()::text AS name, ARRAY['lz4'] AS enumvals;
    CREATE SCHEMA session;
    CREATE FUNCTION session.pg_backend_pid() RETURNS integer LANGUAGE sql AS 'SELECT public.broken()';
    CREATE SCHEMA clock;
    CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
        'SELECT to_timestamp(public.broken())';
"""
OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ours'"


class Server:
    """A database, and who looks at it from another session."""

    def __init__(self, url: str, watcher: asyncpg.Connection) -> None:
        self.url = url
        self.watcher = watcher

    def seen(self, hidden: str) -> str:
        """The address for a store that sees what is in the schema `hidden` first."""
        return f"{self.url}?application_name=ours&search_path={hidden},pg_catalog,public"

    async def sessions(self, wanted: int, which: str = "") -> None:
        """Wait until there are so many of ours; the server takes a while to notice that one is gone."""
        async with asyncio.timeout(PATIENCE):
            while await self.watcher.fetchval(f"SELECT count(*) {OURS} {which}") != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def given_up(self, work: Coroutine[Any, Any, object]) -> None:
        """Do it while the gate is shut, and cancel it when it waits there."""
        keeper = await asyncpg.connect(self.url)
        try:
            async with keeper.transaction():
                await keeper.execute("LOCK TABLE gate")
                task = asyncio.create_task(work)
                await self.sessions(1, "AND wait_event_type = 'Lock'")
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        finally:
            await keeper.close()


@pytest.fixture
async def server(postgres_url: str) -> AsyncIterator[Server]:
    watcher = await asyncpg.connect(postgres_url)
    try:
        yield Server(postgres_url, watcher)
    finally:
        await watcher.close()


@pytest.mark.parametrize("hidden", ["settings", "session", "clock"])
async def test_a_store_that_cannot_be_opened(server: Server, hidden: str) -> None:
    """Its settings cannot be made, its session not be looked at, or the time not be asked for."""
    await server.watcher.execute(HIDING)
    with pytest.raises(StoreError, match="broken"):
        await open_store(server.seen(hidden))
    await server.sessions(0)
    await server.given_up(open_store(server.seen(hidden)))
    await server.sessions(0)


async def test_a_connection_whose_settings_fail(server: Server) -> None:
    database = await open_postgres(server.seen("settings"))
    await server.watcher.execute(HIDING)
    with pytest.raises(asyncpg.RaiseError):
        await database.connected()
    await server.sessions(1)
    await server.given_up(database.connected())
    await server.sessions(1)
    await database.close()
    await server.sessions(0)


async def test_a_connection_for_journals_is_not_used_after_a_failure(server: Server) -> None:
    await server.watcher.execute(HIDING)
    database = await open_postgres(server.seen("public"))
    for _ in range(2):
        with pytest.raises(StoreError, match="broken"):
            await database.write("SELECT broken()")
        await server.sessions(1)
        await server.given_up(database.write("SELECT broken()"))
        await server.sessions(1)
    await database.close()


# ---------------------------------------------------------------- closing


def behind(url: str, proxy: Proxy) -> str:
    place = urlsplit(url)
    return place._replace(netloc=f"{place.username}@{proxy.host}:{proxy.port}").geturl()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[Proxy]:
    place = urlsplit(url)
    async with Proxy(place.hostname or "", place.port or 0) as proxy:
        yield proxy


async def gone(proxy: Proxy) -> None:
    """Wait until no link stands."""
    async with asyncio.timeout(PATIENCE):
        while proxy.links:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


async def used(url: str) -> PostgresDatabase:
    """One with each kind of connection that it has."""
    database = await open_postgres(url)
    await database.write("SELECT 1")
    await database.wait(["nothing"], 0)
    return database


async def test_closing_that_is_cancelled(postgres_url: str) -> None:
    async with proxied(postgres_url) as proxy:
        database = await used(behind(postgres_url, proxy))
        assert proxy.links == 3
        proxy.swallow = True
        closing = asyncio.create_task(database.close())
        await proxy.held.wait()  # the first one says that it ends
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        proxy.heal()
        await gone(proxy)


async def test_closing_while_the_server_says_nothing(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_CLOSE", 0.05)
    async with proxied(postgres_url) as proxy:
        database = await used(behind(postgres_url, proxy))
        proxy.swallow = True
        await database.close()
        proxy.heal()
        await gone(proxy)


async def test_closing_with_a_transaction_that_does_not_end(server: Server) -> None:
    """It is not waited for any longer when that is cancelled."""
    database = await used(server.seen("public"))
    async with database.pool.acquire():
        closing = asyncio.create_task(database.close())
        await server.sessions(1)  # the others are closed
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await server.sessions(0)


# ---------------------------------------------------------------- one of several hosts


async def test_a_host_that_is_gone_is_passed_over_and_not_tried_first_again(postgres_url: str) -> None:
    async with proxied(postgres_url) as proxy:
        first = urlsplit(behind(postgres_url, proxy))
        second = urlsplit(postgres_url).netloc.rpartition("@")[2]
        hosts = Hosts(first._replace(netloc=f"{first.netloc},{second}").geturl())
        proxy.stall = True  # it takes links, and says nothing
        for _ in range(2):
            connection = await hosts.connect(2.0)
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()
        assert proxy.accepted == 1
        proxy.heal()
        await gone(proxy)


async def test_hosts_of_which_none_will_do(server: Server) -> None:
    """They can be reached, and only read: nothing of them is kept."""
    place = urlsplit(server.url)
    host = place.netloc.rpartition("@")[2]
    url = place._replace(netloc=f"{place.netloc},{host.replace('127.0.0.1', 'localhost')}").geturl()
    with pytest.raises(StoreUnavailable, match=f"no host of it can be used now .`{host}`.*; `localhost"):
        await open_postgres(f"{url}?application_name=ours&default_transaction_read_only=on")
    await server.sessions(0)


async def test_a_host_is_not_waited_for_any_longer(postgres_url: str) -> None:
    """Nor is the next one tried."""
    async with proxied(postgres_url) as first, proxied(postgres_url) as second:
        place = urlsplit(behind(postgres_url, first))
        hosts = Hosts(place._replace(netloc=f"{place.netloc},{second.host}:{second.port}").geturl())
        first.swallow = True
        connecting = asyncio.create_task(hosts.connect(PATIENCE))
        await first.held.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        first.heal()
        await gone(first)
        assert second.accepted == 0
