"""A TCP proxy between a client and a server, whose link can be made bad while it is in use.

    client ⇄ proxy ⇄ server

Every switch works on links that stand and on those to come. `heal` makes all well again for new bytes; a link that
was cut stays cut.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

Direction = Literal["to_server", "to_client"]
_CHUNK = 1 << 16


@dataclass
class Cut:
    """A link ends after so many more bytes in a direction: with a reset, or with an orderly end."""

    direction: Direction
    after: int
    reset: bool


@dataclass
class Lie:
    """After so many more bytes of the server's words, clients hear `said` in place of each further piece of them; from
    the start of a link it is the greeting. It is said again and again when it is `endless`."""

    said: bytes
    after: int
    endless: bool


class Proxy:
    """Listens on `host`:`port` and passes bytes on to `target`.

    `delay`: seconds that each piece waits. `rate`: bytes a second, 0 for no limit. `refuse`: new links are closed at
    once. `stall`: new links are taken, and nothing is passed on. `swallow`: nothing is passed on, either way, and
    nobody is told (half-open). `mute`: what the server says is dropped, what the client says arrives.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.host, self.port = "127.0.0.1", 0
        self.heal()
        self.passed: dict[Direction, int] = {"to_server": 0, "to_client": 0}
        self.pieces: list[int] = []  # the sizes of what the servers sent, as it came
        self.accepted = 0
        self.most = 0  # links that stood at once
        self.held = asyncio.Event()  # something has been swallowed
        self.said = asyncio.Event()  # a client has said something
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    def heal(self) -> None:
        """Every switch off; what is held back goes on."""
        self.delay = 0.0
        self.rate = 0
        self.refuse = self.stall = self.swallow = self.mute = False
        self._cut: Cut | None = None
        self._lie: Lie | None = None
        if hasattr(self, "_changed"):
            self._changed.set()
            self._changed = asyncio.Event()

    def cut(self, direction: Direction, after: int = 0, *, reset: bool = True) -> None:
        """End the first link that has more than `after` further bytes to pass in a direction, before passing them."""
        self._cut = Cut(direction, after, reset)

    def lie(self, said: bytes, after: int = 0, *, endless: bool = False) -> None:
        """Put words into the server's mouth."""
        self._lie = Lie(said, after, endless)

    async def sever(self) -> None:
        """Reset every link that stands; they are gone afterwards."""
        links = tuple(self._links)
        for each in links:
            each.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    @property
    def links(self) -> int:
        """How many links stand."""
        return len(self._links)

    # ── its life ────────────────────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        server, self._server = self._server, None
        server.close()
        await self.sever()
        await server.wait_closed()
        for _ in range(3):
            await asyncio.sleep(0)  # links that the loop had taken before, and the ends of all of them

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            _end(writer, reset=True)
            return
        self.accepted += 1
        link = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._links.add(link)
        self.most = max(self.most, len(self._links))
        link.add_done_callback(self._links.discard)
        # One that is cancelled before its first step has not come to its `finally`.
        link.add_done_callback(lambda _: None if writer.is_closing() else _end(writer, reset=True))

    # ── a link ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            _end(writer, reset=True)
            return
        try:
            while self.stall:
                await self._changed.wait()
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except (OSError, asyncio.CancelledError):
            _end(writer, reset=True)
            return
        if self._lie is not None and not self._lie.after:
            far_writer.close()
            try:
                await _say(self._lie, writer)
                await reader.read()
            except OSError:
                pass  # the client has seen enough
            finally:
                _end(writer, reset=True)
            return
        ways = [
            asyncio.ensure_future(self._pass(reader, far_writer, "to_server")),
            asyncio.ensure_future(self._pass(far_reader, writer, "to_client")),
        ]
        reset = True
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            reset = any(each.result() for each in done)
        finally:
            for each in ways:
                each.cancel()
            try:
                await asyncio.gather(*ways, return_exceptions=True)
            finally:  # it may be severed while it ends
                for each in (writer, far_writer):
                    _end(each, reset=reset)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Direction) -> bool:
        """Pass bytes on until one side ends. Returns whether the link is to be reset."""
        try:
            while data := await reader.read(_CHUNK):
                if way == "to_client":
                    self.pieces.append(len(data))
                else:
                    self.said.set()
                while self.swallow:
                    self.held.set()
                    await self._changed.wait()
                if self._cut is not None and self._cut.direction == way:
                    rest = self._cut.after
                    if len(data) > rest:
                        reset, self._cut = self._cut.reset, None
                        writer.write(data[:rest])
                        await writer.drain()
                        return reset
                    self._cut.after -= len(data)
                if self._lie is not None and way == "to_client":
                    rest = self._lie.after
                    self._lie.after = max(rest - len(data), 0)
                    await self._forward(data[:rest], writer, way)
                    if len(data) > rest:
                        await _say(self._lie, writer)
                    continue
                if self.mute and way == "to_client":
                    continue
                await self._forward(data, writer, way)
        except OSError:
            return True
        return False

    async def _forward(self, data: bytes, writer: asyncio.StreamWriter, way: Direction) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        while data:
            piece = data[:1] if self.rate else data
            writer.write(piece)
            await writer.drain()
            self.passed[way] += len(piece)
            data = data[len(piece) :]
            if self.rate:
                await asyncio.sleep(1 / self.rate)


async def _say(lie: Lie, writer: asyncio.StreamWriter) -> None:
    writer.write(lie.said)
    await writer.drain()
    while lie.endless and not writer.is_closing():
        writer.write(lie.said)
        await writer.drain()
        await asyncio.sleep(0)


def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """Close one side; a reset throws away what was not sent."""
    if reset:
        raw = writer.get_extra_info("socket")
        if raw.fileno() >= 0:  # else the other side was quicker
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
