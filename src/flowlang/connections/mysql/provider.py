"""The MySQL connection type: MySQL and MariaDB through asyncmy.

How values are stored is said in `values`, what errors mean in `errors`. Each session is set up the same way on every
server: UTC, strict (nothing is cut silently), and without NO_BACKSLASH_ESCAPES. Values go into statements as literals
that mean the same in every mode. One text is one statement. LOCAL INFILE is off and cannot be turned on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any

from flowlang.connections._sql import Insert, Row, SqlPlugin, StatementResult, Update
from flowlang.connections._sql_records import Records
from flowlang.connections._sql_text import MYSQL
from flowlang.connections.mysql.config import SCHEMA, problem, settings
from flowlang.connections.mysql.errors import translated, verdict
from flowlang.exceptions import ConnectionError

if TYPE_CHECKING:
    from flowlang.connections._pool import Pool
    from flowlang.connections.endpoints import Endpoint
    from flowlang.connections.mysql.handle import Handle
    from flowlang.tasks.table import Table

_IDLE, _LIFETIME = 300.0, 3600.0  # seconds


class MySQLPlugin(SqlPlugin):
    """MySQL and MariaDB."""

    name = "mysql"
    description = "MySQL or MariaDB database"
    version = "1.0.0"
    task_prefix = "mysql"
    dialect = MYSQL
    error_table = staticmethod(verdict)

    def __init__(self) -> None:
        super().__init__()
        self._pool: Pool[Handle] | None = None

    # ── how it is configured ────────────────────────────────────────────────────────────────────────────────

    def get_config_schema(self) -> dict[str, Any]:
        return SCHEMA

    def get_dependencies(self) -> list[str]:
        return ["asyncmy>=0.2.18"]  # `session` builds on its inside; before 0.2.13 a caller could get another's rows

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        valid, reason = super().validate_config(config)
        if not valid:
            return valid, reason
        wrong = problem(config)
        return wrong is None, wrong

    def scaffold_connection_config(self, name: str = "api", **kwargs: Any) -> str:
        """By URL, unless `kwargs` say where the server is in fields of its own."""
        by_fields = not {"url", "host"}.isdisjoint(kwargs)
        return super().scaffold_connection_config(name, **({} if by_fields else {"url": "${env.MYSQL_URL}"}), **kwargs)

    def endpoints(self, config: dict[str, Any]) -> Sequence[Endpoint]:
        from flowlang.connections.mysql.place import place_of

        return (place_of(settings(config)),)

    # ── how it opens ────────────────────────────────────────────────────────────────────────────────────────

    async def connect(self, config: dict[str, Any]) -> Pool[Handle]:
        """Open the first sessions of the pool.

        Raises ConnectionError: the server is not reached, or does not let us in.
        """
        from flowlang.connections._pool import Pool
        from flowlang.connections.mysql.handle import Handle

        try:
            opening = settings(config)
        except ValueError as error:
            raise ConnectionError(str(error), retryable=False) from None
        self.capacity = config.get("pool_size", 10)
        least = config.get("min_pool_size", 1)
        pool = self._pool = Pool(
            lambda _: Handle(opening),
            self.capacity,
            dead=lambda handle: handle.closed,
            least=least,
            idle=_IDLE,
            lifetime=_LIFETIME,
            in_turn=False,
        )
        with _Reaching(opening.host, opening.port):
            if least:
                await pool.fill()
            else:
                await pool.release(await pool.acquire())
        return pool

    async def disconnect(self) -> None:
        """Close every session."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def get_connection(self) -> Handle:
        """A handle of the pool, opened if need be."""
        pool = self._pool
        if pool is None:
            raise ConnectionError("the MySQL connection is not open")
        with _Reaching():
            return await pool.acquire()

    async def release_connection(self, connection: Handle) -> None:
        """Back to the pool, the session reset when something may have been left in it."""
        if self._pool is not None:
            await self._pool.release(connection)

    async def discard_connection(self, connection: Handle) -> None:
        """Close the session; a statement that still runs is ended at the server."""
        if self._pool is not None:
            await self._pool.discard(connection)

    async def ping(self, connection: Handle) -> None:
        await connection.ping()

    # ── what it can do ──────────────────────────────────────────────────────────────────────────────────────

    async def fetch(self, connection: Handle, text: str, values: list[Any], limit: int | None) -> list[Row]:
        return await connection.fetch(text, values, limit)

    async def run(self, connection: Handle, text: str, values: list[Any]) -> StatementResult:
        return await connection.run(text, values)

    def batches(self, connection: Handle, text: str, values: list[Any], batch_size: int) -> AsyncGenerator[Table, None]:
        return connection.batches(text, values, batch_size)

    async def insert(self, connection: Handle, insert: Insert, records: Records, first: int) -> int:
        from flowlang.connections.mysql import records as many

        return await many.insert(connection, insert, records, first)

    async def update(self, connection: Handle, update: Update, records: Records, first: int) -> int:
        from flowlang.connections.mysql import records as many

        return await many.update(connection, update, records, first)

    async def begin(self, connection: Handle) -> str:
        return await connection.begin()

    async def commit(self, connection: Handle, opened: str) -> None:
        await connection.commit(opened)

    async def rollback(self, connection: Handle, opened: str) -> None:
        await connection.rollback(opened)


class _Reaching:
    """Around the opening of sessions: what goes wrong is told by its class."""

    def __init__(self, host: str = "", port: int = 0) -> None:
        self._where = f" at {host}:{port}" if host else ""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        known = verdict(error) if error is not None else None
        if error is None or known is None:
            return
        told = translated(error)
        raised = ConnectionError(f"no session with the server{self._where}: {told}", retryable=known.retryable)
        for note in getattr(told, "__notes__", ()):
            raised.add_note(note)
        raise raised from error
