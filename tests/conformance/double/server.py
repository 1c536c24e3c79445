"""LineKV, a small key-value server over real TCP: accounts, spaces, slow and failing requests.

It runs on a thread of its own, so that a plugin which blocks its event loop does not stop it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

ACCOUNTS = {"flow": "s3cret/w@rd:%25", "reader": "read-only-pass"}
_LONGEST = 2**26


class Refusal(Exception):
    """A request is answered with an error."""

    def __init__(self, code: str, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.answer = {"code": code, "text": text, "wait": wait}


class LineKV:
    """`spaces` holds the values; `running` counts requests that take their time; `links` are open now."""

    def __init__(self) -> None:
        self.spaces: dict[str, dict[str, Any]] = {"main": {}}
        self.running = 0
        self.links = 0
        self.port = 0

    # ── one link ────────────────────────────────────────────────────────────────────────────────────────────

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links += 1
        session = Session(self)
        try:
            while line := await reader.readline():
                verb, _, rest = line.decode("utf-8", "replace").partition(" ")
                if not rest.startswith("{"):
                    writer.write(b'ERR {"code": "INVALID", "text": "no request"}\n')
                    return
                async for word, value in self._answers(session, verb, json.loads(rest), reader):
                    writer.write(f"{word} {json.dumps(value)}\n".encode())
                    if word != "ITEM" or writer.transport.get_write_buffer_size() > 2**16:
                        await writer.drain()
                if verb == "QUIT":
                    return
        except (OSError, asyncio.CancelledError):
            pass  # the link is gone
        finally:
            self.links -= 1
            writer.close()

    async def _answers(
        self, session: Session, verb: str, arguments: dict[str, Any], reader: asyncio.StreamReader
    ) -> AsyncIterator[tuple[str, Any]]:
        try:
            if verb == "SLOW":
                yield "OK", await self._slowly(arguments["seconds"], reader)
            elif verb == "SCAN":
                for key, value in list(session.values.items()):
                    if key.startswith(arguments["prefix"]):
                        yield "ITEM", {"key": key, "value": value}
                yield "END", None
            else:
                yield "OK", session.answer(verb, arguments)
        except Refusal as refusal:
            yield "ERR", refusal.answer

    async def _slowly(self, seconds: float, reader: asyncio.StreamReader) -> float:
        """Take that long, and stop when the one who asked is gone."""
        self.running += 1
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({gone}, timeout=seconds)
        finally:
            self.running -= 1
            gone.cancel()
            await asyncio.wait({gone})
        return seconds


class Session:
    """What a link may and sees."""

    def __init__(self, server: LineKV) -> None:
        self._server = server
        self._account: str | None = None
        self._space = "main"

    @property
    def values(self) -> dict[str, Any]:
        if self._account is None:
            raise Refusal("DENIED", "log in first")
        return self._server.spaces.setdefault(self._space, {})

    def answer(self, verb: str, arguments: dict[str, Any]) -> Any:
        method: Callable[..., Any] | None = getattr(self, f"on_{verb.lower()}", None)
        if method is None:
            raise Refusal("INVALID", f"no verb {verb}")
        return method(**arguments)

    def on_auth(self, user: str, password: str) -> None:
        if ACCOUNTS.get(user) != password:
            raise Refusal("AUTH", f"wrong user or password for {user}")
        self._account = user

    def on_quit(self) -> None:
        """The link ends after the answer."""

    def on_ping(self) -> str:
        return "pong"

    def on_use(self, space: str) -> None:
        self._space = space

    def on_space(self) -> str:
        return self._space

    def on_reset(self) -> None:
        self._space = "main"

    def on_get(self, key: str) -> Any:
        if key not in self.values:
            raise Refusal("MISSING", f"no key {key}")
        return self.values[key]

    def on_put(self, key: str, value: Any, new: bool = False) -> None:
        if self._account == "reader" or key.startswith("system:"):
            raise Refusal("DENIED", f"{self._account} may not write {key}")
        if not key:
            raise Refusal("INVALID", "a key must not be empty")
        if new and key in self.values:
            raise Refusal("EXISTS", f"there is a key {key} already")
        self.values[key] = value

    def on_fill(self, count: int) -> int:
        self.values.clear()
        self.values.update({f"item:{n:07}": "x" * 20 for n in range(count)})
        return count

    def on_put_all(self, items: list[dict[str, Any]]) -> int:
        for index, each in enumerate(items):
            if not each["key"]:
                raise Refusal("INVALID", f"item {index}: a key must not be empty")
        for each in items:
            self.values[each["key"]] = each["value"]
        return len(items)

    def on_all(self) -> dict[str, Any]:
        return dict(sorted(self.values.items()))

    def on_running(self) -> int:
        return self._server.running

    def on_fail(self, code: str) -> None:
        raise Refusal(code, "as you wish", 1.5 if code == "SLOW_DOWN" else None)


@contextmanager
def serving() -> Iterator[LineKV]:
    """A server on a free port of this machine, as long as the block lasts."""
    server = LineKV()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="conformance-linekv", daemon=True)
    thread.start()

    async def begin() -> asyncio.Server:
        return await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=_LONGEST)

    async def end(listening: asyncio.Server) -> None:
        listening.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    listening = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(end(listening), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
