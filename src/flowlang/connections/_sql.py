"""What the SQL plugins share: six tasks that are the same for every database, over a few driver calls.

A provider states its `dialect` and its `task_prefix` and implements the calls under "what a driver does" in
`SqlPlugin`; the tasks, their documentation and the checks of what goes in come from here.
"""

from __future__ import annotations

import types
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar, NotRequired, TypedDict

from flowlang.connections._sql_records import (
    Insert,
    OnConflict,
    Records,
    Update,
    check_batch_size,
    check_conflict,
    columns_of,
    invalid,
    listed,
)
from flowlang.connections._sql_text import Dialect, leading_word, quote_name, render
from flowlang.connections.base import ConnectionPlugin
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.decorator import task
from flowlang.tasks.stream import Stream
from flowlang.tasks.table import Table
from flowlang.tasks.values import Ident, Sql

__all__ = ["Insert", "Records", "Row", "SqlPlugin", "StatementResult", "Update", "invalid", "unique_columns"]

Row = dict[str, Any]


class QueryResult(TypedDict):
    """`rows`: one object a row, its keys the column names. `count`: how many."""

    rows: list[dict[str, Any]]
    count: int


class ExecuteResult(TypedDict):
    """`rows_affected`: rows inserted, changed or deleted."""

    rows_affected: int


class Statement(TypedDict):
    """A statement of a transaction; expressions in `query` are bound."""

    query: Sql
    params: NotRequired[list[Any] | None]


class StatementResult(TypedDict):
    """What one statement of a transaction gave."""

    rows: list[dict[str, Any]]
    rows_affected: int


class TransactionResult(TypedDict):
    """`results`: `{rows, rows_affected}` for each statement, in order. `count`: how many statements."""

    results: list[StatementResult]
    count: int


class BatchInsertResult(TypedDict):
    """`inserted_count`: rows inserted, or updated by `on_conflict: update`."""

    inserted_count: int
    batches: int
    table: str


class BatchUpdateResult(TypedDict):
    """`updated_count`: rows whose key was found, changed by the update or not."""

    updated_count: int
    batches: int
    table: str


def unique_columns(names: Sequence[str]) -> tuple[str, ...]:
    """The column names of a result, refused when two are the same: an object would keep one of them silently."""
    if len(set(names)) != len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise invalid(f"the result has two columns `{twice}`: name one of them with AS")
    return tuple(names)


