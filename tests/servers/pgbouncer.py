"""PgBouncer, a pooler in front of a PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers.process import HOST, Missing, Server, program

_FOLDERS = ("/usr/sbin",)  # Debian's, which stands on the path of root alone


class PgBouncer(Server):
    """In front of the server at `behind`. `mode`: what clients share of its sessions (`session`, `transaction`,
    `statement`); `size`: how many sessions there are."""

    kind = "pgbouncer"
    packages = ("pgbouncer",)
    account = "postgres"  # it refuses to be root

    def __init__(self, folder: Path, behind: str, mode: str, size: int = 20) -> None:
        super().__init__(folder)
        self._behind, self._mode, self._size = urlsplit(behind), mode, size

    @classmethod
    def require(cls) -> None:
        if program("pgbouncer", *_FOLDERS) is None:
            raise Missing("PgBouncer is not installed (Debian: apt install pgbouncer)")

    def prepare(self) -> None:
        self.data.mkdir()
        users = self.data / "users"
        users.write_text(f'"{self._behind.username}" ""\n')
        lines = [
            "[databases]", f"* = host={self._behind.hostname} port={self._behind.port or 5432}",
            "[pgbouncer]", f"listen_addr = {HOST}", f"listen_port = {self.port}", "unix_socket_dir =",
            "auth_type = trust", f"auth_file = {users}", f"pool_mode = {self._mode}",
            f"default_pool_size = {self._size}"
        ]  # fmt: skip
        (self.data / "pgbouncer.ini").write_text("\n".join(lines) + "\n")

    def command(self) -> Sequence[str]:
        return [program("pgbouncer", *_FOLDERS) or "pgbouncer", str(self.data / "pgbouncer.ini")]

    async def answers(self) -> None:
        import asyncpg

        connection = await asyncpg.connect(self.url, statement_cache_size=0)
        await connection.close()

    @property
    def url(self) -> str:
        return self._behind._replace(netloc=f"{self._behind.username}@{HOST}:{self.port}").geturl()
