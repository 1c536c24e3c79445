"""The service as the tests need it: the same protocol over real TCP, on a thread of this process.

Requests for the keys of `FAILING` fail. `kept` is what it holds.
"""

from __future__ import annotations

import json
import socketserver
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, takewhile
from typing import Any

TOKEN = "tok/EN:42%-of-acme"
FAILING = {
    "": ("invalid", "a key must not be empty"),
    "locked": ("forbidden", "this account may not"),
    "taken": ("exists", "somebody else has it"),
    "busy": ("slow_down", "too many requests"),
    "down": ("unavailable", "come again later"),
}


class Service(socketserver.ThreadingTCPServer):
    """`port` is where it listens, on 127.0.0.1."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Link)
        self.port: int = self.server_address[1]
        self.kept: dict[str, Any] = {}


class Link(socketserver.StreamRequestHandler):
    """One link. The first request has to log in."""

    server: Service
    disable_nagle_algorithm = True

    def handle(self) -> None:
        admitted = False
        try:
            for line in self.rfile:
                request = json.loads(line)
                if request["verb"] == "login":
                    admitted = request["token"] == TOKEN
                reply = self.answer(request) if admitted else refusal("unauthorized", "wrong token")
                self.wfile.write(json.dumps(reply).encode() + b"\n")
        except (OSError, ValueError):
            return  # the client is gone, or it is none

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        kept, key = self.server.kept, str(request.get("key", "-"))
        if key in FAILING:
            return refusal(*FAILING[key])
        match request:
            case {"verb": "put", "value": value}:
                created = key not in kept
                kept[key] = value
                return {"value": created}
            case {"verb": "put_many", "items": items}:
                wrong = [index for index, each in enumerate(items) if not each["key"]]
                if wrong:
                    return refusal("invalid", f"item {wrong[0]}: a key must not be empty")
                kept.update({each["key"]: each["value"] for each in items})
                return {"value": len(items)}
            case {"verb": "get"}:
                return {"value": kept[key]} if key in kept else refusal("not_found", f"no {key}")
            case {"verb": "scan", "prefix": prefix, "after": after, "limit": limit}:
                keys = sorted(kept)
                first = bisect_right(keys, after) if after else bisect_left(keys, prefix)
                page = islice(takewhile(lambda each: each.startswith(prefix), keys[first:]), limit)
                return {"value": [{"key": each, "value": kept[each]} for each in page]}
        return {"value": None}


def refusal(code: str, text: str) -> dict[str, Any]:
    wait = {"retry_after": 1.5} if code == "slow_down" else {}
    return {"error": code, "text": text, **wait}


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
