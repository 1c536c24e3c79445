"""What goes wrong, and what a flow is told of it."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import gzip
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.http.server import Reply, Request, Server, as_json, until

from flowlang.exceptions import Failure, FlowExecutionError

Run = Callable[..., Any]
GET = [{"http_get": {"id": "a", "path": "/x"}}]
POST = [{"http_post": {"id": "a", "path": "/x", "json": {"n": 1}}}]


async def failure(run: Run, where: Server | str, steps: list[Any] = GET, **config: Any) -> Failure:
    result = await run(where, steps, **config)
    assert result.status == "failed", result
    return result.failure


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, "validation", False),
        (401, "auth", False),
        (403, "permission", False),
        (404, "not_found", False),
        (405, "validation", False),
        (408, "rate_limited", True),
        (409, "conflict", False),
        (410, "not_found", False),
        (412, "conflict", False),
        (413, "limit", False),
        (418, "validation", False),
        (422, "validation", False),
        (425, "rate_limited", True),
        (429, "rate_limited", True),
        (451, "permission", False),
        (500, "unavailable", True),
        (501, "unavailable", False),
        (502, "unavailable", True),
        (503, "unavailable", True),
        (504, "unavailable", True),
        (599, "unavailable", True),
    ],
)
async def test_a_status_has_its_class(server: Server, run: Run, status: int, kind: str, retryable: bool) -> None:
    """And what the service says of it is in the message, on one line."""
    server.routes["/x"] = as_json({"title": "No", "detail": "the\norder is closed"}, status)
    told = await failure(run, server)
    assert (told.type, told.retryable, told.outcome_unknown) == (kind, retryable, False)
    assert told.detail.startswith(f"GET {server.url}/x: {status}")
    assert told.detail.endswith(": the order is closed")
    assert told.connection == "api"


@pytest.mark.parametrize(
    ("written", "seconds"), [("7", 7), ("100000", 60), (" 0 ", 0), ("soon", None), ("-3", None), ("1e3", None)]
)
async def test_retry_after_in_seconds(server: Server, run: Run, written: str, seconds: float | None) -> None:
    """Bounded by `retry_after_max`; nonsense is none."""
    server.routes["/x"] = Reply(429, b"", {"Retry-After": written})
    assert (await failure(run, server)).retry_after == seconds


async def test_retry_after_as_a_date(server: Server, run: Run) -> None:
    """The seconds from now until then; none of the past."""
    soon = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(seconds=30)
    server.routes["/x"] = Reply(503, b"", {"Retry-After": email.utils.format_datetime(soon, usegmt=True)})
    assert 20 < ((await failure(run, server)).retry_after or 0) <= 30
    server.routes["/x"] = Reply(503, b"", {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert (await failure(run, server)).retry_after == 0


async def test_a_rate_limit_is_waited_for(server: Server, run: Run) -> None:
    """The step's retry heeds what the service asks."""
    answers = [Reply(429, b"", {"Retry-After": "0"}), Reply(503, b"", {"Retry-After": "0"}), as_json("done")]
    server.routes["/x"] = lambda _: answers.pop(0)
    steps = [{"http_post": {"id": "a", "path": "/x", "retry": {"max_attempts": 3, "delay": "1h"}}}]
    result = await run(server, steps, {"body": "a.body"})
    assert result.outputs == {"body": "done"}


