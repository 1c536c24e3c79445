"""The PostgreSQL connection type.

Sessions are opened as they are needed, up to `pool_size`, and given out first come, first served. How they are
configured is said in `config`, how values travel in `values`, what errors mean in `errors`, and when a session is reset
in `session`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from flowlang.connections._sql import Insert, Records, Row, SqlPlugin, StatementResult, Update
from flowlang.connections._sql_text import POSTGRES
from flowlang.connections.postgres.config import SCHEMA, Refused, settings_of
from flowlang.connections.postgres.errors import of_opening, verdict
from flowlang.exceptions import ConnectionError, FlowExecutionError

if TYPE_CHECKING:
    from flowlang.connections._pool import Pool
    from flowlang.connections.endpoints import Endpoint
    from flowlang.connections.postgres.handle import Handle
    from flowlang.tasks.table import Table


class PostgresPlugin(SqlPlugin):
    """PostgreSQL through asyncpg."""

    name = "postgres"
    description = "PostgreSQL database"
    version = "1.0.0"
    task_prefix = "pg"
    dialect = POSTGRES
    error_table = staticmethod(verdict)
    shareable = True

    def __init__(self) -> None:
        super().__init__()
        self._pool: Pool[Handle] | None = None

    # ── how it is configured ────────────────────────────────────────────────────────────────────────────────

    def get_config_schema(self) -> dict[str, Any]:
        return deepcopy(SCHEMA)

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        valid, reason = super().validate_config(config)
        if not valid:
            return valid, reason
        try:
            settings_of(config)
        except Refused as refused:
            return False, str(refused)
        return True, None

    def get_dependencies(self) -> list[str]:
        return ["asyncpg>=0.30"]

    def endpoints(self, config: dict[str, Any]) -> Sequence[Endpoint]:
        from flowlang.connections.postgres.config import place_of

        return (place_of(settings_of(config)),)

    # ── how it opens ────────────────────────────────────────────────────────────────────────────────────────

    async def connect(self, config: dict[str, Any]) -> Pool[Handle]:
        """Open the first sessions of the pool.

        Raises FlowExecutionError: `connect`, `auth`, `not_found` (the database), `permission`, `timeout`,
        `unavailable` (no session left).
        """
        from flowlang.connections._pool import Pool
        from flowlang.connections.postgres.handle import Handle

        settings = settings_of(config)
        size = config["pool_size"]
        self._pool = Pool(
            lambda _: Handle(settings),
            size,
            dead=lambda handle: handle.closed,
            in_turn=False,
            least=config["min_pool_size"],
            idle=config["idle_timeout"],
            lifetime=config["max_lifetime"],
        )
        self.capacity = size
        if config["min_pool_size"] == 0:
            await self.release_connection(await self.get_connection())
            return self._pool
        try:
            await self._pool.fill()
        except Exception as error:
            told = _not_opened(error)
            if told is error:
                raise
            raise told from error
        return self._pool

    async def disconnect(self) -> None:
        """End every session."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def get_connection(self) -> Handle:
        """A session of the pool, opened if need be."""
        if self._pool is None:
            raise ConnectionError("the PostgreSQL connection is not open")
        try:
            return await self._pool.acquire()
        except Exception as error:
            told = _not_opened(error)
            if told is error:
                raise
            raise told from error

    async def release_connection(self, connection: Handle) -> None:
        """Back to the pool, rolled back and reset where that is needed."""
        if self._pool is not None:
            await self._pool.release(connection)

    async def discard_connection(self, connection: Handle) -> None:
        """End the session, and cancel what it does."""
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
        from flowlang.connections.postgres import many

        return await many.insert(connection, insert, records, first)

    async def update(self, connection: Handle, update: Update, records: Records, first: int) -> int:
        from flowlang.connections.postgres import many

        return await many.update(connection, update, records, first)

    async def begin(self, connection: Handle) -> str:
        return await connection.begin()

    async def commit(self, connection: Handle, opened: str) -> None:
        await connection.commit(opened)

    async def rollback(self, connection: Handle, opened: str) -> None:
        await connection.rollback(opened)


def _not_opened(error: Exception) -> Exception:
    """What a failure to open a session is told as. What FlowLang has said itself stays; so does a missing driver."""
    if isinstance(error, (FlowExecutionError, ConnectionError, ImportError)):
        return error
    return of_opening(error)
