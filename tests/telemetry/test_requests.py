"""The trace that requests carry: W3C's headers, from the attempt that sends them to the service that answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from tests.http.server import Reply, Server, as_json
from tests.telemetry.conftest import Kept

import flowlang
from flowlang.telemetry.lines import Lines
from flowlang.tracecontext import CURRENT

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server().start()
    one.routes[""] = Reply(200, b"{}", {"Content-Type": "application/json"})
    yield one
    one.stop()


async def get(
    server: Server,
    *,
    task: str = "http_get",
    step: dict[str, Any] | None = None,
    api: dict[str, Any] | None = None,
    **options: Any,
) -> flowlang.RunResult:
    flow = {
        "flow": "f",
        "connections": {"api": {"type": "http", "base_url": server.url, "allow_private": True, **(api or {})}},
        "steps": [{"id": "got", task: {"path": "/here", **(step or {})}}],
    }
    return await flowlang.run(text=json.dumps(flow), **options)


def carried(span: ReadableSpan) -> str:
    """The header that names a span."""
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"


def facts(span: ReadableSpan) -> dict[str, Any]:
    """What a span says in published words."""
    return {name: value for name, value in (span.attributes or {}).items() if not name.startswith("flowlang.")}


async def test_a_request_has_a_span_that_it_carries(server: Server, kept: Kept) -> None:
    """Each attempt its own, all in the trace of the run; a failed one has its status, too."""
    answers = iter([Reply(503), Reply(200)])
    server.routes["/here"] = lambda _: next(answers)
    result = await get(server, step={"retry": {"max_attempts": 2, "delay": "1ms"}}, on_event=kept.sink)
    assert result.status == "succeeded", result.failure
    attempts, requests = kept.named("http_get"), kept.named("GET")
    assert [each.headers["traceparent"] for each in server.requests] == [carried(each) for each in requests]
    assert [kept.above(each) for each in requests] == [["http_get", "got", "run f"]] * 2
    assert [each.parent.span_id for each in requests] == [each.context.span_id for each in attempts]
    assert "tracestate" not in server.requests[0].headers
    assert attempts[0].attributes["error.type"] == "unavailable"
    assert [each.attributes["http.response.status_code"] for each in attempts] == [503, 200]
    failed, succeeded = requests
    place = {"server.address": "127.0.0.1", "server.port": server.port, "url.full": f"{server.url}/here"}
    assert facts(failed) == {
        **place, "http.request.method": "GET", "http.response.status_code": 503, "error.type": "503",
    }  # fmt: skip
    assert facts(succeeded) == {**place, "http.request.method": "GET", "http.response.status_code": 200}
    assert failed.kind is SpanKind.CLIENT
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, None)
    assert succeeded.status.status_code is StatusCode.UNSET


async def test_behind_a_request_its_attempt_is_current_again(server: Server, kept: Kept) -> None:
    """What comes after it is no part of it."""

    class Behind:
        detailed = True

        def __init__(self) -> None:
            self.found: list[str] = []

        def __call__(self, event: Any) -> None:
            if type(event).__name__ == "RequestEnded":
                current = CURRENT.get()
                self.found.append(current.parent if current is not None else "")

    behind = Behind()
    await get(server, on_event=[kept.sink, behind])
    assert behind.found == [carried(kept.one("http_get"))]


async def test_a_status_that_is_expected_is_no_error(server: Server, kept: Kept) -> None:
    server.routes["/here"] = Reply(404)
    result = await get(server, step={"expect": [200, 404]}, on_event=kept.sink)
    assert result.status == "succeeded", result.failure
    request = kept.one("GET")
    assert facts(request)["http.response.status_code"] == 404
    assert request.status.status_code is StatusCode.UNSET


async def test_each_request_of_a_redirect_has_a_span(server: Server, kept: Kept) -> None:
    """One after the other, below the attempt; the attempt has the status of the last."""
    server.routes["/here"] = Reply(302, b"", {"Location": "/there?sig=abc&n=1"})
    await get(server, on_event=kept.sink)
    first, second = (facts(each) for each in kept.named("GET"))
    assert (first["http.response.status_code"], "http.request.resend_count" in first) == (302, False)
    assert (second["http.response.status_code"], second["http.request.resend_count"]) == (200, 1)
    assert second["url.full"] == f"{server.url}/there?sig=REDACTED&n=1"
    assert kept.one("http_get").attributes["http.response.status_code"] == 200
    assert [each.headers["traceparent"] for each in server.requests] == [carried(each) for each in kept.named("GET")]


async def test_pages_that_a_loop_asks_for_are_requests_of_their_stream(server: Server, kept: Kept) -> None:
    """Whatever is under way by then, and though the step that began the stream is over."""
    server.routes["/here"] = lambda request: as_json([1, 2] if "page=1" in request.target else [])
    text = f"""
