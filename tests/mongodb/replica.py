"""A proxy that announces a replica set in front of a server that is none, notes what it is asked, and fails on request.

It proves what the driver is made to send in a transaction, and what becomes of each error of the server. Isolation and
rollback it has not: `commitTransaction` and `abortTransaction` are only noted.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from typing import Any

import bson

_QUERY, _MESSAGE, _REPLY = 2004, 2013, 1
_OURS = ("lsid", "txnNumber", "startTransaction", "autocommit", "readConcern", "writeConcern", "$clusterTime")
_ANSWERED = {"commitTransaction", "abortTransaction", "endSessions", "killCursors"}


class Replica:
    """`seen`: the commands, in order. `failures`: the answers to the next commands of a name; None cuts the link once
    the server has done it. `links`: the clients' sockets that are open."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.seen: list[dict[str, Any]] = []
        self.failures: dict[str, list[dict[str, Any] | None]] = {}
        self.links = 0
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Replica:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet=flow"

    def named(self, *names: str) -> list[dict[str, Any]]:
        return [each for each in self.seen if next(iter(each)) in names]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that changes only when a command or a link does."""
        async with asyncio.timeout(30):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.links += 1
        behind, to_behind = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    header = await reader.readexactly(16)
                    size, number, _, code = struct.unpack("<iiii", header)
                    answer = await self._answer(code, number, await reader.readexactly(size - 16), behind, to_behind)
                    if answer is None:
                        break
                    writer.write(answer)
                    await writer.drain()
        finally:
            self.links -= 1
            self._changed.set()
            self._tasks.discard(task)
            for each in (writer, to_behind):
                each.close()
                with contextlib.suppress(ConnectionError):
                    await each.wait_closed()

    async def _answer(self, code: int, number: int, body: bytes, behind: Any, to_behind: Any) -> bytes | None:
        if code == _QUERY:
            data = bson.encode(self._hello())
            reply = struct.pack("<iqii", 8, 0, 0, 1) + data
            return struct.pack("<iiii", 16 + len(reply), 0, number, _REPLY) + reply
        size = struct.unpack_from("<i", body, 5)[0]
        command, rest = bson.decode(body[5 : 5 + size]), body[5 + size :]
        name = next(iter(command))
        if name in ("hello", "isMaster", "ismaster"):
            return self._message(number, self._hello())
        self.seen.append(command)
        self._changed.set()
        planned = self.failures.get(name)
        answer = planned.pop(0) if planned else {}
        if answer:
            return self._message(number, answer)
        if name in _ANSWERED:
            return self._message(number, {"ok": 1.0}) if answer is not None else None
        plain = bson.encode({key: value for key, value in command.items() if key not in _OURS})
        sent = struct.pack("<I", 0) + b"\0" + plain + rest
        to_behind.write(struct.pack("<iiii", 16 + len(sent), number, 0, _MESSAGE) + sent)
        header = await behind.readexactly(16)
        reply = header + await behind.readexactly(struct.unpack_from("<i", header)[0] - 16)
        return reply if answer is not None else None

    @staticmethod
    def _message(number: int, document: dict[str, Any]) -> bytes:
        body = struct.pack("<I", 0) + b"\0" + bson.encode(document)
        return struct.pack("<iiii", 16 + len(body), 0, number, _MESSAGE) + body

    def _hello(self) -> dict[str, Any]:
        place = f"127.0.0.1:{self.port}"
        return {
            "ok": 1.0, "ismaster": True, "isWritablePrimary": True, "secondary": False, "setName": "flow",
            "setVersion": 1, "hosts": [place], "me": place, "primary": place, "minWireVersion": 0,
            "maxWireVersion": 13, "maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000, "logicalSessionTimeoutMinutes": 30,
        }  # fmt: skip