async def test_nobody_listens(run: Run) -> None:
    """Refused: `connect`, with the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        told = await failure(run, f"http://127.0.0.1:{port}")
    assert (told.type, told.retryable, told.outcome_unknown) == ("connect", True, False)
    assert f"127.0.0.1:{port}" in told.detail
    assert "refused" in told.detail


async def test_the_name_is_unknown(run: Run) -> None:
    """DNS: `connect`, and the name."""
    told = await failure(run, "http://nowhere.invalid")
    assert (told.type, told.retryable) == ("connect", True)
    assert "nowhere.invalid" in told.detail


def lost(request: Request) -> None:
    """The request was read, and the connection is closed without an answer."""
    request.writer.transport.abort()


def lost_late(request: Request) -> None:
    """The reply breaks off in the middle."""
    request.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


@pytest.mark.parametrize("how", [lost, lost_late])
async def test_a_lost_reply_leaves_the_outcome_open(server: Server, run: Run, how: Any) -> None:
    """After a POST nobody knows, and it is not retried; after a GET there is nothing to know, and it is."""
    server.routes["/x"] = how
    retried = [{**POST[0]["http_post"], "retry": {"max_attempts": 3, "delay": "1ms"}}]
    told = await failure(run, server, [{"http_post": retried[0]}])
    assert (told.type, told.outcome_unknown, told.attempt) == ("connection_lost", True, 1)
    assert len(server.requests) == 1
    told = await failure(run, server, [{"http_get": {"path": "/x", "retry": {"max_attempts": 3, "delay": "1ms"}}}])
    assert (told.type, told.outcome_unknown, told.attempt) == ("connection_lost", False, 3)


async def test_a_keyed_post_is_retried_with_the_same_key(server: Server, run: Run) -> None:
    """The service can tell that it is the same request; the key is in the header of each attempt."""
    answers: list[Any] = [lost, lost, as_json("made")]

    def route(request: Request) -> Any:
        answer = answers.pop(0)
        return answer(request) if callable(answer) else answer

    server.routes["/x"] = route
    step = {**POST[0]["http_post"], "idempotency_key": "order-7", "retry": {"max_attempts": 3, "delay": "1ms"}}
    result = await run(server, [{"http_post": step}], {"body": "a.body"})
    assert result.outputs == {"body": "made"}
    assert [each.headers["idempotency-key"] for each in server.requests] == ["order-7"] * 3


async def test_without_a_key_none_is_sent(server: Server, run: Run) -> None:
    """The key that every step has by itself is no promise of the flow's author."""
    server.routes["/x"] = as_json(1)
    assert (await run(server, POST)).succeeded
    assert "idempotency-key" not in server.requests[0].headers


async def test_a_stale_connection_is_no_failure(server: Server, run: Run) -> None:
    """The service closes an idle connection while the next request is on its way: a GET is sent again."""
    server.routes["/x"] = lambda request: as_json(1) if request.number == 1 else lost(request)
    steps = [{"http_get": {"id": f"s{n}", "path": "/x"}} for n in range(3)]
    assert (await run(server, steps)).succeeded
    assert server.accepted == 3


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"\0" * 100 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
    ],
)
async def test_what_is_no_http(server: Server, run: Run, garbage: bytes) -> None:
    """A service of another kind."""
    server.routes["/x"] = garbage
    told = await failure(run, server)
    assert told.type == "connection_lost"
    assert "no valid HTTP" in told.detail


async def test_headers_are_bounded(server: Server, run: Run) -> None:
    """Endless headers end the request, not the memory."""

    async def endless(request: Request) -> None:
        request.writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            request.writer.write(b"X-Filler: " + b"y" * 4000 + b"\r\n")
            await request.writer.drain()

    server.routes["/x"] = endless
    told = await failure(run, server)
    assert told.type == "limit"
    assert "headers" in told.detail


@pytest.mark.parametrize("form", ["length", "chunked", "bomb", "nested bomb"])
async def test_bodies_are_bounded(server: Server, run: Run, form: str) -> None:
    """By what is decompressed, before it is all there."""

    async def chunks(request: Request) -> None:
        request.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            request.writer.write(b"1000\r\n" + b"z" * 4096 + b"\r\n")
            await request.writer.drain()

    bomb = gzip.compress(b"\0" * 50_000_000)
    server.routes["/x"] = {
        "length": Reply(200, b"z" * 100_001),
        "chunked": chunks,
        "bomb": Reply(200, bomb, {"Content-Encoding": "gzip"}),
        "nested bomb": Reply(200, gzip.compress(bomb), {"Content-Encoding": "gzip, gzip"}),
    }[form]
    told = await failure(run, server, max_body=100_000)
    assert told.type == "limit"
    assert "`max_body`" in told.detail
    assert "100000 bytes" in told.detail


async def test_a_compressed_reply_that_breaks_off(server: Server, run: Run) -> None:
    """It is not taken for whole."""
    server.routes["/x"] = Reply(200, gzip.compress(b"hello" * 100)[:-12], {"Content-Encoding": "gzip"})
    assert (await failure(run, server)).type == "connection_lost"
    server.routes["/x"] = Reply(200, b"no gzip", {"Content-Encoding": "gzip"})
    assert (await failure(run, server)).type == "connection_lost"
    server.routes["/x"] = Reply(200, b"?", {"Content-Encoding": "br"})
    assert (await failure(run, server)).type == "validation"


async def stalled(request: Request) -> None:
    """It never answers; it notices when the client is gone."""
    await request.reader.read()


