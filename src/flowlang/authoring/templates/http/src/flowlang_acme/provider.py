"""The Acme connection type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from flowlang.connections.typed import Ge, Gt, Le, MinLen, Secret, TypedPlugin, task

from flowlang_acme.errors import judged, verdict

if TYPE_CHECKING:
    from flowlang.connections.http.api import Api


@dataclass(frozen=True)
class Config:
    """How to reach Acme."""

    token: Annotated[Secret[str], "What lets us in"]
    base_url: Annotated[str, "Where every path begins", MinLen(1)] = "https://api.acme.example/v1"
    timeout: Annotated[float, "Seconds for one request", Gt(0), Le(86400)] = 30.0
    max_connections: Annotated[int, "Connections that may be open at once", Ge(1), Le(1000)] = 10
    allow_private: Annotated[bool, "Allow addresses that are not of the public internet"] = False


class Item(TypedDict):
    """`item`: the item as the service has it."""

    item: dict[str, Any]


class Created(Item):
    """`item_id`: what the service calls it."""

    item_id: str


class AcmePlugin(TypedPlugin[Config]):
    """Acme: items over HTTP"""

    name = "acme"
    version = "0.1.0"
    category = "http"
    requires = ("httpx2>=2.16",)  # what FlowLang's HTTP stands on: in pyproject.toml, too
    error_table = staticmethod(verdict)

    @asynccontextmanager
    async def open(self, config: Config) -> AsyncIterator[Api]:
        # Imported here, so that listing and checking work without what the client needs.
        from flowlang.connections.http.api import api

        async with api(
            config.base_url,
            auth={"type": "bearer", "token": config.token},
            timeout=config.timeout,
            max_connections=config.max_connections,
            allow_private=config.allow_private,
            judge=judged,
        ) as client:
            await client.ping()
            yield client

    async def ping(self, connection: Api) -> None:
        await connection.ping()

    @task(effect="write", idempotent=False)
    async def create(self, data: dict[str, Any], connection: Api) -> Created:
        """Make an item.

        Args:
            data: what it holds

        Returns:
            item_id: what the service calls it
            item: the item as the service has it

        Example:
            - acme_create: {id: made, data: {text: hello}}
        """
        item = await connection.post("/items", data)
        return {"item_id": item["id"], "item": item}

    @task(effect="write", idempotent=True)
    async def put(self, item_id: str, data: dict[str, Any], connection: Api) -> Item:
        """Write an item, in place of the one that is there.

        Args:
            item_id: which
            data: what it holds

        Returns:
            item: the item as the service has it

        Example:
            - acme_put: {id: kept, item_id: greeting, data: {text: hello}}
        """
        from flowlang.connections.http.api import path

        return {"item": await connection.put(path("items", item_id), data)}

    @task(effect="read")
    async def get(self, item_id: str, connection: Api) -> Item:
        """Read an item.

        Args:
            item_id: which

        Returns:
            item: the item as the service has it

        Example:
            - acme_get: {id: read, item_id: greeting}
        """
        from flowlang.connections.http.api import path

        return {"item": await connection.get(path("items", item_id))}

    @task(effect="read")
    async def scan(
        self, connection: Api, page_size: Annotated[int, Ge(1), Le(1000)] = 100
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Read all items, page by page, as a stream.

        Args:
            page_size: how many are asked for at a time

        Example:
            - acme_scan: {id: all}
        """
        after: str | None = ""
        while after is not None:
            page = await connection.get("/items", {"after": after, "limit": page_size})
            yield page["items"]
            after = page["next"]
