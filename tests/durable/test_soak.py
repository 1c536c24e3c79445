"""Thousands of runs through one worker: what it holds afterwards, and what the store and the server do, is counted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.durable.soaked import held

from flowlang import api, runs, workers
from flowlang.durable import signals
from flowlang.durable.opening import open_store
from flowlang.durable.retention import Pruned
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.durable.store import Store

HERE = Path(__file__).parent
PATIENCE = 120.0  # seconds without any run that ends
TASKS = '''
import flowlang
from flowlang.tasks.context import Context

@flowlang.task(effect="read")
async def look(value: object = None) -> dict:
    return {"seen": value}

@flowlang.task(idempotent=True)
async def shaky(context: Context) -> dict:
    """Fails once."""
    if context.attempt == 1:
        raise ValueError("not yet")
    return {"attempt": context.attempt}
'''
FLOW = """
flow: soak
tasks: [soak.py]
inputs:
  - {{name: n, type: integer, required: true}}
concurrency: {{key: "${{str(inputs.n % 50)}}", limit: 2}}
connections:
  db: {{type: {kind}, {where}}}
steps:
  - {execute}: {{id: written, query: "INSERT INTO done (n) VALUES (${{inputs.n}})", exactly_once: true}}
  - wait: 1ms
  - parallel:
      - {query}: {{id: counted, query: "SELECT count(*) AS c FROM done WHERE n = ${{inputs.n}}"}}
      - look: {{id: seen, value: "${{inputs.n}}"}}
  - for_each: [1, 2, 3]
    id: turns
    max_concurrency: 2
    do:
      - look: {{id: turn, value: "${{item}}"}}
  - {{shaky: {{id: again}}, retry: {{max_attempts: 3, delay: 1ms, jitter: false}}}}
  - if: inputs.n % 20 == 0
    then:
      - {{id: asked, wait: {{signal: go, timeout: 5m}}}}
  - if: inputs.n % 25 == 7
    then:
      - raise: {{type: conflict, message: "run ${{inputs.n}} is one that fails"}}
outputs:
  - {{name: count, value: "${{counted.rows[0].c}}"}}
"""


class Place:
    """A store, and a flow that writes into a table beside it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        (folder / "soak.py").write_text(TASKS)
        if url.startswith("sqlite:"):
            file = folder / "done.db"
            words = {
                "kind": "sqlite",
                "where": f"database: {file}, timeout: 60",
                "execute": "sqlite_execute",
                "query": "sqlite_query",
            }
            with contextlib.closing(sqlite3.connect(file)) as made:
                made.execute("CREATE TABLE done (n INTEGER)")
                made.execute("CREATE INDEX done_n ON done (n)")
        else:
            words = {"kind": "postgres", "where": f'url: "{url}"', "execute": "pg_execute", "query": "pg_query"}
        self.flow = folder / "soak.yaml"
        self.flow.write_text(FLOW.format(**words))

    async def prepare(self, store: Store) -> None:
        if not isinstance(store.database, SqliteDatabase):
            await store.database.execute("CREATE TABLE done (n integer)")
            await store.database.execute("CREATE INDEX done_n ON done (n)")

    def locks(self) -> list[str]:
        """The lock files beside a SQLite store."""
        return [each.name for each in self.folder.glob("runs.db.locks/*")]


HELD = ("descriptors", "threads", "tasks", "sessions")
SLACK = {
    "descriptors": 1,  # SQLite keeps one to copy its log
    "tasks": 2,  # of its own the worker has fewer while it begins a run than when it waits
}


class Measured:
    """A worker whose holdings can be asked for."""

    def __init__(self, place: Place, *options: str) -> None:
        self.told = place.folder / "held.jsonl"
        words = [sys.executable, str(HERE / "soaked.py"), str(self.told), "worker", "--store", place.url, *options]
        self.log = place.folder / "worker.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log)

    async def ready(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while "serves" not in self.log.read_text():
                assert self._process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.01)

    def _lines(self) -> list[str]:
        return self.told.read_text().splitlines() if self.told.exists() else []

    async def held(self, allowed: int | None = None) -> dict[str, Any]:
        """The least of three looks, since now and then it looks for runs, for the dead, for what is scheduled.

        More looks where it has more than the allowed number of tasks: what is kept stays, what is late goes.
        """
        looks: list[dict[str, Any]] = []
        while len(looks) < 3 or (allowed is not None and len(looks) < 50 and least(looks)["tasks"] > allowed):
            before = len(self._lines())
            os.kill(self._process.pid, signal.SIGUSR1)
            async with asyncio.timeout(PATIENCE):
                while len(self._lines()) == before:
                    assert self._process.poll() is None, self.log.read_text()
                    await asyncio.sleep(0.02)
            looks.append(json.loads(self._lines()[-1]))
            await asyncio.sleep(0.1)
        return least(looks)

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def least(looks: list[dict[str, Any]]) -> dict[str, Any]:
    return min(looks, key=lambda each: (each["tasks"], each["blocks"]))


@contextlib.asynccontextmanager
async def measured(place: Place, *options: str) -> AsyncIterator[Measured]:
    worker = Measured(place, *options)
    try:
        await worker.ready()
        yield worker
    finally:
        worker.close()


