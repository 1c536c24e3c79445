"""The floor of the smallest SQLite flow: the same work by hand, with asyncio and sqlite3."""

import asyncio
import sqlite3


async def work() -> None:
    connection = await asyncio.to_thread(sqlite3.connect, ":memory:", check_same_thread=False)
    try:
        rows = await asyncio.to_thread(lambda: connection.execute("SELECT 1 AS one").fetchall())
        print(rows)
    finally:
        await asyncio.to_thread(connection.close)


def main() -> None:
    asyncio.run(work())
