"""The store in a PostgreSQL database: for as many machines as one likes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from flowlang.durable.database import Row
from flowlang.durable.hosts import Hosts
from flowlang.durable.postgres_errors import again, translated
from flowlang.exceptions import StoreError

if TYPE_CHECKING:
    import asyncpg

_CHANNEL = "flowlang"
_COMMAND = 30.0  # seconds for one statement
_CONNECT = 10.0
_CLOSE = 5.0
_POOL = 8
_OWN = 5.0  # seconds for an answer of a session that is there
_FRESH = 2.0  # seconds for which a topic is remembered that nobody waited for: everybody looks more often than that
_IDLE = 10.0  # seconds that a transaction may wait for its next statement: who is frozen in one holds nobody up
_COMPRESSION = """SELECT set_config('default_toast_compression', 'lz4', false) FROM pg_settings
    WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"""
_NOW = "extract(epoch from clock_timestamp())::float8"
_TYPES = {
    "float": "DOUBLE PRECISION",
    "serial_key": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "compact": "",
}
T = TypeVar("T")


class PostgresDatabase:
    """A pool, a connection of its own that hears what is notified, and one that writes the journals."""

    kind = "postgres"
    types: Mapping[str, str] = _TYPES

    def __init__(self, url: str, hosts: Hosts, pool: asyncpg.Pool) -> None:
        self.url = url_without_password(url)
        self.address = url
        self.pool = pool
        self._hosts = hosts
        self._ear: asyncpg.Connection | None = None
        self._opening_ear = asyncio.Lock()
        self._fresh: dict[str, float] = {}  # what was notified while nobody waited for it, and until when that counts
        self._waiting: list[tuple[frozenset[str], asyncio.Future[None]]] = []
        self._pen: asyncpg.Connection | None = None
        self._writing = asyncio.Lock()

    async def fetch(self, statement: str, **values: Any) -> Sequence[Row]:
        text, names = prepared(statement)

        async def ask() -> Sequence[Row]:
            with translated(self.url):
                rows: Sequence[Row] = await self.pool.fetch(text, *[values[name] for name in names])
                return rows

        return await again(ask)

    async def execute(self, statement: str, **values: Any) -> int:
        text, names = prepared(statement)

        async def ask() -> int:
            with translated(self.url):
                return _changed(await self.pool.execute(text, *[values[name] for name in names]))

        return await again(ask)

    async def write(self, text: str, *values: Any) -> Sequence[Row]:
        """The rows of a statement in PostgreSQL's own form, on a connection for what is written all the time: to borrow
        one from the pool and give it back costs as much as a small statement. Whoever writes
        journals asks again by itself."""
        async with self._writing:
            with translated(self.url):
                if self._pen is None or self._pen.is_closed():
                    self._pen = await self.connected()
                try:
                    rows: Sequence[Row] = await self._pen.fetch(text, *values)
                except BaseException:
                    self._pen.terminate()
                    raise
                return rows

    async def connected(self) -> asyncpg.Connection:
        """A connection of one's own, besides those of the pool. Raises what the driver raises."""
        connection: asyncpg.Connection = await self._hosts.connect(_CONNECT, command_timeout=_COMMAND)
        try:
            await _prepared(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def transact(self, work: Callable[[PostgresTransaction], Awaitable[T]]) -> T:
        async def ask() -> T:
            async with self.transaction() as tx:
                return await work(tx)

        return await again(ask)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        with translated(self.url):
            async with self.pool.acquire(timeout=_CONNECT) as connection, connection.transaction():
                yield PostgresTransaction(self.url, connection)

    async def has_table(self, name: str) -> bool:
        return bool((await self.fetch("SELECT to_regclass(:name) IS NOT NULL AS there", name=name))[0]["there"])

    # ------------------------------------------------------------ waking one another

    async def notify(self, topic: str) -> None:
        await self.fetch("SELECT pg_notify(:channel, :topic)", channel=_CHANNEL, topic=topic)

    async def wait(self, topics: Sequence[str], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        known = [self._fresh.pop(topic) for topic in topics if topic in self._fresh]
        if known and max(known) > loop.time():
            return
        await self._listen()
        future: asyncio.Future[None] = loop.create_future()
        entry = (frozenset(topics), future)
        self._waiting.append(entry)
        try:
            await asyncio.wait((future,), timeout=seconds)
        finally:
            self._waiting.remove(entry)

    async def _listen(self) -> None:
        """Hear, again if the connection was lost. Without it everybody still looks now and then."""
        async with self._opening_ear:
            if self._ear is not None and not self._ear.is_closed():
                return
            with translated(self.url):
                ear = await self.connected()
                try:
                    await ear.add_listener(_CHANNEL, self._heard)
                except BaseException:
                    ear.terminate()
                    raise
                self._ear = ear

    def _heard(self, connection: Any, pid: int, channel: str, topic: str) -> None:
        woken = False
        for topics, future in self._waiting:
            if topic in topics and not future.done():
                future.set_result(None)
                woken = True
        now = asyncio.get_running_loop().time()
        while self._fresh and self._fresh[oldest := next(iter(self._fresh))] <= now:
            del self._fresh[oldest]
        if not woken:
            self._fresh.pop(topic, None)  # the newest stand last
            self._fresh[topic] = now + _FRESH

    async def close(self) -> None:
        own = [connection for connection in (self._ear, self._pen) if connection is not None]
        try:
            async with asyncio.timeout(_CLOSE):
                for connection in own:
                    await connection.close()
                await self.pool.close()
        except (TimeoutError, OSError):  # their lines are cut
            pass
        finally:  # also of a wait for it that is cut short; what is closed stays so
            for connection in own:
                connection.terminate()
            self.pool.terminate()


class PostgresTransaction:
    """A transaction that is open, on a connection of the pool."""

    def __init__(self, url: str, connection: Any) -> None:
        self._url = url
        self._connection = connection

    async def fetch(self, statement: str, **values: Any) -> Sequence[Row]:
        text, names = prepared(statement)
        rows: Sequence[Row] = await self._connection.fetch(text, *[values[name] for name in names])
        return rows

    async def execute(self, statement: str, **values: Any) -> int:
        text, names = prepared(statement)
        return _changed(await self._connection.execute(text, *[values[name] for name in names]))

    async def lock(self, name: str) -> None:
        await self.fetch("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))", name=name)


@lru_cache(maxsize=512)
def prepared(statement: str) -> tuple[str, tuple[str, ...]]:
    """The statement as PostgreSQL takes it, and the names of its parameters in their order."""
    names: list[str] = []

    def place(match: re.Match[str]) -> str:
        name = match[1]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return re.sub(r"(?<![:\w]):([a-z_]+)", place, statement.replace("{now}", _NOW)), tuple(names)


def _changed(status: str) -> int:
    """The number in `UPDATE 3`."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


async def open_postgres(url: str) -> PostgresDatabase:
    """Connect to `postgresql://…`. Raises `StoreError`."""
    try:
        import asyncpg
    except ImportError as error:
        raise StoreError("a store in PostgreSQL needs its driver: pip install 'flowlang[postgres]'") from error
    with translated(url_without_password(url)):
        try:
            hosts = Hosts(url)
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=_POOL,
                timeout=_CONNECT,
                command_timeout=_COMMAND,
                max_inactive_connection_lifetime=0,
                connect=hosts.for_pool,
                init=_prepared,
                reset=_left_as_it_is,
            )
        except ValueError as error:
            raise StoreError(f"`{url_without_password(url)}` is no address of a store: {error}") from error
    database = PostgresDatabase(url, hosts, pool)
    try:
        if not await _own_session(pool, database.url):
            raise StoreError(
                f"the store {database.url} is behind a pooler that shares sessions between transactions, in which locks"
                " do not hold: connect to PostgreSQL itself, or to a pooler in session mode"
            )
    except BaseException:
        pool.terminate()
        raise
    return database


async def _prepared(connection: Any) -> None:
    """For each new connection. Said as a statement, since poolers refuse such settings when a connection begins. What
    is counted under a lock has to be seen as it is once the lock is had, whatever the default of the database is. Long
    rows are made small by LZ4 where the server knows it, since 14: its own way takes three times as long."""
    await connection.execute(
        f"SET idle_in_transaction_session_timeout = {round(_IDLE * 1000)};"
        f" SET default_transaction_isolation = 'read committed'; {_COMPRESSION}"
    )


async def _left_as_it_is(connection: Any) -> None:
    """Between two users of a connection: nobody here leaves anything in a session that the next one would meet, and to
    clear it is a round trip for each statement."""


async def _own_session(pool: asyncpg.Pool, url: str) -> bool:
    """Whether a connection has a session of the server to itself, which locks and notifications need.

    A server tells the number of its process when a connection begins; a pooler makes one up. Whether such a pooler
    shares sessions shows when somebody else is in a transaction: on ours, or by moving us to another one.
    """
    import asyncpg

    asked = "SELECT pg_backend_pid()"
    with translated(url):
        try:
            async with pool.acquire(timeout=_CONNECT) as one:
                process = await one.fetchval(asked)
                if process == one.get_server_pid():
                    return True
                async with pool.acquire(timeout=_CONNECT) as other, other.transaction():
                    theirs = await other.fetchval(asked)
                    try:
                        ours = await one.fetchval(asked, timeout=_OWN)
                    except TimeoutError:
                        return False  # there is none left for us until the other's transaction is over
                    return bool(process == ours != theirs)
        except (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError):
            return False  # it was prepared by somebody else, or in another session


def url_without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
