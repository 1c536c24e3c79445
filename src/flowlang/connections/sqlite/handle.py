"""One open SQLite database: a connection of the `sqlite3` module on a thread of its own."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from typing import Any, ParamSpec, TypeVar

from flowlang.connections._sql import Insert, Records, Row, StatementResult, Update, invalid, unique_columns
from flowlang.connections._sql_text import SQLITE, leading_word
from flowlang.connections.sqlite.errors import is_busy, translated
from flowlang.connections.sqlite.values import checked, encoded, flattened
from flowlang.connections.sqlite.worker import Worker
from flowlang.exceptions import ConnectionError, FlowExecutionError
from flowlang.records import frozen
from flowlang.tasks.table import Table, part

P = ParamSpec("P")
T = TypeVar("T")

MEMORY = ":memory:"
_BUSY_SLICE = 0.1  # seconds SQLite itself waits for a lock; between two slices a cancellation is noticed
_BUSY_PAUSE = 0.005  # seconds, where SQLite gives up at once
_ROWS_PER_STATEMENT = 200  # longer INSERTs gain nothing more
_TAINTING = frozenset({"PRAGMA", "ATTACH", "DETACH"})
# What the driver raises for its own errors and for values it refuses, and the worker for a call it never began.
_DRIVER_ERRORS = (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError, InterruptedError)


@frozen
class Settings:
    """How a handle opens. `path` is `:memory:` or absolute; `timeout`: seconds to wait for a lock."""

    path: str
    timeout: float = 5.0
    begin: str = "BEGIN IMMEDIATE"
    read_only: bool = False
    allow_attach: bool = False


class Handle:
    """What a task gets as its `connection`. Used by one task at a time.

    Methods whose names begin with `_` run in the thread; the others are awaited on the event loop.
    """

    def __init__(self, settings: Settings, name: str = "sqlite") -> None:
        self.settings = settings
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._depth = 0
        self._begun = False  # in a transaction, as far as those who began it know
        self._tainted = False
        self._closed = False
        self._variables = 999
        self._worker = Worker(name, self._interrupt)

    # ── lifetime ────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Open the database. Whatever goes wrong, nothing stays open. Raises the driver's own errors."""
        try:
            await self._worker.run(self._open)
        except BaseException:
            await self.close()
            raise

    def _open(self) -> None:
        settings = self.settings
        target, uri = settings.path, False
        if settings.read_only and target != MEMORY:
            from pathlib import Path

            target, uri = f"{Path(target).as_uri()}?mode=ro", True
        slice_ = min(settings.timeout, _BUSY_SLICE)
        self._db = sqlite3.connect(target, timeout=slice_, isolation_level=None, uri=uri)
        self._db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 10 if settings.allow_attach else 0)
        self._variables = self._db.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        self._statement("PRAGMA foreign_keys = ON").close()
        if settings.path != MEMORY:
            self._statement("PRAGMA synchronous = NORMAL").close()
            self._use_wal()
            status = os.stat(settings.path)
            self._file = (status.st_dev, status.st_ino)

    def _use_wal(self) -> None:
        """Readers beside a writer. A file that may only be read keeps the journal it has."""
        if self.settings.read_only:
            self._statement("PRAGMA schema_version").close()  # reads the file: is it a database at all?
            return
        try:
            self._statement("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                raise

    async def close(self) -> None:
        """Close the database and end the thread. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._worker.abandon_current()
            await self._worker.run(self._close)
        finally:
            self._worker.stop()

    def _close(self) -> None:
        db, self._db = self._db, None
        if db is None:
            return
        # An interrupt that came last would also stop the write-ahead log from being folded in; a statement clears it.
        db.execute("SELECT 1").close()
        db.close()

    def _interrupt(self) -> None:
        """From any thread: make the statement that runs now fail."""
        db = self._db
        if db is not None:
            db.interrupt()

    async def reset(self) -> bool:
        """Undo what a task left open. Returns whether the session is as good as new.

        Settings, attached databases and temporary tables go only with the session: then it is not. A database in
        memory is its session, so there they stay.
        """
        db = self._db
        if db is None:
            return False
        if db.in_transaction:
            await self._call(self._rollback, "")
        self._depth, self._begun = 0, False
        return not self._tainted or self.settings.path == MEMORY

    async def ping(self) -> None:
        """Read from the database. Raises when it cannot be read, or its file is no longer there."""
        await self._call(self._ping)

    def _ping(self) -> None:
        self._statement("SELECT 1 FROM sqlite_master LIMIT 1").close()
        if self._file is None:
            return
        try:
            status = os.stat(self.settings.path)
        except FileNotFoundError:
            raise sqlite3.OperationalError("no such file any more: the database was removed") from None
        if (status.st_dev, status.st_ino) != self._file:
            raise sqlite3.OperationalError("no such file any more: the database was replaced by another")

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise ConnectionError("the handle is closed")
        try:
            return await self._worker.run(function, *args, **kwargs)
        except _DRIVER_ERRORS as error:
            raise translated(error) from error

    async def fetch(self, text: str, values: list[Any], limit: int | None) -> list[Row]:
        """The rows of a statement, at most `limit` of them."""
        return await self._call(self._fetch, text, values, limit)

    def _fetch(self, text: str, values: list[Any], limit: int | None) -> list[Row]:
        cursor = self._author_statement(text, values)
        try:
            if cursor.description is None or limit == 0:
                return []
            names = unique_columns([column[0] for column in cursor.description])
            rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
            return [dict(zip(names, row)) for row in rows]
        finally:
            cursor.close()

    async def run(self, text: str, values: list[Any]) -> StatementResult:
        """A statement's rows, if it gives any, and how many it changed."""
        return await self._call(self._run, text, values)

    def _run(self, text: str, values: list[Any]) -> StatementResult:
        cursor = self._author_statement(text, values)
        try:
            rows: list[Row] = []
            if cursor.description is not None:
                names = unique_columns([column[0] for column in cursor.description])
                rows = [dict(zip(names, row)) for row in cursor]
            return {"rows": rows, "rows_affected": max(cursor.rowcount, 0)}
        finally:
            cursor.close()

    def _author_statement(self, text: str, values: list[Any]) -> sqlite3.Cursor:
        """Begin a statement that the flow wrote, and note when it changes the session."""
        self._still_there()
        word = leading_word(text, SQLITE)
        if word in _TAINTING or (word == "CREATE" and "TEMP" in text.upper()):
            self._tainted = True
        stored = encoded(values)
        if word != "VACUUM" or self.settings.allow_attach or self._db is None:
            return self._statement(text, stored)
        if "INTO" in text.upper():
            raise invalid("VACUUM INTO writes another file: set the connection's `allow_attach`")
        self._db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 1)  # SQLite attaches a file of its own to vacuum
        try:
            return self._statement(text, stored)
        finally:
            self._db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)

    def _statement(self, text: str, values: Any = ()) -> sqlite3.Cursor:
        """Run up to the first row, waiting for locks as long as `timeout` says.

        SQLite's own wait cannot be interrupted, hence the slices. Trying again is right: a statement that finds
        the database locked has done nothing.
        """
        if self._db is None:
            raise sqlite3.OperationalError("the database is closed")
        begun = time.monotonic()
        cursor = self._db.cursor()
        while True:
            try:
                return cursor.execute(text, values)
            except BaseException as error:
                spent = time.monotonic() - begun
                if not is_busy(error) or spent >= self.settings.timeout or self._worker.giving_up:
                    cursor.close()  # the error keeps it alive, and it would keep the file open
                    raise
            time.sleep(_BUSY_PAUSE)

    # ── streams ─────────────────────────────────────────────────────────────────────────────────────────────

    async def batches(self, text: str, values: list[Any], size: int) -> AsyncGenerator[Table, None]:
        """The rows in tables of `size`. While the consumer works on one, the next is fetched."""
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
        cursor = self._author_statement(text, values)
        try:
            names = unique_columns([column[0] for column in cursor.description or ()])
            return cursor, names, _batch(cursor, names, size)
        except BaseException:
            cursor.close()
            raise

    # ── many records ────────────────────────────────────────────────────────────────────────────────────────

    async def insert(self, insert: Insert, records: Records, first: int) -> int:
        """Insert records, batch by batch. Returns the rows inserted or updated."""
        return await self._call(self._insert, insert, records, first)

    def _insert(self, insert: Insert, records: Records, first: int) -> int:
        at_once = max(1, min(_ROWS_PER_STATEMENT, self._variables // len(insert.columns)))
        full = insert.statement(at_once)
        count = 0
        for start in range(0, len(records), insert.batch_size):
            self._stop_if_given_up()
            rows = insert.tuples(part(records, start, start + insert.batch_size), first + start)
            flat = flattened(rows, insert.columns, first + start)
            try:
                count += self._insert_values(insert, flat, full, at_once)
            except (OverflowError, UnicodeEncodeError):
                checked(rows, insert.columns, first + start)
                raise
        return count

    def _insert_values(self, insert: Insert, flat: list[Any], full: str, at_once: int) -> int:
        width = at_once * len(insert.columns)
        whole = len(flat) - len(flat) % width
        count = 0
        for start in range(0, whole, width):
            count += self._changed(full, flat[start : start + width])
        if whole < len(flat):
            rest = flat[whole:]
            count += self._changed(insert.statement(len(rest) // len(insert.columns)), rest)
        return count

    def _changed(self, text: str, values: list[Any]) -> int:
        cursor = self._statement(text, values)
        count = cursor.rowcount
        cursor.close()
        return count

    async def update(self, update: Update, records: Records, first: int) -> int:
        """Update records, batch by batch. Returns the rows whose key was found."""
        return await self._call(self._update, update, records, first)

    def _update(self, update: Update, records: Records, first: int) -> int:
        assert self._db is not None
        columns, text, count = (*update.columns, update.key_field), update.statement(), 0
        for start in range(0, len(records), update.batch_size):
            self._stop_if_given_up()
            rows = update.tuples(part(records, start, start + update.batch_size), first + start)
            flat = iter(flattened(rows, columns, first + start))
            try:
                with closing(self._db.cursor()) as cursor:
                    count += cursor.executemany(text, zip(*[flat] * len(columns))).rowcount
            except (OverflowError, UnicodeEncodeError):
                checked(rows, columns, first + start)
                raise
        return count

    def _stop_if_given_up(self) -> None:
        if self._worker.giving_up:
            raise sqlite3.OperationalError("interrupted")

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────────

    async def begin(self) -> str:
        """Begin a transaction, or a savepoint inside one. Returns the savepoint's name, empty for a transaction."""
        return await self._call(self._begin)

    def _still_there(self) -> None:
        """SQLite undoes a whole transaction by itself after some errors (a full disk, an interrupt). What its owner
        does next must not be kept on its own."""
        if self._begun and self._db is not None and not self._db.in_transaction:
            raise FlowExecutionError(
                "SQLite has rolled the transaction back after an earlier error: nothing of it is kept",
                error_class="conflict",
            )

    def _begin(self) -> str:
        self._still_there()
        if self._db is not None and self._db.in_transaction:
            self._depth += 1
            name = f"flowlang_{self._depth}"
            self._statement(f"SAVEPOINT {name}").close()
            return name
        self._depth = 0
        self._statement(self.settings.begin).close()
        self._begun = True
        return ""

    async def commit(self, savepoint: str) -> None:
        """Keep what was done since `begin`."""
        await self._call(self._commit, savepoint)

    def _commit(self, savepoint: str) -> None:
        self._still_there()
        self._statement(f"RELEASE {savepoint}" if savepoint else "COMMIT").close()
        self._begun = self._begun and bool(savepoint)

    async def rollback(self, savepoint: str) -> None:
        """Undo what was done since `begin`, where SQLite has not done so already."""
        await self._call(self._rollback, savepoint)

    def _rollback(self, savepoint: str) -> None:
        self._begun = self._begun and bool(savepoint)
        if self._db is None or not self._db.in_transaction:
            return
        if savepoint:
            self._statement(f"ROLLBACK TO {savepoint}").close()
            self._statement(f"RELEASE {savepoint}").close()
        else:
            self._statement("ROLLBACK").close()


def _batch(cursor: sqlite3.Cursor, names: tuple[str, ...], size: int) -> Table:
    return Table(names, cursor.fetchmany(size))
