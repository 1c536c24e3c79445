"""Who asks: each kind of authentication, tokens that end, and secrets that stay secret (threats 16, 18)."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from tests.http.server import Reply, Request, Server, as_json

import flowlang
from flowlang.exceptions import FlowExecutionError

Run = Callable[..., Any]
GET = [{"http_get": {"id": "a", "path": "/x"}}]
SECRET = "c4n4ry/+secret=="
BASIC = "Basic " + base64.b64encode(f"ada:{SECRET}".encode()).decode()


def credentials(request: Request) -> Reply:
    return as_json([request.headers.get("authorization"), request.headers.get("x-key"), request.query.get("key")])


@pytest.mark.parametrize(
    ("auth", "seen"),
    [
        ({"type": "none"}, [None, None, None]),
        ({"type": "basic", "username": "ada", "password": SECRET}, [BASIC, None, None]),
        ({"type": "bearer", "token": SECRET}, [f"Bearer {SECRET}", None, None]),
        ({"type": "api_key", "name": "X-Key", "key": SECRET}, [None, SECRET, None]),
        ({"type": "api_key", "name": "key", "key": SECRET, "in": "query"}, [None, None, SECRET]),
    ],
)  # fmt: skip
async def test_each_kind(server: Server, run: Run, auth: Any, seen: list[Any]) -> None:
    """What arrives; and the URL that a flow sees has no key in it."""
    server.routes["/x"] = credentials
    result = await run(server, GET, {"body": "a.body", "url": "a.url"}, auth=auth)
    assert result.outputs["body"] == seen
    assert result.outputs["url"] == f"{server.url}/x" + ("?key=***" if auth.get("in") else "")


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ({"type": "basic", "username": "ada"}, "needs `password`"),
        ({"type": "basic", "username": "a:b", "password": SECRET}, "colon"),
        ({"type": "bearer"}, "needs `token`"),
        ({"type": "bearer", "token": "a\nb-secret"}, "no header may hold"),
        ({"type": "api_key", "key": SECRET}, "needs `name`"),
        ({"type": "api_key", "name": "Content-Length", "key": SECRET}, "made by the connection itself"),
        ({"type": "bearer", "token": SECRET, "username": "ada"}, "not `username`"),
        ({"type": "oauth2_client_credentials", "client_id": "c"}, "needs `token_url` and `client_secret`"),
        ({"type": "digest"}, "digest"),
        ({"token": SECRET}, "type"),
    ],
)
async def test_what_a_kind_needs(run: Run, auth: Any, words: str) -> None:
    """Refused before the run, and never with the secret."""
    result = await run("https://api.example.com", GET, auth=auth)
    assert result.status == "invalid"
    text = " ".join(each.message for each in result.findings)
    assert words in text
    assert SECRET not in text


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Issuer:
    """An authorization server: gives `token-1`, `token-2`, …, and the service takes the last one only."""

    def __init__(self, server: Server, **more: Any) -> None:
        self.server, self.given, self.more = server, 0, more
        self.refuse: Reply | None = None
        server.routes["/token"] = self.token
        server.routes["/x"] = self.service

    def token(self, request: Request) -> Reply:
        self.given += 1
        return self.refuse or as_json({"access_token": f"token-{self.given}-long", "token_type": "Bearer", **self.more})

    def service(self, request: Request) -> Reply:
        fits = request.headers.get("authorization") == f"Bearer token-{self.given}-long"
        return as_json("in") if fits else Reply(401, b"", {"WWW-Authenticate": "Bearer"})

    @property
    def auth(self) -> dict[str, str]:
        return {
            "type": "oauth2_client_credentials",
            "token_url": f"{self.server.url}/token",
            "client_id": "the client",
            "client_secret": SECRET,
        }


async def test_a_token_is_fetched_once(server: Server, opened: Run) -> None:
    """One request to the authorization server for fifty that wait, in the form of RFC 6749."""
    issuer = Issuer(server, expires_in=3600)
    async with opened(server, auth={**issuer.auth, "scope": "read write"}) as api:
        replies = await asyncio.gather(*(api.run("http_get", path="/x") for _ in range(50)))
    assert {reply["body"] for reply in replies} == {"in"}
    asked = [each for each in server.requests if each.path == "/token"]
    assert len(asked) == 1
    assert asked[0].body == b"grant_type=client_credentials&scope=read%20write"
    pair = base64.b64decode(asked[0].headers["authorization"].removeprefix("Basic ")).decode()
    assert pair == "the+client:c4n4ry%2F%2Bsecret%3D%3D"


async def test_the_secret_may_stand_in_the_body(server: Server, run: Run) -> None:
    """For authorization servers that want it there."""
    issuer = Issuer(server)
    assert (await run(server, GET, auth={**issuer.auth, "send": "body"})).succeeded
    assert b"client_secret=c4n4ry%2F%2Bsecret%3D%3D" in server.requests[0].body
    assert "authorization" not in server.requests[0].headers


async def test_a_token_is_renewed_at_its_end(server: Server, opened: Run) -> None:
    """Before it ends, not after the service has refused it."""
    issuer = Issuer(server, expires_in=0)
    async with opened(server, auth=issuer.auth) as api:
        for _ in range(3):
            assert (await api.run("http_get", path="/x"))["body"] == "in"
    assert issuer.given == 3
    assert all(each.path == "/token" or each.headers["authorization"] for each in server.requests)


async def test_a_refused_token_is_renewed_once(server: Server, opened: Run) -> None:
    """401 fetches another one, for all who met it together; a second 401 is the answer."""
    issuer = Issuer(server)
    async with opened(server, auth=issuer.auth) as api:
        await api.run("http_get", path="/x")
        issuer.given += 1  # the service forgets the token
        replies = await asyncio.gather(*(api.run("http_post", path="/x", json=1) for _ in range(10)))
        assert {reply["body"] for reply in replies} == {"in"}
        assert len([each for each in server.requests if each.path == "/token"]) == 2
        server.routes["/x"] = Reply(401)
        before = len(server.requests)
        with pytest.raises(FlowExecutionError) as failed:
            await api.run("http_get", path="/x")
        assert failed.value.verdict.error_class == "auth"
        assert len(server.requests) == before + 3, "the request, a token, the request"


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (as_json({"error": "invalid_client"}, 401), "auth", "invalid_client"),
        (as_json({"error": "invalid_scope"}, 400), "auth", "invalid_scope"),
        (Reply(503), "unavailable", "503"),
        (Reply(200, b"<html>"), "auth", "no bearer token"),
        (as_json([]), "auth", "no bearer token"),
        (as_json({"access_token": "t", "token_type": "mac"}), "auth", "no bearer token"),
        (as_json({"access_token": "a\r\nX: y"}), "auth", "no bearer token"),
        (Reply(302, b"", {"Location": "/elsewhere"}), "config", "302"),
        (Reply(200, b"x" * 2_000_000), "limit", "1048576"),
    ],
)
async def test_no_token_is_given(server: Server, run: Run, reply: Reply, kind: str, words: str) -> None:
    """The failure is the step's, with the reason of the authorization server and without the secret."""
    issuer = Issuer(server)
    issuer.refuse = reply
    result = await run(server, GET, auth=issuer.auth)
    assert result.failure.type == kind, result.failure
    assert words in result.failure.detail
    assert "c4n4ry" not in str(result.failure)
    assert all(each.path == "/token" for each in server.requests)


