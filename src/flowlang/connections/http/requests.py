"""The tasks that send one request each."""

# ruff: noqa: ASYNC109 - `timeout` is a parameter of the flow

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from flowlang.connections.http.errors import REPEATABLE
from flowlang.tasks.context import Context
from flowlang.tasks.decorator import task
from flowlang.tasks.values import UrlPath

if TYPE_CHECKING:
    from flowlang.connections.http.bodies import Body
    from flowlang.connections.http.client import Client

Expected = int | list[int] | None
Fields = dict[str, Any] | None


def key_of(context: Context | None) -> str | None:
    """The `idempotency_key` that the flow gave the step; None for the one that every step has by itself."""
    return None if context is None else context.given_key


class HttpReply(TypedDict):
    """`status`: the code. `headers`: by lower-case name. `body`: parsed by content type. `url`: where it came from."""

    status: int
    headers: dict[str, str]
    body: Any
    url: str


def _by_method(given: Mapping[str, Any]) -> bool:
    method = given.get("method", "GET")
    return isinstance(method, str) and method.upper() in REPEATABLE


class RequestTasks:
    """One request, with any method or one of the usual."""

    # ── one request ─────────────────────────────────────────────────────────────────────────────────────────

    @task(effect="write", idempotent=_by_method)
    async def request(
        self,
        path: UrlPath,
        method: str = "GET",
        query: Fields = None,
        headers: Fields = None,
        json: Any = None,
        form: Fields = None,
        files: Fields = None,
        body: str | bytes | None = None,
        expect: Expected = None,
        timeout: float | None = None,
        connection: Any = None,
        context: Context | None = None,
    ) -> HttpReply:
        """Send a request with any method.

        It may be repeated safely with a method that is written out and says so: GET, HEAD, OPTIONS, PUT, DELETE.

        Args:
            path: below the connection's `base_url`; expressions in it are encoded
            method: GET, POST, …; a step that writes is safer with the task of its own name
            query: name → value; null leaves a name out, a list repeats it
            headers: beside those of the connection, or in place of them
            json: any value, sent as JSON
            form: name → value, sent as a form; with `files` as its other fields
            files: field → path of a file, or `{path | content, filename, content_type}`
            body: text or bytes, sent as they are
            expect: the status codes that are no failure; null for 200 to 299
            timeout: seconds for the whole request; null for the connection's own
            connection: the client (injected)
            context: of the step (injected): its `idempotency_key` becomes the header `Idempotency-Key`

        Returns:
            status: the code
            headers: name in lower case → value
            body: a value for JSON, text for text, bytes for anything else, null for nothing
            url: where the reply came from, after redirects

        Raises:
            FlowExecutionError: by status, such as `not_found` for 404; `connect`, `connection_lost`, `timeout`

        Example:
            - http_request:
                id: order
                connection: api
                method: OPTIONS
                path: /orders/${inputs.order}
        """
        from flowlang.connections.http.bodies import body_of

        made = await body_of(json, form, files, body)
        return await self._reply(connection, context, method, path, query, headers, made, expect, timeout)

    @task(effect="read", idempotent=True)
    async def get(
        self,
        path: UrlPath,
        query: Fields = None,
        headers: Fields = None,
        expect: Expected = None,
        timeout: float | None = None,
        connection: Any = None,
    ) -> HttpReply:
        """Get what is at a path.

        Args:
            path: below the connection's `base_url`; expressions in it are encoded
            query: name → value; null leaves a name out, a list repeats it
            headers: beside those of the connection, or in place of them
            expect: the status codes that are no failure; null for 200 to 299
            timeout: seconds for the whole request; null for the connection's own
            connection: the client (injected)

        Returns:
            status: the code
            headers: name in lower case → value
            body: a value for JSON, text for text, bytes for anything else, null for nothing
            url: where the reply came from, after redirects

        Raises:
            FlowExecutionError: as `http_request`

        Example:
            - http_get:
                id: order
                connection: api
                path: /orders/${inputs.order}
                expect: [200, 404]
        """
        return await self._reply(connection, None, "GET", path, query, headers, None, expect, timeout)

    @task(effect="write", idempotent=False)
    async def post(
        self,
        path: UrlPath,
        query: Fields = None,
        headers: Fields = None,
        json: Any = None,
        form: Fields = None,
        files: Fields = None,
        body: str | bytes | None = None,
        expect: Expected = None,
        timeout: float | None = None,
        connection: Any = None,
        context: Context | None = None,
    ) -> HttpReply:
        """Post something: what the service makes of it is its own affair.

        A step with an `idempotency_key` sends it as the header `Idempotency-Key`, and may then be retried also when
        nobody knows whether the request arrived.

        Args:
            path: below the connection's `base_url`; expressions in it are encoded
            query: name → value; null leaves a name out, a list repeats it
            headers: beside those of the connection, or in place of them
            json: any value, sent as JSON
            form: name → value, sent as a form; with `files` as its other fields
            files: field → path of a file, or `{path | content, filename, content_type}`
            body: text or bytes, sent as they are
            expect: the status codes that are no failure; null for 200 to 299
            timeout: seconds for the whole request; null for the connection's own
            connection: the client (injected)
            context: of the step (injected)

        Returns:
            status: the code
            headers: name in lower case → value
            body: a value for JSON, text for text, bytes for anything else, null for nothing
            url: where the reply came from, after redirects

        Raises:
            FlowExecutionError: as `http_request`

        Example:
            - http_post:
                id: created
                connection: api
                path: /orders
                json: {customer: "${inputs.customer}", total: 40}
        """
        from flowlang.connections.http.bodies import body_of

        made = await body_of(json, form, files, body)
        return await self._reply(connection, context, "POST", path, query, headers, made, expect, timeout)

    @task(effect="write", idempotent=True)
    async def put(
        self,
        path: UrlPath,
        query: Fields = None,
        headers: Fields = None,
        json: Any = None,
        form: Fields = None,
        files: Fields = None,
        body: str | bytes | None = None,
        expect: Expected = None,
        timeout: float | None = None,
        connection: Any = None,
        context: Context | None = None,
    ) -> HttpReply:
        """Put something at a path, in place of what is there.

        Args:
            path: below the connection's `base_url`; expressions in it are encoded
            query: name → value; null leaves a name out, a list repeats it
            headers: beside those of the connection, or in place of them
            json: any value, sent as JSON
            form: name → value, sent as a form; with `files` as its other fields
            files: field → path of a file, or `{path | content, filename, content_type}`
            body: text or bytes, sent as they are
            expect: the status codes that are no failure; null for 200 to 299
            timeout: seconds for the whole request; null for the connection's own
            connection: the client (injected)
            context: of the step (injected)

        Returns:
            status: the code
            headers: name in lower case → value
            body: a value for JSON, text for text, bytes for anything else, null for nothing
            url: where the reply came from, after redirects

        Raises:
            FlowExecutionError: as `http_request`

        Example:
            - http_put:
                connection: api
                path: /customers/${inputs.customer}
                json: {city: Berlin}
        """
        from flowlang.connections.http.bodies import body_of

        made = await body_of(json, form, files, body)
        return await self._reply(connection, context, "PUT", path, query, headers, made, expect, timeout)

    @task(effect="write", idempotent=False)
    async def patch(
        self,
        path: UrlPath,
        query: Fields = None,
        headers: Fields = None,
        json: Any = None,
        form: Fields = None,
        files: Fields = None,
        body: str | bytes | None = None,
        expect: Expected = None,
        timeout: float | None = None,
        connection: Any = None,
        context: Context | None = None,
    ) -> HttpReply:
        """Change a part of what is at a path.

        Args:
            path: below the connection's `base_url`; expressions in it are encoded
            query: name → value; null leaves a name out, a list repeats it
            headers: beside those of the connection, or in place of them
            json: any value, sent as JSON
            form: name → value, sent as a form; with `files` as its other fields
            files: field → path of a file, or `{path | content, filename, content_type}`
            body: text or bytes, sent as they are
            expect: the status codes that are no failure; null for 200 to 299
            timeout: seconds for the whole request; null for the connection's own
            connection: the client (injected)
            context: of the step (injected)

        Returns:
            status: the code
            headers: name in lower case → value
            body: a value for JSON, text for text, bytes for anything else, null for nothing
            url: where the reply came from, after redirects

        Raises:
            FlowExecutionError: as `http_request`

        Example:
            - http_patch:
                connection: api
                path: /orders/${inputs.order}
                json: {paid: true}
        """
        from flowlang.connections.http.bodies import body_of

        made = await body_of(json, form, files, body)
        return await self._reply(connection, context, "PATCH", path, query, headers, made, expect, timeout)

    @task(effect="write", idempotent=True)
    async def delete(
        self,
        path: UrlPath,
        query: Fields = None,
        headers: Fields = None,
        json: Any = None,
        expect: Expected = None,
        timeout: float | None = None,
        connection: Any = None,
        context: Context | None = None,
    ) -> HttpReply:
        """Delete what is at a path.

        Args:
            path: below the connection's `base_url`; expressions in it are encoded
            query: name → value; null leaves a name out, a list repeats it
            headers: beside those of the connection, or in place of them
            json: any value, sent as JSON; few services look at it
            expect: the status codes that are no failure; null for 200 to 299
            timeout: seconds for the whole request; null for the connection's own
            connection: the client (injected)
            context: of the step (injected)

        Returns:
            status: the code
            headers: name in lower case → value
            body: a value for JSON, text for text, bytes for anything else, null for nothing
            url: where the reply came from, after redirects

        Raises:
            FlowExecutionError: as `http_request`

        Example:
            - http_delete:
                connection: api
                path: /orders/${inputs.order}
                expect: [204, 404]
        """
        from flowlang.connections.http.bodies import body_of

        made = await body_of(json, None, None, None)
        return await self._reply(connection, context, "DELETE", path, query, headers, made, expect, timeout)

    # ── part of the tasks ───────────────────────────────────────────────────────────────────────────────────

    async def _reply(
        self,
        client: Client,
        context: Context | None,
        method: str,
        path: str,
        query: Fields,
        headers: Fields,
        body: Body | None,
        expect: Expected,
        timeout: float | None,
    ) -> HttpReply:
        answer = await client.answer(client.call(method, path, query, headers, body, expect, timeout, key_of(context)))
        reply = answer.reply
        return {"status": reply.status, "headers": reply.headers.as_value(), "body": answer.body, "url": reply.url}
