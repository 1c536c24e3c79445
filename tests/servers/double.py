"""An HTTP service inside of the test's own process, for doubles of web APIs that a test looks into."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


class Double(BaseHTTPRequestHandler):
    """One link. A subclass has `do_GET` and its like, which call `body()` and `say()`. `name`: of its threads, by which
    a test that counts threads knows them."""

    name: ClassVar[str]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        threading.current_thread().name = f"{self.name}-link"
        super().setup()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            pass  # the client is gone

    def body(self) -> Any:
        """The request's JSON; None without one."""
        length = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(length)) if length else None

    def say(self, status: int, value: Any, headers: Mapping[str, str]) -> None:
        """Answer with JSON, without a `Date`: the conformance kit compares whole answers, also seconds apart."""
        content = json.dumps(value).encode()
        try:
            self.send_response_only(status)
            for name, each in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, each)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing is written to the terminal."""


@contextmanager
def standing(handler: type[Double]) -> Iterator[str]:
    """The service on a free port of this machine, as long as the block lasts. Gives its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name=handler.name)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.socket.close()
        thread.join()
