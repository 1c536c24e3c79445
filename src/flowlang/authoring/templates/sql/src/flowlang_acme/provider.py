"""The Acme connection type.

It is written over `sqlite3`, which is always there. Another database takes its own driver of PEP 249 in that place: the
dialect, the driver and `errors` say all that differs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from flowlang.connections.sql import DbApiPlugin, Dialect, Driver
from flowlang.connections.typed import Ge, Le, MinLen

from flowlang_acme.errors import translated, verdict


@dataclass(frozen=True)
class Config:
    """How to reach Acme."""

    database: Annotated[str, "Path of the database", MinLen(1)]
    timeout: Annotated[float, "Seconds to wait for a lock", Ge(0), Le(3600)] = 5.0
    pool_size: Annotated[int, "Sessions that may be open at once", Ge(1), Le(64)] = 4


class AcmePlugin(DbApiPlugin[Config]):
    """Acme database"""

    name = "acme"
    version = "0.1.0"
    task_prefix = "acme"
    requires = ()  # what it needs, as "acme-driver>=1.0": in pyproject.toml, too
    error_table = staticmethod(verdict)
    # How its SQL is written: the placeholder, the quotes of names, what `IN ()` holds for an empty list.
    dialect = Dialect("Acme", "qmark", quote="`", empty_list="", backticks=True, brackets=True)

    def driver(self, config: Config) -> Driver:
        # Imported here, so that listing and checking work without the driver.
        import sqlite3

        def connected() -> sqlite3.Connection:
            """Each statement commits by itself; the thread that uses it is not the one that made it."""
            path, wait = config.database, config.timeout
            session = sqlite3.connect(path, wait, isolation_level=None, check_same_thread=False)
            session.execute("PRAGMA journal_mode = WAL").close()
            return session

        return Driver(
            connect=connected,
            translated=translated,
            errors=(sqlite3.Error, sqlite3.Warning, OverflowError),
            interrupt=sqlite3.Connection.interrupt,
            begin="BEGIN IMMEDIATE",
            leaves=re.compile(r"\s*(PRAGMA|ATTACH|DETACH|CREATE\s+TEMP)", re.IGNORECASE),
        )
