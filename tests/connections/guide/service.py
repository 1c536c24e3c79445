"""The service itself: keeps resources in memory, wants the right key, counts what it is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk_test_8f1c2d"


class Service:
    """`url` is where it listens, `resources` what it holds by id, `requests` what it was asked, in order.

    `failures` are statuses to answer next, one request each, before it serves again.
    """

    def __init__(self) -> None:
        self.url = ""
        self.resources: dict[str, Any] = {}
        self.requests: list[str] = []
        self.failures: list[int] = []


@contextmanager
def serving() -> Iterator[Service]:
    """A service on a free port of this machine, as long as the `with` block lasts."""
    service = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self._admitted():
                return
            found = {"ok": True} if self.path == "/ping" else service.resources.get(self.path.rpartition("/")[2])
            if found is None:
                self._answer(404, {"error": "no such resource"})
            else:
                self._answer(200, found)

        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self._admitted():
                return
            made = {"id": str(len(service.resources) + 1), **content}
            service.resources[made["id"]] = made
            self._answer(201, made)

        def _admitted(self) -> bool:
            service.requests.append(f"{self.command} {self.path}")
            if service.failures:
                self._answer(service.failures.pop(0), {"error": "try later"})
            elif self.headers["Authorization"] != f"Bearer {KEY}":
                self._answer(401, {"error": "wrong key"})
            else:
                return True
            return False

        def _answer(self, status: int, value: Any) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """The tests count requests; nothing is written to the terminal."""

    return Handler
