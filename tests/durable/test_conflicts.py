"""Transactions of a store in PostgreSQL that meet: they wait in one order, and what the server undoes is done again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.durable.test_faults import HERE, effects

from flowlang import api, runs
from flowlang.durable import schedules, schema, signals
from flowlang.durable.decisions import Decisions, decide
from flowlang.durable.journal import Journal, Writer
from flowlang.durable.opening import open_store
from flowlang.durable.queues import Limits, claim
from flowlang.durable.reaper import _reaped as take_back
from flowlang.durable.records import State, StoredFlow, StoredRun, StoredStep
from flowlang.durable.retention import Retention, delete, prune
from flowlang.durable.run import Left
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError, StoreUnavailable
from flowlang.plan import Schedule

FLOW = StoredFlow("h", "f", "/f.yaml", {"/f.yaml": "flow: f\nsteps: []\n"})
OPTIONS = {"queue": "default", "priority": 0, "files_root": None}
RULES = [Schedule("every", interval=60.0), Schedule("every", interval=90.0)]
TABLES = ("flowlang_runs", "flowlang_journal", "flowlang_signals", "flowlang_schedules")
PATIENCE = 30.0  # seconds on a machine that is busy
# Each who waits for a lock looks once whether the two are in a deadlock, after so long: the store is told, if the other
# has begun to wait by then.
HURRIED, PATIENT = "?deadlock_timeout=100ms", {"deadlock_timeout": "2s"}


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    async with await open_store(postgres_url + HURRIED) as opened:
        yield opened


class Other:
    """A session of somebody else's, in a transaction."""

    def __init__(self, session: asyncpg.Connection) -> None:
        self.execute = session.execute
        self._fetch = session.fetchval

    async def holds_up(self, task: asyncio.Task[Any], count: int = 1) -> None:
        """Return when so many others wait for a lock."""
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        async with asyncio.timeout(PATIENCE):
            while await self._fetch(asked) < count:
                await self.execute("SELECT pg_stat_clear_snapshot()")
                assert not task.done(), "it did not wait for anybody"
                await asyncio.sleep(0.005)


@asynccontextmanager
async def other(url: str) -> AsyncIterator[Other]:
    session = await asyncpg.connect(url, server_settings=PATIENT)
    try:
        async with session.transaction():
            yield Other(session)
    finally:
        await session.close()


def step(path: str, state: State = "succeeded", outcome: str | None = "{}") -> StoredStep:
    return StoredStep(path, 0, state, outcome, "task", None, 1.0, 2.0)


async def committed(store: Store, run: StoredRun, *steps: StoredStep) -> None:
    journal = Journal(Writer(store), run, await store.journal(run.id))
    for each in steps:
        journal.write(each)
    await journal.commit()


# ---------------------------------------------------------------- what the server undoes


async def _commits(store: Store, run: StoredRun) -> object:
    await committed(store, run, step("a"))
    return sorted(each.path for each in await store.steps(run.id))


async def _signals(store: Store, run: StoredRun) -> object:
    assert await signals.send(store, run.id, "go", "1") == "running"
    return (await store.database.fetch("SELECT count(*) AS n FROM flowlang_signals"))[0]["n"]


async def _takes_signal(store: Store, run: StoredRun) -> object:
    taken = await signals.take(store, run, "before", step("s", "started", None), 1)
    rows = await store.database.fetch("SELECT count(*) AS n FROM flowlang_signals WHERE taken_by IS NOT NULL")
    return taken and taken.outcome, rows[0]["n"], sorted(each.path for each in await store.steps(run.id))


async def _releases(store: Store, run: StoredRun) -> object:
    kept = await store.release(run, "waiting", None, "before")
    found = await store.run(run.id)
    return kept, found and (found.state, found.due_at < 1e11)


async def _decides(store: Store, run: StoredRun) -> object:
    await decide(store, run, Decisions(skip={"d": "{}"}))
    return [each.state for each in await store.steps(run.id)]


async def _deletes(store: Store, run: StoredRun) -> object:
    over = await store.run("over")
    assert over is not None
    await delete(store, over)
    return await store.run("over"), await store.steps("over")


async def _prunes(store: Store, run: StoredRun) -> object:
    return (await prune(store, Retention(older_than=0.0))).runs, await store.run("over")


async def _fires(store: Store, run: StoredRun) -> object:
    rows = await store.database.fetch("SELECT next_at FROM flowlang_schedules ORDER BY id")
    begun = await schedules.fire(store, rows[0]["next_at"])
    return len(begun), (await store.database.fetch("SELECT count(*) AS n FROM flowlang_runs"))[0]["n"]


