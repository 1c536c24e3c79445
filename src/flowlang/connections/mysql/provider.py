"""The MySQL connection type: MySQL and MariaDB through asyncmy.

How values are stored is said in `values`, what errors mean in `errors`. Each session is set up the same way on every
server: UTC, strict (nothing is cut silently), and without NO_BACKSLASH_ESCAPES. Values go into statements as literals
that mean the same in every mode. One text is one statement. LOCAL INFILE is off and cannot be turned on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowlang.connections._sql.dialect import MYSQL
from flowlang.connections._sql.plugin import SqlPlugin
from flowlang.connections.mysql.config import SCHEMA, problem, settings
from flowlang.connections.mysql.errors import code_of, verdict

if TYPE_CHECKING:
    from flowlang.connections._pool import Pool
    from flowlang.connections.endpoints import Endpoint
    from flowlang.connections.mysql.handle import Handle

_IDLE, _LIFETIME = 300.0, 3600.0  # seconds


class MySQLPlugin(SqlPlugin):
    """MySQL and MariaDB."""

    name = "mysql"
    description = "MySQL or MariaDB database"
    version = "1.0.0"
    task_prefix = "mysql"
    dialect = MYSQL
    error_table = staticmethod(verdict)
    error_code = staticmethod(code_of)
    shareable = True

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

    def make_pool(self, config: dict[str, Any]) -> Pool[Handle]:
        from flowlang.connections._pool import Pool
        from flowlang.connections.mysql.handle import Handle

        opening = settings(config)
        return Pool(
            lambda _: Handle(opening),
            config.get("pool_size", 10),
            least=config.get("min_pool_size", 1),
            idle=_IDLE,
            lifetime=_LIFETIME,
        )
