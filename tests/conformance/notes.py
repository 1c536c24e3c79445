"""A small HTTP service for the `http` type: notes by key, pages of them, slow answers, failures, a token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "tok/EN:42%-of-notes"
PAGE = 1000


class Notes:
    """`kept` are the notes by key; `running` counts requests that take their time."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.running = 0
        self.url = ""


@contextmanager
def serving() -> Iterator[Notes]:
    """The service on a free port of this machine, as long as the block lasts."""
    notes = Notes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(notes))
    server.daemon_threads = True
    notes.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="conformance-notes")
    thread.start()
    try:
        yield notes
    finally:
        server.shutdown()
        server.socket.close()
        thread.join()


def _handler(notes: Notes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            threading.current_thread().name = "conformance-notes-link"
            super().setup()

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                pass  # the client is gone

        def do_GET(self) -> None:
            self._serve(self._read)

        def do_HEAD(self) -> None:
            self._serve(lambda key, query, body: (200, None))

        def do_PUT(self) -> None:
            self._serve(self._keep)

        def do_POST(self) -> None:
            self._serve(self._keep)

        def do_DELETE(self) -> None:
            self._serve(lambda key, query, body: (200, {"gone": notes.kept.pop(key, None) is not None}))

        def _serve(self, answer: Any) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._answer(401, {"error": "wrong token"})
            key = unquote(url.path.removeprefix("/notes").strip("/"))
            return self._answer(*answer(key, parse_qs(url.query), body))

        def _read(self, key: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
            if key.startswith("fail/"):
                return int(key.partition("/")[2]), {"error": "as you wish"}
            if key in ("slow", "running"):
                return 200, self._slowly() if key == "slow" else {"count": notes.running}
            if key:
                return (200, notes.kept[key]) if key in notes.kept else (404, {"error": f"no note {key}"})
            after = query.get("after", [""])[0]
            keys = sorted(each for each in notes.kept if each > after)
            page = keys[:PAGE]
            following = page[-1] if len(keys) > PAGE else None
            return 200, {"data": [{"id": each, **notes.kept[each]} for each in page], "next": following}

        def _slowly(self) -> Any:
            """Five seconds, or until the client is gone."""
            notes.running += 1
            try:
                self.connection.settimeout(5)
                try:
                    self.connection.recv(1)
                except TimeoutError:
                    pass
                self.close_connection = True
            finally:
                notes.running -= 1
            return {"done": True}

        def _keep(self, key: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
            if key == "fill":
                notes.kept = {f"n{number:07}": {"text": "x" * 20} for number in range(body["count"])}
                return 200, {"count": body["count"]}
            if key == "batch":
                wrong = [index for index, each in enumerate(body) if not each.get("id")]
                return (422, {"error": f"note {wrong[0]} has no id"}) if wrong else (200, {"count": len(body)})
            if not isinstance(body, dict) or "text" not in body:
                return 422, {"error": "a note has a text"}
            notes.kept[key] = body
            return 200, body

        def _answer(self, status: int, value: Any) -> None:
            content = json.dumps(value).encode()
            try:
                self.send_response_only(status)  # without a `Date`: the kit compares whole answers, also seconds apart
                if status == 429:
                    self.send_header("Retry-After", "2")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Nothing is written to the terminal."""

    return Handler
