"""The six tasks that every SQL database has. They are the same everywhere; what differs is the handle they get."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, ClassVar

from flowlang.connections._sql.dialect import Dialect
from flowlang.connections._sql.records import (
    Insert,
    OnConflict,
    Update,
    check_batch_size,
    check_conflict,
    invalid,
    listed,
)
from flowlang.connections._sql.results import (
    BatchInsertResult,
    BatchUpdateResult,
    ExecuteResult,
    QueryResult,
    Statement,
    StatementResult,
    TransactionResult,
)
from flowlang.connections._sql.text import leading_word, quote_name, render
from flowlang.connections._sql.writing import written
from flowlang.connections.base import ConnectionPlugin
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.decorator import task
from flowlang.tasks.stream import Stream
from flowlang.tasks.table import Table
from flowlang.tasks.values import Ident, Sql

_TRANSACTION_WORDS = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"})


class SqlTasks(ConnectionPlugin):
    """The tasks, each a method. `connection` is a `SqlHandle`.

    In their documentation `sql_` stands for the prefix of the plugin's tasks, and MARK for its placeholder.
    """

    dialect: ClassVar[Dialect]

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
        rows = await connection.fetch(text, values, limit)
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
        return {"rows_affected": (await connection.run(text, values))["rows_affected"]}

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
                        results.append(await connection.run(text, values))
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

        count, batches = await written(
            self.transaction(connection), records, batch_size, plan, connection.insert, connection.alone
        )
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

        count, batches = await written(self.transaction(connection), updates, batch_size, plan, connection.update)
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
        async with aclosing(connection.batches(text, values, batch_size)) as batches:
            async for batch in batches:
                yield batch

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


TASKS = {  # the word of each task, and its method
    "query": "query",
    "execute": "execute",
    "transaction": "run_together",
    "batch_insert": "batch_insert",
    "batch_update": "batch_update",
    "stream": "stream",
}
