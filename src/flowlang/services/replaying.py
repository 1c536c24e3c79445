"""A service whose replies are written down: its pool has no connections, and nothing leaves the process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qs, unquote

import httpcore2

from flowlang.connections.http.client import Client
from flowlang.connections.http.settings import settings_of
from flowlang.records import frozen
from flowlang.services.calls import Caller
from flowlang.services.pacing import Pace
from flowlang.services.plugin import ServicePlugin
from flowlang.services.trials import Reply, Trial

ADDRESS = "https://service.example"  # of a service whose address depends on its settings


@frozen
class Asked:
    """A request as it would have left. `path` is below `base_url`; names in `query`, `headers` and `form` have a text,
    or a list of them where they stand several times."""

    method: str
    path: str
    query: Mapping[str, Any]
    headers: Mapping[str, Any]
    json: Any
    form: Mapping[str, Any]


class UnansweredRequest(Exception):
    """More was asked than there are replies."""


class Replies:
    """Stands in the place of a pool: gives the replies in turn, and notes what was asked."""

    def __init__(self, replies: Sequence[Reply], lead: str) -> None:
        self.asked: list[Asked] = []
        self._replies = replies
        self._lead = lead.rstrip("/")

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        content = b""
        if request.stream is not None:
            content = b"".join([piece async for piece in request.stream])  # type: ignore[union-attr]
        self.asked.append(self._told(request, content))
        if len(self.asked) > len(self._replies):
            raise UnansweredRequest
        reply = self._replies[len(self.asked) - 1]
        body, kind = (reply.text.encode(), "text/plain") if reply.text else (b"", "")
        if reply.text is None:
            body, kind = json.dumps(reply.body).encode(), "application/json"
        headers = {**({"Content-Type": kind} if kind else {}), **reply.headers}
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        return httpcore2.Response(reply.status, headers=pairs, content=_Content(body))

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _told(self, request: httpcore2.Request, content: bytes) -> Asked:
        path, _, query = request.url.target.decode("latin-1").partition("?")
        headers: dict[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers
        }
        kind = headers.get("content-type", "")
        text = content.decode("utf-8", "replace")
        return Asked(
            request.method.decode(),
            unquote(path).removeprefix(self._lead) or "/",
            _pairs(query),
            headers,
            json.loads(text) if kind == "application/json" and text else None,
            _pairs(text) if kind == "application/x-www-form-urlencoded" else {},
        )


class _Content:
    """The content of a reply, in one piece."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content

    async def aclose(self) -> None:
        """There is nothing to close."""


def _pairs(text: str) -> dict[str, Any]:
    found = parse_qs(text, keep_blank_values=True)
    return {name: each[0] if len(each) == 1 else each for name, each in found.items()}


async def carried_out(kind: type[ServicePlugin], trial: Trial) -> tuple[Any, list[Asked]]:
    """What the operation of a test gives, and what it asked. Raises what the operation raises, with what was asked in
    `asked` all the same."""
    plugin, service = kind(), kind.service
    given = {each.name.text: each.default if each.has_default else None for each in service.settings}
    given |= {each.name.text: f"secret-{each.name.text}" for each in service.settings if each.required}
    given |= trial.config
    config = {**given, "base_url": service.fixed_url or ADDRESS}
    settings = settings_of(plugin.transport(config))
    replies = Replies(trial.replies, settings.base.path)
    pool: Any = replies  # in all that a client asks of its pool
    client = Client(settings, pool)
    caller = Caller(service, given, Pace(None), 3600.0)
    try:
        if trial.operation.pages is None:
            return await caller.perform(trial.operation, client, None, trial.params), replies.asked
        async with aclosing(caller.pages(trial.operation, client, trial.params)) as pages:
            items = [item async for page in pages for item in page]
        return {trial.operation.declared[0].name: items}, replies.asked
    except Exception as error:
        error.asked = replies.asked  # type: ignore[attr-defined]
        raise
    finally:
        await client.close()