async def wave(store: Store, place: Place, first: int, count: int) -> None:
    """Submit runs, and wait until they are over."""
    flow = api.load(place.flow)
    for n in range(first, first + count):
        run = await workers.submit(flow, {"n": n}, store=store)
        if n % 20 == 0:
            await signals.send(store, run.id, "go", "{}")
    left, moved = count, time.monotonic()
    while left:
        await asyncio.sleep(0.1)
        rows = await store.database.fetch("SELECT count(*) AS c FROM flowlang_runs WHERE ended_at IS NULL")
        if rows[0]["c"] != left:
            left, moved = rows[0]["c"], time.monotonic()
        assert time.monotonic() < moved + PATIENCE, await states(store)


async def states(store: Store) -> dict[str, int]:
    rows = await store.database.fetch("SELECT state, count(*) AS c FROM flowlang_runs GROUP BY state")
    return {row["state"]: row["c"] for row in rows}


async def sessions(url: str) -> int:
    """How many sessions the server has of the store's database, ours left out."""
    if url.startswith("sqlite:"):
        return 0
    import asyncpg

    session = await asyncpg.connect(url)
    try:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return int(await session.fetchval(counted))
    finally:
        await session.close()


async def rows(store: Store) -> dict[str, int]:
    """How many rows each table of FlowLang's has, the empty ones left out."""
    listed = "SELECT tablename AS name FROM pg_tables WHERE tablename LIKE 'flowlang%'"
    if isinstance(store.database, SqliteDatabase):
        listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'flowlang%'"
    counted = {}
    for row in await store.database.fetch(listed):
        found = await store.database.fetch(f"SELECT count(*) AS c FROM {row['name']}")
        counted[row["name"]] = found[0]["c"]
    return {name: count for name, count in counted.items() if count}


def growth(windows: list[dict[str, Any]], what: str, warm: int) -> float:
    """From the first half of the windows behind the warm ones to the second half, per window."""
    values = [each[what] for each in windows[warm:]]
    half = len(values) // 2
    return (statistics.median(values[-half:]) - statistics.median(values[:half])) / (len(values) - half)


async def soak(url: str, folder: Path, waves: int, size: int, warm: int) -> list[dict[str, Any]]:
    """Waves of runs through a worker; what it holds after each. Beside it a store whose runs are pruned is empty."""
    place, windows = Place(url, folder), []
    async with await open_store(url) as store:
        await place.prepare(store)
        async with measured(place) as worker:
            for number in range(waves):
                await wave(store, place, number * size, size)
                allowed = max(each["tasks"] for each in windows[:warm]) + SLACK["tasks"] if number >= warm else None
                windows.append(await worker.held(allowed) | {"sessions": await sessions(url)})
                told = json.dumps(windows[-1] | {"runs": (number + 1) * size})
                with (folder / "windows.jsonl").open("a") as file:  # for whoever wants the figures
                    file.write(told + "\n")
            assert worker.stop() == 0, worker.log.read_text()[-3000:]
        fails = sum(n % 25 == 7 for n in range(waves * size))
        assert await states(store) == {"succeeded": waves * size - fails, "failed": fails}
        counted = (await store.database.fetch("SELECT count(*) AS c FROM flowlang_runs WHERE takeovers > 0"))[0]
        assert counted["c"] == 0
        assert await runs.prune(runs.Retention(older_than=0.0), store=store) == Pruned(waves * size, 0)
        assert (await rows(store)).keys() <= {"flowlang_meta", "flowlang_flows", "flowlang_once"}
        await store.database.execute("UPDATE flowlang_flows SET stored_at = 0")  # an hour passes
        assert await runs.prune(runs.Retention(older_than=0.0), store=store) == Pruned(0, 1)
    assert place.locks() == []
    assert await sessions(url) == 0
    for what in HELD:
        first = max(each[what] for each in windows[:warm]) + SLACK.get(what, 0)
        assert max(each[what] for each in windows[warm:]) <= first, windows
    return windows


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_ten_thousand_runs(store_url: str, tmp_path: Path) -> None:
    """A block of Python's memory for each run that is kept would be a growth of 1,000 a window; the least that
    a run leaves, when something of it is kept, is some dozens."""
    windows = await soak(store_url, tmp_path, waves=10, size=1000, warm=2)
    assert growth(windows, "blocks", 2) < 250, windows
    assert windows[-1]["bytes"] - windows[1]["bytes"] < 16 << 20, windows


async def test_some_hundred_runs(tmp_path: Path) -> None:
    """The same, as small as it can be to find a run that is kept: the journal of one alone has a hundred blocks."""
    windows = await soak(f"sqlite:///{tmp_path}/runs.db", tmp_path, waves=4, size=30, warm=1)
    assert growth(windows, "blocks", 1) < 10 * 30, windows


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_runs_of_one_process_one_after_the_other(store_url: str, tmp_path: Path) -> None:
    """Each opens the store, has a journal, and closes it again; as a program does that calls `runs.run` in a loop."""
    place = Place(store_url, tmp_path)
    async with await open_store(store_url) as store:
        await place.prepare(store)
    windows = []
    for number in range(10):
        for n in range(number * 50, (number + 1) * 50):
            given = {"n": n * 20 + 1}  # none that waits for a signal
            result = await runs.run(str(place.flow), given, store=store_url)
            assert result.status == ("failed" if given["n"] % 25 == 7 else "succeeded"), result.failure
            del result
        windows.append(held() | {"sessions": await sessions(store_url)})
    assert growth(windows, "blocks", 2) < 50, windows
    assert windows[-1]["sessions"] == 0
    assert windows[-1]["descriptors"] <= windows[1]["descriptors"], windows
    assert windows[-1]["tasks"] <= windows[1]["tasks"], windows
    assert place.locks() == []
