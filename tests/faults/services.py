"""The services that the fault tests go over. A connection type joins by one more entry in `SERVICES`."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.faults.web import asked

Step = Mapping[str, Mapping[str, Any]]


async def _nothing(url: str) -> None:
    """Nothing has to be there."""


@dataclass(frozen=True)
class Service:
    """`config(url)`: what a connection needs. `prepare(url)`: make what the steps need.

    `read` and `write`: a step each; the write may not be repeated. `writes(url)`: how often the write took place, asked
    past the proxy. `links(url)`: the links of flows as the server counts them; None where it cannot be asked, and the
    proxy counts. `pool_key`: the setting for the size of the pool. `watchers`: links beside those of the pool.
    """

    kind: str
    config: Callable[[str], dict[str, Any]]
    read: Step
    write: Step
    writes: Callable[[str], Awaitable[int]]
    links: Callable[[str], Awaitable[int]] | None
    pool_key: str
    watchers: int = 0
    prepare: Callable[[str], Awaitable[None]] = _nothing


def through(url: str, port: int) -> str:
    """`url` with the proxy in place of the server."""
    parts = urlsplit(url)
    account = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{account}@127.0.0.1:{port}" if account else f"127.0.0.1:{port}").geturl()


# ---------------------------------------------------------------- redis


async def _redis(url: str, call: Callable[[Any], Awaitable[Any]]) -> Any:
    import redis.asyncio

    async with redis.asyncio.from_url(url, protocol=2) as client:
        return await call(client)


async def _redis_writes(url: str) -> int:
    return int(await _redis(url, lambda client: client.get("n")) or 0)


async def _redis_links(url: str) -> int:
    number = urlsplit(url).path.strip("/") or "0"
    clients = await _redis(url, lambda client: client.client_list())
    return sum(each["name"] == "flowlang" and each["db"] == number for each in clients)


# ---------------------------------------------------------------- mongodb


def _mongo_config(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    bare = parts._replace(path="/").geturl()
    return {"url": bare, "database": parts.path.strip("/") or "faults", "server_selection_timeout_ms": 1000}


async def _mongo_writes(url: str) -> int:
    from pymongo import AsyncMongoClient

    config = _mongo_config(url)
    async with AsyncMongoClient(config["url"]) as client:
        return await client[config["database"]]["writes"].count_documents({})


# ---------------------------------------------------------------- SQL


def _sql(prefix: str) -> dict[str, Step]:
    return {
        "read": {f"{prefix}_query": {"query": "SELECT count(*) AS n FROM writes"}},
        "write": {f"{prefix}_execute": {"query": "INSERT INTO writes VALUES (1)"}},
    }


_TABLE = "CREATE TABLE IF NOT EXISTS writes (n INTEGER)"


async def postgres_value(url: str, query: str) -> Any:
    """The first value that PostgreSQL answers; None where there is none."""
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def mysql_value(url: str, query: str) -> Any:
    """The first value that MySQL answers; None where there is none."""
    import asyncmy

    parts = urlsplit(url)
    connection = await asyncmy.connect(
        host=parts.hostname, port=parts.port or 3306, user=parts.username, password=parts.password or "",
        db=parts.path.strip("/"), autocommit=True,
    )  # fmt: skip
    try:
        async with connection.cursor() as cursor:
            await cursor.execute(query)
            row = await cursor.fetchone() if cursor.description else None
        return row[0] if row else None
    finally:
        await connection.ensure_closed()


def sqlite_at(file: str) -> Service:
    """A file with the table `writes`, which is none of `SERVICES`: there is no link to it that could break."""

    async def writes(url: str) -> int:
        with closing(sqlite3.connect(file)) as db:
            return int(db.execute("SELECT count(*) FROM writes").fetchone()[0])

    config = {"database": file, "timeout": 0.05}
    return Service(
        kind="sqlite", config=lambda _: config, **_sql("sqlite"), writes=writes, links=None, pool_key="pool_size"
    )


SERVICES = [
    Service(
        kind="redis",
        config=lambda url: {"url": url},
        read={"redis_get": {"key": "k"}},
        write={"redis_incr": {"key": "n"}},
        writes=_redis_writes,
        links=_redis_links,
        pool_key="max_connections",
    ),
    Service(
        kind="http",
        config=lambda url: {"base_url": url, "allow_private": True},
        read={"http_get": {"path": "/read"}},
        write={"http_post": {"path": "/write"}},
        writes=lambda url: asked(url, "/writes"),
        links=lambda url: asked(url, "/links"),
        pool_key="max_connections",
    ),
    Service(
        kind="mongodb",
        config=_mongo_config,
        read={"mongo_find": {"collection": "writes"}},
        write={"mongo_insert": {"collection": "writes", "documents": {"n": 1}}},
        writes=_mongo_writes,
        links=None,
        pool_key="max_pool_size",
        watchers=2,
    ),
    Service(
        kind="postgres",
        config=lambda url: {"url": url},
        **_sql("pg"),
        writes=lambda url: postgres_value(url, "SELECT count(*) FROM writes"),
        links=lambda url: postgres_value(
            url,
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'flowlang'",
        ),
        pool_key="pool_size",
        prepare=lambda url: postgres_value(url, _TABLE),
    ),
    Service(
        kind="mysql",
        config=lambda url: {"url": url, "timeout": 2},
        **_sql("mysql"),
        writes=lambda url: mysql_value(url, "SELECT count(*) FROM writes"),
        links=lambda url: mysql_value(
            url,
            "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
        ),
        pool_key="pool_size",
        prepare=lambda url: mysql_value(url, _TABLE),
    ),
]
