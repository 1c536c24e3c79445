"""The tasks that only PostgreSQL has: COPY from and to files, and notifications."""

# ruff: noqa: ASYNC109 - `timeout` is a parameter of the flow

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any, Literal, TypedDict

from flowlang.connections._sql.plugin import SqlPlugin
from flowlang.connections._sql.records import Insert, invalid
from flowlang.connections._sql.writing import written
from flowlang.connections.postgres.listening import Notification, Subscription, checked_channel
from flowlang.tasks.decorator import task
from flowlang.tasks.stream import Stream
from flowlang.tasks.table import Table
from flowlang.tasks.values import Ident, Sql

_COPIED = 10_000  # records of a stream in one COPY


class CopiedResult(TypedDict):
    """`count`: rows written into `table`."""

    count: int
    table: str


class SavedResult(TypedDict):
    """`count`: rows in the file, the header not counted. `bytes`: its size. `file`: as it was given."""

    count: int
    bytes: int
    file: str


class HeardResult(TypedDict):
    """`payload`: of the first notification, null when none came. `payloads`: of all. `rows`: what `unless` gave."""

    found: bool
    payload: str | None
    payloads: list[str]
    count: int
    rows: list[dict[str, Any]]


class NotifiedResult(TypedDict):
    """`channel`: as it was given."""

    channel: str


