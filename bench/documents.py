"""Documents through flows, beside the same work with PyMongo alone, on the server of the tests."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flowlang
from harness import BENCH, Figure, in_turn, run, seconds

sys.path.insert(0, str(BENCH.parent))  # the server of the tests

DOCUMENTS = 100_000
REQUESTS = 1000
HEAD = """\
flow: documents
connections: {{store: {{type: mongodb, url: "{url}", database: bench}}}}
inputs:
  - {{name: rows, type: array, default: []}}
steps:
"""
FIND = """\
  - for_each: "${{range({count})}}"
    as: n
    max_concurrency: {at_once}
    do:
      - mongo_find_one: {{collection: small, filter: {{_id: "${{n % 100}}"}}}}
"""
INSERT = '  - mongo_batch_insert: {collection: many, documents: "${inputs.rows}"}\n'
READ = "  - mongo_find: {id: all, collection: many}\n"


@contextmanager
def service() -> Iterator[str]:
    """The server; gives its URL."""
    from tests.servers.mongodb import MongoDB

    with tempfile.TemporaryDirectory() as folder:
        server = MongoDB(Path(folder) / "server")
        MongoDB.require()
        server.start()
        try:
            yield server.url
        finally:
            server.remove()


def documents() -> list[Figure]:
    """Single reads, many documents in, and out."""
    with service() as url:
        _filled(url)
        return [_find(url, 1), _find(url, 16), _insert(url), _read(url)]


def _filled(url: str) -> None:
    from pymongo import MongoClient

    with MongoClient(url) as client:
        client.bench.small.insert_many([{"_id": n, "name": f"n{n}"} for n in range(100)])


def _rows() -> list[dict[str, Any]]:
    return [{"_id": n, "name": f"customer {n}", "total": n * 1.5, "paid": n % 2 == 0} for n in range(DOCUMENTS)]


async def _bare_find(url: str, at_once: int) -> None:
    import asyncio

    from pymongo import AsyncMongoClient

    numbers = iter(range(REQUESTS))
    async with AsyncMongoClient(url) as client:
        await client.admin.command("ping")  # as a connection does when it opens
        target = client.bench.small

        async def work() -> None:
            for number in numbers:
                await target.find_one({"_id": number % 100})

        await asyncio.gather(*(work() for _ in range(at_once)))


async def _bare_insert(url: str, rows: list[dict[str, Any]]) -> None:
    from pymongo import AsyncMongoClient

    async with AsyncMongoClient(url) as client:
        await client.bench.many.drop()
        for start in range(0, len(rows), 1000):
            await client.bench.many.insert_many(rows[start : start + 1000])


async def _bare_read(url: str) -> list[Any]:
    from pymongo import AsyncMongoClient

    async with AsyncMongoClient(url) as client:
        return await client.bench.many.find().to_list()


def _find(url: str, at_once: int) -> Figure:
    flow = flowlang.load(text=HEAD.format(url=url) + FIND.format(count=REQUESTS, at_once=at_once))
    measured = in_turn(5, lambda: _bare_find(url, at_once), lambda: run(flow))
    how = f"`for_each` over {REQUESTS:,} numbers, `max_concurrency: {at_once}`; whole run / reads; 5 rounds"
    what = "1,000 `mongo_find_one` in `for_each`" if at_once == 1 else f"1,000 `mongo_find_one`, {at_once} at once"
    floor, ours = seconds(measured.of(0) / REQUESTS), seconds(measured.of(1) / REQUESTS)
    return Figure(what, f"PyMongo alone: {floor}", ours, measured.ratio(1), "×", 1.3 if at_once == 1 else 1.2, how)


def _insert(url: str) -> Figure:
    rows = _rows()
    text = HEAD.format(url=url) + "  - mongo_drop_collection: {collection: many}\n" + INSERT
    flow = flowlang.load(text=text)
    measured = in_turn(5, lambda: _bare_insert(url, rows), lambda: run(flow, inputs={"rows": rows}))
    how = f"{DOCUMENTS:,} documents of four fields from one list, 1,000 at a time; 5 rounds"
    floor = f"`insert_many` alone: {seconds(measured.of(0))}"
    return Figure("`mongo_batch_insert`", floor, seconds(measured.of(1)), measured.ratio(1), "×", 1.2, how)


def _read(url: str) -> Figure:
    flow = flowlang.load(text=HEAD.format(url=url) + READ)
    measured = in_turn(5, lambda: _bare_read(url), lambda: run(flow))
    how = f"{DOCUMENTS:,} documents of four fields to a list; 5 rounds"
    floor = f"`find().to_list()` alone: {seconds(measured.of(0))}"
    return Figure("`mongo_find`", floor, seconds(measured.of(1)), measured.ratio(1), "×", 1.15, how)
