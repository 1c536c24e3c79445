"""The pool of links: bounded, fair, and never a reply for the wrong one. And what errors mean."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio
from tests.servers.process import Server

import flowlang
from flowlang.connections import opened as opened_service
from flowlang.connections.errors import classify
from flowlang.exceptions import FlowExecutionError


async def ours(server: Any) -> int:
    return sum(each["name"] == "flowlang" for each in await server.client_list())


async def test_a_cancelled_command_never_hands_its_answer_on(opened: Any, server: Any) -> None:
    """Cancelled in every state, the next user gets an answer of its own."""
    cache = await opened(max_connections=2)
    await cache.run("redis_mset", values={f"k{n}": n for n in range(50)})

    async def read(number: int) -> None:
        assert (await cache.run("redis_get", key=f"k{number}"))["value"] == str(number)

    for turns in range(8):
        tasks = [asyncio.create_task(read(number)) for number in range(50)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for each in tasks[::2]:
            each.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in done} <= {type(None), asyncio.CancelledError}
    await asyncio.gather(*map(read, range(50)))


async def test_the_pool_is_bounded(opened: Any, redis_url: str, own_redis: Server) -> None:
    """Counted at the server; who waits longest is next."""
    async with redis.asyncio.from_url(own_redis.url, protocol=2) as client:
        async with opened_service("redis", {"url": own_redis.url, "max_connections": 3}) as cache:
            await asyncio.gather(*(cache.run("redis_incr", key="n") for _ in range(60)))
            assert await ours(client) <= 3
            assert await client.get("n") == b"60"
        async with asyncio.timeout(10):  # the server hears of each in its own time
            while await ours(client):
                pass


async def test_an_exhausted_pool_says_so(redis_url: str) -> None:
    """After `acquire_timeout`, with what to do."""
    text = """
flow: f
connections: {cache: {type: redis, url: "${env.URL}", max_connections: 1, acquire_timeout: 50ms}}
steps:
  - parallel:
      - redis_blpop: {id: a, connection: cache, keys: nothing, timeout: 1}
      - redis_blpop: {id: b, connection: cache, keys: nothing, timeout: 1}
