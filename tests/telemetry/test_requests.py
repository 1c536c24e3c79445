"""The trace that requests carry: W3C's headers, from the attempt that sends them to the service that answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.http.server import Reply, Server
from tests.telemetry.conftest import Kept

import flowlang

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server().start()
    one.routes[""] = Reply(200, b"{}", {"Content-Type": "application/json"})
    yield one
    one.stop()


async def get(server: Server, *, step: dict[str, Any] | None = None, **options: Any) -> flowlang.RunResult:
    flow = {
        "flow": "f",
        "connections": {"api": {"type": "http", "base_url": server.url, "allow_private": True}},
        "steps": [{"id": "got", "http_get": {"path": "/here", **(step or {})}}],
    }
    return await flowlang.run(text=json.dumps(flow), **options)


async def test_a_request_carries_the_span_of_its_attempt(server: Server, kept: Kept) -> None:
    """Each attempt its own, all in the trace of the run."""
    answers = iter([Reply(503), Reply(200)])
    server.routes["/here"] = lambda _: next(answers)
    result = await get(server, step={"retry": {"max_attempts": 2, "delay": "1ms"}}, on_event=kept.sink)
    assert result.status == "succeeded", result.failure
    attempts = kept.named("http_get")
    assert [each.headers["traceparent"] for each in server.requests] == [
        f"00-{each.context.trace_id:032x}-{each.context.span_id:016x}-{each.context.trace_flags:02x}"
        for each in attempts
    ]
    assert "tracestate" not in server.requests[0].headers
    assert attempts[0].attributes["error.type"] == "unavailable"
    assert attempts[1].attributes["http.request.method"] == "GET"
    assert attempts[1].attributes["http.response.status_code"] == 200


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
    span = kept.one("shop_order")
    assert server.requests[0].headers["traceparent"].split("-")[2] == f"{span.context.span_id:016x}"
