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

from flowlang.durable.database import Database, Statements
from flowlang.durable.postgres import PostgresDatabase, translated
from flowlang.durable.schema import FORMAT
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError

if TYPE_CHECKING:
    import asyncpg

_KEEPALIVE = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "3", "tcp_keepalives_count": "3"}
_ANSWER = 5.0  # seconds that the session has to answer
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
        told = await database.execute(  # not where the store was brought to a later format since it was opened
            """INSERT INTO flowlang_executors (id, host, pid, started_at)
            SELECT :id, :host, :pid::int, {now} FROM flowlang_meta
            WHERE key = 'format' AND value = :format FOR SHARE""",
            id=self.id, host=socket.gethostname(), pid=os.getpid(), format=str(FORMAT),
        )  # fmt: skip
        if not told:
            await self.close()
            raise StoreError(f"the store {database.url} is not of format {FORMAT} any more: use the later FlowLang")

    @property
    def alive(self) -> bool:
        """Whether the lock is still held; without it others take this process for dead."""
        return self._file is not None or (self._session is not None and not self._session.is_closed())

    async def check(self) -> bool:
        """Whether the lock is still held, by asking: a line that is cut says nothing by itself."""
        if self._session is None or self._session.is_closed():
            return self._path is not None and self._file is not None and _same(self._path, self._file)
        try:
            await self._session.execute("SELECT 1", timeout=_ANSWER)
        except Exception:  # noqa: BLE001 - whatever it is, the session is of no use any more
            self._session.terminate()
            return False
        return True

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
                _unlinked(self._path)
                self._file = None
            if self._session is not None:
                await self._session.close(timeout=2.0)
                self._session = None


_OWNERS = "SELECT id FROM flowlang_executors UNION SELECT owner FROM flowlang_runs WHERE owner IS NOT NULL"
# The locks are not tried for: an attempt would hold one for a moment, in which its owner could not take it. An
# executor is told of after it has its lock, so that whoever sees the one finds the other.
_HELD = """SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


async def dead_executors(store: Store) -> list[str]:
    """The owners of runs, and those that were told of, whose processes do not live any more."""
    database = store.database
    if isinstance(database, SqliteDatabase):
        names: Sequence[str] = [row["id"] for row in await database.fetch(_OWNERS)]
        return [name for name in names if not _lives_here(database, name)]
    rows = await database.fetch(
        f"SELECT id FROM ({_OWNERS}) AS owners"  # noqa: S608 - texts of ours
        f" WHERE hashtextextended('flowlang executor ' || id, 0) NOT IN ({_HELD})"
    )
    return [row["id"] for row in rows]


async def living(database: Database, at: Statements) -> int:
    """How many processes run what the store holds, those that are dead left out."""
    if isinstance(database, SqliteDatabase):
        rows = await at.fetch(_OWNERS)
        return sum(_lives_here(database, row["id"]) for row in rows)
    rows = await at.fetch(
        f"SELECT count(*) AS count FROM ({_OWNERS}) AS owners"  # noqa: S608 - texts of ours
        f" WHERE hashtextextended('flowlang executor ' || id, 0) IN ({_HELD})"
    )
    return int(rows[0]["count"])


async def count_executors(store: Store) -> int:
    """How many processes run what the store holds, the dead included that nobody has found yet."""
    rows = await store.database.fetch("SELECT count(*) AS count FROM flowlang_executors")
    return int(rows[0]["count"])


async def lives(store: Store, executor: str) -> bool:
    """Whether the process `executor` still holds its lock."""
    database = store.database
    if isinstance(database, SqliteDatabase):
        return _lives_here(database, executor)
    rows = await database.fetch(
        f"SELECT 1 WHERE hashtextextended(:name, 0) IN ({_HELD})",
        name=f"flowlang executor {executor}",
    )
    return bool(rows)


def _lives_here(database: SqliteDatabase, executor: str) -> bool:
    try:
        file = os.open(_lock_file(database, executor), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _locked(file)
    finally:
        os.close(file)


async def forget(store: Store, executor: str) -> None:
    """A dead executor that owns nothing any more."""
    await store.database.execute(
        "DELETE FROM flowlang_executors WHERE id = :id AND NOT EXISTS (SELECT 1 FROM flowlang_runs WHERE owner = :id)",
        id=executor,
    )
    if isinstance(store.database, SqliteDatabase):
        _unlinked(_lock_file(store.database, executor))


def _lock_file(database: SqliteDatabase, executor: str) -> str:
    folder = database.path + ".locks"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return os.path.join(folder, executor)


def _same(path: str, file: int) -> bool:
    """Whether the file at `path` is the one that is open as `file`."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _unlinked(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


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
