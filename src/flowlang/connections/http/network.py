"""The sockets under the client: looked up, judged, connected, secured, read and written here.

`httpcore2` asks a network backend for its streams. This one connects to the very address that was judged (see
`addresses`), so that a name cannot change its meaning between the check and the connection; the name itself still
goes into the handshake (SNI) and the `Host` header. Reads and writes are an asyncio protocol without further
layers, with a timer only where one has to wait.
"""

# ruff: noqa: ASYNC109 - the signatures are those of the library

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import httpcore2

from flowlang.connections._keepalive import keep_alive
from flowlang.connections.http.addresses import is_public
from flowlang.connections.http.errors import RequestFailed

_HIGH = 256 * 1024  # bytes received and not yet read, at which the sender is made to wait
_CLOSING = 1.0  # seconds to wait for the event loop to let go of a socket that was aborted


class Progress:
    """How far one request has come. `stage`: `waiting` for a connection of the pool, `connecting`, `sent` (its first
    byte), `answered` (the first byte of the reply). `fresh`: a connection was made for it. `timer`: its time limit."""

    __slots__ = ("fresh", "stage", "timer")

    def __init__(self, timer: asyncio.Timeout | None = None) -> None:
        self.stage = "waiting"
        self.fresh = False
        self.timer = timer


PROGRESS: ContextVar[Progress | None] = ContextVar("PROGRESS", default=None)


class Backend(httpcore2.AsyncNetworkBackend):
    """Connects by TCP, and only to where it may."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A stream to the first address of `host` that answers.

        Raises RequestFailed (`permission`) when none may be reached, ConnectError, ConnectTimeout.
        """
        progress = PROGRESS.get()
        if progress is not None:
            progress.stage, progress.fresh = "connecting", True
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError as error:
            late = TimeoutError(f"{host} could not be looked up within {timeout:g} s")
            raise httpcore2.ConnectTimeout(late) from error
        except OSError as error:
            raise httpcore2.ConnectError(error) from error
        return await _first(loop, self._allowed(host, found), deadline)

    def _allowed(self, host: str, found: Iterable[Any]) -> list[Any]:
        addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
        if self._allow_private:
            return addresses
        public = [each for each in addresses if is_public(str(each[1][0]))]
        if not public:
            names = ", ".join(sorted({str(address[0]) for _, address in addresses}))
            raise RequestFailed(
                f"{host} is {names}, no address of the public internet; "
                "set the connection's `allow_private: true` if it is meant",
                "permission",
            )
        return public


async def _first(loop: asyncio.AbstractEventLoop, addresses: list[Any], deadline: float | None) -> Wire:
    """Try one address after the other; each may take its share of the time that is left."""
    failed: BaseException = OSError("the name has no address")
    for number, (family, address) in enumerate(addresses):
        share = None
        if deadline is not None:
            now = loop.time()
            share = now + max(deadline - now, 0.0) / (len(addresses) - number)
        try:
            async with asyncio.timeout_at(share):
                return await _connected(loop, family, address)
        except TimeoutError:
            failed = TimeoutError(f"no connection to {address[0]}:{address[1]} in time")
        except OSError as error:
            said = os.strerror(error.errno) if error.errno else str(error)
            failed = type(error)(error.errno, f"{said} ({address[0]}:{address[1]})")
    if isinstance(failed, TimeoutError):
        raise httpcore2.ConnectTimeout(failed)
    raise httpcore2.ConnectError(failed)


async def _connected(loop: asyncio.AbstractEventLoop, family: int, address: Any) -> Wire:
    link = socket.socket(family, socket.SOCK_STREAM)
    try:
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keep_alive(link)
        await loop.sock_connect(link, address)
        wire = Wire(loop)
        await loop.create_connection(lambda: wire, sock=link)
    except BaseException:
        link.close()
        raise
    return wire


class Wire(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """One open connection. One task at a time reads, and one writes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: Any = None
        self._received = bytearray()
        self._ended = False
        self._failed: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._reading = True
        self._writable = True
        self._closed: asyncio.Future[None] = loop.create_future()

    # ── what the transport calls ────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        _wake(self._reader)
        if self._reading and len(self._received) > _HIGH:
            self._reading = False
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._ended = True
        _wake(self._reader)

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._failed = self._failed or error
        _wake(self._reader)
        _wake(self._writer)
        _wake(self._closed)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        _wake(self._writer)

    # ── what the client calls ───────────────────────────────────────────────────────────────────────────────

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has arrived, up to `max_bytes`; nothing at the end. Raises ReadError, ReadTimeout."""
        while not self._received:
            if self._failed is not None:
                raise httpcore2.ReadError(self._failed)
            if self._ended:
                return b""
            self._reader = self._loop.create_future()
            try:
                await self._waited(self._reader, timeout, httpcore2.ReadTimeout)
            finally:
                self._reader = None
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        if not self._reading and len(self._received) <= _HIGH // 2:
            self._reading = True
            self._transport.resume_reading()
        progress = PROGRESS.get()
        if progress is not None:
            progress.stage = "answered"
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send. Raises WriteError, WriteTimeout."""
        if not buffer:
            return
        if self._failed is not None or self._transport.is_closing():
            raise httpcore2.WriteError(self._failed or ConnectionResetError("the connection is closed"))
        progress = PROGRESS.get()
        if progress is not None and progress.stage != "answered":
            progress.stage = "sent"
        self._transport.write(buffer)
        if self._writable:
            return
        self._writer = self._loop.create_future()
        try:
            await self._waited(self._writer, timeout, httpcore2.WriteTimeout)
        finally:
            self._writer = None
        if self._failed is not None:
            raise httpcore2.WriteError(self._failed)

    async def _waited(self, future: asyncio.Future[None], limit: float | None, late: type[Exception]) -> None:
        if limit is None:
            await future
            return
        timer = self._loop.call_later(limit, _expire, future, late)
        try:
            await future
        finally:
            timer.cancel()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        """The same connection, secured. Raises ConnectError, ConnectTimeout; it is closed then."""
        plain = self._transport
        patience = None if timeout is None else timeout + 5  # of asyncio's own timer, whose error says less
        try:
            async with asyncio.timeout(timeout):
                self._transport = await self._loop.start_tls(
                    plain, self, ssl_context, server_hostname=server_hostname, ssl_handshake_timeout=patience
                )
        except BaseException as error:
            plain.abort()
            await asyncio.sleep(0)  # the loop lets go of the socket in its next turn
            if isinstance(error, TimeoutError):
                late = TimeoutError("the handshake of the secured connection took too long")
                raise httpcore2.ConnectTimeout(late) from error
            if isinstance(error, OSError):
                raise httpcore2.ConnectError(error) from error
            raise
        return self

    async def aclose(self) -> None:
        """Let go at once: nothing more is sent, not even a farewell of TLS that the other side would have to answer."""
        self._transport.abort()
        if not self._closed.done():
            await asyncio.wait({self._closed}, timeout=_CLOSING)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # asked of idle connections: anything that arrives there is its end
            return self._ended or bool(self._received) or self._transport.is_closing()
        return self._transport.get_extra_info(info)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _expire(future: asyncio.Future[None], late: type[Exception]) -> None:
    if not future.done():
        future.set_exception(late("no progress in time"))