flow: f
connections: {{api: {{type: http, base_url: "{server.url}", allow_private: true}}}}
steps:
  - http_paginate: {{id: all, path: /here, next: {{page: page}}}}
  - {{id: each, for_each: "${{all.items}}", do: [{{id: turn, set: {{n: "${{item}}"}}}}]}}
"""
    result = await flowlang.run(text=text, on_event=kept.sink)
    assert result.status == "succeeded", (result.failure, [str(each) for each in result.findings])
    pages = kept.named("GET")
    assert len(pages) == 2
    assert [kept.above(each) for each in pages] == [["http_paginate", "all", "run f"]] * 2
    assert pages[1].start_time > kept.one("all").end_time
    assert [each.headers["traceparent"] for each in server.requests] == [carried(each) for each in pages]


async def test_a_request_without_a_reply_says_why(server: Server, kept: Kept) -> None:
    """Nobody answers in time; and nobody is there. A method of no standard is told beside its name."""
    server.routes["/here"] = lambda _: asyncio.Event().wait()
    for limit in ({"step": {"timeout": 0.1}}, {"api": {"timeout": 0.1}}):
        assert (await get(server, **limit, on_event=kept.sink)).status == "failed"
    server.stop()
    await get(server, task="http_request", step={"method": "REPORT"}, on_event=kept.sink)
    late, refused = kept.named("GET"), kept.one("HTTP")
    assert [each.attributes["error.type"] for each in late] == ["timeout", "timeout"]
    assert all("http.response.status_code" not in each.attributes for each in late)
    told = facts(refused)
    assert (told["http.request.method"], told["http.request.method_original"]) == ("_OTHER", "REPORT")
    assert (told["error.type"], refused.status.status_code) == ("connect", StatusCode.ERROR)
    assert {point["error.type"] for point, _ in kept.points()["http.client.request.duration"]} == {"timeout", "connect"}


@pytest.mark.parametrize("secret", ["kanarien/vogel+7e1", "p7e1"])
async def test_no_secret_is_in_the_address_of_a_request(
    server: Server, kept: Kept, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a key that the connection adds, nor what the flow puts there, whole or as a part: a secret that is too
    short to be found hides all of the text."""
    monkeypatch.setenv("FLOWLANG_TEST_PIN", secret)
    flow = {
        "flow": "f",
        "inputs": [{"name": "pin", "type": "string", "secret": True, "required": True}],
        "connections": {"api": {
            "type": "http", "base_url": server.url, "allow_private": True,
            "auth": {"type": "api_key", "in": "query", "name": "key", "key": "${env.FLOWLANG_TEST_PIN}"},
        }},
        "steps": [{"id": "got", "http_get": {"path": "/here", "query": {"pin": "${inputs.pin}", "n": 1}}}],
    }  # fmt: skip
    result = await flowlang.run(text=json.dumps(flow), inputs={"pin": secret}, on_event=kept.sink)
    assert result.status == "succeeded", (result.failure, [str(each) for each in result.findings])
    assert server.requests[0].target.count("7e1") == 2
    told = "\n".join(each.to_json() for each in kept.spans) + str(kept.points())
    assert secret not in told
    assert quote(secret, safe="") not in told
    request, lease = facts(kept.one("GET")), facts(kept.one("lease api"))
    if len(secret) > 6:
        assert request["url.full"] == f"{server.url}/here?pin=***&n=1&key=***"
        assert request["server.address"] == lease["server.address"] == "127.0.0.1"
    else:
        assert request["url.full"].startswith("(withheld: ")
        assert request["server.address"].startswith("(withheld: ")
        assert "server.address" not in lease


