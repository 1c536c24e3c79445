"""The SQLite connection type.

Each handle of the pool is a `sqlite3` connection on a thread of its own, so that a statement never blocks the
event loop and a cancelled one stops at once. How values are stored is said in `values`, what errors mean in
`errors`.

Files are opened with a write-ahead log (`journal_mode = WAL`, which is kept in the file) and
`synchronous = NORMAL`: readers do not wait for a writer, and a power failure may take back the last
transactions but never damages the file. Foreign keys are enforced. Transactions begin with BEGIN IMMEDIATE, so
that two writers wait for each other instead of failing half-way. Extensions cannot be loaded, and ATTACH is
off unless `allow_attach` is set.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any

from flowlang.connections._sql import Insert, Records, Row, SqlPlugin, StatementResult, Update
from flowlang.connections._sql_text import SQLITE
from flowlang.connections.sqlite.errors import translated, verdict
from flowlang.exceptions import ConnectionError

if TYPE_CHECKING:
    from flowlang.connections._pool import Pool
    from flowlang.connections.endpoints import Endpoint
    from flowlang.connections.sqlite.handle import Handle, Settings
    from flowlang.tasks.table import Table

_MEMORY = ":memory:"


class SQLitePlugin(SqlPlugin):
    """SQLite through Python's own `sqlite3`."""

    name = "sqlite"
    description = "SQLite database, in a file or in memory"
    version = "1.0.0"
    task_prefix = "sqlite"
    dialect = SQLITE
    error_table = staticmethod(verdict)

    def __init__(self) -> None:
        super().__init__()
        self._pool: Pool[Handle] | None = None

    # ── how it is configured ────────────────────────────────────────────────────────────────────────────────

    def get_config_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["database"],
            "additionalProperties": False,
            "properties": {
                "database": {
                    "type": "string",
                    "minLength": 1,
                    "description": "Path of the file, from the working directory, or `:memory:`",
                },
                "timeout": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 3600,
                    "default": 5,
                    "description": "Seconds to wait for a lock that another connection holds",
                },
                "isolation_level": {
                    "enum": ["DEFERRED", "IMMEDIATE", "EXCLUSIVE"],
                    "type": "string",
                    "default": "IMMEDIATE",
                    "description": "How transactions begin",
                },
                "pool_size": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 64,
                    "default": 4,
                    "description": "Handles that may be open at once; always 1 for `:memory:`",
                },
                "read_only": {
                    "type": "boolean",
                    "default": False,
                    "description": "Open an existing file for reading only",
                },
                "allow_attach": {
                    "type": "boolean",
                    "default": False,
                    "description": "Allow ATTACH and VACUUM INTO, which open further files",
                },
            },
        }

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        valid, reason = super().validate_config(config)
        if not valid:
            return valid, reason
        database = config["database"]
        if database == _MEMORY:
            if config.get("read_only"):
                return False, "`read_only` makes no sense for `:memory:`, which begins empty"
            return True, None
        if database.strip() == "" or "\0" in database:
            return False, "`database` must be the path of a file, or `:memory:`"
        if database.lower().startswith("file:"):
            return False, "`database` is a path, not a `file:` URI; `read_only: true` opens a file for reading"
        if database.startswith(":"):
            return False, f"`database` is {database!r}; the only special name is `:memory:`"
        return True, None

    def endpoints(self, config: dict[str, Any]) -> Sequence[Endpoint]:
        from flowlang.connections.endpoints import File

        if config["database"] == _MEMORY:
            return ()
        reads = bool(config.get("read_only"))
        return (File(os.path.abspath(config["database"]), "database", writes=not reads, creates=not reads),)

    # ── how it opens ────────────────────────────────────────────────────────────────────────────────────────

    async def connect(self, config: dict[str, Any]) -> Pool[Handle]:
        """Open the first handle of the pool.

        Raises ConnectionError: the folder is missing, or SQLite cannot open the file.
        """
        from flowlang.connections._pool import Pool
        from flowlang.connections.sqlite.handle import Handle

        settings = _settings(config)
        _check_path(settings)
        size = 1 if settings.path == _MEMORY else config.get("pool_size", 4)
        self._pool = Pool(lambda number: Handle(settings, f"sqlite-{number}"), size)
        self.capacity = size
        await self.release_connection(await self.get_connection())
        return self._pool

    async def disconnect(self) -> None:
        """Close every handle; SQLite folds the write-ahead log back into the file."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def get_connection(self) -> Handle:
        """A handle of the pool, opened if need be."""
        import sqlite3

        if self._pool is None:
            raise ConnectionError("the SQLite connection is not open")
        try:
            return await self._pool.acquire()
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, ConnectionError):
                raise
            told = translated(error)
            raise ConnectionError(f"cannot open the database: {told}", retryable=told.retryable) from error

    async def release_connection(self, connection: Handle) -> None:
        """Back to the pool, an open transaction rolled back."""
        if self._pool is not None:
            await self._pool.release(connection)

    async def discard_connection(self, connection: Handle) -> None:
        """Close the handle. A database in memory would be lost with it: there it is kept."""
        if self._pool is None:
            return
        if connection.settings.path == _MEMORY:
            await self._pool.release(connection)
        else:
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
        return await connection.insert(insert, records, first)

    async def update(self, connection: Handle, update: Update, records: Records, first: int) -> int:
        return await connection.update(update, records, first)

    async def begin(self, connection: Handle) -> str:
        return await connection.begin()

    async def commit(self, connection: Handle, opened: str) -> None:
        await connection.commit(opened)

    async def rollback(self, connection: Handle, opened: str) -> None:
        await connection.rollback(opened)


def _settings(config: dict[str, Any]) -> Settings:
    from flowlang.connections.sqlite.handle import Settings

    database = config["database"]
    return Settings(
        path=database if database == _MEMORY else os.path.abspath(database),
        timeout=float(config.get("timeout", 5)),
        begin=f"BEGIN {config.get('isolation_level') or 'IMMEDIATE'}",
        read_only=bool(config.get("read_only", False)),
        allow_attach=bool(config.get("allow_attach", False)),
    )


def _check_path(settings: Settings) -> None:
    """Say plainly what SQLite calls "unable to open database file"."""
    if settings.path == _MEMORY:
        return
    path = settings.path
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise ConnectionError(f"the folder of the database does not exist: {folder}", retryable=False)
    if os.path.exists(path) and not os.path.isfile(path):
        raise ConnectionError(f"the database is no ordinary file: {path}", retryable=False)
    if settings.read_only and not os.path.exists(path):
        raise ConnectionError(f"the database to be read does not exist: {path}", retryable=False)
