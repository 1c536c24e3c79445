"""A TCP proxy between a plugin and its service, for the faults of a network: cut, stalled, refusing, counting.

It runs on a thread of its own, so that it goes on when the plugin blocks its event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_CHUNK = 65536
_CLOSING = 0.5  # seconds for a link to close as it should
HOST = "127.0.0.1"


class Proxy:
    """Listens on `port` and forwards to `target`. All methods may be called from any thread and return at once.

    `open` links there are now, `peak` there were at most since `reset_counts`, `accepted` in all.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="conformance-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._flowing: asyncio.Event | None = None  # of replies; set while they may pass
        self._swallowing = False
        self._failing = False
        self._hanging_up = False
        self._kept: list[tuple[asyncio.StreamWriter, bytes]] = []  # requests that were swallowed
        self.port = 0
        self.accepted = 0
        self.peak = 0
        self.requests = 0  # pieces of data that came from the plugin

    @property
    def open(self) -> int:
        return len(self._links)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ------------------------------------------------------------ faults

    def cut(self) -> None:
        """Reset every link there is. New ones are accepted."""
        self._do(self._cut())

    def refuse(self) -> None:
        """Refuse new links, as a server that is not there. Links there are stay."""
        self._do(self._close_listener())

    def accept(self) -> None:
        """Take new links again, on the same port."""
        self._do(self._listen())

    def stall(self) -> None:
        """Keep all replies back; requests still pass. The other side seems to think for ever."""
        self._do(self._set_flowing(False))

    def swallow(self) -> None:
        """Pass no data at all, in either direction, on links that stay open."""
        self._swallowing = True
        self.stall()

    def hang_up(self) -> None:
        """From now on reset each link when something is sent over it."""
        self._hanging_up = True

    def fail_links(self) -> None:
        """Reset every link there is, and each new one as soon as it was accepted."""
        self._failing = True
        self.cut()

    def resume(self) -> None:
        """Let data pass again, what was kept back first."""
        self._swallowing = False
        self._do(self._set_flowing(True))

    def reset_counts(self) -> None:
        self.accepted, self.peak, self.requests = 0, self.open, 0

    # ------------------------------------------------------------ on its thread

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._flowing is None:
            self._flowing = asyncio.Event()
            self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close_listener(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _set_flowing(self, flowing: bool) -> None:
        assert self._flowing is not None
        (self._flowing.set if flowing else self._flowing.clear)()
        kept, self._kept = (self._kept, []) if flowing else ([], self._kept)
        for far, data in kept:
            if not far.is_closing():
                far.write(data)

    async def _cut(self) -> None:
        for writer in self._links.values():
            _reset(writer)
        await self._drop_links()

    async def _end(self) -> None:
        """Nothing is left of any link, nor of those that had ended by themselves and are being closed. Who is cancelled
        closes its link; who waits for that is cancelled once more."""
        await self._close_listener()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for each in others:
                each.cancel()
            await asyncio.wait(others, timeout=_CLOSING)

    async def _drop_links(self) -> None:
        links = list(self._links)
        for each in links:
            each.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.accepted += 1
        if self._failing:
            return _reset(writer)
        self._links[task] = writer
        self.peak = max(self.peak, len(self._links))
        far: asyncio.StreamWriter | None = None
        try:
            back, far = await asyncio.open_connection(*self._target)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, writer, far))
                group.create_task(self._replies(back, writer))
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # a link that ends, ends: in whichever way
        finally:
            self._links.pop(task, None)
            for each in (writer, far):
                if each is not None:
                    each.close()
                    try:
                        await each.wait_closed()
                    except OSError:
                        pass  # it was broken: it is closed all the same
                    except asyncio.CancelledError:
                        each.transport.abort()  # what it has not sent, nobody takes

    async def _requests(
        self, source: asyncio.StreamReader, near: asyncio.StreamWriter, far: asyncio.StreamWriter
    ) -> None:
        """What the plugin sends. While data is swallowed it is read and kept, so that a link that ends is seen to."""
        while data := await source.read(_CHUNK):
            self.requests += 1
            if self._hanging_up:
                _reset(near)
                break
            if self._swallowing:
                self._kept.append((far, data))
                continue
            far.write(data)
            await far.drain()
        raise ConnectionAbortedError("the plugin closed the link")

    async def _replies(self, source: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        assert self._flowing is not None
        while data := await source.read(_CHUNK):
            await self._flowing.wait()
            near.write(data)
            await near.drain()
        await self._flowing.wait()
        raise ConnectionAbortedError("the service closed the link")


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN: the other side gets an error at once."""
    found = writer.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
