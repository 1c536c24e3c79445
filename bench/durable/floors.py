"""The floors: what one step costs when nothing but the least is done for it.

    python -m durable.floors FOLDER

- await: `await step(n)`, nothing kept
- sqlite full, sqlite normal: one row a commit, standard library, WAL, with `synchronous` as named
- postgres: one row a commit, asyncpg, the server's commits on the disk
- postgres 1000: a row of 1,000 that one statement inserts
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from durable.work import result, timed

TABLE = "CREATE TABLE journal (run text, path text, outputs text, PRIMARY KEY (run, path))"
ROWS = 300
AWAITS = 100_000
BATCH = 1000


async def step(number: int) -> dict[str, Any]:
    return result(number)


async def bare() -> None:
    for number in range(AWAITS):
        await step(number)


async def awaits() -> float:
    """Seconds of a bare `await step(n)`."""
    return await timed(bare()) / AWAITS


async def sqlite_commit(file: Path, synchronous: str) -> float:
    """Seconds of a commit of one row into a new file."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(TABLE)

        async def each() -> None:
            for number in range(ROWS):
                outputs = json.dumps(await step(number))
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO journal VALUES (?, ?, ?)", ("run", f"step{number}", outputs))
                connection.execute("COMMIT")

        found = await timed(each()) / ROWS
    remove(file)
    return found


def remove(file: Path) -> None:
    """Delete a database of SQLite with what lies beside it."""
    for end in ("", "-wal", "-shm"):
        Path(f"{file}{end}").unlink(missing_ok=True)


async def postgres_commit(url: str) -> tuple[float, float]:
    """Seconds of a commit of one row, and of a row of a thousand that are inserted together, into a new table."""
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"DROP TABLE IF EXISTS journal; {TABLE}")

        async def each() -> None:
            for number in range(ROWS):
                outputs = json.dumps(await step(number))
                await connection.execute("INSERT INTO journal VALUES ($1, $2, $3)", "run", f"step{number}", outputs)

        async def together() -> None:
            outputs = [json.dumps(await step(number)) for number in range(BATCH)]
            paths = [f"branch{number}" for number in range(BATCH)]
            statement = "INSERT INTO journal SELECT 'run', * FROM unnest($1::text[], $2::text[])"
            await connection.execute(statement, paths, outputs)

        single, batch = await timed(each()) / ROWS, await timed(together()) / BATCH
        await connection.execute("DROP TABLE journal")
    finally:
        await connection.close()
    return single, batch


async def all_of_them(folder: Path, url: str) -> dict[str, float]:
    found = {"await": await awaits()}
    for synchronous in ("FULL", "NORMAL"):
        found[f"sqlite {synchronous.lower()}"] = await sqlite_commit(folder / "floor.db", synchronous)
    found["postgres"], found["postgres 1000"] = await postgres_commit(url)
    return found


def main(folder: Path) -> None:
    from durable.servers import DurablePostgres, running

    server = DurablePostgres(folder / "postgres")
    with running(server):
        measured = asyncio.run(all_of_them(folder, server.url))
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
