"""Who is taken for dead: what is silent for its lease, and not what is only late, or what a clock says."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.durable.test_workers import Serving
from tests.durable.workers import PATIENCE, end_session, freeze, holding_flow, lines, lose_lock, until

from flowlang import api, runs
from flowlang.durable import liveness, postgres
from flowlang.durable.executors import Executor
from flowlang.durable.liveness import Watch, gone, lives
from flowlang.durable.locks import SessionLock
from flowlang.durable.opening import open_store
from flowlang.durable.store import Store
from flowlang.exceptions import StoreUnavailable


@asynccontextmanager
async def executor(store: Store, lease: float) -> AsyncIterator[Executor]:
    made = Executor(store, lease)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def test_a_task_that_holds_the_event_loop_is_no_reason(store: Store) -> None:
    """The beats come from a thread of their own."""
    async with executor(store, 0.4) as mine:
        time.sleep(1.0)  # noqa: ASYNC251 - what a task should not do
        assert await lives(store, mine.id)
        assert await Watch(store).dead() == []


async def test_an_executor_that_was_closed_is_gone_at_once(store: Store) -> None:
    async with executor(store, 1000.0) as mine:
        assert not await gone(store, mine.id)
    assert await gone(store, mine.id)
    assert await Watch(store).dead() == []


async def test_a_process_that_has_ended_may_keep_its_lock_for_a_moment(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has much to do notices later that it has."""
    monkeypatch.setattr(liveness, "NOTICED", PATIENCE)
    ended = subprocess.Popen([sys.executable, "-c", ""])  # noqa: ASYNC220 - it ends at once
    assert ended.wait() == 0
    async with await open_store(postgres_url) as store, executor(store, 1000.0) as mine:
        assert not await gone(store, mine.id)
        await store.database.execute("UPDATE flowlang_executors SET pid = :pid::int", pid=ended.pid)
        asked = asyncio.create_task(gone(store, mine.id))
        assert not (await asyncio.wait([asked], timeout=0.3))[0]
        await lose_lock(store, mine.id)
        assert await asked


async def test_a_run_whose_session_ends_goes_on_where_it_is(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process takes its lock again, while a worker looks on that would have it, and gives it time for that."""
    monkeypatch.setattr(liveness, "RETAKEN", PATIENCE)
    async with await open_store(postgres_url) as store, runs.hosting(store) as host:
        flow = api.load(holding_flow(tmp_path))
        handle = await runs.begin(host, flow, {"folder": str(tmp_path)}, files_root=str(tmp_path))
        await until(lambda: lines(tmp_path / "holding"))
        async with Serving(store):
            for _ in range(2):
                await end_session(store, host.executor.id)
                async with asyncio.timeout(PATIENCE):
                    while not await lives(store, host.executor.id):  # noqa: ASYNC110 - nothing tells of it
                        await asyncio.sleep(0.02)
            (tmp_path / "go").touch()
            assert (await handle).succeeded
        run = await store.run(handle.run_id)
        assert run is not None
        assert run.takeovers == 0
    assert lines(tmp_path / "notes") == ["one", "two"]


async def test_who_does_not_take_its_lock_again_is_dead(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a moment: its process may be there, on this machine or another."""

    async def cut_off(lock: SessionLock) -> bool:
        return False

    monkeypatch.setattr(SessionLock, "beat", cut_off)
    async with await open_store(postgres_url) as store, executor(store, 1000.0) as mine:
        watch = Watch(store)
        await end_session(store, mine.id)
        assert await watch.dead() == []
        assert watch.doubtful
        assert await gone(store, mine.id)
        assert await watch.dead() == [mine.id]
        assert not mine.alive


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
async def test_a_clock_that_jumps_kills_nobody(postgres_url: str, jump: float) -> None:
    """All seem to be silent after that; they beat, and are not."""
    async with await open_store(postgres_url) as store, executor(store, 1.0) as mine:
        watch = Watch(store)
        await store.database.execute("UPDATE flowlang_executors SET seen_at = seen_at - :jump::float8", jump=jump)
        assert not await lives(store, mine.id)
        assert await watch.dead() == []
        assert watch.doubtful
        assert not await gone(store, mine.id)
        assert await watch.dead() == []
        assert not watch.doubtful


async def test_one_that_stays_silent_is_dead_whatever_the_clock_says(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last beat lies in the future, since the clock went back; and its session holds the lock."""

    async def silent(lock: SessionLock) -> bool:
        return True

    monkeypatch.setattr(SessionLock, "beat", silent)
    async with await open_store(postgres_url) as store, executor(store, 0.5) as mine:
        await store.database.execute("UPDATE flowlang_executors SET seen_at = seen_at + 3600")
        assert await gone(store, mine.id)


async def test_who_is_silent_in_a_transaction_holds_nobody_up(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a frozen process has locked in the database is free after a while."""
    monkeypatch.setattr(postgres, "_IDLE", 0.2)
    async with await open_store(postgres_url) as frozen, await open_store(postgres_url) as other:
        await frozen.database.fetch("SELECT 1")  # its connection has been used before

        async def silent() -> None:
            async with frozen.database.transaction() as tx:
                await tx.lock("queue:default")
                async with other.database.transaction() as theirs:
                    await theirs.lock("queue:default")
                await tx.fetch("SELECT 1")

        with pytest.raises(StoreUnavailable):
            await silent()


async def test_a_run_of_a_frozen_process_can_be_resumed(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the process finds out when it wakes up: its step counts no more, and it does not do the next one."""
    monkeypatch.setenv("FLOWLANG_LEASE", "0.6")
    words = [sys.executable, "-m", "flowlang", "run", str(holding_flow(tmp_path)), "-i", f"folder={tmp_path}"]
    with subprocess.Popen(  # noqa: ASYNC220 - it is there at once
        [*words, "--durable", "--store", store_url], stderr=subprocess.PIPE, text=True
    ) as old:
        await until(lambda: lines(tmp_path / "holding"))
        freeze(old.pid, store)
        async with asyncio.timeout(PATIENCE):
            while not (found := await runs.interrupted(store)):  # noqa: ASYNC110 - time has to pass
                await asyncio.sleep(0.05)
        (tmp_path / "go").touch()
        assert (await runs.resume(found[0].id, store=store)).succeeded
        old.send_signal(signal.SIGCONT)
        _, said = await asyncio.to_thread(old.communicate, timeout=PATIENCE)
    assert "another worker has taken it over" in said
    assert lines(tmp_path / "notes") == ["one", "two"]
