"""PostgreSQL, of whatever version the machine has."""

from __future__ import annotations

from collections.abc import Sequence

from tests.servers.process import HOST, Missing, Server, program

FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")  # Debian's and Red Hat's, which stand on no path


class Postgres(Server):
    """Durability is switched off: it dies with the tests anyway."""

    kind = "postgres"
    packages = ("postgresql",)
    account = "postgres"

    @classmethod
    def require(cls) -> None:
        for name in ("initdb", "postgres"):
            if program(name, *FOLDERS) is None:
                raise Missing("PostgreSQL is not installed (Debian: apt install postgresql)")

    def prepare(self) -> None:
        initdb = program("initdb", *FOLDERS) or "initdb"
        self.tool(initdb, "-D", str(self.data), "-U", "flow", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
        rules = self.data / "pg_hba.conf"  # roles in the group `guarded` need their password, all others need none
        rules.write_text("host all +guarded all scram-sha-256\n" + rules.read_text())

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "100",
            "log_min_messages": "warning",
        }
        server = program("postgres", *FOLDERS) or "postgres"
        return [server, "-D", str(self.data), *(f"--{name}={value}" for name, value in settings.items())]

    async def answers(self) -> None:
        import asyncpg

        connection = await asyncpg.connect(self.url)
        await connection.close()

    @property
    def url(self) -> str:
        return f"postgresql://flow@{HOST}:{self.port}/postgres"
