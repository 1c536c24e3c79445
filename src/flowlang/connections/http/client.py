"""One request from its first byte to its last: credentials, redirects, renewed tokens, bounds and time.

It stands on `httpcore2`, the layer of `httpx2` that speaks the protocol and keeps the pool: the layers above it
would keep cookies between steps, write URLs to the log and decompress without a bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpcore2

from flowlang.connections.http import replies, urls
from flowlang.connections.http.auth import auth_of, scrubbed
from flowlang.connections.http.bodies import Body
from flowlang.connections.http.calls import (
    Answer,
    Call,
    Headers,
    Reply,
    checked_headers,
    checked_method,
    merged,
    request_maker,
)
from flowlang.connections.http.errors import RequestFailed, broken, invalid, refused
from flowlang.connections.http.network import PROGRESS, Backend, Progress
from flowlang.connections.http.settings import Settings, header_problem
from flowlang.connections.http.urls import Place
from flowlang.connections.http.watched import Watched
from flowlang.tracecontext import CURRENT

_IDLE = 15.0  # seconds an unused connection is kept
_TOKEN_SIZE = 1024 * 1024  # bytes of the reply that brings a token
_GIST = 16 * 1024  # bytes of a refusal that are read, to say why
ON_THE_WIRE = (  # what the library raises for what goes wrong there
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)
_ALIVE = frozenset(range(200, 500)) - {401, 403, 407}
_MOVED = frozenset({301, 302, 303, 307, 308})


class Client:
    """The connection that tasks use: safe to share, and bounded in connections, bytes and time."""

    def __init__(self, settings: Settings, pool: httpcore2.AsyncConnectionPool) -> None:
        self.settings = settings
        self._pool = pool
        self._auth = auth_of(settings.auth, self._fetch_token)

    async def close(self) -> None:
        await self._auth.close()
        await self._pool.aclose()

    # ── what tasks call ─────────────────────────────────────────────────────────────────────────────────────

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, Any] | None,
        body: Body | None = None,
        expect: int | list[int] | None = None,
        timeout: float | None = None,
        key: str | None = None,
        key_header: str = "Idempotency-Key",
    ) -> Call:
        """What a step asks for. Raises RequestFailed (`validation`) for what cannot be sent."""
        if timeout is not None and not 0 < timeout <= 86400:
            raise invalid(f"`timeout` is {timeout}: it must be more than 0 and at most 86400 seconds")
        if key is not None and key_header and header_problem(key_header, key, "") is not None:
            raise invalid("the step's `idempotency_key` holds a character that no header may hold")
        place = urls.below(self.settings.base, path, query)
        wanted = None if expect is None else frozenset([expect] if isinstance(expect, int) else expect)
        return Call(checked_method(method), place, checked_headers(headers), body, wanted, timeout, key, key_header)

    def moved(self, call: Call, place: Place | None) -> Call:
        """`call` at a place that the service named. Raises RequestFailed (`permission`) when it is elsewhere."""
        if place is None:
            return call
        if place.origin != self.settings.base.origin:
            elsewhere = f"{place.scheme}://{place.authority}"
            raise RequestFailed(f"the link to the next page leads to {elsewhere}, another service", "permission")
        return replace(call, place=place)

    @asynccontextmanager
    async def reply(self, call: Call) -> AsyncIterator[Reply]:
        """Send `call` and give the reply that was wanted, its content to be read inside the block.

        The time limit covers both. Raises RequestFailed.
        """
        limit = call.timeout or self.settings.timeout
        timer = asyncio.timeout(limit)
        progress = Progress(timer)
        try:
            async with timer:
                reply = await self._followed(call, progress)
                try:
                    if not call.wants(reply.status):
                        raise await self._refusal(call, reply)
                    yield reply
                finally:
                    await reply.stream.aclose()
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise self._late(call, progress, limit) from error
        except ON_THE_WIRE as error:
            failed, cause = broken(error, self._named(call), sent=not call.repeatable)
            raise failed from cause

    async def answer(self, call: Call) -> Answer:
        """Send `call`, and read its reply. Raises RequestFailed, also when the call's judge finds that it failed."""
        async with self.reply(call) as reply:
            content = await self.content(call, reply)
        body = replies.parse(content, reply.headers, json=call.json)
        failed = self._judged(call, reply, body)
        if failed is not None:
            raise failed
        return Answer(reply, content, body)

    def _judged(self, call: Call, reply: Reply, body: Any) -> RequestFailed | None:
        if call.judge is None:
            return None
        return call.judge(self._named(call), reply.status, reply.headers.as_value(), body)

    async def ping(self) -> None:
        """Whether the service answers, and takes the credentials. Raises RequestFailed."""
        call = Call("HEAD", self.settings.base, expect=_ALIVE)
        async with self.reply(call):
            pass

    async def content(self, call: Call, reply: Reply) -> bytes:
        """The whole content of a reply, at most `max_body` bytes."""
        if call.method == "HEAD" or reply.status in (204, 304):
            return b""
        found = [piece async for piece in self.pieces(reply, self.settings.max_body, "the connection's `max_body`")]
        return found[0] if len(found) == 1 else b"".join(found)

    def pieces(self, reply: Reply, most: int, limit: str) -> AsyncIterator[bytes]:
        """The content of a reply, piece by piece, at most `most` bytes."""
        return replies.pieces(reply.stream, reply.headers, most, limit=limit)

    # ── redirects and tokens ────────────────────────────────────────────────────────────────────────────────

    async def _followed(self, call: Call, progress: Progress) -> Reply:
        hops, renewed = 0, 0
        while True:
            ours = call.place.origin == self.settings.base.origin  # nobody else may see the credentials
            progress.stage = "authorizing"
            credentials = await self._auth.headers(progress.timer) if ours else ()
            reply = await self._sent(call, credentials, progress, ours=ours, resent=hops + renewed)
            if reply.status == 401 and self._auth.renews and not renewed and ours:
                await reply.stream.aclose()
                self._auth.renew(credentials)
                renewed = 1
                continue
            location = reply.headers.get("location") if reply.status in _MOVED else None
            if location is None or call.wants(reply.status) or not self.settings.redirects:
                return reply
            await reply.stream.aclose()
            hops += 1
            if hops > self.settings.redirects:
                raise RequestFailed(f"{self._named(call)}: more than {hops - 1} redirects", "limit")
            call = self._redirected(call, reply, location)

    def _redirected(self, call: Call, reply: Reply, location: str) -> Call:
        place = urls.resolved(call.place, location, f"{self._named(call)}: the target of the redirect")
        if call.place.scheme == "https" and place.scheme == "http":
            raise RequestFailed(f"{self._named(call)}: the redirect leaves https for http", "permission")
        if reply.status == 303 or (reply.status in (301, 302) and call.method == "POST"):
            method = "HEAD" if call.method == "HEAD" else "GET"
            call = replace(call, method=method, body=None, key=None)
        if place.origin == call.place.origin:
            return replace(call, place=place)
        if call.body is not None:
            elsewhere = f"{place.scheme}://{place.authority}"
            raise RequestFailed(
                f"{self._named(call)}: the redirect would take the request's content to {elsewhere}", "permission"
            )
        return replace(call, place=place, headers=(), key=None)

    # ── sending ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _sent(self, call: Call, credentials: Headers, progress: Progress, *, ours: bool, resent: int) -> Reply:
        place, headers = call.place, call.headers
        hidden: tuple[str, ...] = ()
        if ours:
            hidden = self._auth.hidden
            if hidden:
                place = replace(place, query=urls.joined(place.query, self._auth.query))
            headers = merged(headers, credentials, self.settings.headers)
        if call.key is not None and call.key_header:
            headers = (*headers, (call.key_header, call.key))
        with Watched(call, place, progress.timer, hidden, resent) as watched:
            response = await self._exchanged(call, place, _traced(headers) if ours else headers, progress)
            watched.status = response.status
        return Reply(response.status, replies.Headers(response.headers), watched.shown, response.stream)

    async def _exchanged(self, call: Call, place: Place, headers: Headers, progress: Progress) -> httpcore2.Response:
        """One exchange. An idle connection that the service closed while the request was on its way is no failure
        of a request that may be done twice: it is sent again, until a fresh connection says otherwise."""
        request = request_maker(call, place, headers, self.settings)
        PROGRESS.set(progress)
        while True:
            progress.stage, progress.fresh = "waiting", False
            try:
                return await self._pool.handle_async_request(request())
            except ON_THE_WIRE as error:
                stale = isinstance(error, (httpcore2.NetworkError, httpcore2.RemoteProtocolError))
                if stale and not progress.fresh and progress.stage == "sent" and call.repeatable:
                    continue
                sent = progress.stage in ("sent", "answered") and not call.repeatable
                failed, cause = broken(error, self._named(call), sent=sent)
                raise failed from cause

    async def _fetch_token(self, call: Call, watched: Watched) -> tuple[int, bytes]:
        """One POST to the authorization server, which is sent nothing but this; the trace where it is the service."""
        progress = Progress()
        headers = _traced(call.headers) if call.place.origin == self.settings.base.origin else call.headers
        try:
            async with asyncio.timeout(self.settings.timeout):
                response = await self._exchanged(call, call.place, headers, progress)
                watched.status = response.status
                try:
                    held = replies.Headers(response.headers)
                    found = replies.pieces(response.aiter_stream(), held, _TOKEN_SIZE, limit="the size of a token")
                    return response.status, b"".join([piece async for piece in found])
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise self._late(call, progress, self.settings.timeout) from error
        except ON_THE_WIRE as error:
            failed, cause = broken(error, self._named(call), sent=False)
            raise failed from cause

    # ── words ───────────────────────────────────────────────────────────────────────────────────────────────

    def _named(self, call: Call) -> str:
        """A request in an error: what was asked of whom, without its query, which may hold anything."""
        place = call.place
        return scrubbed(f"{call.method} {place.scheme}://{place.authority}{place.path}", self._auth.secrets)

    def _late(self, call: Call, progress: Progress, limit: float) -> RequestFailed:
        what = self._named(call)
        if progress.stage == "waiting":
            text = f"{what}: no connection of the pool came free within {limit:g} s: the pool is exhausted; "
            return RequestFailed(f"{text}raise `max_connections`, or run fewer steps at once", "timeout")
        if progress.stage == "authorizing":
            return RequestFailed(f"{what}: no token for it within {limit:g} s", "timeout")
        if progress.stage == "connecting":
            return RequestFailed(f"{what}: no connection within {limit:g} s", "timeout")
        unknown = not call.repeatable
        text = "no answer" if progress.stage == "sent" else "the reply was not complete"
        return RequestFailed(f"{what}: {text} within {limit:g} s", "timeout", outcome_unknown=unknown)

    async def _refusal(self, call: Call, reply: Reply) -> RequestFailed:
        from http import HTTPStatus

        headers, status = reply.headers, reply.status
        try:
            content = await self._beginning(reply)
            said = scrubbed(replies.gist(content, headers), self._auth.secrets)
        except RequestFailed:
            content, said = b"", ""  # the status says enough
        judged = self._judged(call, reply, replies.value_of(content, headers, json=call.json))
        if judged is not None:
            return judged
        try:
            phrase = f" {HTTPStatus(status).phrase}"
        except ValueError:
            phrase = ""
        text = f"{self._named(call)}: {status}{phrase}" + (f": {said}" if said else "")
        if 200 <= status < 300:
            text = f"{self._named(call)}: {status}{phrase} is none of the statuses in `expect`"
        wait = replies.retry_after(headers, self.settings.retry_after_max)
        if status in _MOVED:
            text += "; `follow_redirects` is off, and `expect` would take this as the reply"
        return refused(text, call.method, status, wait, keyed=call.key is not None)

    async def _beginning(self, reply: Reply) -> bytes:
        found = bytearray()
        most = self.settings.max_body
        async with aclosing(self.pieces(reply, most, "the connection's `max_body`")) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                found += piece
                if len(found) >= _GIST:
                    break
        return bytes(found[:_GIST])


def _traced(headers: Headers) -> Headers:
    """`headers` with those of the trace that the request belongs to, unless the flow sends some of its own."""
    trace = CURRENT.get()
    if trace is None or any(name.lower() in ("traceparent", "tracestate") for name, _ in headers):
        return headers
    return (*headers, *trace.headers)


def opened(settings: Settings, context: Any) -> Client:
    """A client with an empty pool. `context`: the `ssl.SSLContext` for https."""
    proxy = None
    if settings.proxy is not None:
        place, auth = settings.proxy
        url = httpcore2.URL(scheme=place.scheme.encode(), host=place.host.encode(), port=place.port, target=b"/")
        proxy = httpcore2.Proxy(url, auth=auth, ssl_context=context if place.scheme == "https" else None)
    pool = httpcore2.AsyncConnectionPool(
        ssl_context=context,
        proxy=proxy,
        max_connections=settings.max_connections,
        keepalive_expiry=_IDLE,
        network_backend=Backend(allow_private=settings.allow_private),
    )
    return Client(settings, pool)
