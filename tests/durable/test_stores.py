"""Opening stores, what they hold, and whom they let write."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path

import asyncpg
import pytest

from flowlang.durable import signals
from flowlang.durable.journal import Journal, Writer
from flowlang.durable.opening import open_store
from flowlang.durable.ownership import Lost
from flowlang.durable.postgres_errors import translated
from flowlang.durable.records import StoredFlow, StoredStep
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError, StoreUnavailable

FLOW = StoredFlow("h", "demo", "/flows/demo.yaml", {"/flows/demo.yaml": "flow: demo\n"})


def step(path: str, state: str = "succeeded") -> StoredStep:
    return StoredStep(path, 0, state, "{}", "task", None, 1.0, 2.0)


async def test_a_run_is_kept_with_its_flow(store: Store) -> None:
    added = await store.add(FLOW, "{}", {"files_root": "/x"}, owner="me")
    found = await store.run(added.id)
    assert found == added
    assert (found.state, found.owner, found.options) == ("running", "me", {"files_root": "/x"})
    assert await store.flow("h") == FLOW


async def test_one_run_of_a_key_is_in_a_queue_at_a_time(store: Store) -> None:
    first = await store.add(FLOW, "{}", {}, dedup="day 1")
    again = await store.add(FLOW, "{}", {}, dedup="day 1")
    other = await store.add(FLOW, "{}", {}, dedup="day 1", queue="other")
    assert again.id == first.id
    assert other.id != first.id
    taken = await store.take(first.id, "me")
    assert taken is not None
    assert await store.finish(taken, "succeeded", outputs="{}")
    later = await store.add(FLOW, "{}", {}, dedup="day 1")
    assert later.id != first.id


async def test_only_the_owner_writes(store: Store) -> None:
    mine = await store.add(FLOW, "{}", {}, owner="me")
    writer = Writer(store)
    journal = Journal(writer, mine)
    journal.write(step("a"))
    await journal.commit()
    theirs = await store.take(mine.id, "them", dead="me")
    assert theirs is not None
    assert theirs.takeovers == 1
    journal.write(step("b"))
    with pytest.raises(Lost):
        await journal.commit()
    assert [each.path for each in await store.steps(mine.id)] == ["a"]
    assert not await store.finish(mine, "succeeded")
    assert not await store.release(mine, "queued", 0.0)
    assert (await store.run(mine.id)) == theirs


async def test_one_lost_run_does_not_fail_those_of_its_batch(store: Store) -> None:
    import asyncio

    lost, kept = [await store.add(FLOW, "{}", {}, owner="me") for _ in range(2)]
    await store.take(lost.id, "them", dead="me")
    writer = Writer(store)
    journals = [Journal(writer, each) for each in (lost, kept)]
    for each in journals:
        each.write(step("a"))
    results = await asyncio.gather(*[each.commit() for each in journals], return_exceptions=True)
    assert [type(each) for each in results] == [Lost, type(None)]
    assert [each.path for each in await store.steps(kept.id)] == ["a"]


async def test_who_has_ended_or_has_an_owner_cannot_be_taken(store: Store) -> None:
    mine = await store.add(FLOW, "{}", {}, owner="me")
    assert await store.take(mine.id, "them") is None
    assert await store.take(mine.id, "them", dead="another") is None
    assert await store.finish(mine, "failed")
    assert await store.take(mine.id, "them", dead="me") is None


async def test_a_signal_is_taken_once_and_in_order(store: Store) -> None:
    mine = await store.add(FLOW, "{}", {}, owner="me")
    assert await signals.send(store, mine.id, "go", "1") == "running"
    assert await signals.send(store, mine.id, "go", "2") == "running"
    assert await signals.send(store, "nobody", "go", "3") is None
    taken = [await signals.take(store, mine, "go", step(path), seq) for seq, path in enumerate("abc")]
    assert [each and each.outcome for each in taken] == ["1", "2", None]
    await store.finish(mine, "succeeded")
    assert await signals.send(store, mine.id, "go", "4") == "succeeded"
    with pytest.raises(Lost):
        await signals.take(store, mine, "go", step("d"), 9)


async def test_a_waiting_run_is_due_when_it_is_signalled(store: Store) -> None:
    for early in (True, False):
        mine = await store.add(FLOW, "{}", {}, owner="me")
        if early:
            await signals.send(store, mine.id, "go", "1")
        assert await store.release(mine, "waiting", None, "go other")
        before = await store.run(mine.id)
        if not early:
            assert before is not None
            assert before.due_at > 1e12
            await signals.send(store, mine.id, "unknown", "1")
            assert await store.run(mine.id) == before
            await signals.send(store, mine.id, "go", "1")
        after = await store.run(mine.id)
        assert after is not None
        assert after.due_at < 1e11


async def test_cancelling_ends_what_has_not_begun_and_asks_the_others(store: Store) -> None:
    queued, running = await store.add(FLOW, "{}", {}), await store.add(FLOW, "{}", {}, owner="me")
    assert await store.ask_to_cancel(queued.id) == "cancelled"
    assert await store.ask_to_cancel(running.id) == "cancelling"
    assert await store.to_cancel("me") == [running.id]
    assert await store.ask_to_cancel("nobody") is None
    await store.finish(running, "cancelled")
    assert await store.ask_to_cancel(running.id) == "cancelled"


async def test_a_store_is_opened_while_others_write(store: Store, store_url: str) -> None:
    """What is there need not be made: that would wait for who writes, or the two for one another."""
    run = await store.add(FLOW, "{}", {}, owner="me")
    async with store.database.transaction() as tx, asyncio.timeout(10):
        await tx.execute("UPDATE flowlang_runs SET reason = NULL WHERE id = :id", id=run.id)
        async with await open_store(store_url) as another:
            assert await another.run(run.id) == run


async def test_what_is_no_store(tmp_path: Path) -> None:
    text = tmp_path / "notes.db"
    text.write_text("these are notes, and more of them than a page of SQLite has\n" * 100)
    for url, said in (
        (f"sqlite:///{text}", "damaged, or no SQLite file"),
        ("sqlite:///", "is no address of a store"),
        ("mysql://h/d", "not `mysql:…`"),
        ("sqlite:///x.db?mode=ro", "is no address of a store"),
    ):
        with pytest.raises(StoreError, match=said):
            await open_store(url)
    with pytest.raises(StoreUnavailable) as refused:
        await open_store("postgresql://flow:hush-hush@127.0.0.1:9/d")
    assert "hush" not in str(refused.value)


def test_a_connection_that_was_lost_under_the_driver_may_be_another_the_next_time() -> None:
    """It says so in odd ways, seen when a server is killed: none of them is a defect of a run."""
    for error in (
        asyncpg.InternalClientError("cannot switch to state 12"),
        asyncpg.InterfaceError("closed"),
        OSError(),
    ):
        with pytest.raises(StoreUnavailable), translated("postgresql://h/d"):
            raise error


async def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with await open_store(f"sqlite:///{tmp_path}/sub/runs.db"):
        assert (tmp_path / "sub/runs.db").stat().st_mode & 0o077 == 0


async def test_a_log_is_copied_into_the_file_while_it_is_written(tmp_path: Path) -> None:
    """The file alone has most of it, before anybody has closed the store."""
    file, copy = tmp_path / "runs.db", tmp_path / "copy.db"
    async with await open_store(f"sqlite:///{file}?synchronous=normal") as store:
        journal = Journal(Writer(store), await store.add(FLOW, "{}", {}, owner="me"))
        for number in range(1100):
            journal.write(step(f"s{number}"))
            await journal.commit()
        assert isinstance(store.database, SqliteDatabase)
        assert store.database._copying is not None
        await asyncio.to_thread(store.database._copying.join)
        shutil.copy(file, copy)
        async with await open_store(f"sqlite:///{copy}") as found:
            assert 500 <= len(await found.steps(journal.run.id)) <= 1100
        assert len(await store.steps(journal.run.id)) == 1100


async def test_a_log_that_no_thread_can_copy_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with await open_store(f"sqlite:///{tmp_path}/runs.db?synchronous=normal") as store:
        journal = Journal(Writer(store), await store.add(FLOW, "{}", {}, owner="me"))
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuses)
            for number in range(600):
                journal.write(step(f"s{number}"))
                await journal.commit()
        assert len(await store.steps(journal.run.id)) == 600


async def test_long_rows_are_made_small_in_the_quick_way(postgres_url: str) -> None:
    """Whichever of its sessions writes them. Short ones are left as they are."""
    async with await open_store(postgres_url) as store:
        journal = Journal(Writer(store), await store.add(FLOW, "{}", {}, owner="me"))
        journal.write(step("short"))
        await journal.commit()
        for number in range(1000):
            journal.write(step(f"a_{number}"))
        await journal.commit()
        await store.database.execute("UPDATE flowlang_flows SET texts = :long", long="some text, " * 5000)
        known = await store.database.fetch("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
        if not known or "lz4" not in known[0]["enumvals"]:
            pytest.skip("this server does not know LZ4")
        kept = "SELECT pg_column_compression(entries) AS how FROM flowlang_journal ORDER BY seq"
        assert [each["how"] for each in await store.database.fetch(kept)] == [None, "lz4"]
        texts = await store.database.fetch("SELECT pg_column_compression(texts) AS how FROM flowlang_flows")
        assert [each["how"] for each in texts] == ["lz4"]