async def test_lines_have_requests_and_other_listeners_do_not(server: Server, tmp_path: Path) -> None:
    """They are told to who is `detailed`, with what results show of an address."""
    heard: list[Any] = []
    lines = Lines(str(tmp_path / "events"), heard.append)
    try:
        await get(server, on_event=[lines, heard.append])
    finally:
        lines.close()
    records = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    sent, ended = (each for each in records if each["event"].startswith("request_"))
    assert (sent["path"], sent["request"], sent["url"], sent["resent"]) == ("got", 1, f"{server.url}/here", 0)
    assert (ended["request"], ended["status"], ended["error"]) == (1, 200, None)
    assert not [each for each in heard if type(each).__name__.startswith("Request")]


async def test_nothing_is_added_unless_somebody_traces(server: Server) -> None:
    """A listener of another kind does not make a trace, and what is no trace is none."""
    await get(server)
    await get(server, on_event=lambda event: None, trace_parent=PARENT[:-1])
    assert all("traceparent" not in each.headers for each in server.requests)


async def test_a_trace_that_was_given_is_handed_on(server: Server) -> None:
    """Without OpenTelemetry as it came; the next run knows nothing of it."""
    await get(server, trace_parent=PARENT, trace_state="vendor=1,other=2")
    await get(server)
    first, second = (each.headers for each in server.requests)
    assert (first["traceparent"], first["tracestate"]) == (PARENT, "vendor=1,other=2")
    assert "traceparent" not in second


async def test_a_header_of_the_flow_counts_more(server: Server) -> None:
    await get(server, step={"headers": {"Traceparent": "mine"}}, trace_parent=PARENT, trace_state="a=1")
    (request,) = server.requests
    assert request.headers["traceparent"] == "mine"
    assert "tracestate" not in request.headers


async def test_a_redirect_to_another_service_does_not_take_it_along(server: Server) -> None:
    other = Server().start()
    try:
        other.routes[""] = Reply(200)
        server.routes["/here"] = Reply(302, b"", {"Location": f"{other.url}/there"})
        result = await get(server, trace_parent=PARENT)
        assert result.status == "succeeded", result.failure
        assert server.requests[0].headers["traceparent"] == PARENT
        assert "traceparent" not in other.requests[0].headers
    finally:
        other.stop()


SERVICE = """
service: shop
kind: http
version: 1.0.0
description: a shop
base_url: https://shop.example
operations:
  order:
    description: an order
    request: {path: /orders/7}
"""


async def test_services_in_yaml_carry_it(server: Server, kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "shop.service.yaml").write_text(SERVICE, "utf-8")
    (tmp_path / "flow.yaml").write_text(
        f"flow: f\nconnections: {{s: {{type: shop, base_url: '{server.url}', allow_private: true}}}}\n"
        "steps:\n  - shop_order: {id: o}\n",
        "utf-8",
    )
    result = await flowlang.run(tmp_path / "flow.yaml", on_event=kept.sink)
    assert result.status == "succeeded", (result.failure, [str(each) for each in result.findings])
    span = kept.one("GET")
    assert kept.above(span) == ["shop_order", "o", "run f"]
    assert server.requests[0].headers["traceparent"] == carried(span)