async def test_a_waiter_that_gives_up_does_not_take_the_token_from_others(server: Server, opened: Run) -> None:
    """The token is fetched for all who wait; one of them is cancelled."""
    issuer = Issuer(server)

    async def slowly(request: Request) -> Reply:
        await asyncio.sleep(0.2)
        return issuer.token(request)

    server.routes["/token"] = slowly
    async with opened(server, auth=issuer.auth) as api:
        first = asyncio.ensure_future(api.run("http_get", path="/x"))
        second = asyncio.ensure_future(api.run("http_get", path="/x"))
        await asyncio.sleep(0.05)
        first.cancel()
        assert (await second)["body"] == "in"
        with pytest.raises(asyncio.CancelledError):
            await first
    assert issuer.given == 1


async def test_closing_gives_up_a_token_on_its_way(server: Server, opened: Run) -> None:
    """No task and no socket stays behind."""
    issuer = Issuer(server)

    async def never(request: Request) -> None:
        await request.reader.read()

    server.routes["/token"] = never
    async with opened(server, auth=issuer.auth) as api:
        waiting = asyncio.ensure_future(api.run("http_get", path="/x"))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["basic", "bearer", "header", "query", "oauth"])
@pytest.mark.parametrize("end", ["succeeds", "refused", "refused with an echo", "broken", "late", "elsewhere"])
async def test_no_secret_is_told(
    server: Server, run: Run, kind: str, end: str, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    """Not in the result, an event or a log at DEBUG; neither plain nor encoded, nor the token that stands for it."""
    caplog.set_level(logging.DEBUG)
    issuer = Issuer(server)
    auth = {
        "basic": {"type": "basic", "username": "ada", "password": SECRET},
        "bearer": {"type": "bearer", "token": SECRET},
        "header": {"type": "api_key", "name": "X-Key", "key": SECRET},
        "query": {"type": "api_key", "name": "key", "key": SECRET, "in": "query"},
        "oauth": issuer.auth,
    }[kind]

    def echo(request: Request) -> Reply:
        return Reply(403, f"{request.target} {request.headers}".encode(), {"Content-Type": "text/plain"})

    async def late(request: Request) -> None:
        await request.reader.read()

    server.routes["/x"] = {
        "succeeds": as_json(1),
        "refused": Reply(403),
        "refused with an echo": echo,
        "broken": lambda request: request.writer.transport.abort(),
        "late": late,
        "elsewhere": Reply(302, b"", {"Location": "http://127.0.0.1:1/y"}),
    }[end]
    steps = [{"http_get": {"id": "a", "path": "/x", "on_error": [{"log": "${error}"}]}}]
    text = json.dumps(
        {
            "flow": "f",
            "connections": {
                "api": {"type": "http", "base_url": server.url, "allow_private": True, "auth": auth, "timeout": 0.5}
            },
            "steps": steps,
        }
    )
    events: list[Any] = []
    result = await flowlang.run(None, {}, text=text, on_event=events.append)
    told = " ".join([str(result), str(result.to_record()), repr(events), caplog.text, *capsys.readouterr()])
    shapes = [SECRET, "c4n4ry", "c4n4ry%2F", BASIC.removeprefix("Basic "), "token-1-long"]
    assert [each for each in shapes if each in told] == []


def test_secret_settings_are_marked() -> None:
    """So that masks, scaffolds and checks know them, inside `auth` and `verify` too."""
    from flowlang.connections.config import schema_of, secret_paths
    from flowlang.connections.http.provider import HttpPlugin

    config = {
        "auth": dict.fromkeys(
            ("username", "password", "token", "key", "client_id", "client_secret", "token_url", "name"), "x"
        ),
        "headers": {"X-Api-Key": "x", "Authorization": "x", "Accept": "x"},
        "verify": {"ca_file": "x", "key_file": "x", "key_password": "x"},
    }
    found = {".".join(map(str, each)) for each in secret_paths(schema_of(HttpPlugin()), config)}
    secret = {"auth.password", "auth.token", "auth.key", "auth.client_secret", "verify.key_password"}
    assert found == secret | {"headers.X-Api-Key", "headers.Authorization"}
