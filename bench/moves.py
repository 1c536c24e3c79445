"""A million rows from PostgreSQL to SQLite and back, beside the best programs that we could write by hand."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import flowlang
from databases import server
from harness import Figure, in_turn, run, seconds, spawn

ROWS = 1_000_000
READ, WRITTEN, COPIED = 5_000, 500, 20_000  # rows of one fetch, of one INSERT, of one COPY
COLUMNS = ("id", "name", "amount", "day", "note")
MARKS = f"({', '.join('?' * len(COLUMNS))})"
FLOW = """\
flow: move
connections:
  source: {{type: {source}}}
  target: {{type: {target}}}
steps:
  - {read}_stream:
      id: old
      connection: source
      query: SELECT id, name, amount, day, note FROM t
      batch_size: {size}
  - for_each: "${{old.rows}}"
    as: part
    batch_size: {size}
    do:
      - {write}_batch_insert: {{connection: target, table: t, records: "${{part}}"}}
"""


def moves() -> list[Figure]:
    """Many rows from one database into another, in batches."""
    with server("postgres") as url, tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "rows.db"))
        asyncio.run(_fill(url))
        there = _flow(f"postgres, url: '{url}'", f"sqlite, database: '{file}'", "pg", "sqlite")
        back = _flow(f"sqlite, database: '{file}'", f"postgres, url: '{url}'", "sqlite", "pg")
        return [
            _figure("PostgreSQL to SQLite", lambda: _empty_file(file), there, lambda: _to_sqlite(url, file)),
            _memory("PostgreSQL to SQLite", lambda: _empty_file(file), there),
            _figure("SQLite to PostgreSQL", lambda: _empty_table(url), back, lambda: _to_postgres(file, url)),
            _memory("SQLite to PostgreSQL", lambda: _empty_table(url), back),
        ]


def _flow(source: str, target: str, read: str, write: str) -> str:
    return FLOW.format(source=source, target=target, read=read, write=write, size=READ if read == "pg" else COPIED)


def _figure(way: str, empty: Callable[[], Any], text: str, by_hand: Callable[[], Any]) -> Figure:
    flow = flowlang.load(text=text)

    async def floor() -> None:
        await empty()
        await by_hand()

    async def ours() -> None:
        await empty()
        await run(flow)

    measured = in_turn(3, floor, ours)
    how = "a stream, `for_each` with `batch_size` and a batch insert; by hand reading and writing overlap; 3 rounds"
    floor_text, own = f"by hand: {seconds(measured.of(0))}", seconds(measured.of(1))
    return Figure(f"{ROWS:,} rows, {way}", floor_text, own, measured.ratio(1), "×", 1.25, how)


def _memory(way: str, empty: Callable[[], Any], text: str) -> Figure:
    asyncio.run(empty())
    peak = int(spawn(["-m", "move_rows", text]))
    bare = int(spawn(["-c", "import memory; print(memory.peak_memory())"]))
    how = "the same flow in a child process; its high-water mark"
    floor = f"an empty Python process: {bare / 1e6:.0f} MB"
    return Figure(f"peak memory, {way}", floor, f"{peak / 1e6:.0f} MB", peak / 1e6, "MB", 150, how)


# ---------------------------------------------------------------- tables


async def _fill(url: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    await _empty_table(url)
    await connection.execute(
        "INSERT INTO t SELECT n, 'name ' || n, n / 7.0, (date '2026-01-01' + n % 365)::text, "
        f"CASE WHEN n % 3 = 0 THEN 'x' END FROM generate_series(1, {ROWS}) AS n"
    )
    await connection.close()


async def _empty_table(url: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    await connection.execute("DROP TABLE IF EXISTS t")
    await connection.execute("CREATE TABLE t (id int, name text, amount float8, day text, note text)")
    await connection.close()


async def _empty_file(file: str) -> None:
    await asyncio.to_thread(_new_file, file)


def _new_file(file: str) -> None:
    for each in ("", "-wal", "-shm"):
        Path(file + each).unlink(missing_ok=True)
    db = sqlite3.connect(file)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t (id INTEGER, name TEXT, amount REAL, day TEXT, note TEXT)")
    db.close()


# ---------------------------------------------------------------- by hand


async def _to_sqlite(url: str, file: str) -> None:
    """Batches from a cursor, written by a thread in statements of many rows while the next batch is fetched."""
    import asyncpg

    loop = asyncio.get_running_loop()
    full = f"INSERT INTO t VALUES {', '.join([MARKS] * WRITTEN)}"
    with ThreadPoolExecutor(1) as thread:
        db = await loop.run_in_executor(thread, lambda: sqlite3.connect(file, check_same_thread=False))

        def write(rows: list[Any]) -> None:
            for start in range(0, len(rows), WRITTEN):
                part = rows[start : start + WRITTEN]
                text = full if len(part) == WRITTEN else f"INSERT INTO t VALUES {', '.join([MARKS] * len(part))}"
                db.execute(text, list(chain.from_iterable(part)))

        db.execute("PRAGMA synchronous = NORMAL")
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            cursor = await connection.cursor(f"SELECT {', '.join(COLUMNS)} FROM t")
            writing = None
            while rows := await cursor.fetch(READ):
                if writing is not None:
                    await writing
                writing = loop.run_in_executor(thread, write, rows)
            if writing is not None:
                await writing
        await connection.close()
        await loop.run_in_executor(thread, db.commit)
        await loop.run_in_executor(thread, db.close)


async def _to_postgres(file: str, url: str) -> None:
    """A COPY for each batch, while a thread reads the next one."""
    import asyncpg

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as thread:
        db = await loop.run_in_executor(thread, lambda: sqlite3.connect(file, check_same_thread=False))
        cursor = db.execute(f"SELECT {', '.join(COLUMNS)} FROM t")

        async def batches() -> AsyncIterator[list[Any]]:
            reading = loop.run_in_executor(thread, cursor.fetchmany, COPIED)
            while rows := await reading:
                reading = loop.run_in_executor(thread, cursor.fetchmany, COPIED)
                yield rows

        connection = await asyncpg.connect(url)
        async with connection.transaction():
            async for rows in batches():
                await connection.copy_records_to_table("t", records=rows, columns=COLUMNS)
        await connection.close()
        await loop.run_in_executor(thread, db.close)
