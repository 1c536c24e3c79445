"""Databases through flows, beside their drivers alone, on private servers that live for one figure.

A `Service` is its connection and tasks in the words of a flow, and a `Bare`: the fastest way by hand. To measure
another one, write both and add it to `SERVICES`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import flowlang
from harness import ROOT, Figure, Times, in_turn, run, seconds

QUERIES = 1000
AT_ONCE = 16
ROWS = 100_000
RECORDS = [{"id": n, "name": f"name {n}", "amount": n / 7, "note": None if n % 3 else "x"} for n in range(ROWS)]


class Bare(Protocol):
    """The same by hand, on one connection."""

    async def query(self, number: int) -> Any: ...
    async def clear(self) -> None: ...
    async def insert(self, records: list[dict[str, Any]]) -> None: ...
    async def fetch(self) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Service:
    """`kind`: of `tests.servers.kinds`, which is also the connection type. `bare(url)` opens the driver alone.

    The texts are steps of a flow: one query that reads `${n}`, the insert of `${inputs.records}` into the table that
    `clear` has emptied, and the fetch of all its rows.
    """

    kind: str
    called: str
    bare: Callable[[str], AbstractAsyncContextManager[Bare]]
    pooled: Callable[[str, int], AbstractAsyncContextManager[Callable[[int], Awaitable[Any]]]]
    """The driver's own pool, so many connections opened: a query that takes one and gives it back."""
    query: str
    insert: str
    fetch: str
    fast: str
    """The fastest way to insert, in words."""


# ---------------------------------------------------------------- PostgreSQL


class BarePostgres:
    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def query(self, number: int) -> Any:
        return [dict(row) for row in await self.connection.fetch("SELECT $1::int AS n", number)]

    async def clear(self) -> None:
        await self.connection.execute("DROP TABLE IF EXISTS t")
        await self.connection.execute("CREATE TABLE t (id int PRIMARY KEY, name text, amount float8, note text)")

    async def insert(self, records: list[dict[str, Any]]) -> None:
        names = ("id", "name", "amount", "note")
        async with self.connection.transaction():
            await self.connection.copy_records_to_table("t", columns=names, records=map(itemgetter(*names), records))

    async def fetch(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.connection.fetch("SELECT id, name, amount, note FROM t")]


