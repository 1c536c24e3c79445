"""`SqlPlugin`: what every SQL plugin is, so that a provider states its dialect, its settings and its handles."""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from flowlang.connections._pooled import PooledPlugin
from flowlang.connections._sql.handle import SqlHandle
from flowlang.connections._sql.tasks import TASKS, SqlTasks


class SqlPlugin(SqlTasks, PooledPlugin):
    """A database that speaks SQL, over a pool of `SqlHandle`s.

    A subclass sets `dialect` and `task_prefix`, and makes the pool. The tasks are documented once; each subclass gets
    them with its own prefix and placeholder in the examples.
    """

    category = "database"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "dialect" in vars(cls):
            for method in TASKS.values():
                if method not in vars(cls):
                    setattr(cls, method, _documented(getattr(SqlTasks, method), cls))

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        """The six tasks, bound to this connection."""
        return {f"{self.task_prefix}_{word}": getattr(self, method) for word, method in TASKS.items()}

    @asynccontextmanager
    async def transaction(self, connection: SqlHandle) -> AsyncIterator[None]:
        """All or nothing: commits at the end, rolls back on any exception, cancellation too. Inside another one it is a
        savepoint."""
        opened = await connection.begin()
        try:
            yield
            await connection.commit(opened)
        except BaseException as error:
            try:
                await connection.rollback(opened)
            except Exception as failed:  # noqa: BLE001 - the first error is the one to report
                error.add_note(f"rolling back failed too: {failed}")
            raise


def _documented(function: types.FunctionType, plugin: type[SqlPlugin]) -> types.FunctionType:
    """`function` with the plugin's own task names and placeholder in its documentation."""
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__dict__.update(function.__dict__)
    copy.__annotations__ = function.__annotations__
    copy.__module__, copy.__qualname__ = function.__module__, f"{plugin.__qualname__}.{function.__name__}"
    text = function.__doc__ or ""
    copy.__doc__ = text.replace("sql_", f"{plugin.task_prefix}_").replace("(MARK)", f"(`{plugin.dialect.mark}`)")
    return copy
