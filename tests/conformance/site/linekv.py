"""The driver of LineKV: one request a line, one reply a line, over TCP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

__version__ = "1.2.0"
_LONGEST = 2**26  # bytes of a line


class LineError(Exception):
    """The server refused a request; `code` is its word for why, `wait` the seconds it wants to be left alone."""

    def __init__(self, code: str, text: str, wait: float | None = None) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.wait = wait


class Link:
    """One link to a server. It serves one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int, user: str, password: str) -> Link:
        """Connect and log in. Raises OSError, EOFError, LineError."""
        link = cls(*await asyncio.open_connection(host, port, limit=_LONGEST))
        try:
            await link.ask("AUTH", user=user, password=password)
        except BaseException:
            link.abort()
            raise
        return link

    @property
    def alive(self) -> bool:
        return not (self._writer.is_closing() or self._reader.at_eof())

    async def ask(self, verb: str, **arguments: Any) -> Any:
        """Send a request and give the value of its reply."""
        await self._send(verb, arguments)
        word, value = await self._reply()
        assert word == "OK", word
        return value

    async def items(self, verb: str, **arguments: Any) -> AsyncIterator[Any]:
        """The items of a reply that has many."""
        await self._send(verb, arguments)
        while True:
            word, value = await self._reply()
            if word == "END":
                return
            yield value

    async def _send(self, verb: str, arguments: dict[str, Any]) -> None:
        self._writer.write(f"{verb} {json.dumps(arguments)}\n".encode())
        await self._writer.drain()

    async def _reply(self) -> tuple[str, Any]:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the server closed the link")
        word, _, rest = line.decode().partition(" ")
        value = json.loads(rest)
        if word == "ERR":
            raise LineError(value["code"], value["text"], value.get("wait"))
        return word, value

    async def close(self, patience: float = 1.0) -> None:
        """Say goodbye and close; a server that does not answer in time is left without one."""
        try:
            async with asyncio.timeout(patience):
                await self.ask("QUIT")
        except (OSError, EOFError, LineError):
            pass  # it is gone already, which is what was wanted
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop the link at once."""
        self._writer.transport.abort()
