"""A service that speaks HTTP and JSON, for plugins of their own: one context manager to open it, one method a request.

    async with api(config.base_url, auth={"type": "bearer", "token": config.token}, judge=judged) as client:
        item = await client.get(path("items", item_id))

What is sent, where it may go, how long it may take and what a failure means is as of the type `http`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flowlang.connections.http.bodies import body_of
from flowlang.connections.http.client import Client, opened
from flowlang.connections.http.errors import invalid
from flowlang.connections.http.settings import problem_in, settings_of
from flowlang.connections.http.tls import context_of
from flowlang.exceptions import FlowExecutionError

if TYPE_CHECKING:
    from flowlang.connections.http.calls import Judge


def path(*segments: str) -> str:
    """The path of these segments, each encoded. Raises RequestFailed (`validation`) for an empty one, which would
    name something else."""
    if not all(segments):
        raise invalid("a part of the path is empty")
    return "".join(f"/{quote(each, safe='')}" for each in segments)


class Api:
    """An opened service. Each method sends one request and gives the value of its reply: of JSON the value itself, None
    for nothing. Raises RequestFailed for what the judge or the status calls a failure."""

    def __init__(self, client: Client, judge: Judge | None) -> None:
        self._client = client
        self._judge = judge

    async def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        return await self.request("GET", path, query=query)

    async def post(self, path: str, json: Any = None, *, key: str | None = None) -> Any:
        """`key`: sent as `Idempotency-Key`, so that it may be sent again when nobody knows whether it arrived."""
        return await self.request("POST", path, json=json, key=key)

    async def put(self, path: str, json: Any = None) -> Any:
        return await self.request("PUT", path, json=json)

    async def patch(self, path: str, json: Any = None, *, key: str | None = None) -> Any:
        return await self.request("PATCH", path, json=json, key=key)

    async def delete(self, path: str) -> Any:
        return await self.request("DELETE", path)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        json: Any = None,
        key: str | None = None,
    ) -> Any:
        body = await body_of(json, None, None, None)
        call = self._client.call(method, path, query, headers, body, key=key)
        return (await self._client.answer(replace(call, judge=self._judge))).body

    async def ping(self) -> None:
        """Whether the service answers, and takes the credentials."""
        await self._client.ping()


@asynccontextmanager
async def api(base_url: str, *, judge: Judge | None = None, **settings: Any) -> AsyncIterator[Api]:
    """Open a service for the block. `settings` are those of the type `http`: `auth`, `headers`, `timeout`,
    `max_connections`, `allow_private`, `verify` … `judge` tells whether a reply is a failure, and of which class.

    Raises FlowExecutionError (`config`): the settings cannot be used. Nothing is asked of the service yet.
    """
    config = {"base_url": base_url, **settings}
    if problem := problem_in(config):
        raise FlowExecutionError(problem, error_class="config")
    found = settings_of(config)
    client = opened(found, await asyncio.to_thread(context_of, found.verify))
    try:
        yield Api(client, judge)
    finally:
        await client.close()
