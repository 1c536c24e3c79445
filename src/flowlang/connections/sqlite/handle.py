"""What a task gets as its `connection`: a session with a SQLite database, on a thread of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable
from typing import Any, ParamSpec, TypeVar

from flowlang.connections._sql.handle import SqlHandle
from flowlang.connections._sql.records import Insert, Records, Update
from flowlang.connections._sql.results import Row, StatementResult, unique_columns
from flowlang.connections.sqlite import records as many
from flowlang.connections.sqlite.config import MEMORY, Settings
from flowlang.connections.sqlite.errors import of_opening, translated
from flowlang.connections.sqlite.session import Session
from flowlang.connections.sqlite.worker import Worker
from flowlang.exceptions import ConnectionError
from flowlang.tasks.table import Table

P = ParamSpec("P")
T = TypeVar("T")

# What the driver raises for its own errors and for values it refuses, and the worker for a call it never began.
_DRIVER_ERRORS = (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError, InterruptedError)


class Handle(SqlHandle):
    """Each call runs in the session's thread, and is ended there when it is cancelled."""

    def __init__(self, settings: Settings, name: str = "sqlite") -> None:
        self.settings = settings
        self._closed = False
        self._session = Session(settings, lambda: self._worker.giving_up)
        self._worker = Worker(name, self._session.interrupt)

    # ── lifetime ────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Raises ConnectionError."""
        try:
            await self._worker.run(self._session.open)
        except BaseException as error:
            await self.close()
            if isinstance(error, (sqlite3.Error, OSError)):
                raise of_opening(error) from error
            raise

    @property
    def closed(self) -> bool:
        return self._closed

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._worker.abandon_current()
            await self._worker.run(self._session.close)
        finally:
            self._worker.stop()

    async def reset(self, *, thorough: bool = False) -> bool:
        """Settings, attached databases and temporary tables go only with the session. A database in memory is its
        session, so there they stay."""
        if self._closed:
            return False
        if self._session.in_transaction:
            await self.rollback("")
        self._session.forget_transactions()
        return not self._session.tainted or self.settings.path == MEMORY

    async def ping(self) -> None:
        await self._call(self._session.ping)

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise ConnectionError("the handle is closed")
        try:
            return await self._worker.run(function, *args, **kwargs)
        except _DRIVER_ERRORS as error:
            raise translated(error) from error

    async def fetch(self, text: str, values: list[Any], limit: int | None) -> list[Row]:
        return await self._call(self._session.fetch, text, values, limit)

    async def run(self, text: str, values: list[Any]) -> StatementResult:
        return await self._call(self._session.run, text, values)

    async def batches(self, text: str, values: list[Any], size: int) -> AsyncGenerator[Table, None]:
        """While the consumer works on one table, the next is fetched."""
        cursor, names, batch = await self._call(self._begin_batches, text, values, size)
        worker, ahead = self._worker, None
        try:
            while batch:
                if len(batch) == size:
                    ahead = worker.submit(_batch, cursor, names, size)
                yield batch
                if ahead is None:
                    return
                batch = await worker.wait(ahead)
                ahead = None
        except _DRIVER_ERRORS as error:
            raise translated(error) from error
        finally:
            if ahead is not None:
                await worker.abandon(ahead)
            await worker.run(cursor.close)

    def _begin_batches(self, text: str, values: list[Any], size: int) -> tuple[sqlite3.Cursor, tuple[str, ...], Table]:
        """In the thread."""
        cursor = self._session.author_statement(text, values)
        try:
            names = unique_columns([column[0] for column in cursor.description or ()])
            return cursor, names, _batch(cursor, names, size)
        except BaseException:
            cursor.close()
            raise

    # ── many records ────────────────────────────────────────────────────────────────────────────────────────

    async def insert(self, job: Insert, records: Records, first: int) -> int:
        return await self._call(many.insert, self._session, job, records, first)

    def alone(self, job: Insert, count: int) -> bool:
        """One call to the thread in place of three."""
        return not self._session.in_transaction

    async def update(self, job: Update, records: Records, first: int) -> int:
        return await self._call(many.update, self._session, job, records, first)

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────────

    async def begin(self) -> str:
        return await self._call(self._session.begin)

    async def commit(self, savepoint: str) -> None:
        await self._call(self._session.commit, savepoint)

    async def rollback(self, savepoint: str) -> None:
        await self._call(self._session.rollback, savepoint)


def _batch(cursor: sqlite3.Cursor, names: tuple[str, ...], size: int) -> Table:
    """In the thread."""
    return Table(names, cursor.fetchmany(size))
