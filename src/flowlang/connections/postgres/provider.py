"""The PostgreSQL connection type.

Sessions are opened as they are needed, up to `pool_size`, and given out first come, first served. How they are
configured is said in `config`, how values travel in `values`, what errors mean in `errors`, and when a session is reset
in `session`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowlang.connections._sql.dialect import POSTGRES
from flowlang.connections.postgres.config import SCHEMA, Refused, settings_of
from flowlang.connections.postgres.errors import state_of, verdict
from flowlang.connections.postgres.tasks import PostgresTasks

if TYPE_CHECKING:
    from flowlang.connections._pool import Pool
    from flowlang.connections.endpoints import Endpoint
    from flowlang.connections.postgres.handle import Handle


class PostgresPlugin(PostgresTasks):
    """PostgreSQL through asyncpg."""

    name = "postgres"
    description = "PostgreSQL database"
    version = "1.0.0"
    task_prefix = "pg"
    dialect = POSTGRES
    error_table = staticmethod(verdict)
    error_code = staticmethod(state_of)
    shareable = True

    # ── how it is configured ────────────────────────────────────────────────────────────────────────────────

    def get_config_schema(self) -> dict[str, Any]:
        return SCHEMA

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

    def make_pool(self, config: dict[str, Any]) -> Pool[Handle]:
        from flowlang.connections._pool import Pool
        from flowlang.connections.postgres.handle import Handle

        settings = settings_of(config)
        return Pool(
            lambda _: Handle(settings),
            config["pool_size"],
            least=config["min_pool_size"],
            idle=config["idle_timeout"],
            lifetime=config["max_lifetime"],
        )
