"""The Acme connection type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from flowlang.connections.typed import Ge, Gt, Le, MinLen, Secret, TypedPlugin, task

from flowlang_acme.errors import verdict

if TYPE_CHECKING:
    from flowlang_acme.client import Client


@dataclass(frozen=True)
class Config:
    """How to reach Acme."""

    host: Annotated[str, "Where the service is", MinLen(1)]
    token: Annotated[Secret[str], "What lets us in"]
    port: Annotated[int, "Its port", Ge(1), Le(65535)] = 7070
    timeout: Annotated[float, "Seconds for one request", Gt(0)] = 30.0
    max_connections: Annotated[int, "Links that may be open at once", Ge(1), Le(1000)] = 4


class Value(TypedDict):
    """`value`: what is kept."""

    value: Any


class Stored(TypedDict):
    """`created`: whether there was nothing of that name before."""

    created: bool


class Counted(TypedDict):
    """`count`: how many."""

    count: int


class Entry(TypedDict):
    """One of the things that are kept."""

    key: str
    value: Any


class AcmePlugin(TypedPlugin[Config]):
    """Acme: values by name"""

    name = "acme"
    version = "0.1.0"
    category = "service"
    requires = ()  # what it needs, as "acme-client>=1.0": in pyproject.toml, too
    error_table = staticmethod(verdict)

    @asynccontextmanager
    async def open(self, config: Config) -> AsyncIterator[Client]:
        # Imported here, so that listing and checking work without what the client needs.
        from flowlang_acme.client import Client

        links, timeout = config.max_connections, config.timeout
        client = Client(config.host, config.port, config.token, links=links, timeout=timeout)
        try:
            await client.ask("ping")
            yield client
        finally:
            await client.close()

    async def ping(self, connection: Client) -> None:
        await connection.ask("ping")

    @task(effect="write", idempotent=True)
    async def put(self, key: str, value: Any, connection: Client) -> Stored:
        """Keep a value, in place of the one that is there.

        Args:
            key: its name
            value: what to keep

        Returns:
            created: whether there was nothing of that name before

        Example:
            - acme_put: {id: kept, key: greeting, value: hello}
        """
        return {"created": await connection.ask("put", key=key, value=value)}

    @task(effect="write", idempotent=True)
    async def put_many(self, items: list[Entry], connection: Client) -> Counted:
        """Keep several values, all of them or none.

        Args:
            items: keys and values

        Returns:
            count: how many

        Example:
            - acme_put_many: {id: many, items: [{key: one, value: 1}, {key: two, value: 2}]}
        """
        return {"count": await connection.ask("put_many", items=items)}

    @task(effect="read")
    async def get(self, key: str, connection: Client) -> Value:
        """Read a value.

        Args:
            key: its name

        Returns:
            value: what is kept

        Example:
            - acme_get: {id: read, key: greeting}
        """
        return {"value": await connection.ask("get", key=key)}

    @task(effect="read")
    async def scan(
        self, connection: Client, prefix: str = "", batch_size: Annotated[int, Ge(1)] = 1000
    ) -> AsyncIterator[list[Entry]]:
        """Read all values whose names begin alike, as a stream.

        Args:
            prefix: what the names begin with
            batch_size: how many are asked for at a time

        Example:
            - acme_scan: {id: all, prefix: greet}
        """
        after = ""
        while batch := await connection.ask("scan", prefix=prefix, after=after, limit=batch_size):
            yield batch
            after = batch[-1]["key"]
