"""Redirects: bounded, and nobody else gets to see what was meant for the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.http.server import Reply, Server, as_json

Run = Callable[..., Any]
GET = [{"http_get": {"id": "a", "path": "/x", "headers": {"X-Step": "step-secret"}}}]


def to(where: str, status: int = 302) -> Reply:
    return Reply(status, b"moved", {"Location": where})


async def test_a_redirect_is_followed(server: Server, run: Run) -> None:
    """Relative and absolute; `url` says where the reply came from."""
    server.routes["/x"] = to("y?n=1")
    server.routes["/y"] = lambda request: to(f"{server.url}/z", 307) if request.query == {"n": "1"} else None
    server.routes["/z"] = as_json("here")
    result = await run(server, GET, {"body": "a.body", "url": "a.url"}, auth={"type": "bearer", "token": "t-o-k-e-n"})
    assert result.outputs == {"body": "here", "url": f"{server.url}/z"}
    assert [each.headers["authorization"] for each in server.requests] == ["Bearer t-o-k-e-n"] * 3


@pytest.mark.parametrize(
    ("status", "sent", "becomes"),
    [(301, "POST", "GET"), (302, "POST", "GET"), (303, "PUT", "GET"), (307, "POST", "POST"), (308, "PUT", "PUT")],
)
async def test_the_method_after_a_redirect(server: Server, run: Run, status: int, sent: str, becomes: str) -> None:
    """As RFC 9110 has it: 307 and 308 keep the request whole."""
    server.routes["/x"] = to("/y", status)
    server.routes["/y"] = as_json(1)
    steps = [{"http_request": {"method": sent, "path": "/x", "json": {"a": 1}}}]
    assert (await run(server, steps)).succeeded
    last = server.requests[-1]
    assert (last.method, last.body) == (becomes, b'{"a": 1}' if becomes == sent else b"")


async def test_another_service_sees_no_credentials(serve: Callable[..., Server], run: Run) -> None:
    """Neither those of the connection nor any header of the flow; another port is another service."""
    server, other = serve(), serve()
    server.routes["/x"] = to(f"{other.url}/y")
    other.routes["/y"] = as_json(1)
    config = {"auth": {"type": "bearer", "token": "the-token"}, "headers": {"X-Api": "config-secret"}}
    assert (await run(server, GET, **config)).succeeded
    assert server.requests[0].headers["authorization"] == "Bearer the-token"
    seen = str(other.requests[0].headers)
    assert not any(each in seen for each in ("the-token", "config-secret", "step-secret"))


async def test_an_api_key_stays_out_of_the_query_elsewhere(serve: Callable[..., Server], run: Run) -> None:
    """The same for a key in the query, on the way back to the service too."""
    server, other = serve(), serve()
    server.routes["/x"] = to(f"{other.url}/y")
    other.routes["/y"] = to(f"{server.url}/z")
    server.routes["/z"] = as_json(1)
    auth = {"type": "api_key", "in": "query", "name": "key", "key": "k-e-y"}
    assert (await run(server, GET, auth=auth)).succeeded
    assert "k-e-y" not in other.requests[0].target
    assert [each.target for each in server.requests] == ["/x?key=k-e-y", "/z?key=k-e-y"]


async def test_the_content_of_a_request_goes_nowhere_else(serve: Callable[..., Server], run: Run) -> None:
    """A 307 to another service would take it there."""
    server, other = serve(), serve()
    server.routes["/x"] = to(f"{other.url}/y", 307)
    result = await run(server, [{"http_post": {"path": "/x", "json": {"a": 1}}}])
    assert result.failure.type == "permission"
    assert other.accepted == 0


async def test_redirects_are_counted(server: Server, run: Run) -> None:
    """A circle ends; the bound is the connection's."""
    server.routes["/x"] = to("/x")
    result = await run(server, GET, follow_redirects=3)
    assert (result.failure.type, len(server.requests)) == ("limit", 4)


@pytest.mark.parametrize("off", [False, 0])
async def test_redirects_may_be_off(server: Server, run: Run, off: Any) -> None:
    """Then they are a failure that says so, or what is expected."""
    server.routes["/x"] = to("/y")
    result = await run(server, GET, follow_redirects=off)
    assert (result.failure.type, len(server.requests)) == ("config", 1)
    assert "`follow_redirects`" in result.failure.detail
    steps = [{"http_get": {"id": "a", "path": "/x", "expect": 302}}]
    result = await run(server, steps, {"to": "a.headers.location"})
    assert result.outputs == {"to": "/y"}


@pytest.mark.parametrize(
    "where",
    [
        "ftp://x/y",
        "javascript:alert(1)",
        "http://u:p@127.0.0.1/",
        "http://[::1",
        "http://a b/",
        "file:///etc/passwd",
    ],
)
async def test_a_redirect_to_nowhere(server: Server, run: Run, where: str) -> None:
    """What is no place to go is a failure, not a crash."""
    server.routes["/x"] = to(where)
    result = await run(server, GET)
    assert result.failure.type == "validation"
    assert len(server.requests) == 1
