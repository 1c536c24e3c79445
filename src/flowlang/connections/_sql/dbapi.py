"""A session over any driver of PEP 249 (https://peps.python.org/pep-0249/), each on a thread of its own.

The thread keeps a statement from blocking the event loop. A statement that is cut short is ended through the driver.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from flowlang.connections._sql.handle import SqlHandle
from flowlang.connections._sql.records import Insert, Records, Update
from flowlang.connections._sql.results import Row, StatementResult, unique_columns
from flowlang.connections.sqlite.values import encoded, flattened
from flowlang.connections.sqlite.worker import Worker
from flowlang.exceptions import ConnectionError, FlowExecutionError
from flowlang.records import frozen
from flowlang.tasks.table import Table, part

P = ParamSpec("P")
T = TypeVar("T")

_NOTHING = re.compile(r"(?!)")


def _in_transaction(connection: Any) -> bool:
    return bool(connection.in_transaction)


@frozen
class Driver:
    """What a dialect says of its driver. All but `connect` and `translated` fits `sqlite3` as it stands.

    `connect` opens a connection that commits each statement by itself (autocommit); it may block. `translated` gives
    FlowLang's error for one of the driver's. `interrupt`, called in another thread, makes a running statement fail.
    `leaves` finds the statements that leave something in the session: it is closed after them.
    """

    connect: Callable[[], Any]
    translated: Callable[[BaseException], FlowExecutionError]
    errors: tuple[type[BaseException], ...]
    interrupt: Callable[[Any], None]
    in_transaction: Callable[[Any], bool] = _in_transaction
    begin: str = "BEGIN"
    probe: str = "SELECT 1"
    leaves: re.Pattern[str] = _NOTHING


class DbApiHandle(SqlHandle):
    """Methods that end in `_here` run in the thread; the others on the event loop."""

    def __init__(self, driver: Driver, name: str) -> None:
        self._driver = driver
        self._connection: Any = None
        self._closed = False
        self._tainted = False
        self._begun = False  # in a transaction, as far as the one who began it knows
        self._depth = 0
        self._worker = Worker(name, self._interrupt)

    def _interrupt(self) -> None:
        if self._connection is not None:
            self._driver.interrupt(self._connection)

    # ── lifetime ────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Raises ConnectionError."""
        try:
            await self._worker.run(self._open_here)
        except BaseException as error:
            await self.close()
            if isinstance(error, self._driver.errors):
                told = self._driver.translated(error)
                raise ConnectionError(f"cannot open the database: {told}", retryable=told.retryable) from error
            raise

    def _open_here(self) -> None:
        self._connection = self._driver.connect()
        self._cursor_here(self._driver.probe).close()

    @property
    def closed(self) -> bool:
        return self._closed

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._worker.abandon_current()
            await self._worker.run(self._close_here)
        finally:
            self._worker.stop()

    def _close_here(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def reset(self, *, thorough: bool = False) -> bool:
        if self._closed:
            return False
        await self.rollback("")
        self._depth = 0
        return not self._tainted and not thorough

    async def ping(self) -> None:
        await self._call(lambda: self._cursor_here(self._driver.probe).close())

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise ConnectionError("the handle is closed")
        try:
            return await self._worker.run(function, *args, **kwargs)
        except InterruptedError as error:
            raise FlowExecutionError("the statement was given up", error_class="cancelled") from error
        except self._driver.errors as error:
            raise self._driver.translated(error) from error

    def _cursor_here(self, text: str, values: Sequence[Any] = ()) -> Any:
        cursor = self._connection.cursor()
        try:
            cursor.execute(text, values)
        except BaseException:
            cursor.close()
            raise
        return cursor

    def _statement_here(self, text: str, values: list[Any]) -> Any:
        """Begin a statement that the flow wrote."""
        if self._begun and not self._driver.in_transaction(self._connection):
            lost = "the database has rolled the transaction back after an earlier error: nothing of it is kept"
            raise FlowExecutionError(lost, error_class="conflict")
        self._tainted = self._tainted or self._driver.leaves.match(text) is not None
        return self._cursor_here(text, encoded(values))

    async def fetch(self, text: str, values: list[Any], limit: int | None) -> list[Row]:
        return await self._call(self._fetch_here, text, values, limit)

    def _fetch_here(self, text: str, values: list[Any], limit: int | None) -> list[Row]:
        cursor = self._statement_here(text, values)
        try:
            if cursor.description is None or limit == 0:
                return []
            names = unique_columns([column[0] for column in cursor.description])
            rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
            return [dict(zip(names, row)) for row in rows]
        finally:
            cursor.close()

    async def run(self, text: str, values: list[Any]) -> StatementResult:
        return await self._call(self._run_here, text, values)

    def _run_here(self, text: str, values: list[Any]) -> StatementResult:
        cursor = self._statement_here(text, values)
        try:
            rows: list[Row] = []
            if cursor.description is not None:
                names = unique_columns([column[0] for column in cursor.description])
                rows = [dict(zip(names, row)) for row in cursor.fetchall()]
            return {"rows": rows, "rows_affected": max(cursor.rowcount, 0)}
        finally:
            cursor.close()

    async def batches(self, text: str, values: list[Any], size: int) -> AsyncGenerator[Table, None]:
        cursor = await self._call(self._statement_here, text, values)
        try:
            names = unique_columns([column[0] for column in cursor.description or ()])
            while rows := await self._call(cursor.fetchmany, size):
                yield Table(names, rows)
        finally:
            await self._worker.run(cursor.close)

    # ── many records ────────────────────────────────────────────────────────────────────────────────────────

    async def insert(self, job: Insert, records: Records, first: int) -> int:
        return await self._call(self._many_here, job, job.statement(1), job.columns, records, first)

    async def update(self, job: Update, records: Records, first: int) -> int:
        columns = (*job.columns, job.key_field)
        return await self._call(self._many_here, job, job.statement(), columns, records, first)

    def _many_here(
        self, job: Insert | Update, text: str, columns: tuple[str, ...], records: Records, first: int
    ) -> int:
        """A statement for each record, batch by batch. Returns the rows that they touched."""
        count = 0
        cursor = self._connection.cursor()
        try:
            for start in range(0, len(records), job.batch_size):
                if self._worker.giving_up:
                    raise InterruptedError("given up between two batches")
                rows = job.tuples(part(records, start, start + job.batch_size), first + start)
                flat = iter(flattened(rows, columns, first + start))
                cursor.executemany(text, list(zip(*[flat] * len(columns))))
                count += max(cursor.rowcount, 0)
        finally:
            cursor.close()
        return count

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────────

    async def begin(self) -> str:
        return await self._call(self._begin_here)

    def _begin_here(self) -> str:
        if self._begun:
            self._depth += 1
            self._statement_here(f"SAVEPOINT flowlang_{self._depth}", []).close()
            return f"flowlang_{self._depth}"
        self._cursor_here(self._driver.begin).close()
        self._begun, self._depth = True, 0
        return ""

    async def commit(self, savepoint: str) -> None:
        await self._call(self._commit_here, f"RELEASE SAVEPOINT {savepoint}" if savepoint else "COMMIT")
        self._begun = self._begun and bool(savepoint)

    def _commit_here(self, text: str) -> None:
        self._statement_here(text, []).close()

    async def rollback(self, savepoint: str) -> None:
        self._begun = self._begun and bool(savepoint)
        await self._call(self._rollback_here, savepoint)

    def _rollback_here(self, savepoint: str) -> None:
        if self._driver.in_transaction(self._connection):
            self._cursor_here(f"ROLLBACK TO SAVEPOINT {savepoint}" if savepoint else "ROLLBACK").close()
