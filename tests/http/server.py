"""A real HTTP server for the tests: asyncio, real sockets, in a thread of its own, and as ill-behaved as a test asks.

A route is a function of a `Request` that gives a `Reply`, or that writes to the socket itself.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class Request:
    """What arrived. `writer` is the socket, for routes that do not answer as a server should."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    number: int  # of the request on its connection, from 1
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    names: list[str] = field(default_factory=list)  # of the headers, as they were written

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Answer = Reply | bytes | None
Route = Callable[[Request], Answer | Awaitable[Answer]]


def as_json(value: Any, status: int = 200, **headers: str) -> Reply:
    """A reply in JSON; `_` in the names of headers stands for `-`."""
    named = {name.replace("_", "-"): each for name, each in headers.items()}
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


class Server:
    """`url` is where it listens. `routes` maps paths to what answers them, `""` all that has no route. `requests` are
    those that arrived, `open` the connections that are open now, `accepted` all that ever were."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.routes: dict[str, Route | Answer] = {}
        self.requests: list[Request] = []
        self.open = 0
        self.most = 0
        self.accepted = 0
        self.names: list[str | None] = []  # SNI, in the order of connections
        self._tls = tls
        if tls is not None:
            tls.sni_callback = lambda _link, name, _context: self.names.append(name)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="http test server", daemon=True)
        self._ready = threading.Event()
        self._handlers: set[asyncio.Task[None]] = set()

    # ── its life ────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> Server:
        self._thread.start()
        self._ready.wait(10)
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self._tls, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for task in self._handlers:
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    # ── what it does ────────────────────────────────────────────────────────────────────────────────────────

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self.accepted += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            number = 0
            while True:
                number += 1
                request = await self._read(reader, writer, number)
                if request is None:
                    return
                self.requests.append(request)
                if not await self._answer(request):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            self.open -= 1
            self._handlers.discard(task)
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> Request | None:
        begin = await reader.readexactly(1)
        if begin == b"\x16":  # a handshake of TLS, where none is spoken
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return None
        head = begin + await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = first.split(" ")
        pairs = [line.split(":", 1) for line in lines]
        headers = {name.lower(): value.strip() for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, target, headers, body, number, reader, writer, [name for name, _ in pairs])

    async def _answer(self, request: Request) -> bool:
        """Whether the connection stays open."""
        route = self.routes.get(request.path, self.routes.get(""))
        answer = route(request) if callable(route) else route
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer is None and route is not None:
            return False
        if isinstance(answer, bytes):
            request.writer.write(answer)
            await request.writer.drain()
            return True
        reply = answer if isinstance(answer, Reply) else Reply(404, b"no such thing", {"Content-Type": "text/plain"})
        length = {} if reply.status in (204, 304) else {"Content-Length": str(len(reply.body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in {**length, **reply.headers}.items())
        content = b"" if request.method == "HEAD" else reply.body
        request.writer.write(f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode("latin-1") + content)
        await request.writer.drain()
        return True


async def until(true: Callable[[], bool]) -> None:
    """Wait for what happens in the server's thread."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.002)