@asynccontextmanager
async def bare_postgres(url: str) -> AsyncIterator[BarePostgres]:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        yield BarePostgres(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def pooled_postgres(url: str, size: int) -> AsyncIterator[Callable[[int], Awaitable[Any]]]:
    import asyncpg

    async with asyncpg.create_pool(url, min_size=size, max_size=size) as pool:

        async def query(number: int) -> Any:
            async with pool.acquire() as connection:
                return await BarePostgres(connection).query(number)

        yield query


POSTGRES = Service(
    "postgres",
    "asyncpg",
    bare_postgres,
    pooled_postgres,
    query='pg_query: {id: got, query: "SELECT ${N}::int AS n"}',
    insert='pg_batch_insert: {id: done, table: t, records: "${inputs.records}"}',
    fetch='pg_query: {id: all, query: "SELECT id, name, amount, note FROM t"}',
    fast="COPY",
)
# ---------------------------------------------------------------- MySQL


class BareMySQL:
    """Values bound by the driver, rows as its `DictCursor` gives them."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def _rows(self, text: str, *values: Any) -> list[dict[str, Any]]:
        from asyncmy.cursors import DictCursor

        async with self.connection.cursor(DictCursor) as cursor:
            await cursor.execute(text, values or None)
            return list(await cursor.fetchall())

    async def query(self, number: int) -> Any:
        return await self._rows("SELECT %s AS n", number)

    async def clear(self) -> None:
        await self.connection.query("DROP TABLE IF EXISTS t")
        await self.connection.query("CREATE TABLE t (id int PRIMARY KEY, name text, amount double, note text)")

    async def insert(self, records: list[dict[str, Any]]) -> None:
        names = ("id", "name", "amount", "note")
        await self.connection.begin()
        statement = await self.connection.prepare(f"INSERT INTO t ({', '.join(names)}) VALUES (?, ?, ?, ?)")
        rows = list(map(itemgetter(*names), records))
        for start in range(0, len(rows), 5000):
            await statement.execute_bulk(rows[start : start + 5000])
        await statement.close()
        await self.connection.commit()

    async def fetch(self) -> list[dict[str, Any]]:
        return await self._rows("SELECT id, name, amount, note FROM t")


def _address(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    where = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password or ""}
    return {**where, "database": parts.path[1:]}


@asynccontextmanager
async def bare_mysql(url: str) -> AsyncIterator[BareMySQL]:
    import asyncmy

    async with asyncmy.connect(**_address(url), autocommit=True) as connection:
        yield BareMySQL(connection)


@asynccontextmanager
async def pooled_mysql(url: str, size: int) -> AsyncIterator[Callable[[int], Awaitable[Any]]]:
    import asyncmy

    async with asyncmy.create_pool(**_address(url), autocommit=True, minsize=size, maxsize=size) as pool:

        async def query(number: int) -> Any:
            async with pool.acquire() as connection:
                return await BareMySQL(connection).query(number)

        yield query


MYSQL = Service(
    "mysql",
    "asyncmy",
    bare_mysql,
    pooled_mysql,
    query='mysql_query: {id: got, query: "SELECT ${N} AS n"}',
    insert='mysql_batch_insert: {id: done, table: t, records: "${inputs.records}"}',
    fetch='mysql_query: {id: all, query: "SELECT id, name, amount, note FROM t"}',
    fast="bulk execution of a prepared INSERT (5,000 rows each)",
)
SERVICES = (POSTGRES, MYSQL)

# ---------------------------------------------------------------- the figures


@contextmanager
def server(kind: str) -> Iterator[str]:
    """A private server; gives its URL."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from tests.servers.kinds import KINDS

    with tempfile.TemporaryDirectory() as folder:
        started = KINDS[kind](Path(folder, kind))
        started.start()
        try:
            yield started.url
        finally:
            started.remove()


def databases() -> list[Figure]:
    """Queries one by one, in a loop and side by side; many rows in, many rows out."""
    found: list[Figure] = []
    for service in SERVICES:
        with server(service.kind) as url:
            found += [*_warm(service, url, 1), *_warm(service, url, AT_ONCE)]
            found += [_insert(service, url), _fetch(service, url)]
    return found


def _flow(service: Service, url: str, steps: str, more: str = "", **options: Any) -> flowlang.Flow:
    connection = f"{{type: {service.kind}, url: '{url}', pool_size: {AT_ONCE}}}"
    return flowlang.load(text=f"flow: bench\nconnections: {{db: {connection}}}\n{more}steps:\n{steps}", **options)


def _warm(service: Service, url: str, at_once: int) -> list[Figure]:
    """Queries on a warm pool, beside the driver's own pool and beside connections that are held all the time."""
    measured = Times(asyncio.run(_warm_rounds(service, url, at_once)))
    pool, own, held = (seconds(measured.of(place) / QUERIES) for place in range(3))
    side = f"{at_once} side by side" if at_once > 1 else "one after the other"
    what, target = f"{service.kind}, {QUERIES:,} queries, {side}", 1.2 if at_once > 1 else 1.3
    how = f"`for_each` over {QUERIES:,} numbers, sessions opened before; by hand as many workers; 7 rounds"
    beside = measured.of(1) / measured.of(2)
    return [
        Figure(what, f"{service.called}'s pool: {pool}", own, measured.ratio(1), "×", target, how),
        Figure(f"{what}, beside held connections", f"{service.called}: {held}", own, beside, "×", None, how),
    ]


async def _warm_rounds(service: Service, url: str, at_once: int) -> list[list[float]]:
    """Seconds of each round: by the driver's pool, by a flow, by connections held all the time."""
    marks: list[float] = []

    @flowlang.task(effect="read")
    def mark() -> dict[str, Any]:
        """Note the time."""
        marks.append(time.perf_counter())
        return {}

    def loop(count: int, name: str) -> str:
        body = service.query.replace("${N}", "${n}").replace("{id: got, ", f"{{id: {name}, ")
        return f'  - for_each: "${{range({count})}}"\n    as: n\n    max_concurrency: {at_once}\n    do: [{body}]\n'

    steps = f"{loop(4 * at_once, 'first')}  - mark: {{}}\n{loop(QUERIES, 'got')}  - mark: {{}}\n"
    flow = _flow(service, url, steps, tasks=[mark])
    found = []
    async with AsyncExitStack() as stack:
        pooled = await stack.enter_async_context(service.pooled(url, at_once))
        held = [(await stack.enter_async_context(service.bare(url))).query for _ in range(at_once)]
        for _ in range(8):
            marks.clear()
            by_pool = await _by_hand([pooled] * at_once)
            await run(flow)
            found.append([by_pool, marks[1] - marks[0], await _by_hand(held)])
    return found[1:]


async def _by_hand(workers: Sequence[Callable[[int], Awaitable[Any]]]) -> float:
    """Seconds in which the workers share the queries."""
    numbers = iter(range(QUERIES))

    async def worker(query: Callable[[int], Awaitable[Any]]) -> None:
        for number in numbers:
            await query(number)

    began = time.perf_counter()
    await asyncio.gather(*map(worker, workers))
    return time.perf_counter() - began


def _insert(service: Service, url: str) -> Figure:
    flow = _flow(service, url, f"  - {service.insert}\n", "inputs: [{name: records, type: array, required: true}]\n")

    async def floor() -> None:
        async with service.bare(url) as bare:
            await bare.clear()
        async with service.bare(url) as bare:
            await bare.insert(RECORDS)

    async def ours() -> None:
        async with service.bare(url) as bare:
            await bare.clear()
        await run(flow, inputs={"records": RECORDS})

    measured = in_turn(7, floor, ours)
    how = f"one list of dicts into an empty table, in one transaction; by hand {service.fast}; whole run; 7 rounds"
    floor_text, own = f"{service.fast} by hand: {seconds(measured.of(0))}", seconds(measured.of(1))
    return Figure(f"{service.kind}, insert of {ROWS:,} rows", floor_text, own, measured.ratio(1), "×", 1.2, how)


def _fetch(service: Service, url: str) -> Figure:
    flow = _flow(service, url, f"  - {service.fetch}\n")

    async def floor() -> None:
        async with service.bare(url) as bare:
            assert len(await bare.fetch()) == ROWS

    async def ours() -> None:
        await run(flow)

    measured = in_turn(7, floor, ours)
    how = "the rows of that table as a list of dicts; whole run; 7 rounds"
    floor_text, own = f"{service.called}: {seconds(measured.of(0))}", seconds(measured.of(1))
    return Figure(f"{service.kind}, fetch of {ROWS:,} rows", floor_text, own, measured.ratio(1), "×", 1.15, how)
