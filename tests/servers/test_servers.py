"""The servers themselves: each test has an empty place, and a server of one's own can be killed and comes back."""

from __future__ import annotations

import asyncpg
import pytest
from tests.servers.process import Server


async def test_a_postgres_database_is_empty(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("select count(*) from pg_tables where schemaname = 'public'") == 0
    await connection.execute("create table orders (id int)")
    await connection.close()


async def test_a_mysql_database_is_empty(mysql_url: str) -> None:
    assert mysql_url.rpartition("/")[2].startswith("t_")


async def test_a_redis_database_is_empty(redis_url: str) -> None:
    import redis.asyncio

    client = redis.asyncio.from_url(redis_url)
    assert await client.dbsize() == 0
    await client.aclose()


async def test_a_mongodb_database_is_empty(mongodb_url: str) -> None:
    await _empty_and_writable(mongodb_url)


async def test_a_ferretdb_database_is_empty(ferretdb_url: str) -> None:
    await _empty_and_writable(ferretdb_url)


async def _empty_and_writable(url: str) -> None:
    from pymongo import AsyncMongoClient

    async with AsyncMongoClient(url) as client:
        database = client.get_default_database()
        assert await database.list_collection_names() == []
        await database["orders"].insert_one({"_id": 1})
        assert await database["orders"].count_documents({}) == 1


@pytest.mark.slow
def test_a_server_of_ones_own_comes_back_after_a_kill(own_postgres: Server) -> None:
    import asyncio

    own_postgres.kill()
    with pytest.raises(ConnectionError):
        asyncio.run(own_postgres.answers())
    own_postgres.start()
    asyncio.run(own_postgres.answers())
