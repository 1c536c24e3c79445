"""What a server says, looked at before the driver reads it.

asyncpg takes the frames of a server as they come. One of type zero, or with a length that makes no sense, keeps its
parser busy for ever, in C, where no time limit and no signal gets through, or has it read beside its buffer. So whoever
answers at the address, or stands in between, could freeze the whole process. Each frame's head is judged here first
(https://www.postgresql.org/docs/current/protocol-overview.html); for small rows that costs a fiftieth of the driver's
work on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from struct import Struct
from typing import Any

_head_of = Struct("!Bi").unpack_from  # the type of a frame, and its length without the type
_HEAD = 5
_LEAST, _MOST = 4, (1 << 30) + 3  # the length counts itself; no message of a server is longer than 1 GiB


class Loop:
    """The event loop, as asyncpg is given it to open a session: behind it every protocol of a session is watched."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Callable[[], Any], *where: Any, **options: Any) -> tuple[Any, Any]:
        """As the loop's own."""
        link, made = await self._loop.create_connection(lambda: _watched(factory()), *where, **options)
        return _Link(link), _driver_of(made)

    async def create_unix_connection(self, factory: Callable[[], Any], *where: Any, **options: Any) -> tuple[Any, Any]:
        """As the loop's own."""
        link, made = await self._loop.create_unix_connection(lambda: _watched(factory()), *where, **options)
        return _Link(link), _driver_of(made)

    async def start_tls(self, link: Any, protocol: Any, context: Any, **options: Any) -> Any:
        """As the loop's own."""
        secured = await self._loop.start_tls(link.transport, protocol, context, **options)
        return None if secured is None else _Link(secured)


class _Link:
    """A transport on which a protocol of a session is watched, also one that takes over after the question for TLS."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.write = transport.write

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def set_protocol(self, protocol: Any) -> None:
        watch = _watched(protocol)
        if isinstance(watch, _Watch):
            watch.link = self.transport
        self.transport.set_protocol(watch)


class _Watch(asyncio.Protocol):
    """Before a protocol of asyncpg: passes on what begins with sound heads, and breaks the link off at any other."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.link: Any = None
        self._cut = b""  # the begin of a head whose rest has not come
        self._skip = 0  # bytes to the next head
        self._refused: ConnectionAbortedError | None = None

    def connection_made(self, transport: Any) -> None:
        self.link = transport
        self.driver.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.driver.connection_lost(self._refused or error)

    def eof_received(self) -> bool | None:
        return bool(self.driver.eof_received())

    def pause_writing(self) -> None:
        self.driver.pause_writing()

    def resume_writing(self) -> None:
        self.driver.resume_writing()

    def data_received(self, data: bytes) -> None:
        text = self._cut + data if self._cut else data
        at, last = self._skip, len(text) - _HEAD
        while at <= last:
            kind, length = _head_of(text, at)
            if not kind or not _LEAST <= length <= _MOST:
                self._refused = ConnectionAbortedError("what answers does not speak PostgreSQL's protocol")
                self.link.abort()
                return
            at += 1 + length
        self._cut = text[at:]
        self._skip = max(at - len(text), 0)
        self.driver.data_received(data)


def _watched(protocol: Any) -> Any:
    from asyncpg.protocol import Protocol

    return _Watch(protocol) if isinstance(protocol, Protocol) else protocol


def _driver_of(protocol: Any) -> Any:
    return protocol.driver if isinstance(protocol, _Watch) else protocol
