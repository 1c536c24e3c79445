"""The HTTP connection type.

A pool of HTTP/1.1 connections to one service (`client`), over sockets that only go where they may (`network`,
`addresses`). What is sent is made in `bodies`, what comes back is read in `replies`, what goes wrong is told in
`errors`. No state is kept between two requests but open connections and the token of `oauth2_client_credentials`:
cookies are not kept, and neither the environment nor `.netrc` is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.http.errors import verdict
from flowlang.connections.http.requests import RequestTasks
from flowlang.connections.http.settings import SCHEMA, problem_in, settings_of
from flowlang.connections.http.transfers import TransferTasks
from flowlang.exceptions import ConnectionError

if TYPE_CHECKING:
    from flowlang.connections.endpoints import Endpoint
    from flowlang.connections.http.client import Client


class HttpPlugin(RequestTasks, TransferTasks, ConnectionPlugin):
    """HTTP through `httpx2`."""

    name = "http"
    description = "HTTP service: requests, pages, files"
    version = "1.0.0"
    category = "http"
    task_prefix = "http"
    error_table = staticmethod(verdict)
    shareable = True

    def __init__(self) -> None:
        super().__init__()
        self._client: Client | None = None

    # ── how it is configured ────────────────────────────────────────────────────────────────────────────────

    def get_config_schema(self) -> dict[str, Any]:
        return SCHEMA

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        valid, reason = super().validate_config(config)
        if not valid:
            return valid, reason
        problem = problem_in(config)
        return problem is None, problem

    def get_dependencies(self) -> list[str]:
        return ["httpx2>=2.16"]

    def endpoints(self, config: dict[str, Any]) -> Sequence[Endpoint]:
        from flowlang.connections.endpoints import Server, Tls
        from flowlang.connections.http.addresses import refusal
        from flowlang.connections.http.tls import context_of

        settings = settings_of(config)
        place = settings.proxy[0] if settings.proxy is not None else settings.base
        tls = Tls(lambda: context_of(settings.verify), verify="verify") if place.scheme == "https" else None
        allowed = None if settings.allow_private else refusal
        return (Server(place.host, place.port, tls, "proxy" if settings.proxy is not None else None, allowed),)

    # ── how it opens ────────────────────────────────────────────────────────────────────────────────────────

    async def connect(self, config: dict[str, Any]) -> HttpPlugin:
        """Read the certificates and set up an empty pool. Nothing is asked of the service yet.

        Raises FlowExecutionError (`config`): a file of `verify` cannot be read.
        """
        import asyncio

        from flowlang.connections.http.client import opened
        from flowlang.connections.http.tls import context_of

        settings = settings_of(config)
        context = await asyncio.to_thread(context_of, settings.verify)
        self._client = opened(settings, context)
        return self

    async def disconnect(self) -> None:
        """Close every connection, and give up a token that is being fetched."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def get_connection(self) -> Client:
        """The client. It looks after its own connections: a broken one is never used again."""
        if self._client is None:
            raise ConnectionError("the HTTP connection is not open")
        return self._client

    async def ping(self, connection: Client) -> None:
        """Ask for the headers of `base_url`. Any answer will do, but for 5xx and those that refuse the credentials."""
        await connection.ping()

    # ── what it can do ──────────────────────────────────────────────────────────────────────────────────────

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        """The nine tasks, bound to this connection."""
        return {
            "http_request": self.request,
            "http_get": self.get,
            "http_post": self.post,
            "http_put": self.put,
            "http_patch": self.patch,
            "http_delete": self.delete,
            "http_paginate": self.paginate,
            "http_download": self.download,
            "http_upload": self.upload,
        }
