"""The store in a SQLite file: for one machine, with no server.

Statements run on the thread of the event loop: a commit takes as long as the disk needs to have it, which is what
the run has to wait for anyway, and a thread in between would double it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from flowlang.durable.database import Row
from flowlang.exceptions import NoStore, StoreError, StoreUnavailable

_LOG = logging.getLogger("flowlang.durable")
_BUSY = 30.0  # seconds to wait for another process that writes
_COPY = 500  # commits after which the log is copied into the file
_LONGEST_LOG = 8000  # pages of 4 kB; a log that is longer is copied by whoever writes
_LOOK = 0.1  # seconds between two looks for what other processes have written
_TYPES = {
    "float": "REAL",
    "serial_key": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "compact": " WITHOUT ROWID",
}
_SYNCHRONOUS = ("full", "normal")
T = TypeVar("T")


class SqliteDatabase:
    """One connection, which one event loop uses, and waiting for other processes by looking."""

    kind = "sqlite"
    types: Mapping[str, str] = _TYPES

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self.url = f"sqlite:///{path}"
        self.path = path
        self.connection = connection
        self.turn = asyncio.Lock()  # held while a transaction is open
        self._awake = asyncio.Event()
        self._commits = 0  # since the log was copied
        self._copying: threading.Thread | None = None

    async def fetch(self, statement: str, **values: Any) -> Sequence[Row]:
        async with self.turn:
            return self.run(statement, values).fetchall()

    async def execute(self, statement: str, **values: Any) -> int:
        async with self.turn:
            return self.run(statement, values).rowcount

    def run(self, statement: str, values: dict[str, Any]) -> sqlite3.Cursor:
        try:
            return self.connection.execute(prepared(statement), values)
        except sqlite3.Error as error:
            raise trouble(error, self.url) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqliteTransaction]:
        async with self.turn:
            self.run("BEGIN IMMEDIATE", {})
            try:
                yield SqliteTransaction(self)
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            try:
                self.run("COMMIT", {})
            except StoreError:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            self.committed()

    async def transact(self, work: Callable[[SqliteTransaction], Awaitable[T]]) -> T:
        """Who writes has the whole file for itself: two never meet."""
        async with self.transaction() as tx:
            return await work(tx)

    def committed(self) -> None:
        """After each transaction. Now and then SQLite copies its log into the file, for which the disk takes some
        twenty milliseconds: that is done on a thread, beside further commits."""
        self._commits += 1
        if self._commits >= _COPY and (self._copying is None or not self._copying.is_alive()):
            self._commits = 0
            copying = threading.Thread(target=_copy, args=(self.path,), name="flowlang-checkpoint", daemon=True)
            try:
                copying.start()
            except RuntimeError as error:  # no thread is to be had; a long log is copied by whoever writes
                _LOG.debug("the log of %s was not copied into it: %s", self.path, error)
                return
            self._copying = copying

    async def has_table(self, name: str) -> bool:
        return bool(await self.fetch("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name", name=name))

    async def notify(self, topic: str) -> None:
        self._awake.set()

    async def wait(self, topics: Sequence[str], seconds: float) -> None:
        try:
            async with asyncio.timeout(min(seconds, _LOOK)):
                await self._awake.wait()
        except TimeoutError:
            return
        self._awake.clear()

    async def close(self) -> None:
        try:
            if self._copying is not None:
                await asyncio.to_thread(self._copying.join, _BUSY)
        finally:
            self.connection.close()


def _copy(path: str) -> None:
    """A checkpoint that waits for nobody. What it could not do is left for the next one."""
    try:
        with closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    except sqlite3.Error as error:
        _LOG.debug("the log of %s was not copied into it: %s", path, error)


class SqliteTransaction:
    """A transaction that is open; it has the connection for itself."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def fetch(self, statement: str, **values: Any) -> Sequence[Row]:
        return self._database.run(statement, values).fetchall()

    async def execute(self, statement: str, **values: Any) -> int:
        return self._database.run(statement, values).rowcount

    async def lock(self, name: str) -> None:
        """A transaction that writes has the whole file for itself."""


@lru_cache(maxsize=512)
def prepared(statement: str) -> str:
    """The statement as SQLite takes it. It has no types to cast to and no rows to lock."""
    return re.sub(r"::\w+(\[\])?|\bFOR (UPDATE|SHARE)( SKIP LOCKED)?", "", statement.replace("{now}", "now_seconds()"))


def trouble(error: sqlite3.Error, url: str) -> StoreError:
    """What a driver's error means for the store."""
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreUnavailable(f"the store {url} is held by another process that writes: {error}")
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")):
        return StoreUnavailable(f"the store {url} cannot be written: {error}")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreError(f"the store {url} is damaged, or no SQLite file: {error}")
    return StoreError(f"the store {url}: {error}")


def _parsed(url: str) -> tuple[str, str]:
    """The path and the mode of `sqlite:///PATH[?synchronous=normal]`."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    path = path[1:] if path.startswith("/") else path
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    synchronous = options.pop("synchronous", "full")
    if not path or parts.netloc or options or synchronous not in _SYNCHRONOUS:
        form = "sqlite:///PATH, sqlite:////ABSOLUTE/PATH, with ?synchronous=normal where the last second may be lost"
        raise StoreError(f"`{url}` is no address of a store: write {form}")
    return os.path.abspath(path), synchronous


def _connected(path: str, *, make: bool) -> sqlite3.Connection:
    if not make and not os.path.exists(path):
        raise NoStore(f"there is no store {path}: it is made by the first run, or `--store` is another")
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        new = not os.path.exists(path)
        connection = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        if new:
            os.chmod(path, 0o600)  # it holds inputs and outputs
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the store {path} cannot be opened: {error}") from error
    connection.row_factory = sqlite3.Row
    connection.create_function("now_seconds", 0, time.time)
    connection.create_function("strpos", 2, lambda text, part: text.find(part) + 1, deterministic=True)
    return connection


async def open_sqlite(url: str, *, make: bool = True) -> SqliteDatabase:
    """Open, or make, the file of `sqlite:///PATH[?synchronous=normal]`. Raises `StoreError`, and `NoStore` for one that
    is not there when it is not to be made."""
    path, synchronous = _parsed(url)
    connection = _connected(path, make=make)
    database = SqliteDatabase(connection, path)
    try:
        database.run("PRAGMA journal_mode = WAL", {})
        database.run(f"PRAGMA synchronous = {synchronous}", {})
        database.run(f"PRAGMA wal_autocheckpoint = {_LONGEST_LOG}", {})
    except BaseException:
        connection.close()
        raise
    return database
