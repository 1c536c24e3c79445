"""All that can be asked of a store, at once, from several processes, in an order that is left to chance."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.durable.stressed import OPERATIONS, QUEUES, STEPS, written

from flowlang import runs, workers
from flowlang.durable.opening import open_store
from flowlang.durable.schema import ENDED
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.durable.store import Store

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATIENCE = 60.0  # seconds on a machine that is busy, beyond those of the work itself
STOPPED = ENDED | {"needs_attention"}


@pytest.mark.slow
async def test_everything_at_once(store_url: str, tmp_path: Path) -> None:
    """Nobody meets a deadlock, nothing fails that may not, each effect is there once, nothing is left behind."""
    await stress(store_url, tmp_path, processes=2, seconds=1.5)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_everything_at_once_for_long(store_url: str, tmp_path: Path) -> None:
    await stress(store_url, tmp_path, processes=4, seconds=90.0)


async def stress(url: str, folder: Path, processes: int, seconds: float) -> None:
    seed = random.randrange(10**6)
    logging.getLogger("stress").warning("seed %d", seed)  # for whoever looks at a failure
    written(folder)
    async with await open_store(url) as store:
        before = await deadlocks(store)
    with working(url, folder, seed, processes, seconds) as started:
        told = [await asyncio.to_thread(_told, each, seconds) for each in started]
    done: Counter[str] = sum((Counter(each["done"]) for each in told), Counter())
    assert [each for one in told for each in one["failed"]] == [], done
    async with await open_store(url) as store:
        await settled(store)
        await whole(store, folder)
        assert await deadlocks(store) == before, done
    assert await left(url, folder) == [], done
    assert {each.split()[0] for each in done} == {each.__name__ for each in OPERATIONS}, done


@contextmanager
def working(url: str, folder: Path, seed: int, count: int, seconds: float) -> Iterator[list[subprocess.Popen[str]]]:
    """So many processes that do whatever there is."""
    words = [sys.executable, "-m", "tests.durable.stressed", url, str(folder)]
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen([*words, f"{seed}-{at}", str(seconds)], cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
        for at in range(count)
    ]
    try:
        yield started
    finally:
        for each in started:
            each.kill()
            each.communicate()


def _told(process: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    out, err = process.communicate(timeout=seconds + PATIENCE)
    assert process.returncode == 0, err
    told: dict[str, Any] = json.loads(out)
    return told


async def settled(store: Store) -> None:
    """One more worker brings all to an end: what waits is cancelled. What somebody has to decide about stays."""
    for queue in QUEUES:
        await workers.remove_queue(queue, store=store)
    for each in await workers.schedules(store=store):
        await store.database.execute("DELETE FROM flowlang_schedules WHERE id = :id", id=each.id)
    ready = asyncio.get_running_loop().create_future()
    settings = workers.Settings(dict.fromkeys(QUEUES), park_after=1000)
    working = asyncio.create_task(workers.work(settings, store=store, ready=ready.set_result))
    worker = await ready
    try:
        async with asyncio.timeout(PATIENCE):
            while open_ := await unsettled(store):
                for run_id in open_:
                    await store.ask_to_cancel(run_id)
                await asyncio.sleep(0.1)
    finally:
        worker.stop()
        await working


async def unsettled(store: Store) -> list[str]:
    rows = await store.database.fetch("SELECT id, state FROM flowlang_runs")
    return [row["id"] for row in rows if row["state"] not in STOPPED]


async def whole(store: Store, folder: Path) -> None:
    """Each effect is there once: never twice, and always where its run has succeeded by itself."""
    made = Counter((folder / "effects").read_text().splitlines())
    assert [each for each, count in made.items() if count > 1] == []
    decided = set((folder / "decided").read_text().split()) if (folder / "decided").exists() else set()
    for row in await store.database.fetch("SELECT * FROM flowlang_runs"):
        assert row["owner"] is None, dict(row)
        assert (row["ended_at"] is None) == (row["state"] == "needs_attention"), dict(row)
        if row["state"] == "succeeded" and row["flow"] == "stress" and row["attempt"] == 1 and row["id"] not in decided:
            for step in STEPS[json.loads(row["inputs"])["kind"]]:
                assert made[f"{row['id']} {step}"] == 1, dict(row)
        await store.flow(row["hash"])
        await store.steps(row["id"])
    for table in ("journal", "events", "signals"):
        rows = await store.database.fetch(
            f"SELECT DISTINCT run_id FROM flowlang_{table} WHERE run_id NOT IN (SELECT id FROM flowlang_runs)"
        )
        assert rows == [], table
    assert await store.database.fetch("SELECT id FROM flowlang_runs WHERE gate IS NOT NULL AND ended_at > 0") == []
    await runs.prune(runs.Retention(older_than=0.0), store=store)


async def deadlocks(store: Store) -> int:
    """How many the server has seen in this database."""
    if isinstance(store.database, SqliteDatabase):
        return 0
    asked = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    return int((await store.database.fetch(asked))[0]["deadlocks"])


async def left(url: str, folder: Path) -> list[Any]:
    """Executors, locks and sessions that are still there."""
    if url.startswith("sqlite:"):
        return os.listdir(folder / "runs.db.locks")
    async with await open_store(url) as store:
        rows = [
            *await store.database.fetch("SELECT id FROM flowlang_executors"),
            *await store.database.fetch(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            ),
            *await store.database.fetch(
                "SELECT pid, state, query FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ),
        ]
    return [dict(row) for row in rows]
