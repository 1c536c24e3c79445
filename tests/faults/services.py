"""The services that the fault tests go over. A connection type joins by one more entry in `SERVICES`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Service:
    """`config(url)`: the connection's config, with a limit of half a second for one operation.

    `read` and `write`: a task and its arguments; the write may not be repeated. `writes(url)`: how often the write
    took place, asked past the proxy. `handles(url)`: the connection's links as the server counts them.
    `handshake`: bytes the server sends until a connection is open.
    """

    kind: str
    config: Callable[[str], dict[str, Any]]
    read: tuple[str, Mapping[str, Any]]
    write: tuple[str, Mapping[str, Any]]
    writes: Callable[[str], Awaitable[int]]
    handles: Callable[[str], Awaitable[int]]
    handshake: int
    pool_key: str


def through(url: str, port: int) -> str:
    """`url` with the proxy in place of the server."""
    parts = urlsplit(url)
    account = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{account}@127.0.0.1:{port}" if account else f"127.0.0.1:{port}").geturl()


async def _redis_writes(url: str) -> int:
    import redis.asyncio

    async with redis.asyncio.from_url(url, protocol=2) as client:
        return int(await client.get("n") or 0)


async def _redis_handles(url: str) -> int:
    import redis.asyncio

    number = urlsplit(url).path.strip("/") or "0"
    async with redis.asyncio.from_url(url, protocol=2) as client:
        return sum(each["name"] == "flowlang" and each["db"] == number for each in await client.client_list())


SERVICES = [
    Service(
        kind="redis",
        config=lambda url: {"url": url, "socket_timeout": 0.5},
        read=("redis_get", {"key": "k"}),
        write=("redis_incr", {"key": "n"}),
        writes=_redis_writes,
        handles=_redis_handles,
        handshake=10,
        pool_key="max_connections",
    ),
]
