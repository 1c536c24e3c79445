"""What a plugin for a database needs: a dialect, a driver of PEP 249, and settings as a dataclass.

    class AcmePlugin(DbApiPlugin[Config]):
        '''Acme database'''

        name = task_prefix = "acme"
        version = "1.0.0"
        dialect = Dialect("Acme", "qmark")

        def driver(self, config: Config) -> Driver:
            opened = partial(acme.connect, config.dsn, autocommit=True)
            return Driver(opened, translated, (acme.Error,), acme.Connection.cancel)

The tasks are those of every SQL plugin: query, execute, transaction, batch_insert, batch_update, stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flowlang.connections._sql.dbapi import DbApiHandle, Driver
from flowlang.connections._sql.dialect import Dialect
from flowlang.connections._sql.handle import SqlHandle
from flowlang.connections._sql.plugin import SqlPlugin
from flowlang.connections.typed import TypedPlugin

if TYPE_CHECKING:
    from flowlang.connections._pool import Pool

C = TypeVar("C")
POOL_SIZE = 4


class DbApiPlugin(SqlPlugin, TypedPlugin[C], Generic[C]):
    """A database over a pool of sessions of its driver. The field `pool_size` of the settings bounds it, where there is
    one. Tasks of its own, under `@task`, stand beside the six."""

    def driver(self, config: C) -> Driver:
        """How a session opens, and what its errors mean."""
        raise NotImplementedError(f"plugin {type(self).__qualname__} does not define driver()")

    def make_pool(self, config: dict[str, Any]) -> Pool[DbApiHandle]:
        from flowlang.connections._pool import Pool

        driver = self.driver(self.settings_of(config))
        return Pool(lambda number: DbApiHandle(driver, f"{self.name}-{number}"), config.get("pool_size", POOL_SIZE))

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        own = TypedPlugin.get_builtin_tasks(self)
        return {**SqlPlugin.get_builtin_tasks(self), **own}


__all__ = ["DbApiHandle", "DbApiPlugin", "Dialect", "Driver", "SqlHandle", "SqlPlugin"]
