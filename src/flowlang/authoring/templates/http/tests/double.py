"""The service as the tests need it: the same requests over real HTTP, on a thread of this process.

Requests for the items of `FAILING` fail. `kept` is what it holds, by id.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "tok/EN:42%-of-acme"
FAILING = {
    "locked": (403, "forbidden"),
    "spent": (403, "quota_exceeded"),
    "taken": (409, "conflict"),
    "busy": (429, "slow_down"),
    "down": (503, "unavailable"),
}


class Service(ThreadingHTTPServer):
    """`url` is where every path begins."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.kept: dict[str, dict[str, Any]] = {}


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection, in turn."""

    server: Service
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            return  # the client is gone

    def do_HEAD(self) -> None:
        self.respond()

    def do_GET(self) -> None:
        self.respond()

    def do_PUT(self) -> None:
        self.respond()

    def do_POST(self) -> None:
        self.respond()

    def respond(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.send(401, {"error": "unauthorized"})
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        item_id = unquote(url.path.removeprefix("/v1/items").lstrip("/"))
        return self.send(*self.answer(item_id, query, json.loads(content) if content else None))

    def answer(self, item_id: str, query: dict[str, str], data: Any) -> tuple[int, Any]:
        kept = self.server.kept
        if item_id in FAILING:
            status, code = FAILING[item_id]
            return status, {"error": code, "message": f"{item_id}, as a test wants it"}
        if self.command == "GET" and not item_id:
            keys = sorted(each for each in kept if each > query.get("after", ""))
            page = keys[: int(query.get("limit", "100"))]
            following = page[-1] if len(keys) > len(page) else None
            return 200, {"items": [kept[each] for each in page], "next": following}
        if self.command == "GET":
            return (200, kept[item_id]) if item_id in kept else (404, {"error": "not_found"})
        if self.command == "HEAD":
            return 200, None
        if not data:
            return 422, {"error": "an item holds something"}
        key = item_id or f"item{len(kept) + 1}"
        kept[key] = {"id": key, **data}
        return 200, kept[key]

    def send(self, status: int, value: Any) -> None:
        content = b"" if self.command == "HEAD" else json.dumps(value).encode()
        self.send_response_only(status)
        if status == 429:
            self.send_header("Retry-After", "2")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is written to the terminal."""


@contextmanager
def serving() -> Iterator[Service]:
    """The service on a free port, as long as the block lasts."""
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()
