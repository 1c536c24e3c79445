"""A connection of the `sqlite3` module, as it is used in a thread of its own: every call here blocks.

Each raises the driver's errors, and `FlowExecutionError` for what the flow asks for and cannot have.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from flowlang.connections._sql.dialect import SQLITE
from flowlang.connections._sql.records import invalid
from flowlang.connections._sql.results import Row, StatementResult, unique_columns
from flowlang.connections._sql.text import leading_word
from flowlang.connections.sqlite.config import MEMORY, Settings
from flowlang.connections.sqlite.errors import is_busy
from flowlang.connections.sqlite.values import encoded
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.table import labelled

_BUSY_SLICE = 0.1  # seconds SQLite itself waits for a lock; between two slices a cancellation is noticed
_BUSY_PAUSE = 0.005  # seconds, where SQLite gives up at once
_TAINTING = frozenset({"PRAGMA", "ATTACH", "DETACH"})


class Session:
    """`giving_up` says whether the call at hand is no longer wanted."""

    def __init__(self, settings: Settings, giving_up: Callable[[], bool]) -> None:
        self.settings = settings
        self.tainted = False  # holds settings, attached files or temporary tables, which go only with it
        self.variables = 999  # values that one statement may have
        self._giving_up = giving_up
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._depth = 0
        self._begun = False  # in a transaction, as far as those who began it know

    # ── lifetime ────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        settings = self.settings
        target, uri = settings.path, False
        if settings.read_only and target != MEMORY:
            from pathlib import Path  # not for every start

            target, uri = f"{Path(target).as_uri()}?mode=ro", True
        slice_ = min(settings.timeout, _BUSY_SLICE)
        self._db = sqlite3.connect(target, timeout=slice_, isolation_level=None, uri=uri)
        self._db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 10 if settings.allow_attach else 0)
        self.variables = self._db.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        self.statement("PRAGMA foreign_keys = ON").close()
        if settings.path != MEMORY:
            self.statement("PRAGMA synchronous = NORMAL").close()
            self._use_wal()
            status = os.stat(settings.path)
            self._file = (status.st_dev, status.st_ino)

    def _use_wal(self) -> None:
        """Readers beside a writer. A file that may only be read keeps the journal it has."""
        if self.settings.read_only:
            self.statement("PRAGMA schema_version").close()  # reads the file: is it a database at all?
            return
        try:
            self.statement("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                raise

    def close(self) -> None:
        db, self._db = self._db, None
        if db is None:
            return
        # An interrupt that came last would also stop the write-ahead log from being folded in; a statement clears it.
        db.execute("SELECT 1").close()
        db.close()

    def interrupt(self) -> None:
        """From any thread: make the statement that runs now fail."""
        db = self._db
        if db is not None:
            db.interrupt()

    def stop_if_given_up(self) -> None:
        """Between the statements of a long call."""
        if self._giving_up():
            raise sqlite3.OperationalError("interrupted")

    def forget_transactions(self) -> None:
        """When a task has given its handle back, rolled back."""
        self._depth, self._begun = 0, False

    def ping(self) -> None:
        """Read from the database. Raises when it cannot be read, or its file is no longer there."""
        self.statement("SELECT 1 FROM sqlite_master LIMIT 1").close()
        if self._file is None:
            return
        try:
            status = os.stat(self.settings.path)
        except FileNotFoundError:
            raise sqlite3.OperationalError("no such file any more: the database was removed") from None
        if (status.st_dev, status.st_ino) != self._file:
            raise sqlite3.OperationalError("no such file any more: the database was replaced by another")

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────

    def fetch(self, text: str, values: list[Any], limit: int | None) -> list[Row]:
        """The rows of a statement, at most `limit` of them."""
        cursor = self.author_statement(text, values)
        try:
            if cursor.description is None or limit == 0:
                return []
            names = unique_columns([column[0] for column in cursor.description])
            rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
            return labelled(names, rows)
        finally:
            cursor.close()

    def run(self, text: str, values: list[Any]) -> StatementResult:
        """A statement's rows, if it gives any, and how many it changed."""
        cursor = self.author_statement(text, values)
        try:
            rows: list[Row] = []
            if cursor.description is not None:
                names = unique_columns([column[0] for column in cursor.description])
                rows = labelled(names, cursor)
            return {"rows": rows, "rows_affected": max(cursor.rowcount, 0)}
        finally:
            cursor.close()

    def author_statement(self, text: str, values: list[Any]) -> sqlite3.Cursor:
        """Begin a statement that the flow wrote, and note when it changes the session."""
        self._still_there()
        word = leading_word(text, SQLITE)
        if word in _TAINTING or (word == "CREATE" and "TEMP" in text.upper()):
            self.tainted = True
        stored = encoded(values)
        if word != "VACUUM" or self.settings.allow_attach or self._db is None:
            return self.statement(text, stored)
        if "INTO" in text.upper():
            raise invalid("VACUUM INTO writes another file: set the connection's `allow_attach`")
        self._db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 1)  # SQLite attaches a file of its own to vacuum
        try:
            return self.statement(text, stored)
        finally:
            self._db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)

    def statement(self, text: str, values: Any = ()) -> sqlite3.Cursor:
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
                if not is_busy(error) or spent >= self.settings.timeout or self._giving_up():
                    cursor.close()  # the error keeps it alive, and it would keep the file open
                    raise
            time.sleep(_BUSY_PAUSE)

    def changed(self, text: str, values: list[Any]) -> int:
        """How many rows a statement changes."""
        cursor = self.statement(text, values)
        count = cursor.rowcount
        cursor.close()
        return count

    def changed_by_each(self, text: str, rows: Iterable[Any]) -> int:
        """How many rows a statement changes, run once for each of `rows`."""
        if self._db is None:
            raise sqlite3.OperationalError("the database is closed")
        cursor = self._db.cursor()
        try:
            return cursor.executemany(text, rows).rowcount
        finally:
            cursor.close()

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def in_transaction(self) -> bool:
        return self._db is not None and self._db.in_transaction

    def _still_there(self) -> None:
        """SQLite undoes a whole transaction by itself after some errors (a full disk, an interrupt). What its owner
        does next must not be kept on its own."""
        if self._begun and self._db is not None and not self._db.in_transaction:
            raise FlowExecutionError(
                "SQLite has rolled the transaction back after an earlier error: nothing of it is kept",
                error_class="conflict",
            )

    def begin(self) -> str:
        self._still_there()
        if self.in_transaction:
            self._depth += 1
            name = f"flowlang_{self._depth}"
            self.statement(f"SAVEPOINT {name}").close()
            return name
        self._depth = 0
        self.statement(self.settings.begin).close()
        self._begun = True
        return ""

    @contextmanager
    def together(self) -> Iterator[None]:
        """A transaction in one call: all of the block, or nothing."""
        opened = self.begin()
        try:
            yield
            self.commit(opened)
        except BaseException as error:
            try:
                self.rollback(opened)
            except sqlite3.Error as failed:  # the first error is the one to report
                error.add_note(f"rolling back failed too: {failed}")
            raise

    def commit(self, savepoint: str) -> None:
        self._still_there()
        self.statement(f"RELEASE {savepoint}" if savepoint else "COMMIT").close()
        self._begun = self._begun and bool(savepoint)

    def rollback(self, savepoint: str) -> None:
        self._begun = self._begun and bool(savepoint)
        if not self.in_transaction:
            return
        if savepoint:
            self.statement(f"ROLLBACK TO {savepoint}").close()
            self.statement(f"RELEASE {savepoint}").close()
        else:
            self.statement("ROLLBACK").close()
