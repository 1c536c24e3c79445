"""Requests and replies: what is sent, what comes back."""

from __future__ import annotations

import datetime
import gzip
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from tests.http.server import Reply, Request, Server, as_json

from flowlang.exceptions import FlowExecutionError

Run = Callable[..., Any]


def echo(request: Request) -> Reply:
    """What arrived, as JSON."""
    return as_json(
        {
            "method": request.method,
            "target": request.target,
            "headers": request.headers,
            "body": request.body.decode("latin-1"),
        }
    )


async def test_a_step_gets_json(server: Server, run: Run) -> None:
    """Status, headers, the parsed body, and where it came from."""
    server.routes["/v1/orders/7"] = as_json({"id": 7, "big": 2**70, "rate": 0.5}, X_Kind="order")
    result = await run(
        server.url + "/v1/",
        [{"http_get": {"id": "a", "path": "/orders/7"}}],
        {"body": "a.body", "status": "a.status", "kind": "a.headers['x-kind']", "url": "a.url"},
    )
    assert result.failure is None
    assert result.outputs == {
        "body": {"id": 7, "big": 2**70, "rate": 0.5},
        "status": 200,
        "kind": "order",
        "url": f"{server.url}/v1/orders/7",
    }


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
async def test_each_method_sends_what_it_is_given(server: Server, run: Run, method: str) -> None:
    """JSON, headers of the connection and of the step, a query."""
    server.routes[""] = echo
    step = {
        "path": "x",
        "json": {"a": [1, None]},
        "query": {"q": "a b&c", "n": [1, 2], "no": None},
        "headers": {"X-Two": "2"},
    }
    result = await run(
        server, [{f"http_{method}": {"id": "a", **step}}], {"body": "a.body"}, headers={"X-One": "1", "X-Two": "1"}
    )
    assert result.failure is None
    sent = result.outputs["body"]
    assert sent["method"] == method.upper()
    assert sent["target"] == "/x?q=a%20b%26c&n=1&n=2"
    assert sent["body"] == '{"a": [1, null]}'
    assert sent["headers"]["content-type"] == "application/json"
    assert (sent["headers"]["x-one"], sent["headers"]["x-two"]) == ("1", "2")


async def test_values_are_sent_as_json_has_them(server: Server, opened: Run) -> None:
    """Big integers exact, decimals, times and bytes by the map of `json()`; NaN is refused before anything is sent."""
    server.routes[""] = echo
    async with opened(server) as api:
        value = {"i": 2**70, "d": Decimal("1.5"), "t": datetime.date(2026, 1, 2), "b": b"\0\xff"}
        reply = await api.run("http_post", path="/", json=value)
        assert reply["body"]["body"] == f'{{"i": {2**70}, "d": 1.5, "t": "2026-01-02", "b": "AP8="}}'
        with pytest.raises(FlowExecutionError, match="no JSON"):
            await api.run("http_post", path="/", json={"x": float("nan")})
    assert len(server.requests) == 1


async def test_forms_texts_and_bytes(server: Server, opened: Run) -> None:
    """Each with its content type; two bodies at once are refused."""
    server.routes[""] = echo
    async with opened(server) as api:
        form = (await api.run("http_post", path="/", form={"a b": "c&d", "n": [1, True], "no": None}))["body"]
        assert (form["body"], form["headers"]["content-type"]) == (
            "a+b=c%26d&n=1&n=true",
            "application/x-www-form-urlencoded",
        )
        text = (await api.run("http_post", path="/", body="grüße"))["body"]
        assert text["body"].encode("latin-1").decode() == "grüße"
        raw = (await api.run("http_put", path="/", body=b"\x00\xff", headers={"Content-Type": "image/x"}))["body"]
        assert (raw["body"], raw["headers"]["content-type"]) == ("\x00\xff", "image/x")
        with pytest.raises(FlowExecutionError, match="one body"):
            await api.run("http_post", path="/", body="x", json=1)


@pytest.mark.parametrize(
    ("kind", "content", "value"),
    [
        (
            "application/json",
            b'{"a": 1.25, "n": 123456789012345678901234567890}',
            {"a": 1.25, "n": 123456789012345678901234567890},
        ),
        ("application/problem+json; charset=utf-8", b"[1]", [1]),
        ("application/json", b"", None),
        ("text/plain; charset=latin-1", b"gr\xfc\xdfe", "grüße"),
        ("text/html", "grüße".encode(), "grüße"),
        ("text/plain; charset=klingon", b"x", b"x"),
        ("text/plain", b"\xff\xfe\xfd", b"\xff\xfe\xfd"),
        ("application/xml", b"<a/>", "<a/>"),
        ("application/octet-stream", b"\0\1", b"\0\1"),
        ("image/png", b"", b""),
    ],
)
async def test_a_body_is_parsed_by_its_type(server: Server, opened: Run, kind: str, content: bytes, value: Any) -> None:
    """JSON as a value, text by its charset, the rest as bytes."""
    server.routes["/"] = Reply(200, content, {"Content-Type": kind})
    async with opened(server) as api:
        assert (await api.run("http_get", path="/"))["body"] == value


@pytest.mark.parametrize("content", [b"{", b"[NaN]", b"[1e5, -Infinity]", b"[" * 100_000, b"\xff\xff", b"9" * 10_000])
async def test_json_that_is_none_is_refused(server: Server, opened: Run, content: bytes) -> None:
    """Whatever is wrong with it, it is `validation` and says where."""
    server.routes["/"] = Reply(200, content, {"Content-Type": "application/json"})
    async with opened(server) as api:
        with pytest.raises(FlowExecutionError, match="JSON") as failed:
            await api.run("http_get", path="/")
    assert failed.value.verdict.error_class == "validation"


