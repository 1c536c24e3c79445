"""MariaDB (or a MySQL that answers to the same options), for the `mysql` connection type."""

from __future__ import annotations

from collections.abc import Sequence

from tests.servers.process import HOST, Missing, Server, program

FOLDERS = ("/usr/sbin", "/usr/bin", "/usr/local/sbin")
PASSWORD = "flow-secret"


class MariaDB(Server):
    """One account, `flow`, with every privilege over TCP."""

    kind = "mysql"
    packages = ("mariadb-server",)
    account = "mysql"

    @classmethod
    def require(cls) -> None:
        for name in ("mariadbd", "mariadb-install-db"):
            if program(name, *FOLDERS) is None:
                raise Missing("MariaDB is not installed (Debian: apt install mariadb-server)")

    def prepare(self) -> None:
        install = program("mariadb-install-db", *FOLDERS) or "mariadb-install-db"
        words = [
            "--no-defaults",
            f"--datadir={self.data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        self.tool(install, *words)
        statements = [  # one a line, as the server wants it
            f"{each};\n"
            for host in ("%", "localhost")
            for each in (
                f"CREATE OR REPLACE USER 'flow'@'{host}' IDENTIFIED BY '{PASSWORD}'",
                f"GRANT ALL ON *.* TO 'flow'@'{host}' WITH GRANT OPTION",
            )
        ]
        (self.folder / "accounts.sql").write_text("".join(statements))

    def command(self) -> Sequence[str]:
        return [
            program("mariadbd", *FOLDERS) or "mariadbd",
            "--no-defaults",
            f"--datadir={self.data}",
            f"--bind-address={HOST}",
            f"--port={self.port}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self.folder / 'accounts.sql'}",
            "--skip-name-resolve",
            "--max-connections=100",
            "--max-allowed-packet=16M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=64M",
            "--skip-log-bin",
        ]

    async def answers(self) -> None:
        import asyncmy

        connection = await asyncmy.connect(host=HOST, port=self.port, user="flow", password=PASSWORD, db="mysql")
        connection.close()

    @property
    def url(self) -> str:
        return f"mysql://flow:{PASSWORD}@{HOST}:{self.port}/mysql"
