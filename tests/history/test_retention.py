"""`flowlang runs delete` and `prune`: what is old goes with all that belongs to it, what has not ended stays."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowlang import runs, workers
from flowlang.durable import pruning, signals
from flowlang.durable.flows import stored
from flowlang.durable.retention import Pruned, Retention, delete, prune
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError

FLOW = stored("orders", "/flows/orders.yaml", {"/flows/orders.yaml": "flow: orders\nsteps: []\n"})
OTHER = stored("other", "/flows/other.yaml", {"/flows/other.yaml": "flow: other\nsteps: []\n"})
SCHEDULED = stored("later", "/flows/later.yaml", {"/flows/later.yaml": "flow: later\nsteps: []\n"})
TABLES = ("flowlang_journal", "flowlang_events", "flowlang_signals")


async def ended(store: Store, run_id: str, ago: float, state: str = "succeeded", **options: Any) -> None:
    """A run that ended so many seconds ago, with something in every table."""
    run = await store.add(options.pop("flow", FLOW), "{}", {}, run_id=run_id, owner="nobody", **options)
    await signals.send(store, run_id, "go", "null")
    assert await store.finish(run, state)
    await store.database.execute("UPDATE flowlang_runs SET ended_at = {now} - :ago WHERE id = :id", id=run_id, ago=ago)
    await store.database.execute(
        "INSERT INTO flowlang_events (run_id, seq, lines) VALUES (:id, 0, '{}')".replace("{}", "x"), id=run_id
    )
    await store.database.execute(
        "INSERT INTO flowlang_journal (run_id, seq, entries, checksum) VALUES (:id, 0, '', 0)", id=run_id
    )


async def left(store: Store) -> set[str]:
    """The runs that are there; nothing is there of any other."""
    rows = await store.database.fetch("SELECT id FROM flowlang_runs")
    ids = {row["id"] for row in rows}
    for table in TABLES:
        others = {row["run_id"] for row in await store.database.fetch(f"SELECT run_id FROM {table}")}
        assert others <= ids, table
    return ids


async def test_by_age_by_count_and_by_state(store: Store) -> None:
    for number in range(5):
        await ended(store, f"r{number}", ago=100.0 * number, state="failed" if number == 4 else "succeeded")
    await store.add(FLOW, "{}", {}, run_id="queued")
    assert await prune(store, Retention(older_than=350, states=frozenset({"succeeded"}))) == Pruned(0, 0)
    assert await prune(store, Retention(older_than=350), dry_run=True) == Pruned(1, 0)
    assert await left(store) == {"r0", "r1", "r2", "r3", "r4", "queued"}
    assert await prune(store, Retention(older_than=350)) == Pruned(1, 0)
    assert await left(store) == {"r0", "r1", "r2", "r3", "queued"}
    assert await prune(store, Retention(keep=3)) == Pruned(1, 0)
    assert await prune(store, Retention(older_than=150, keep=3)) == Pruned(1, 0)
    assert await left(store) == {"r0", "r1", "queued"}
    assert await prune(store, Retention(keep=0)) == Pruned(2, 0)
    assert await left(store) == {"queued"}


async def test_more_than_one_batch(store: Store) -> None:
    await ended(store, "r", 5.0)
    copied = "SELECT '{}' || n, flow, hash, state, due_at, created_at, ended_at, inputs, options FROM flowlang_runs, "
    numbers = "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 230) SELECT n FROM s) AS x"
    await store.database.execute(
        "INSERT INTO flowlang_runs (id, flow, hash, state, due_at, created_at, ended_at, inputs, options) "
        + copied.format("c") + numbers
    )  # fmt: skip
    assert await prune(store, Retention(older_than=1)) == Pruned(231, 0)
    assert await left(store) == set()


async def test_what_has_not_ended_stays_whatever_the_bounds(store: Store, flows: Any) -> None:
    run_id = await flows.lost(store, flows.write("- charge: {id: a}"), "a")
    await ended(store, "origin", 1000.0)
    await store.add(FLOW, "{}", {}, run_id="again", origin="origin")
    assert await prune(store, Retention(older_than=0, keep=0)) == Pruned(0, 0)
    for each, why in ((run_id, "has not ended"), ("again", "has not ended"), ("origin", "still needed")):
        run = await store.run(each)
        assert run is not None
        with pytest.raises(StoreError, match=why):
            await delete(store, run)
    assert {run_id, "origin", "again"} <= await left(store)
    with pytest.raises(StoreError, match="only runs that are over"):
        Retention(states=frozenset({"running"}))


async def test_runs_in_memory_whose_process_is_gone_go_as_well(store: Store) -> None:
    await store.add(FLOW, "{}", {}, run_id="lost", owner="gone", durable=False)
    await store.database.execute("UPDATE flowlang_runs SET started_at = started_at - 100")
    async with runs.hosting(store) as host:
        await store.add(FLOW, "{}", {}, run_id="alive", owner=host.executor.id, durable=False)
        await store.database.execute("UPDATE flowlang_runs SET started_at = started_at - 100")
        await store.add(FLOW, "{}", {}, run_id="lost just now", owner="gone", durable=False)
        assert await prune(store, Retention(older_than=50)) == Pruned(1, 0)
        assert await left(store) == {"alive", "lost just now"}


async def test_flows_that_no_run_has_go_with_their_folders(store: Store, folder: Path) -> None:
    await ended(store, "old", 1000.0, flow=OTHER)
    await ended(store, "new", 1.0)
    await store.put_flow(SCHEDULED)
    await store.database.execute(
        "INSERT INTO flowlang_schedules (id, hash, flow, rule, options) VALUES ('s', :hash, 'later', 'x', 'x')",
        hash=SCHEDULED.hash,
    )
    place = folder / "data" / "flows"
    for each in (FLOW, OTHER):
        (place / each.hash).mkdir(parents=True)
        os.utime(place / each.hash, (0, 0))
    (place / "young").mkdir()
    assert await prune(store, Retention(older_than=500), folder=str(place)) == Pruned(1, 0), "it may be on its way"
    await store.database.execute("UPDATE flowlang_flows SET stored_at = stored_at - 4000")
    assert await prune(store, Retention(older_than=500), folder=str(place)) == Pruned(0, 1)
    assert {each.name for each in place.iterdir()} == {FLOW.hash, "young"}
    assert (await store.flow(FLOW.hash)).name == "orders"
    assert (await store.flow(SCHEDULED.hash)).name == "later"


async def test_a_flow_whose_folder_was_cleared_away_is_laid_out_again(file_store: Store, flows: Any) -> None:
    import shutil

    run_id = await flows.lost(file_store, flows.write("- look: {id: a}\n- look: {id: b}"), "a")
    record = await file_store.run(run_id)
    assert record is not None
    runs.plan_of(await file_store.flow(record.hash))
    shutil.rmtree(flows.folder / "data" / "flowlang" / "flows")
    assert (await runs.resume(run_id, store=file_store)).status == "succeeded"


async def test_the_commands(file_store: Store, cli: Callable[..., Any]) -> None:
    for number in range(3):
        await ended(file_store, f"r{number}", ago=100.0 * number)
    url = file_store.url
    code, shown, _ = await cli("runs", "prune", "--older-than", "150s", "--dry-run", "--store", url)
    assert (code, shown) == (0, "would delete 1 run\n")
    code, shown, _ = await cli("runs", "prune", "--keep", "2", "--store", url)
    assert (code, shown) == (0, "deleted 1 run, 0 flows\n")
    code, _, err = await cli("runs", "delete", "r1", "--store", url)
    assert (code, err) == (0, "deleted r1\n")
    assert await left(file_store) == {"r0"}
    for words, told in (((), "what may go?"), (("--older-than", "soon"), "no duration")):
        code, _, err = await cli("runs", "prune", *words)
        assert code == 2
        assert told in err


async def test_one_of_many_workers_removes_what_is_old(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Only when it was told what to keep, and none does it twice in a period."""
    for number in range(3):
        await ended(store, f"r{number}", ago=100.0 * number)
    assert [await pruning.elected(store) for _ in range(3)] == [True, False, False]
    monkeypatch.setattr(pruning, "PERIOD", 0.02)
    caplog.set_level("INFO", "flowlang.worker")
    settings = [workers.Settings({"default": None}, retention=each) for each in (None, *[Retention(keep=1)] * 2)]
    begun: list[workers.Worker] = []
    working = [asyncio.create_task(workers.work(each, store=store, ready=begun.append)) for each in settings]
    async with asyncio.timeout(30):
        while len(begun) < len(settings) or "removed" not in caplog.text:  # noqa: ASYNC110 - the log tells
            await asyncio.sleep(0.01)
    assert await left(store) == {"r0"}
    for worker in begun:
        worker.stop()
    await asyncio.gather(*working)
    assert [each.message for each in caplog.records if "removed" in each.message] == [
        "2 runs that had ended were removed"
    ]