class PostgresTasks(SqlPlugin):
    """What PostgreSQL can do beside what all databases do that speak SQL."""

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        """The tasks of every SQL connection, and PostgreSQL's own."""
        own: dict[str, Callable[..., Any]] = {
            "pg_copy_from": self.copy_from,
            "pg_copy_to": self.copy_to,
            "pg_listen": self.listen,
            "pg_subscribe": self.subscribe,
            "pg_notify": self.notify,
        }
        return {**super().get_builtin_tasks(), **own}

    # ── COPY ────────────────────────────────────────────────────────────────────────────────────────────────

    @task(effect="write", idempotent=False)
    async def copy_from(
        self,
        table: Ident,
        file: str | None = None,
        records: list[dict[str, Any]] | Stream | Table | None = None,
        columns: list[str] | None = None,
        format: Literal["csv", "text", "binary"] = "csv",  # noqa: A002 - COPY's own word
        header: bool | None = None,
        delimiter: str | None = None,
        null: str | None = None,
        encoding: str = "utf-8",
        connection: Any = None,
    ) -> CopiedResult:
        """Copy a file, or records, into a table by COPY: all of it, or nothing.

        A file is sent as it is and read by the server, a few times faster than a flow could read it. For records
        `pg_batch_insert` takes the same way where it can; here they are copied whatever the table is.

        Args:
            table: the table's name; `schema.table` names both
            file: the file, from the files root
            records: in place of a file: objects with the same keys, which are the columns; a list or a stream
            columns: the columns of the file, in its order; null for those that its header names, or all of the table
            format: `csv`; `text`, COPY's own; `binary`, as `pg_copy_to` writes it
            header: whether the first line names the columns; null for true in `csv`, and false else
            delimiter: the character between two values; null for `,` in `csv`, and a tab in `text`
            null: what stands for null; null for nothing between two delimiters in `csv`, and `\\N` in `text`
            encoding: of the file; the server must know it too
            connection: a handle of the pool (injected)

        Returns:
            count: rows written
            table: the table's name

        Raises:
            FlowExecutionError: `validation` for a line that does not fit (named), `conflict` for a row that exists;
                and as `file_read`

        Example:
            - pg_copy_from:
                id: loaded
                connection: db
                table: orders
                file: in/orders.csv
        """
        from flowlang.connections.postgres import copying, many

        form = copying.form_of(format, header, delimiter, null, encoding)
        copying.check_names(table, columns)
        if file is not None and records is None:
            count = await copying.from_file(connection, table, file, columns, form)
        elif records is not None and file is None:
            if columns is not None or form != copying.form_of("csv", None, None, None, "utf-8"):
                raise invalid("`columns`, `format` and what belongs to it are for a `file`: leave them out")
            count, _ = await written(
                self.transaction(connection),
                records,
                _COPIED,
                lambda names: Insert(self.dialect, table, names, "error", (), _COPIED),
                partial(many.copy, connection),
            )
        else:
            raise invalid("give `file` or `records`: one of them")
        return {"count": count, "table": str(table)}

    @task(effect="write", idempotent=True)
    async def copy_to(
        self,
        file: str,
        table: Ident | None = None,
        query: Sql | None = None,
        params: list[Any] | None = None,
        columns: list[str] | None = None,
        format: Literal["csv", "text", "binary"] = "csv",  # noqa: A002 - COPY's own word
        header: bool | None = None,
        delimiter: str | None = None,
        null: str | None = None,
        encoding: str = "utf-8",
        connection: Any = None,
    ) -> SavedResult:
        """Copy a table, or the rows of a query, into a file, which appears whole or not at all.

        The server writes the file's text; no row is looked at on the way. To have rows in the flow use `pg_stream`.

        Args:
            file: the file, from the files root; its folder must exist
            table: the table's name; `schema.table` names both
            query: in place of a table: the statement; expressions in it are bound as parameters
            params: values for the placeholders (`$1`), in order
            columns: the columns of the table, in this order; null for all
            format: `csv`; `text`, COPY's own; `binary`, for `pg_copy_from` into columns of the same types
            header: whether the first line names the columns; null for true in `csv`, and false else
            delimiter: the character between two values; null for `,` in `csv`, and a tab in `text`
            null: what stands for null; null for nothing between two delimiters in `csv`, and `\\N` in `text`
            encoding: of the file; the server must know it too
            connection: a handle of the pool (injected)

        Returns:
            count: rows in the file
            bytes: its size
            file: as it was given

        Raises:
            FlowExecutionError: as `pg_query` and `file_write`

        Example:
            - pg_copy_to:
                id: saved
                connection: db
                query: SELECT id, total FROM orders WHERE day = ${inputs.day}
                file: out/orders.csv
        """
        from flowlang.connections.postgres import copying

        form = copying.form_of(format, header, delimiter, null, encoding)
        if table is not None and query is None:
            if params is not None:
                raise invalid("`params` are for a `query`: leave them out")
            copying.check_names(table, columns)
            source: Sql | str = copying.whole(table, columns)
        elif query is None or table is not None:
            raise invalid("give `table` or `query`: one of them")
        elif columns is not None:
            raise invalid("`columns` are for a `table`: the `query` names its own")
        else:
            source = query
        text, values = self._rendered(source, params)
        transaction = self.transaction(connection)
        count, size = await copying.to_file(connection, transaction, text, values, file, form)
        return {"count": count, "bytes": size, "file": file}

    # ── notifications ───────────────────────────────────────────────────────────────────────────────────────

    @task(effect="read", idempotent=True)
    async def listen(
        self,
        channel: str,
        timeout: float = 30,
        unless: Sql | None = None,
        params: list[Any] | None = None,
        connection: Any = None,
    ) -> HeardResult:
        """Wait for a notification on a channel.

        It takes a session of the pool for as long as it waits. What was said before it listens is not heard: to
        wait for something that may have happened already, ask for it in `unless`.

        Args:
            channel: its name, capitals and all
            timeout: seconds to wait; a step that is cancelled stops waiting at once
            unless: a query that is asked when the session listens already; when it gives rows, nothing is waited for
            params: values for the placeholders (`$1`) of `unless`, in order
            connection: a handle of the pool (injected)

        Returns:
            found: whether a notification came in time, or `unless` gave rows
            payload: of the first one, null when none came
            payloads: of all that came at once, in order
            count: how many these are
            rows: what `unless` gave

        Raises:
            FlowExecutionError: `validation` inside a `transaction`, where nothing is ever heard; `connection_lost`

        Example:
            - pg_listen:
                id: woken
                connection: db
                channel: jobs
                unless: SELECT id FROM jobs WHERE state = 'new' LIMIT 1
                timeout: 60
        """
        asked = self._rendered(unless, params) if unless is not None else None
        rows: list[dict[str, Any]] = []
        heard: list[Notification] = []
        async with Subscription(connection, channel) as subscription:
            if asked is not None:
                rows = await connection.fetch(*asked, None)
            if not rows:
                heard = await subscription.wait(timeout)
        payloads = [each["payload"] for each in heard]
        return {
            "found": bool(payloads or rows),
            "payload": payloads[0] if payloads else None,
            "payloads": payloads,
            "count": len(payloads),
            "rows": rows,
        }

    @task(effect="read", idempotent=True, stream="notifications")
    async def subscribe(
        self, channel: str, timeout: float = 30, limit: int | None = None, connection: Any = None
    ) -> AsyncGenerator[list[Notification], None]:
        """Read the notifications on a channel as a stream; none is lost while the flow works on another.

        Args:
            channel: its name, capitals and all
            timeout: seconds without a notification after which the stream ends
            limit: end after so many; null for no end but that
            connection: a handle of the pool (injected), in use until the stream ends

        Returns:
            notifications: a stream of `{channel, payload, pid}`; `pid` is the server's process that said it

        Raises:
            FlowExecutionError: as `pg_listen`; `limit` when 10,000 are waiting for the flow

        Example:
            - pg_subscribe:
                id: news
                connection: db
                channel: orders
                timeout: 3600
        """
        if limit is not None and limit < 1:
            raise invalid(f"`limit` is {limit}: it must be 1 or more")
        left = limit
        async with Subscription(connection, channel) as subscription:
            while heard := await subscription.wait(timeout):
                yield heard[:left]
                if left is not None:
                    left -= len(heard)
                    if left <= 0:
                        return

    @task(effect="write", idempotent=False)
    async def notify(self, channel: str, payload: Any = "", connection: Any = None) -> NotifiedResult:
        """Send a notification to the sessions that listen on a channel; inside a `transaction`, when it commits.

        Args:
            channel: its name, capitals and all
            payload: text as it is, anything else as its JSON text; shorter than 8,000 bytes
            connection: a handle of the pool (injected)

        Returns:
            channel: as it was given

        Raises:
            FlowExecutionError: `validation` for a payload that is too long

        Example:
            - pg_notify:
                connection: db
                channel: orders
                payload: {order: "${inputs.order}", state: paid}
        """
        from flowlang.tasks.jsontext import to_json

        said = payload if isinstance(payload, str) else to_json(payload)
        await connection.fetch("SELECT pg_notify($1, $2)", [checked_channel(channel), said], None)
        return {"channel": channel}
