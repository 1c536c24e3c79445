"""Requests through flows, beside the same requests with `httpx2` alone, to one server in a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

import flowlang
from flowlang.connections import PluginRegistry
from flowlang.services.files import load
from harness import BENCH, Figure, in_turn, run, seconds

REQUESTS = 1000
AT_ONCE = 16
SERVICE = """\
service: orders
kind: http
version: 1.0.0
description: Orders
base_url: https://orders.example
operations:
  get:
    description: One order.
    params:
      - {name: n, type: integer, required: true, description: Its number}
    request: {path: "/orders/${params.n}"}
    outputs:
      - {name: total, value: "${body.total}", type: number, description: What it costs}
"""
HEAD = """\
flow: requests
connections: {{api: {{type: http, base_url: "{url}", allow_private: true}}}}
steps:
"""
STEPS = '  - http_get: {{id: s{n}, path: "/orders/{n}"}}\n'
LOOP = """\
  - for_each: "${{range({count})}}"
    as: n
    id: all
    max_concurrency: {at_once}
    collect: "${{got.body.total}}"
    do:
      - http_get: {{id: got, path: "/orders/${{n}}"}}
outputs:
  - {{name: totals, value: "${{all.results}}"}}
"""


@contextmanager
def service() -> Iterator[str]:
    """The server; gives its URL."""
    command = [sys.executable, str(BENCH / "web_server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()
            process.wait()


def web() -> list[Figure]:
    """One request after the other, in a loop, and side by side."""
    with service() as url:
        return [_steps(url), _loop(url, 1), _loop(url, AT_ONCE)]


def services() -> list[Figure]:
    """The loop through a connection type that is described in YAML."""
    with service() as url:
        return [_service(url)]


async def _bare(url: str, at_once: int) -> list[object]:
    """The same by hand: so many workers over one client, each reply parsed."""
    numbers = iter(range(REQUESTS))
    found: list[object] = [None] * REQUESTS
    limits = httpx2.Limits(max_connections=20, max_keepalive_connections=20)
    async with httpx2.AsyncClient(base_url=url, limits=limits) as client:

        async def work() -> None:
            for number in numbers:
                reply = await client.get(f"/orders/{number}")
                reply.raise_for_status()
                found[number] = reply.json()["total"]

        await asyncio.gather(*(work() for _ in range(at_once)))
    return found


def _steps(url: str) -> Figure:
    text = HEAD.format(url=url) + "".join(STEPS.format(n=n) for n in range(REQUESTS))
    flow = flowlang.load(text=text)
    measured = in_turn(7, lambda: _bare(url, 1), lambda: run(flow))
    how = f"{REQUESTS:,} steps with one `http_get` each, one connection; whole run / steps; 7 rounds"
    return _figure("GET as a step, warm pool", measured.of(0), measured.of(1), measured.ratio(1), 1.3, how)


def _loop(url: str, at_once: int) -> Figure:
    flow = flowlang.load(text=HEAD.format(url=url) + LOOP.format(count=REQUESTS, at_once=at_once))
    measured = in_turn(7, lambda: _bare(url, at_once), lambda: run(flow))
    how = f"`for_each` over {REQUESTS:,} numbers, `max_concurrency: {at_once}`; whole run / requests; 7 rounds"
    what = "1,000 GET in `for_each`" if at_once == 1 else f"1,000 GET, {at_once} at once"
    return _figure(what, measured.of(0), measured.of(1), measured.ratio(1), 1.3 if at_once == 1 else 1.2, how)


def _service(url: str) -> Figure:
    text = HEAD.format(url=url).replace("type: http", "type: orders") + LOOP.format(count=REQUESTS, at_once=1)
    text = text.replace('http_get: {id: got, path: "/orders/${n}"}', 'orders_get: {id: got, n: "${n}"}')
    registry = PluginRegistry(discover=False)
    registry.register(load("orders.service.yaml", lambda file: SERVICE).plugin)
    flow = flowlang.load(text=text.replace("got.body.total", "got.total"), registry=registry)
    measured = in_turn(7, lambda: _bare(url, 1), lambda: run(flow))
    how = f"`for_each` over {REQUESTS:,} numbers, an operation with one parameter and one output; 7 rounds"
    what = "1,000 GET of a service in YAML, in `for_each`"
    return _figure(what, measured.of(0), measured.of(1), measured.ratio(1), 1.3, how)


def _figure(what: str, floor: float, ours: float, ratio: float, target: float, how: str) -> Figure:
    floor_text = f"httpx2 alone, JSON parsed: {seconds(floor / REQUESTS)}"
    return Figure(what, floor_text, seconds(ours / REQUESTS), ratio, "×", target, how)
