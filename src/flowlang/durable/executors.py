"""Who runs: a process that holds a lock for as long as it lives, so that others know when it is dead.

On PostgreSQL it is an advisory lock of a session of its own: freed at once when the process dies, and when its host is
gone, as soon as the server notices by TCP keepalive, which is set to be short. On SQLite it is a lock of a file
beside the store.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowlang.durable.postgres import PostgresDatabase, translated
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError

if TYPE_CHECKING:
    import asyncpg

_KEEPALIVE = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "3", "tcp_keepalives_count": "3"}
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended($1, 0))"


class Executor:
    """This process, as the store knows it. Close it to say that it runs nothing any more."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.id = uuid.uuid4().hex
        self._file: int | None = None
        self._path: str | None = None
        self._session: asyncpg.Connection | None = None

    async def open(self) -> None:
        """Take the lock, then tell that there is somebody of this id. Raises `StoreError`."""
        database = self.store.database
        if isinstance(database, SqliteDatabase):
            self._path = _lock_file(database, self.id)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            if not _locked(self._file):
                raise StoreError(f"{self._path} cannot be locked: the store must be on a disk of this machine")
        else:
            self._session = await _session(database)
            await self._session.fetchval(_LOCK, f"flowlang executor {self.id}")
        await database.execute(
            "INSERT INTO flowlang_executors (id, host, pid, started_at) VALUES (:id, :host, :pid, {now})",
            id=self.id, host=socket.gethostname(), pid=os.getpid(),
        )  # fmt: skip

    @property
    def alive(self) -> bool:
        """Whether the lock is still held; without it others take this process for dead."""
        return self._file is not None or (self._session is not None and not self._session.is_closed())

    async def close(self) -> None:
        try:
            await self.store.database.execute(
                "DELETE FROM flowlang_executors WHERE id = :id"
                " AND NOT EXISTS (SELECT 1 FROM flowlang_runs WHERE owner = :id)",
                id=self.id,
            )
        finally:
            if self._file is not None:
                os.close(self._file)
                assert self._path is not None
                os.unlink(self._path)
                self._file = None
            if self._session is not None:
                await self._session.close(timeout=2.0)
                self._session = None


async def dead_executors(store: Store) -> list[str]:
    """The owners of runs, and those that were told of, whose processes do not live any more."""
    rows = await store.database.fetch(
        "SELECT id FROM flowlang_executors UNION SELECT DISTINCT owner FROM flowlang_runs WHERE owner IS NOT NULL"
    )
    names: Sequence[str] = [row["id"] for row in rows]
    return [name for name in names if not await lives(store, name)]


async def lives(store: Store, executor: str) -> bool:
    """Whether the process `executor` still holds its lock."""
    database = store.database
    if isinstance(database, SqliteDatabase):
        try:
            file = os.open(_lock_file(database, executor), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not _locked(file)
        finally:
            os.close(file)
    # Not tried for: an attempt would hold the lock for a moment, in which its owner could not take it.
    rows = await database.fetch(
        """SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
            AND (classid::bigint << 32 | objid::bigint) = hashtextextended(:name, 0)
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
        name=f"flowlang executor {executor}",
    )
    return bool(rows)


async def forget(store: Store, executor: str) -> None:
    """A dead executor that owns nothing any more."""
    await store.database.execute(
        "DELETE FROM flowlang_executors WHERE id = :id AND NOT EXISTS (SELECT 1 FROM flowlang_runs WHERE owner = :id)",
        id=executor,
    )
    if isinstance(store.database, SqliteDatabase):
        try:
            os.unlink(_lock_file(store.database, executor))
        except FileNotFoundError:
            return


def _lock_file(database: SqliteDatabase, executor: str) -> str:
    folder = database.path + ".locks"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return os.path.join(folder, executor)


def _locked(file: int) -> bool:
    """Take the lock of a file; False when somebody has it."""
    if os.name == "nt":  # pragma: no cover
        import msvcrt

        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


async def _session(database: Any) -> Any:
    """A session of its own, which a pooler between us and the server must not share."""
    import asyncpg

    assert isinstance(database, PostgresDatabase)
    with translated(database.url):
        session = await asyncpg.connect(database.address, timeout=10.0, command_timeout=30.0)
        for name, value in _KEEPALIVE.items():
            await session.execute(f"SET {name} = {value}")
        return session