class SqlPlugin(ConnectionPlugin):
    """A database that speaks SQL.

    A subclass sets `dialect` and `task_prefix`. Tasks are documented once, below; each subclass gets them with
    its own prefix and placeholder in the examples.
    """

    category = "database"
    dialect: ClassVar[Dialect]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "dialect" in vars(cls):
            for method in TASKS.values():
                if method not in vars(cls):
                    setattr(cls, method, _documented(getattr(SqlPlugin, method), cls))

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        """The six tasks, bound to this connection."""
        return {f"{self.task_prefix}_{word}": getattr(self, method) for word, method in TASKS.items()}

    # ── what a driver does ──────────────────────────────────────────────────────────────────────────────────
    # `connection` is what `get_connection` gave. Each call raises `FlowExecutionError` with its class.

    @abstractmethod
    async def fetch(self, connection: Any, text: str, values: list[Any], limit: int | None) -> list[Row]:
        """The rows of a statement, at most `limit` of them."""

    @abstractmethod
    async def run(self, connection: Any, text: str, values: list[Any]) -> StatementResult:
        """A statement's rows, if it gives any, and how many it changed."""

    @abstractmethod
    def batches(self, connection: Any, text: str, values: list[Any], batch_size: int) -> AsyncGenerator[Table, None]:
        """A statement's rows in tables, from a cursor: bounded memory, closed with the generator."""

    @abstractmethod
    async def insert(self, connection: Any, insert: Insert, records: Records, first: int) -> int:
        """Insert records (any number of them) inside the open transaction. Returns the rows written."""

    @abstractmethod
    async def update(self, connection: Any, update: Update, records: Records, first: int) -> int:
        """Update records inside the open transaction. Returns the rows whose key was found."""

    @abstractmethod
    async def begin(self, connection: Any) -> Any:
        """Begin a transaction, or a savepoint when one is open. Returns what `commit` and `rollback` need."""

    @abstractmethod
    async def commit(self, connection: Any, opened: Any) -> None:
        """Keep what was done since `begin`."""

    @abstractmethod
    async def rollback(self, connection: Any, opened: Any) -> None:
        """Undo what was done since `begin`, also when the database has undone it already."""

    @asynccontextmanager
    async def transaction(self, connection: Any) -> AsyncIterator[None]:
        """All or nothing: commits at the end, rolls back on any exception, cancellation too. Inside another one it is a
        savepoint."""
        opened = await self.begin(connection)
        try:
            yield
            await self.commit(connection, opened)
        except BaseException as error:
            try:
                await self.rollback(connection, opened)
            except Exception as failed:  # noqa: BLE001 - the first error is the one to report
                error.add_note(f"rolling back failed too: {failed}")
            raise

    # ── tasks ───────────────────────────────────────────────────────────────────────────────────────────────

    @task(effect="read", idempotent=True)
    async def query(
        self, query: Sql, params: list[Any] | None = None, limit: int | None = None, connection: Any = None
    ) -> QueryResult:
        """Read rows.

        Args:
            query: the statement; expressions in it are bound as parameters
            params: values for the placeholders (MARK), in order
            limit: at most so many rows; null for all
            connection: a handle of the pool (injected)

        Returns:
            rows: one object a row, its keys the column names
            count: how many rows

        Raises:
            FlowExecutionError: `validation` for a faulty statement or value, `not_found` for an unknown table

        Example:
            - sql_query:
                id: orders
                connection: db
                query: SELECT id, total FROM orders WHERE customer = ${inputs.customer}
        """
        if limit is not None and limit < 0:
            raise invalid(f"`limit` is {limit}: it must be 0 or more")
        text, values = self._rendered(query, params)
        rows = await self.fetch(connection, text, values, limit)
        return {"rows": rows, "count": len(rows)}

    @task(effect="write", idempotent=False)
    async def execute(self, query: Sql, params: list[Any] | None = None, connection: Any = None) -> ExecuteResult:
        """Run one statement that changes something.

        Args:
            query: the statement; expressions in it are bound as parameters
            params: values for the placeholders (MARK), in order
            connection: a handle of the pool (injected)

        Returns:
            rows_affected: rows inserted, changed or deleted

        Raises:
            FlowExecutionError: `conflict` when a constraint forbids it, `validation` for a faulty statement

        Example:
            - sql_execute:
                id: paid
                connection: db
                query: UPDATE orders SET paid = ${inputs.amount} WHERE id = ${inputs.order}
        """
        text, values = self._rendered(query, params)
        return {"rows_affected": (await self.run(connection, text, values))["rows_affected"]}

    @task(effect="write", idempotent=False)
    async def run_together(self, queries: list[Statement], connection: Any = None) -> TransactionResult:
        """Run several statements in one transaction: all of them, or none.

        Args:
            queries: `{query, params}` for each statement, in order
            connection: a handle of the pool (injected)

        Returns:
            results: `{rows, rows_affected}` for each statement, in order
            count: how many statements

        Raises:
            FlowExecutionError: the error of the statement that failed, with its number; nothing is changed then

        Example:
            - sql_transaction:
                id: move
                connection: db
                queries:
                  - query: UPDATE accounts SET balance = balance - ${inputs.amount} WHERE id = ${inputs.from_id}
                  - query: UPDATE accounts SET balance = balance + ${inputs.amount} WHERE id = ${inputs.to_id}
        """
        statements = [self._statement(number, each) for number, each in enumerate(queries, 1)]
        results: list[StatementResult] = []
        if statements:
            async with self.transaction(connection):
                for number, (text, values) in enumerate(statements, 1):
                    try:
                        results.append(await self.run(connection, text, values))
                    except FlowExecutionError as error:
                        error.add_note(f"in statement {number} of {len(statements)}; nothing was changed")
                        raise
        return {"results": results, "count": len(results)}

    @task(effect="write", idempotent=False)
    async def batch_insert(
        self,
        table: Ident,
        records: list[dict[str, Any]] | Stream | Table,
        batch_size: int = 1000,
        on_conflict: OnConflict = "error",
        key_fields: list[str] | None = None,
        connection: Any = None,
    ) -> BatchInsertResult:
        """Insert many records in one transaction: all of them, or none.

        Args:
            table: the table's name; `schema.table` names both
            records: objects with the same keys, which are the columns; a list or a stream
            batch_size: records handled at a time
            on_conflict: `error`; `ignore` leaves rows that exist; `update` changes them
            key_fields: the columns that say which row exists already; `update` needs them
            connection: a handle of the pool (injected)

        Returns:
            inserted_count: rows inserted, or updated by `on_conflict: update`
            batches: how many batches it took
            table: the table's name

        Raises:
            FlowExecutionError: `validation` for a record whose keys differ (named), `conflict` for a row that exists

        Example:
            - sql_batch_insert:
                id: save
                connection: db
                table: orders
                records: ${inputs.orders}
                on_conflict: update
                key_fields: [id]
        """
        check_conflict(on_conflict, key_fields)
        quote_name(table, self.dialect)

        def plan(columns: tuple[str, ...]) -> Insert:
            keys = tuple(key_fields or ())
            for key in keys:
                if key not in columns:
                    raise invalid(f"`key_fields` names `{key}`, which the records have not: {listed(columns)}")
            return Insert(self.dialect, table, columns, on_conflict, keys, batch_size)

        count, batches = await self._write(connection, records, batch_size, plan, self.insert)
        return {"inserted_count": count, "batches": batches, "table": str(table)}

    @task(effect="write", idempotent=True)
    async def batch_update(
        self,
        table: Ident,
        updates: list[dict[str, Any]] | Stream | Table,
        key_field: str = "id",
        batch_size: int = 1000,
        connection: Any = None,
    ) -> BatchUpdateResult:
        """Update many rows by their key in one transaction: all of them, or none.

        Args:
            table: the table's name; `schema.table` names both
            updates: objects with the same keys: the key and the columns to set; a list or a stream
            key_field: the column that finds the row
            batch_size: records handled at a time
            connection: a handle of the pool (injected)

        Returns:
            updated_count: rows whose key was found
            batches: how many batches it took
            table: the table's name

        Raises:
            FlowExecutionError: `validation` for a record without the key or with other keys (named)

        Example:
            - sql_batch_update:
                id: prices
                connection: db
                table: products
                updates: ${inputs.prices}
                key_field: sku
        """
        quote_name(table, self.dialect)

        def plan(columns: tuple[str, ...]) -> Update:
            changed = tuple(column for column in columns if column != key_field)
            if key_field not in columns:
                raise invalid(f"record 1 has no `{key_field}`, the key that finds its row: {listed(columns)}")
            if not changed:
                raise invalid(f"the records hold nothing but the key `{key_field}`: there is nothing to set")
            return Update(self.dialect, table, changed, key_field, batch_size)

        count, batches = await self._write(connection, updates, batch_size, plan, self.update)
        return {"updated_count": count, "batches": batches, "table": str(table)}

    @task(effect="read", idempotent=True, stream="rows")
    async def stream(
        self, query: Sql, params: list[Any] | None = None, batch_size: int = 1000, connection: Any = None
    ) -> AsyncGenerator[Table, None]:
        """Read rows as a stream, for results of any size.

        Args:
            query: the statement; expressions in it are bound as parameters
            params: values for the placeholders (MARK), in order
            batch_size: rows fetched at a time
            connection: a handle of the pool (injected), in use until the stream ends

        Returns:
            rows: a stream of objects, one a row

        Raises:
            FlowExecutionError: as `sql_query`

        Example:
            - sql_stream:
                id: events
                connection: db
                query: SELECT id, payload FROM events
        """
        check_batch_size(batch_size)
        text, values = self._rendered(query, params)
        async with aclosing(self.batches(connection, text, values, batch_size)) as batches:
            async for batch in batches:
                yield batch

    # ── parts of the tasks ──────────────────────────────────────────────────────────────────────────────────

    def _rendered(self, query: Sql | str, params: list[Any] | None) -> tuple[str, list[Any]]:
        word = leading_word(query, self.dialect)
        if word in _TRANSACTION_WORDS:
            raise invalid(
                f"{word} would end with its own step: use `{self.task_prefix}_transaction`, or a `transaction` step"
            )
        if not word:
            raise invalid("the statement is empty")
        return render(query, params, self.dialect)

    def _statement(self, number: int, entry: Any) -> tuple[str, list[Any]]:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("query"), (str, Sql)):
            raise invalid(f"`queries` item {number} must be an object with `query`, and `params` where it has some")
        unknown = next((key for key in entry if key not in ("query", "params")), None)
        if unknown is not None:
            raise invalid(f"`queries` item {number} has an unknown key `{unknown}`; known: `query`, `params`")
        try:
            return self._rendered(entry["query"], entry.get("params"))
        except FlowExecutionError as error:
            error.add_note(f"in statement {number}; nothing was sent")
            raise

    async def _write(
        self,
        connection: Any,
        records: Records | Stream,
        batch_size: int,
        plan: Callable[[tuple[str, ...]], Any],
        write: Callable[[Any, Any, Records, int], Any],
    ) -> tuple[int, int]:
        """Write a list or a stream in one transaction. Returns the rows written and the batches it took."""
        check_batch_size(batch_size)
        if isinstance(records, Stream):
            async with aclosing(records.tables(batch_size)) as batches:
                return await self._write_batches(connection, batches, plan, write)
        if not isinstance(records, (list, tuple, Table)):
            raise invalid(f"the records must be a list or a stream, not {type(records).__name__}")
        if not records:
            return 0, 0
        job = plan(columns_of(records))
        async with self.transaction(connection):
            count = await write(connection, job, records if isinstance(records, Table) else list(records), 1)
        return count, -(-len(records) // batch_size)

    async def _write_batches(
        self,
        connection: Any,
        batches: AsyncIterator[Records],
        plan: Callable[[tuple[str, ...]], Any],
        write: Callable[[Any, Any, Records, int], Any],
    ) -> tuple[int, int]:
        begun = [batch async for batch in _first(batches)]
        if not begun:
            return 0, 0
        job, count, number, first = plan(columns_of(begun[0])), 0, 0, 1
        async with self.transaction(connection):
            async for batch in _again(begun, batches):
                count += await write(connection, job, batch, first)
                first += len(batch)
                number += 1
        return count, number


_TRANSACTION_WORDS = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"})
TASKS = {  # the word of each task, and its method
    "query": "query",
    "execute": "execute",
    "transaction": "run_together",
    "batch_insert": "batch_insert",
    "batch_update": "batch_update",
    "stream": "stream",
}


async def _first(batches: AsyncIterator[Records]) -> AsyncIterator[Records]:
    """The first batch that holds something, if there is one."""
    async for batch in batches:
        if batch:
            yield batch
            return


async def _again(begun: list[Records], batches: AsyncIterator[Records]) -> AsyncIterator[Records]:
    for batch in begun:
        yield batch
    async for batch in batches:
        if batch:
            yield batch


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
