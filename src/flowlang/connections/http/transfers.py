"""The tasks that move more than one reply holds: all pages of a list, a file down, a file up."""

# ruff: noqa: ASYNC109 - `timeout` is a parameter of the flow

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypedDict

from flowlang.connections.http.requests import Expected, Fields, key_of
from flowlang.tasks.context import Context
from flowlang.tasks.decorator import task
from flowlang.tasks.values import UrlPath

if TYPE_CHECKING:
    from flowlang.connections.http.calls import Call
    from flowlang.connections.http.client import Client


class DownloadResult(TypedDict):
    """`bytes`: size of the file. `sha256`: of its content, in hex. `file`: as it was given. `status`: the code."""

    bytes: int
    sha256: str
    file: str
    status: int


class UploadResult(TypedDict):
    """`bytes`, `sha256`, `file`: of what was sent. `status`, `body`: of the reply."""

    bytes: int
    sha256: str
    file: str
    status: int
    body: Any


class TransferTasks:
    """Lists in pages, and files."""

    # ── many pages ──────────────────────────────────────────────────────────────────────────────────────────

    @task(effect="read", idempotent=True, stream="items")
    async def paginate(
        self,
        path: UrlPath,
        next: dict[str, Any],  # noqa: A002 - the name is the flow's
        items: str | None = None,
        max_pages: int | None = None,
        method: str = "GET",
        query: Fields = None,
        headers: Fields = None,
        json: Fields = None,
        expect: Expected = None,
        timeout: float | None = None,
        connection: Any = None,
    ) -> AsyncGenerator[list[Any], None]:
        """Read a list that comes in pages, as a stream.

        Args:
            path: below the connection's `base_url`; expressions in it are encoded
            next: how a page leads to the next: `{link: header}` or `{link: a.b}` (where the address stands in the
                body), `{cursor: a.b, param: cursor}`, `{page: page, start: 1}`, `{offset: offset, limit: limit,
                size: 100}`; with `more: a.b` for what says that there is more, `in: body` to send it in the JSON
            items: where the list stands in a page, `a.b`; null when the page is the list
            max_pages: read no more than so many; null for all
            method: GET, or another that only reads, such as POST for a search
            query: name → value; null leaves a name out, a list repeats it
            headers: beside those of the connection, or in place of them
            json: an object, sent as JSON with each page
            expect: the status codes that are no failure; null for 200 to 299
            timeout: seconds for each page; null for the connection's own
            connection: the client (injected)

        Returns:
            items: a stream of the items of all pages

        Raises:
            FlowExecutionError: as `http_request`; `unavailable` when the pages go round in a circle

        Example:
            - http_paginate:
                id: orders
                connection: api
                path: /orders
                items: data
                next: {cursor: meta.next, param: after}
        """
        from flowlang.connections.http.paging import Pager, pages

        client: Client = connection

        async def called(values: dict[str, Any], *, at_link: bool) -> Call:
            from flowlang.connections.http.bodies import body_of

            asked = query if at_link else {**(query or {}), **({} if pager.in_body else values)}
            sent = {**(json or {}), **values} if pager.in_body else json
            return client.call(method, path, asked, headers, await body_of(sent, None, None, None), expect, timeout)

        pager = Pager(next)
        async with aclosing(pages(client, pager, called, items, max_pages)) as found:
            async for page in found:
                yield page

    # ── files ───────────────────────────────────────────────────────────────────────────────────────────────

    @task(effect="write", idempotent=True)
    async def download(
        self,
        path: UrlPath,
        file: str,
        query: Fields = None,
        headers: Fields = None,
        max_bytes: int = 1024**3,
        sha256: str | None = None,
        expect: Expected = None,
        timeout: float | None = None,
        connection: Any = None,
    ) -> DownloadResult:
        """Get what is at a path into a file, which appears whole or not at all.

        Args:
            path: below the connection's `base_url`; expressions in it are encoded
            file: the file, from the files root; its folder must exist
            query: name → value; null leaves a name out, a list repeats it
            headers: beside those of the connection, or in place of them
            max_bytes: the largest file that is taken
            sha256: the digest that the content must have, in hex; null for any
            expect: the status codes that are no failure; null for 200 to 299
            timeout: seconds for all of it; null for the connection's own
            connection: the client (injected)

        Returns:
            bytes: size of the file
            sha256: of its content, in hex
            file: as it was given
            status: the code

        Raises:
            FlowExecutionError: as `http_request` and `file_write`; `limit` beyond `max_bytes`, `conflict` for
                another digest

        Example:
            - http_download:
                connection: api
                path: /reports/2026.pdf
                file: reports/2026.pdf
        """
        from flowlang.connections.http.files import save

        client: Client = connection
        call = client.call("GET", path, query, headers, None, expect, timeout)
        reply, count, digest = await save(client, call, file, max_bytes, sha256)
        return {"bytes": count, "sha256": digest, "file": file, "status": reply.status}

    @task(effect="write", idempotent=False)
    async def upload(
        self,
        path: UrlPath,
        file: str,
        method: str = "PUT",
        query: Fields = None,
        headers: Fields = None,
        content_type: str | None = None,
        expect: Expected = None,
        timeout: float | None = None,
        connection: Any = None,
        context: Context | None = None,
    ) -> UploadResult:
        """Send a file, read from disk while it is sent. `http_post` with `files` sends it as a form does.

        Args:
            path: below the connection's `base_url`; expressions in it are encoded
            file: the file, from the files root
            method: PUT, or POST
            query: name → value; null leaves a name out, a list repeats it
            headers: beside those of the connection, or in place of them
            content_type: its media type; null for what its name suggests
            expect: the status codes that are no failure; null for 200 to 299
            timeout: seconds for all of it; null for the connection's own
            connection: the client (injected)
            context: of the step (injected)

        Returns:
            bytes: size of the file
            sha256: of what was sent, in hex
            file: as it was given
            status: the code
            body: of the reply, parsed by content type

        Raises:
            FlowExecutionError: as `http_request` and `file_read`

        Example:
            - http_upload:
                connection: api
                path: /reports/2026.pdf
                file: reports/2026.pdf
        """
        from flowlang.connections.http.bodies import Body, file_part, media_type

        part = await file_part(file)
        made = Body((part,), content_type or media_type(file))
        client: Client = connection
        call = client.call(method, path, query, headers, made, expect, timeout, key_of(context))
        answer = await client.answer(call)
        reply, body = answer.reply, answer.body
        return {"bytes": part.size, "sha256": part.sha256, "file": file, "status": reply.status, "body": body}
