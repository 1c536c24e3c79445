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
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowlang.connections._sql.dialect import SQLITE
from flowlang.connections._sql.plugin import SqlPlugin
from flowlang.connections.sqlite.config import MEMORY, SCHEMA, check_path, problem, settings_of
from flowlang.connections.sqlite.errors import code_of, verdict

if TYPE_CHECKING:
    from flowlang.connections._pool import Pool
    from flowlang.connections.endpoints import Endpoint
    from flowlang.connections.sqlite.handle import Handle


class SQLitePlugin(SqlPlugin):
    """SQLite through Python's own `sqlite3`."""

    name = "sqlite"
    description = "SQLite database, in a file or in memory"
    version = "1.0.0"
    task_prefix = "sqlite"
    dialect = SQLITE
    error_table = staticmethod(verdict)
    error_code = staticmethod(code_of)

    # ── how it is configured ────────────────────────────────────────────────────────────────────────────────

    def get_config_schema(self) -> dict[str, Any]:
        return SCHEMA

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        valid, reason = super().validate_config(config)
        if valid:
            reason = problem(config)
        return reason is None, reason

    def endpoints(self, config: dict[str, Any]) -> Sequence[Endpoint]:
        from flowlang.connections.endpoints import File

        if config["database"] == MEMORY:
            return ()
        reads = bool(config.get("read_only"))
        return (File(os.path.abspath(config["database"]), "database", writes=not reads, creates=not reads),)

    # ── how it opens ────────────────────────────────────────────────────────────────────────────────────────

    def make_pool(self, config: dict[str, Any]) -> Pool[Handle]:
        """Raises ConnectionError: there can be no such file."""
        from flowlang.connections._pool import Pool
        from flowlang.connections.sqlite.handle import Handle

        settings = settings_of(config)
        check_path(settings)
        size = 1 if settings.path == MEMORY else config.get("pool_size", 4)
        # The last handle of a file that closes removes its write-ahead log, and two that close at once would each leave
        # it to the other.
        return Pool(lambda number: Handle(settings, f"sqlite-{number}"), size, in_turn=True)

    async def discard_connection(self, connection: Handle) -> None:
        """Close the handle. A database in memory would be lost with it: there it is kept."""
        if connection.settings.path == MEMORY:
            await self.release_connection(connection)
        else:
            await super().discard_connection(connection)