async def trickling(request: Request) -> None:
    """A byte now and then: each read is in time, and the whole is not."""
    request.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        request.writer.write(b"z")
        await request.writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", [stalled, trickling])
@pytest.mark.parametrize("method", ["get", "post"])
async def test_slow_services_end_by_the_time_limit(server: Server, run: Run, how: Any, method: str) -> None:
    """The whole request has its limit; the outcome of a POST is open."""
    server.routes["/x"] = how
    told = await failure(run, server, [{f"http_{method}": {"path": "/x"}}], timeout=0.3)
    assert (told.type, told.retryable, told.outcome_unknown) == ("timeout", True, method == "post")
    assert "0.3 s" in told.detail
    await gone(server)


async def test_a_step_has_a_limit_of_its_own(server: Server, run: Run) -> None:
    """As a parameter, and as the modifier of any step."""
    server.routes["/x"] = stalled
    told = await failure(run, server, [{"http_get": {"inputs": {"path": "/x", "timeout": 0.2}}}])
    assert told.type == "timeout"
    told = await failure(run, server, [{"http_get": {"path": "/x", "timeout": "200ms"}}])
    assert told.type == "timeout"
    await gone(server)


async def test_the_time_between_two_pieces(server: Server, run: Run) -> None:
    """`timeout.read` ends a stall before the whole time is over."""
    server.routes["/x"] = stalled
    began = time.monotonic()
    told = await failure(run, server, timeout={"read": 0.2, "total": 60})
    assert told.type == "timeout"
    assert time.monotonic() - began < 30


async def test_a_limit_of_its_own_may_be_longer(server: Server, opened: Run) -> None:
    """A request that takes longer than the connection's limit, and is allowed to."""

    async def slowly(request: Request) -> Reply:
        await asyncio.sleep(0.4)
        return as_json(1)

    server.routes["/x"] = slowly
    async with opened(server, timeout=0.1) as api:
        assert (await api.run("http_get", path="/x", timeout=30))["body"] == 1


async def test_ping_tells_the_truth(serve: Any, opened: Run) -> None:
    """Whether the service answers and takes the credentials; a page that is not there is an answer."""
    server = serve()
    async with opened(server) as api:
        client = await api.plugin.get_connection()
        await api.plugin.ping(client)
        assert [each.method for each in server.requests] == ["HEAD"]
        for status, kind in ((401, "auth"), (503, "unavailable")):
            server.routes["/"] = Reply(status)
            with pytest.raises(FlowExecutionError) as failed:
                await api.plugin.ping(client)
            assert failed.value.verdict.error_class == kind
        server.stop()
        with pytest.raises(FlowExecutionError) as failed:
            await api.plugin.ping(client)
        assert failed.value.verdict.error_class == "connect"


async def test_an_exhausted_pool_says_so(server: Server, opened: Run) -> None:
    """More requests than connections: they wait their turn, and one that waits too long is told why."""
    server.routes["/x"] = stalled
    server.routes["/y"] = as_json(1)
    async with opened(server, max_connections=1, timeout=5) as api:
        holder = asyncio.ensure_future(api.run("http_get", path="/x"))
        await until(lambda: bool(server.requests))
        with pytest.raises(Exception, match="no connection of the pool came free") as failed:
            await api.run("http_get", path="/y", timeout=0.2)
        assert failed.value.verdict.error_class == "timeout"
        assert not failed.value.verdict.outcome_unknown
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
        assert (await api.run("http_get", path="/y"))["body"] == 1, "the slot came back"


async def test_the_pool_is_bounded_under_load(server: Server, run: Run) -> None:
    """200 requests at once over 5 connections, counted at the server; none starves."""
    server.routes["/x"] = as_json(1)
    loop = {"for_each": list(range(200)), "as": "n", "max_concurrency": 100, "do": GET}
    assert (await run(server, [loop], max_connections=5)).succeeded
    assert len(server.requests) == 200
    assert server.most <= 5
    await gone(server)


async def test_a_cancelled_request_closes_its_socket(server: Server, opened: Run) -> None:
    """At once, and the pool goes on."""
    server.routes["/x"] = trickling
    server.routes["/y"] = as_json(1)
    async with opened(server) as api:
        request = asyncio.ensure_future(api.run("http_get", path="/x"))
        await until(lambda: bool(server.requests))
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await gone(server)
        assert (await api.run("http_get", path="/y"))["body"] == 1
    await gone(server)


async def gone(server: Server) -> None:
    """No connection is open at the server any more."""
    await until(lambda: not server.open)