"""
    result = await flowlang.run(text=text, env={"URL": redis_url})
    assert result.status == "failed", result.findings
    assert "the pool is exhausted" in str(result.failure)


async def test_a_server_that_comes_back_is_found_again(own_redis: Server) -> None:
    """Idle links that the server dropped are replaced before they are used."""
    async with opened_service("redis", {"url": own_redis.url}) as cache:
        await asyncio.gather(*(cache.run("redis_set", key="k", value="v") for _ in range(5)))
        await asyncio.to_thread(own_redis.kill)
        await asyncio.to_thread(own_redis.start)
        assert await cache.run("redis_get", key="k") == {"value": None, "exists": False}


async def test_a_link_lost_while_waiting_is_of_unknown_outcome(opened: Any, server: Any) -> None:
    """Class connection_lost: a write is not repeated by itself."""
    cache = await opened()
    waiting = asyncio.create_task(cache.run("redis_blpop", keys="l", timeout=60))
    while not any(each["name"] == "flowlang" and each["cmd"] == "blpop" for each in await server.client_list()):
        pass
    for each in await server.client_list():
        if each["name"] == "flowlang" and each["cmd"] == "blpop" and each["db"] == str(_number(server)):
            await server.client_kill(each["addr"])
    with pytest.raises(FlowExecutionError, match="BLPOP: the link broke") as caught:
        await waiting
    verdict = classify(caught.value, cache.plugin, "task")
    assert (verdict.error_class, verdict.outcome_unknown) == ("connection_lost", True)
    assert await cache.run("redis_llen", key="l") == {"length": 0}


def _number(client: Any) -> int:
    return int(client.connection_pool.connection_kwargs.get("db", 0))


async def test_a_server_that_hangs_is_a_timeout(own_redis: Server) -> None:
    """The link is dropped with its late answer."""
    async with opened_service("redis", {"url": own_redis.url, "socket_timeout": 0.3}) as cache:
        client = redis.asyncio.from_url(own_redis.url, protocol=2)
        await client.execute_command("CLIENT", "PAUSE", "700", "ALL")
        with pytest.raises(FlowExecutionError, match=r"GET: no answer within 0\.3 s") as caught:
            await cache.run("redis_get", key="k")
        assert classify(caught.value, cache.plugin, "task").error_class == "timeout"
        await client.ping()
        await cache.run("redis_set", key="k", value="v")
        assert await cache.run("redis_get", key="k") == {"value": "v", "exists": True}
        await client.aclose()


REFUSALS = [
    ("WRONGTYPE Operation against a key", "validation", False),
    ("ERR value is not an integer or out of range", "validation", False),
    ("NOPERM this user has no permissions", "permission", False),
    ("READONLY You can't write against a read only replica.", "unavailable", True),
    ("BUSY Redis is busy running a script", "unavailable", True),
    ("LOADING Redis is loading the dataset in memory", "unavailable", True),
    ("MASTERDOWN Link with MASTER is down", "unavailable", True),
    ("CLUSTERDOWN The cluster is down", "unavailable", True),
    ("TRYAGAIN Multiple keys request during rehashing of slot", "unavailable", True),
    ("NOREPLICAS Not enough good replicas to write.", "unavailable", True),
    ("MISCONF Redis is configured to save RDB snapshots", "unavailable", True),
    ("OOM command not allowed when used memory > 'maxmemory'.", "limit", False),
    ("MOVED 3999 127.0.0.1:6381", "config", False),
    ("ASK 3999 127.0.0.1:6381", "config", False),
    ("CROSSSLOT Keys in request don't hash to the same slot", "config", False),
    ("NOSCRIPT No matching script.", "not_found", False),
    ("NOGROUP No such consumer group", "not_found", False),
    ("BUSYKEY Target key name already exists.", "conflict", False),
    ("NOAUTH Authentication required.", "auth", False),
    ("WRONGPASS invalid username-password pair", "auth", False),
]


@pytest.mark.parametrize(
    ("answer", "error_class", "retryable"), REFUSALS, ids=[each[0].split()[0] for each in REFUSALS]
)
async def test_each_refusal_has_its_class(answer: str, error_class: str, retryable: bool) -> None:
    """From a server that answers everything else as it should; nothing was done, so the outcome is known."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            words = []
            for _ in range(int(line[1:])):
                await reader.readline()
                words.append((await reader.readline()).strip())
            writer.write(f"-{answer}\r\n".encode() if words[0] == b"GET" else b"+OK\r\n")
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        async with opened_service("redis", {"url": f"redis://127.0.0.1:{port}"}) as cache:
            with pytest.raises(FlowExecutionError, match=answer.split()[1]) as caught:
                await cache.run("redis_get", key="k")
            verdict = classify(caught.value, cache.plugin, "task")
            assert (verdict.error_class, verdict.retryable, verdict.outcome_unknown) == (error_class, retryable, False)
        await ended.wait()


async def test_the_real_refusals(own_redis: Server) -> None:
    """What a real server answers: wrong type, no memory, a replica, a missing right."""
    client = redis.asyncio.from_url(own_redis.url, protocol=2)
    await client.rpush("l", "x")
    await client.execute_command("ACL", "SETUSER", "ada", "on", ">pass-word", "~*", "+get", "+client", "+select")
    place = own_redis.url.removeprefix("redis://")
    async with opened_service("redis", {"url": own_redis.url}) as cache:
        await _refused(cache, "validation", "redis_get", key="l")
        await client.config_set("maxmemory", "1")
        await _refused(cache, "limit", "redis_set", key="k", value="v")
        await client.config_set("maxmemory", "0")
        await client.replicaof("127.0.0.1", 1)
        await _refused(cache, "unavailable", "redis_set", key="k", value="v")
        await client.replicaof("NO", "ONE")
    async with opened_service("redis", {"url": f"redis://ada:pass-word@{place}"}) as cache:
        await _refused(cache, "permission", "redis_set", key="k", value="v")
    await client.aclose()


async def _refused(cache: Any, error_class: str, name: str, **arguments: Any) -> None:
    with pytest.raises(FlowExecutionError) as caught:
        await cache.run(name, **arguments)
    assert classify(caught.value, cache.plugin, "task").error_class == error_class
