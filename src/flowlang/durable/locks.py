"""The lock of an executor, and its beats: how a process shows others that it lives, on each of the two databases.

On PostgreSQL it is an advisory lock of a session of its own, freed at once when the process dies, and a time in its
row of `flowlang_executors`. A session that ends for other reasons is replaced by one that takes the lock again: as long
as the row is there, nobody has taken the process for dead. On SQLite it is a lock of a file beside the store, and a
time in that file: to write it takes neither a turn of the database nor room on its disk.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from flowlang.durable.database import Database
from flowlang.durable.postgres import PostgresDatabase
from flowlang.durable.postgres_errors import translated
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.exceptions import StoreError, StoreUnavailable

if TYPE_CHECKING:
    import asyncpg

RETAKEN = 0.8  # seconds for a process whose session has ended to take its lock again, before it counts as dead
_AGAIN = 0.1  # seconds between two attempts at that
# A server notices within 14 s that the host of a session is gone. A beat is worth no wait for the disk.
_SETTINGS = {
    "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "3", "tcp_keepalives_count": "3",
    "synchronous_commit": "off",
}  # fmt: skip
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
_BEAT = "UPDATE flowlang_executors SET seen_at = extract(epoch from clock_timestamp())::float8 WHERE id = $1"
_AT = 16  # where in the file a beat stands: Windows lets nobody read what is locked, which is its first byte
_TIMES = struct.Struct("=dd")  # when, on the clock that all processes of a machine share; the lease in seconds


class Lock(Protocol):
    """Used by one thread, `held` by all."""

    @property
    def held(self) -> bool:
        """Whether it is, as far as one can tell without asking anybody, or may be again in time."""

    @property
    def rest(self) -> float:
        """Seconds until the next beat."""

    async def take(self) -> None:
        """Raises `StoreError`."""

    async def beat(self) -> bool:
        """Show that this process lives. False when others have taken it for dead, or may soon; a later one may do."""

    async def give_back(self) -> None: ...


def lock_of(database: Database, executor: str, lease: float, ended: Callable[[], None]) -> Lock:
    """`ended` is called when a session with the lock is over, by whatever."""
    if isinstance(database, SqliteDatabase):
        return FileLock(lock_file(database, executor), lease)
    assert isinstance(database, PostgresDatabase)
    return SessionLock(database, executor, lease, ended)


def lock_name(executor: str) -> str:
    """What the lock of an executor is called on PostgreSQL."""
    return f"flowlang executor {executor}"


# ---------------------------------------------------------------- PostgreSQL


class SessionLock:
    def __init__(self, database: PostgresDatabase, executor: str, lease: float, ended: Callable[[], None]) -> None:
        self._database = database
        self._executor = executor
        self._answer = lease / 2  # seconds that the server has for a beat
        self._patience = 0.75 * lease  # seconds since the last beat until others may take this process for dead
        self._beat = lease / 4
        self._beaten = 0.0
        self._over = 0.0  # when the session ended
        self._ended = ended
        self._session: asyncpg.Connection | None = None

    @property
    def held(self) -> bool:
        return self._open() or time.monotonic() - self._over < RETAKEN

    @property
    def rest(self) -> float:
        return self._beat if self._open() else _AGAIN

    def _open(self) -> bool:
        return self._session is not None and not self._session.is_closed()

    def _lost(self, _: object) -> None:
        self._over = time.monotonic()
        self._ended()

    async def take(self) -> None:
        with translated(self._database.url):
            self._session = await self._database.connected()  # which no pooler in between must share
            for name, value in _SETTINGS.items():
                await self._session.execute(f"SET {name} = {value}")
            if not await self._session.fetchval(_LOCK, lock_name(self._executor)):
                raise StoreUnavailable("the session that had the lock is not over for the server")
        self._session.add_termination_listener(self._lost)
        self._beaten = time.monotonic()

    async def beat(self) -> bool:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._answer):
                if not self._open():
                    await self.take()
                assert self._session is not None
                changed: str = await self._session.execute(_BEAT, self._executor)
        except Exception:  # noqa: BLE001 - whatever it is, the session is of no use any more
            if self._session is not None:
                self._session.terminate()
            return time.monotonic() - self._beaten < self._patience
        if changed != "UPDATE 1":
            return False
        self._beaten = began
        return True

    async def give_back(self) -> None:
        if self._session is not None:
            try:
                await self._session.close(timeout=2.0)
            except (TimeoutError, OSError):  # its line is cut: the driver has let go of it
                self._session.terminate()


# ---------------------------------------------------------------- SQLite


class FileLock:
    def __init__(self, path: str, lease: float) -> None:
        self._path = path
        self._lease = lease
        self._file: int | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    @property
    def rest(self) -> float:
        return self._lease / 4

    async def take(self) -> None:
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"the lock of this process cannot be made: {error}") from error
        if not _locked(self._file):
            raise StoreError(f"{self._path} cannot be locked: the store must be on a disk of this machine")
        await self.beat()

    async def beat(self) -> bool:
        assert self._file is not None
        try:
            if not _same(self._path, self._file):
                return False
            os.lseek(self._file, _AT, os.SEEK_SET)
            os.write(self._file, _TIMES.pack(time.monotonic(), self._lease))
        except OSError:  # the disk has trouble; as long as the file is there, nobody has taken this process for dead
            return True
        return True

    async def give_back(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
            unlinked(self._path)


def lock_file(database: SqliteDatabase, executor: str) -> str:
    return os.path.join(database.path + ".locks", executor)


def look(path: str) -> tuple[bool, float, float]:
    """What the file of a lock shows: whether somebody holds it, its last beat in seconds, its lease; zeros when it has
    none."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False, 0.0, 0.0
    try:
        if _locked(file):
            return False, 0.0, 0.0
        os.lseek(file, _AT, os.SEEK_SET)
        written = os.read(file, _TIMES.size)
    finally:
        os.close(file)
    beat, lease = _TIMES.unpack(written) if len(written) == _TIMES.size else (0.0, 0.0)
    return True, beat, lease


def unlinked(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _same(path: str, file: int) -> bool:
    """Whether the file at `path` is the one that is open as `file`."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


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
