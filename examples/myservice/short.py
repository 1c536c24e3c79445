"""A FlowLang connection to MyService, the example of the guide for plugins, in the short form."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict
from urllib.parse import quote

from flowlang.connections.typed import Ge, Pattern, Secret, TypedPlugin, task

if TYPE_CHECKING:
    from myservice import AsyncClient


@dataclass(frozen=True)
class Config:
    api_key: Annotated[Secret[str], "Key of the API", Pattern("^sk_")]
    base_url: Annotated[str, "Where it is"] = "https://api.myservice.com"
    timeout: Annotated[float, "Seconds for a request", Ge(1)] = 30.0


class Fetched(TypedDict):
    data: dict[str, Any]


class Created(Fetched):
    resource_id: str


class MyServicePlugin(TypedPlugin[Config]):
    """MyService API connection"""

    name = "myservice"
    version = "1.0.0"
    requires = ("myservice-client>=1.0.0",)

    def error_table(self, error: BaseException) -> str | None:
        return {401: "auth", 404: "not_found", 429: "rate_limited", 503: "unavailable"}.get(getattr(error, "status", 0))

    @asynccontextmanager
    async def open(self, config: Config) -> AsyncIterator["AsyncClient"]:
        from myservice import AsyncClient

        client = AsyncClient(api_key=config.api_key, base_url=config.base_url, timeout=config.timeout)
        try:
            await client.ping()
            yield client
        finally:
            await client.close()

    async def ping(self, connection: "AsyncClient") -> None:
        await connection.ping()

    @task(effect="write", idempotent=False)
    async def create(
        self,
        resource_type: Annotated[str, "What kind of resource"],
        payload: Annotated[dict[str, Any], "What it holds"],
        connection: "AsyncClient",
    ) -> Created:
        """Make a resource.

        Example:
            - myservice_create: {id: create_item, resource_type: item, payload: {name: "${inputs.item_name}"}}
        """
        made = await connection.post(f"/{quote(resource_type, safe='')}s", json=payload)
        return {"data": made, "resource_id": made["id"]}

    @task(effect="read")
    async def get(self, resource_id: Annotated[str, "Which resource"], connection: "AsyncClient") -> Fetched:
        """Fetch one resource.

        Example:
            - myservice_get: {id: fetch_item, resource_id: "${create_item.resource_id}"}
        """
        return {"data": await connection.get(f"/resources/{quote(resource_id, safe='')}")}
