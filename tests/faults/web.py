"""A small web service of the tests' own, as a process that can be frozen and killed like a database.

    python web.py PORT FOLDER

`GET /read` reads, `POST /write` writes one line into a file, once for each `Idempotency-Key`, `GET /slow` never
answers, `GET /writes` and `GET /links` count, the latter without itself.
"""

from __future__ import annotations

import asyncio
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.servers.process import HOST, Server


class Web(Server):
    """One that keeps its writes over a restart."""

    kind = "http"

    @classmethod
    def require(cls) -> None:
        """It is here."""

    def prepare(self) -> None:
        self.data.mkdir()

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "tests.faults.web", str(self.port), str(self.data)]

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        link = self.folder / "tests"
        if not link.exists():
            link.symlink_to(Path(__file__).parents[1])  # where `-m` looks
        super().start()

    async def answers(self) -> None:
        await asked(self.url, "/read")

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


async def asked(url: str, path: str) -> int:
    """The number that the service answers, past every proxy."""
    return int(await asyncio.to_thread(lambda: urllib.request.urlopen(url + path, timeout=5).read()))


class _Service:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "writes"
        self.links = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links += 1
        try:
            while True:
                await self._answer(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has left
        finally:
            self.links -= 1
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        await reader.readexactly(int(headers.get("content-length", 0)))
        path = first.split(" ")[1]
        if path == "/slow":
            await reader.read(1)
            return
        if path == "/write":
            self._write(headers.get("idempotency-key", ""))
        count = {"/writes": len(self._lines()), "/links": self.links - 1}.get(path, 1)
        body = str(count).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    def _lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def _write(self, key: str) -> None:
        if not key or key not in self._lines():
            with self.file.open("a") as file:
                file.write(f"{key}\n")


async def _main(port: int, folder: Path) -> None:
    server = await asyncio.start_server(_Service(folder).connected, HOST, port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Path(sys.argv[2])))
