"""The spans of requests for tokens: one for each that is sent, of the step that asked first, and without any secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import StatusCode
from tests.http.server import Reply, Request, Server, until
from tests.http.test_auth import SECRET, Issuer
from tests.telemetry.conftest import Kept
from tests.telemetry.test_requests import carried, facts

import flowlang


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server().start()
    yield one
    one.stop()


def get(name: str, **more: Any) -> dict[str, Any]:
    return {"http_get": {"id": name, "path": "/x", **more}}


async def run(url: str, auth: dict[str, str], steps: list[Any], sink: Any, **config: Any) -> flowlang.RunResult:
    api = {"type": "http", "base_url": url, "allow_private": True, "auth": auth, **config}
    return await flowlang.run(
        text=json.dumps({"flow": "f", "connections": {"api": api}, "steps": steps}), on_event=sink
    )


async def test_a_request_for_a_token_has_a_span(server: Server, kept: Kept) -> None:
    """Below the attempt that asked for it, before the request that it is for, with the trace where it is the service's
    own; what comes after it is below the attempt, too. Neither the secret nor a token is told."""
    issuer = Issuer(server)
    lines: list[Any] = []

    def forgetful(request: Request) -> Reply:
        issuer.given += len(server.requests) == 3  # the service forgets the token that the second step sends
        return issuer.service(request)

    server.routes["/x"] = forgetful
    result = await run(server.url, issuer.auth, [get("a"), get("b")], [kept.sink, Detailed(lines)])
    assert result.status == "succeeded", result.failure
    requests = [each for each in kept.spans if each.name in ("GET", "POST")]
    assert [each.name for each in requests] == ["POST", "GET", "GET", "POST", "GET"]
    assert [kept.above(each)[:2] for each in requests] == [["http_get", "a"]] * 2 + [["http_get", "b"]] * 3
    assert [each.headers["traceparent"] for each in server.requests] == [carried(each) for each in requests]
    assert facts(requests[0]) == {
        "http.request.method": "POST", "url.full": f"{server.url}/token", "server.address": "127.0.0.1",
        "server.port": server.port, "http.response.status_code": 200,
    }  # fmt: skip
    assert requests[0].end_time <= requests[1].start_time
    assert [facts(each).get("http.request.resend_count") for each in requests] == [None, None, None, None, 1]
    assert ("POST", 2) in [
        (attributes["http.request.method"], count)
        for attributes, count in kept.points()["http.client.request.duration"]
    ]
    told = "\n".join(each.to_json() for each in kept.spans) + str(kept.points()) + repr(lines)
    assert [each for each in (SECRET, "c4n4ry", "-long", "Basic ", "grant_type") if each in told] == []


class Detailed:
    """Keeps all events that there are."""

    detailed = True

    def __init__(self, heard: list[Any]) -> None:
        self.heard = heard

    def __call__(self, event: Any) -> None:
        self.heard.append(event)


async def test_another_authorization_server_does_not_get_the_trace(server: Server, kept: Kept) -> None:
    other = Server().start()
    try:
        issuer = Issuer(other)
        server.routes["/x"] = issuer.service
        assert (await run(server.url, issuer.auth, [get("a")], kept.sink)).status == "succeeded"
        assert [each.path for each in other.requests] == ["/token"]
        assert "traceparent" not in other.requests[0].headers
        assert server.requests[0].headers["traceparent"] == carried(kept.one("GET"))
        assert facts(kept.one("POST"))["server.port"] == other.port
    finally:
        other.stop()


@pytest.mark.parametrize("reply", [Reply(401), Reply(200, b"<html>")])
async def test_a_token_that_is_not_given(server: Server, kept: Kept, reply: Reply) -> None:
    """The request says what was answered; what that means is the failure of the attempt."""
    issuer = Issuer(server)
    issuer.refuse = reply
    assert (await run(server.url, issuer.auth, [get("a")], kept.sink)).status == "failed"
    asked, error = kept.one("POST"), "401" if reply.status == 401 else None
    assert facts(asked).get("error.type") == error
    assert facts(asked)["http.response.status_code"] == reply.status
    assert (asked.status.status_code is StatusCode.ERROR) == (error is not None)
    assert kept.one("http_get").attributes["error.type"] == "auth"


async def test_who_waits_for_a_token_no_longer_ends_its_span(server: Server, kept: Kept) -> None:
    """Of two that wait the first has the span, gives up at its limit, and is told so; the other one gets the token."""
    issuer = Issuer(server)

    async def when_the_first_has_left(request: Request) -> Reply:
        await until(lambda: any(each.name == "http_get" for each in kept.spans))
        return issuer.token(request)

    server.routes["/token"] = when_the_first_has_left
    steps = [{"parallel": [get("a", timeout=0.3, continue_on_error=True), get("b")], "id": "both"}]
    result = await run(server.url, issuer.auth, steps, kept.sink)
    asked = kept.one("POST")
    assert issuer.given == 1
    assert result.status == "succeeded", (result.failure, result.findings)
    assert kept.above(asked)[:2] == ["http_get", "both.a"]
    assert facts(asked)["error.type"] == "timeout"
    assert "http.response.status_code" not in facts(asked)
    assert facts(kept.one("GET"))["http.response.status_code"] == 200