async def test_no_content_is_null(server: Server, opened: Run) -> None:
    """204, an empty reply without a type, and HEAD."""
    server.routes["/none"] = Reply(204)
    server.routes["/empty"] = Reply(200)
    server.routes["/big"] = Reply(200, b"x" * 100, {"Content-Type": "application/octet-stream"})
    async with opened(server, max_body=10) as api:
        assert (await api.run("http_delete", path="/none"))["body"] is None
        assert (await api.run("http_get", path="/empty"))["body"] is None
        reply = await api.run("http_request", method="HEAD", path="/big")
        assert (reply["headers"]["content-length"], reply["status"]) == ("100", 200)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate", "two members", "gzip, gzip"])
async def test_compressed_replies(server: Server, opened: Run, coding: str) -> None:
    """All the ways in which servers write them."""
    text = b"hello " * 1000
    raw = zlib.compressobj(wbits=-15)
    forms = {
        "gzip": gzip.compress(text),
        "deflate": zlib.compress(text),
        "raw deflate": raw.compress(text) + raw.flush(),
        "two members": gzip.compress(text[:100]) + gzip.compress(text[100:]),
        "gzip, gzip": gzip.compress(gzip.compress(text)),
    }
    name = {"raw deflate": "deflate", "two members": "gzip"}.get(coding, coding)
    server.routes["/"] = Reply(200, forms[coding], {"Content-Type": "text/plain", "Content-Encoding": name})
    async with opened(server) as api:
        assert (await api.run("http_get", path="/"))["body"] == text.decode()


async def test_expect_says_what_is_no_failure(server: Server, run: Run) -> None:
    """A 404 that is expected is a result; a 200 that is not is a failure."""
    server.routes["/there"] = as_json(1)
    steps = [{"http_get": {"id": "a", "path": "/gone", "expect": [200, 404]}}]
    result = await run(server, steps, {"status": "a.status"})
    assert result.outputs == {"status": 404}
    result = await run(server, [{"http_get": {"id": "a", "path": "/there", "expect": 201}}])
    assert result.failure.type == "validation", result.failure


async def test_files_are_sent_as_a_form_does(server: Server, run: Run, tmp_path: Any) -> None:
    """From disk and from memory; a quote or line end in a name cannot break out of its header."""
    (tmp_path / "a.csv").write_text("x,y\n")
    server.routes[""] = echo
    files = {"up": "a.csv", 'b"\r\nX-Evil: 1': {"content": "hi", "filename": 'q"\n.txt'}}
    result = await run(
        server, [{"http_post": {"id": "a", "path": "/", "files": files, "form": {"k": "v"}}}], {"b": "a.body"}
    )
    assert result.failure is None
    sent = result.outputs["b"]
    boundary = sent["headers"]["content-type"].partition("boundary=")[2]
    parts = sent["body"].split(f"--{boundary}")
    assert len(parts) == 5
    assert 'name="k"\r\n\r\nv\r\n' in parts[1]
    assert 'name="up"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\nx,y\n\r\n' in parts[2]
    assert 'name="b%22%0D%0AX-Evil: 1"; filename="q%22%0A.txt"' in parts[3]
    assert "\nX-Evil" not in sent["body"]


async def test_headers_cannot_smuggle(server: Server, opened: Run) -> None:
    """No line ends, and none of the headers that frame the message."""
    server.routes[""] = echo
    async with opened(server) as api:
        for headers in (
            {"X": "a\r\nY: b"},
            {"Content-Length": "5"},
            {"Host": "evil"},
            {"A b": "c"},
            {"X": "☃"},
            {"X": " a"},
            {"X": "\x1b"},
        ):
            with pytest.raises(FlowExecutionError, match="headers"):
                await api.run("http_get", path="/", headers=headers)
    assert server.requests == []


async def test_the_nearest_header_counts(server: Server, run: Run) -> None:
    """Step before credentials before connection before defaults; each is sent once."""
    server.routes["/"] = echo
    config = {
        "headers": {"authorization": "c", "X-A": "c", "accept": "c"},
        "auth": {"type": "bearer", "token": "tok-en"},
    }
    steps = [
        {"http_get": {"id": "a", "path": "/"}},
        {"http_get": {"id": "b", "path": "/", "headers": {"AUTHORIZATION": "step", "x-a": "step"}}},
    ]
    assert (await run(server, steps, **config)).succeeded
    seen = [(each.headers["authorization"], each.headers["x-a"], each.headers["accept"]) for each in server.requests]
    assert seen == [("Bearer tok-en", "c", "c"), ("step", "step", "c")]
    for each in server.requests:
        names = [name.lower() for name in each.names]
        assert len(names) == len(set(names))


async def test_a_key_that_no_header_can_hold(server: Server, run: Run) -> None:
    """`validation`, before anything is sent."""
    result = await run(server, [{"http_post": {"path": "/", "idempotency_key": "a\nb"}}])
    assert result.failure.type == "validation"
    assert "`idempotency_key`" in result.failure.detail
    assert server.requests == []


async def test_cookies_are_not_kept(server: Server, opened: Run) -> None:
    """What one step was given, the next does not send."""
    server.routes["/"] = as_json(1, Set_Cookie="session=1")
    async with opened(server) as api:
        await api.run("http_get", path="/")
        await api.run("http_get", path="/")
    assert all("cookie" not in each.headers for each in server.requests)
    assert server.accepted == 1, "the connection is used again"