@pytest.mark.parametrize(
    ("work", "first", "then", "expected"),
    [
        (_commits, "journal", "runs", ["a", "d"]),
        (_signals, "runs", "signals", 2),
        (_takes_signal, "runs", "signals", ("0", 1, ["d", "s"])),
        (_releases, "runs", "signals", (True, ("waiting", True))),
        (_decides, "runs", "journal", ["succeeded"]),
        (_deletes, "runs", "journal", (None, [])),
        (_prunes, "runs", "events", (1, None)),
        (_fires, "schedules", "runs", (1, 3)),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
async def test_a_deadlock_costs_another_try(
    store: Store,
    postgres_url: str,
    caplog: pytest.LogCaptureFixture,
    work: Callable[[Store, StoredRun], Coroutine[Any, Any, object]],
    first: str,
    then: str,
    expected: object,
) -> None:
    """A real one: who works with the second table meanwhile wants the first. All is done once in the end."""
    caplog.set_level(logging.INFO, "flowlang.durable")
    while not await _met(store, postgres_url, work, first, then, expected):
        await store.database.execute(f"TRUNCATE {', '.join(TABLES)}")
    assert "deadlock detected" in caplog.text


async def _met(
    store: Store,
    url: str,
    work: Callable[[Store, StoredRun], Coroutine[Any, Any, object]],
    first: str,
    then: str,
    expected: object,
) -> bool:
    """False when the other was told of the deadlock, and not the store."""
    run = await store.add(FLOW, "{}", {}, owner="me")
    over = await store.add(FLOW, "{}", {}, owner="me", run_id="over")
    await signals.send(store, run.id, "before", "0")
    await committed(store, over, step("o"))
    await committed(store, run, step("d", "started", None))
    assert await store.finish(over, "succeeded")
    await schedules.register(store, FLOW, RULES[:1], OPTIONS)
    task = None
    try:
        async with other(url) as they:
            reads = "ACCESS " if then == "signals" else ""  # whether the store is to wait before it reads, too
            await they.execute(f"LOCK TABLE flowlang_{then} IN {reads}EXCLUSIVE MODE")
            task = asyncio.create_task(work(store, run))
            await they.holds_up(task)
            await they.execute(f"LOCK TABLE flowlang_{first} IN ACCESS EXCLUSIVE MODE")
    except asyncpg.DeadlockDetectedError:
        assert task is not None
        await task
        return False
    async with asyncio.timeout(PATIENCE):
        assert await task == expected
    return True


async def test_a_deadlock_does_not_end_a_run(postgres_url: str, tmp_path: Path) -> None:
    """Nor is a step of it done twice, whoever of the two is told."""
    shutil.copy(HERE / "effects.py", tmp_path)
    flow = tmp_path / "flow.yaml"
    flow.write_text("flow: f\ntasks: [effects.py]\nsteps:\n  - change: {id: a}\n  - change: {id: b}\n")
    async with await open_store(postgres_url + HURRIED) as store, runs.hosting(store) as host:
        with contextlib.suppress(asyncpg.DeadlockDetectedError):
            async with other(postgres_url) as they:
                await they.execute("LOCK TABLE flowlang_journal IN ACCESS EXCLUSIVE MODE")
                handle = await runs.begin(host, api.load(flow), files_root=str(tmp_path))
                await they.holds_up(asyncio.ensure_future(handle))
                await they.execute("LOCK TABLE flowlang_runs IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(PATIENCE):
            result = await handle
    assert (result.status, result.failure) == ("succeeded", None)
    assert effects(tmp_path) == ["a", "b"]


async def test_a_lock_that_is_not_had_in_time(postgres_url: str) -> None:
    """Where the role, or the address, has a bound for that: it is asked for again, and told in the end."""
    async with await open_store(postgres_url + "?lock_timeout=20ms") as store:
        run = await store.add(FLOW, "{}", {}, owner="me")
        async with other(postgres_url) as they:
            await they.execute(f"SELECT 1 FROM flowlang_runs WHERE id = '{run.id}' FOR UPDATE")
            with pytest.raises(StoreUnavailable, match="met another transaction: canceling statement due to lock"):
                await store.ask_to_cancel(run.id)
            task = asyncio.create_task(store.ask_to_cancel(run.id))
            await they.holds_up(task)
        assert await task == "cancelling"


# ---------------------------------------------------------------- one order


async def test_who_takes_over_and_who_still_writes_do_not_wait_for_one_another(
    store: Store, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that was taken for dead commits several runs at once, while another takes them from it."""
    caplog.set_level(logging.INFO, "flowlang.durable")
    taken = [await store.add(FLOW, "{}", {}, owner="me", run_id=each) for each in "ab"]
    writer = Writer(store, dict.fromkeys("ab"))
    journals = [Journal(writer, each) for each in reversed(taken)]
    for each in journals:
        each.write(step("s"))
    async with other(postgres_url) as they:
        await they.execute("SELECT 1 FROM flowlang_runs WHERE id = 'a' FOR UPDATE")
        reaping = asyncio.create_task(take_back(store, "me", 5))
        await they.holds_up(reaping)
        writing = asyncio.gather(*(each.commit() for each in journals), return_exceptions=True)
        await they.holds_up(reaping, 2)
    async with asyncio.timeout(PATIENCE):
        assert sorted(run.id for run in await reaping) == ["a", "b"]
        await writing
    assert "deadlock" not in caplog.text


async def test_a_request_to_cancel_that_comes_while_a_run_is_taken_over(store: Store, postgres_url: str) -> None:
    """Both count."""
    run = await store.add(FLOW, "{}", {}, owner="me")
    async with other(postgres_url) as they:
        await they.execute(f"UPDATE flowlang_runs SET cancel = 1, state = 'cancelling' WHERE id = '{run.id}'")
        reaping = asyncio.create_task(take_back(store, "me", 1))
        await they.holds_up(reaping)
    (found,) = await reaping
    assert (found.id, found.state, found.cancel, found.owner) == (run.id, "queued", True, None)


async def test_schedules_are_paused_while_others_replace_them(
    store: Store, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Both change all of a flow's, whose rows lie in another order than that of their ids."""
    caplog.set_level(logging.INFO, "flowlang.durable")
    await schedules.register(store, FLOW, RULES, OPTIONS)
    await store.database.execute("UPDATE flowlang_schedules SET paused = 0 WHERE id = 'f#1'")
    async with other(postgres_url) as they:
        await they.execute("SELECT 1 FROM flowlang_schedules WHERE id = 'f#1' FOR UPDATE")
        replacing = asyncio.create_task(schedules.register(store, FLOW, RULES, OPTIONS))
        await they.holds_up(replacing)
        pausing = asyncio.create_task(schedules.pause(store, "f", paused=True))
        await they.holds_up(pausing, 2)
    async with asyncio.timeout(PATIENCE):
        assert await replacing == ["f#1", "f#2"]
        assert await pausing == 2
    assert "deadlock" not in caplog.text
    assert all(each.paused for each in await schedules.schedules(store))


async def test_a_store_is_opened_that_somebody_else_is_just_making(postgres_url: str) -> None:
    """Once it is made it is written to, and that is not waited for."""
    async with other(postgres_url) as they:
        await they.execute("SELECT pg_advisory_lock(hashtextextended('flowlang schema', 0))")
        opening = asyncio.create_task(open_store(postgres_url))
        await they.holds_up(opening)
        types = {"float": "DOUBLE PRECISION", "serial_key": "BIGINT PRIMARY KEY", "compact": ""}
        session = await asyncpg.connect(postgres_url)
        for each in (schema.META, *schema.TABLES):
            await session.execute(each.format(**types))
        await session.execute("INSERT INTO flowlang_meta VALUES ('format', $1)", str(schema.FORMAT))
        async with session.transaction():
            await session.execute("UPDATE flowlang_runs SET reason = NULL")
            await they.execute("SELECT pg_advisory_unlock(hashtextextended('flowlang schema', 0))")
            async with asyncio.timeout(PATIENCE):
                await (await opening).close()
        await session.close()


async def test_a_run_whose_end_is_just_written_down_is_not_cancelled_any_more(
    store: Store, postgres_url: str, tmp_path: Path
) -> None:
    """Who waits for it gets its result."""
    shutil.copy(HERE / "effects.py", tmp_path)
    flow = tmp_path / "flow.yaml"
    flow.write_text("flow: f\ntasks: [effects.py]\nsteps:\n  - look: {id: a}\n")
    async with runs.hosting(store) as host, asyncio.timeout(PATIENCE):
        async with other(postgres_url) as they:
            await they.execute("LOCK TABLE flowlang_events IN EXCLUSIVE MODE")
            handle = await runs.begin(host, api.load(flow), files_root=str(tmp_path))
            run, task = host.running[str(handle.run_id)]
            await they.holds_up(task)
            while not run.over:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.005)
            assert await store.ask_to_cancel(run.run_id) == "cancelling"
            run.asked_to_cancel()
        assert (await handle).status == "succeeded"


async def test_a_run_that_is_abandoned_while_its_end_is_written_down_says_so(
    store: Store, postgres_url: str, tmp_path: Path
) -> None:
    """Who waits for it is not cancelled for that."""
    shutil.copy(HERE / "effects.py", tmp_path)
    flow = tmp_path / "flow.yaml"
    flow.write_text("flow: f\ntasks: [effects.py]\nsteps:\n  - look: {id: a}\n")
    async with runs.hosting(store) as host, asyncio.timeout(PATIENCE), other(postgres_url) as they:
        await they.execute("LOCK TABLE flowlang_events IN EXCLUSIVE MODE")
        handle = await runs.begin(host, api.load(flow), files_root=str(tmp_path))
        run, task = host.running[str(handle.run_id)]
        await they.holds_up(task)
        while not run.over:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)
        run.abandon(Left("lost", "the test takes it away"))
        assert (await handle).status == "interrupted"


@pytest.mark.parametrize("turns", range(6))
async def test_a_lock_is_given_back_however_often_leaving_is_cancelled(turns: int, tmp_path: Path) -> None:
    async with await open_store(f"sqlite:///{tmp_path}/runs.db") as opened:

        async def hosts() -> None:
            async with runs.hosting(opened):
                begun.set()
                await asyncio.Event().wait()

        begun = asyncio.Event()
        task = asyncio.create_task(hosts())
        await begun.wait()
        task.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([task])
            while list((tmp_path / "runs.db.locks").iterdir()):  # noqa: ASYNC110 - its thread gives it back
                await asyncio.sleep(0.005)


# ---------------------------------------------------------------- what was seen before the lock was had


async def test_a_signal_that_is_sent_while_a_run_leaves_is_not_missed(store: Store, postgres_url: str) -> None:
    """Who leaves waits for who sends, and sees what was sent."""
    run = await store.add(FLOW, "{}", {}, owner="me")
    async with other(postgres_url) as they:
        await they.execute(f"SELECT 1 FROM flowlang_runs WHERE id = '{run.id}' FOR UPDATE")
        await they.execute(
            "INSERT INTO flowlang_signals (run_id, name, payload, sent_at)"
            f" VALUES ('{run.id}', 'go', '1', extract(epoch from now()))"
        )
        leaving = asyncio.create_task(store.release(run, "waiting", None, "go"))
        await they.holds_up(leaving)
    assert await leaving
    found = await store.run(run.id)
    assert found is not None
    assert found.due_at < 1e11


async def test_what_is_counted_under_a_lock_is_as_it_is_then(postgres_url: str) -> None:
    """Whatever the isolation of transactions is where nothing is said."""
    async with await open_store(postgres_url + "?default_transaction_isolation=repeatable%20read") as store:
        await store.add(FLOW, "{}", {}, run_id="later")
        async with other(postgres_url) as they:
            await they.execute("SELECT pg_advisory_xact_lock(hashtextextended('queue:default', 0))")
            claiming = asyncio.create_task(claim(store, "me", "default", 1, Limits("default", concurrency=1)))
            await they.holds_up(claiming)
            await store.add(FLOW, "{}", {}, owner="them")
        assert await claiming == []


async def test_a_run_is_not_deleted_that_somebody_begins_to_retry(store: Store, postgres_url: str) -> None:
    """What may be taken over of it stays."""
    old = await store.add(FLOW, "{}", {}, owner="me")
    await committed(store, old, step("a"))
    assert await store.finish(old, "failed")
    over = await store.run(old.id)
    assert over is not None
    async with other(postgres_url) as they:
        await they.execute(f"SELECT 1 FROM flowlang_runs WHERE id = '{old.id}' FOR SHARE")
        deleting = asyncio.create_task(delete(store, over))
        await they.holds_up(deleting)
        await store.add(FLOW, "{}", {}, owner="me", origin=old.id)
    with pytest.raises(StoreError, match="is still needed"):
        await deleting
    assert [each.path for each in await store.steps(old.id)] == ["a"]


async def test_a_run_is_not_retried_that_somebody_deletes(store: Store, postgres_url: str) -> None:
    """It would do again what was done."""
    old = await store.add(FLOW, "{}", {}, owner="me")
    assert await store.finish(old, "failed")
    async with other(postgres_url) as they:
        await they.execute(f"DELETE FROM flowlang_runs WHERE id = '{old.id}'")
        adding = asyncio.create_task(store.add(FLOW, "{}", {}, owner="me", origin=old.id))
        await they.holds_up(adding)
    with pytest.raises(StoreError, match="was deleted just now"):
        await adding


async def test_a_run_that_ends_while_another_of_its_key_is_added(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one then: not the one that is over, but a new one."""
    first = await store.add(FLOW, "{}", {}, owner="me", dedup="k")
    fetch = store.database.fetch

    async def between(statement: str, **values: Any) -> Any:
        if "dedup = :dedup" in statement:
            await store.finish(first, "succeeded")
        return await fetch(statement, **values)

    monkeypatch.setattr(store.database, "fetch", between)
    assert (await store.add(FLOW, "{}", {}, run_id="second", dedup="k")).id == "second"
