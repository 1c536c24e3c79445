"""Commits that are cancelled: whether they were done nobody knows, and they may yet be, late."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest
from tests.durable.test_stores import FLOW, step
from tests.durable.workers import PATIENCE, holding_flow, lines, until
from tests.faults.proxy import Proxy

from flowlang import api, runs
from flowlang.durable import signals
from flowlang.durable.journal import Journal, Part, Writer
from flowlang.durable.opening import open_store
from flowlang.durable.postgres import PostgresDatabase
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.durable.store import Store
from flowlang.events import Event, LogWritten, StepCancelled
from flowlang.exceptions import StoreError


async def states(store: Store, journal: Journal) -> dict[str, str]:
    return {each.path: each.state for each in await store.steps(journal.run.id)}


@asynccontextmanager
async def stalled(store: Store) -> AsyncIterator[None]:
    """Nobody writes meanwhile."""
    database = store.database
    if isinstance(database, SqliteDatabase):
        async with database.turn:
            yield
    else:
        assert isinstance(database, PostgresDatabase)
        async with database._writing:
            yield


async def given_up(*commits: asyncio.Task[None]) -> None:
    ends = await asyncio.gather(*commits, return_exceptions=True)
    assert [type(each) for each in ends] == [asyncio.CancelledError] * len(commits)


async def test_what_a_cancelled_commit_has_taken_goes_with_the_next_one(store: Store) -> None:
    """What was recorded since is newer."""
    journal = Journal(Writer(store), await store.add(FLOW, "{}", {}, owner="me"))
    for path in ("a", "b"):
        journal.write(step(path, "started"))
    async with stalled(store):
        commit = asyncio.create_task(journal.commit())
        await asyncio.sleep(0)
        assert not journal.pending, "they are on their way"
        journal.write(step("b"))
        commit.cancel()
        await given_up(commit)
    assert await states(store, journal) == {}
    await journal.commit()
    assert await states(store, journal) == {"a": "started", "b": "succeeded"}


async def test_what_a_cancelled_batch_has_taken_goes_with_the_next_one(store: Store) -> None:
    """Events, too."""
    writer = Writer(store, {"one": None, "another": None})
    journals = [Journal(writer, await store.add(FLOW, "{}", {}, owner="me")) for _ in range(2)]
    for each in journals:
        each.write(step("a"))
    journals[0].told.append(LogWritten(journals[0].run.id, 1.0, "a", "hello"))
    async with stalled(store):
        commits = [asyncio.create_task(each) for each in (journals[0].flushed(), journals[1].commit())]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not any(each.pending or each.told for each in journals), "they are on their way"
        assert writer._task is not None
        writer._task.cancel()
        await given_up(*commits)
    for each in journals:
        await each.commit()
        assert await states(store, each) == {"a": "succeeded"}
    assert ['"hello"' in lines for _, lines in await store.events(journals[0].run.id)] == [True]


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_asked_for_is_there_whoever_takes_it_along(seed: int, tmp_path: Path) -> None:
    """Branches of several runs, and the commits beside them, whatever the order in which they come by: none goes on
    before what it has recorded is in the store, with all that was recorded of its run before that."""
    random, there, order = Random(seed), set[str](), list[str]()

    class Slow(Writer):
        async def _write(self, parts: Sequence[Part]) -> set[str]:
            for _ in range(random.randrange(6)):
                await asyncio.sleep(0)
            lost = await super()._write(parts)
            there.update(f"{part.journal.run.id} {each.path}" for part in parts for each in part.steps)
            return lost

    async def tried(committing: Awaitable[None]) -> bool:
        await committing
        return True

    async def branch(journal: Journal, name: str) -> None:
        for number in range(30):
            path = f"{name}.{number}"
            journal.write(step(path, "started"))
            order.append(f"{journal.run.id} {path}")
            before = {each for each in order if each.startswith(journal.run.id)}
            await journal.commit()
            assert before <= there, f"{path} goes on before {min(before - there)} is there"
            journal.write(step(path))
            for _ in range(random.randrange(6)):
                await asyncio.sleep(0)
            if random.random() < 0.5:
                journal._begin_beside(tried)  # as after some milliseconds
            if random.random() < 0.5:  # before a step that may be done again, of which nothing is recorded
                before = {each for each in order if each.startswith(journal.run.id)}
                await journal.commit()
                assert before <= there, f"what follows {path} begins before {min(before - there)} is there"

    async with await open_store(f"sqlite:///{tmp_path}/runs.db?synchronous=normal") as store:
        records = [await store.add(FLOW, "{}", {}, owner="me") for _ in range(3)]
        writer = Slow(store, {each.id: None for each in records})
        journals = [Journal(writer, each) for each in records]
        for each in journals:
            each.alone = False
        async with asyncio.TaskGroup() as group:
            for each in journals:
                for name in ("x", "y", "z"):
                    group.create_task(branch(each, name))
        for each in journals:
            await each.commit()
            await each.settled()
            assert len(await store.steps(each.run.id)) == 90


async def test_a_beginning_that_reaches_the_server_late(postgres_url: str) -> None:
    """A server, or the way to it, that stood still does what was given up: by then the step has ended."""
    place = urlsplit(postgres_url)
    async with Proxy(place.hostname or "", place.port or 0) as proxy:
        behind = place._replace(netloc=f"{place.username}@{proxy.host}:{proxy.port}").geturl()
        async with await open_store(behind) as slow, await open_store(postgres_url) as store:
            journal = Journal(Writer(slow), await store.add(FLOW, "{}", {}, owner="me"))
            journal.write(step("a"))
            await journal.commit()
            assert isinstance(slow.database, PostgresDatabase)
            assert slow.database._pen is not None
            session = slow.database._pen.get_server_pid()
            proxy.swallow = True
            journal.write(step("b", "started"))
            commit = asyncio.create_task(journal.commit())
            await proxy.held.wait()
            commit.cancel()
            await given_up(commit)
            journal.writer = Writer(store)
            journal.write(step("b"))
            await journal.commit()
            proxy.heal()
            at_work = "SELECT 1 FROM pg_stat_activity WHERE pid = :pid"  # until it has done all that it was told
            async with asyncio.timeout(PATIENCE):
                while await store.database.fetch(at_work, pid=session):  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.01)
            assert await states(store, journal) == {"a": "succeeded", "b": "succeeded"}


async def test_to_commit_a_beginning_twice_is_to_lose_nothing(store: Store) -> None:
    """The answer to the first time was lost."""
    journal = Journal(Writer(store), await store.add(FLOW, "{}", {}, owner="me"))
    for _ in range(2):
        journal.write(step("a", "started"))
        await journal.commit()
    assert await states(store, journal) == {"a": "started"}


async def test_a_commit_that_is_written_twice_is_written_once(store: Store) -> None:
    """As by a server whose answer was lost; another one of its number is not taken for it."""
    journal = Journal(Writer(store), await store.add(FLOW, "{}", {}, owner="me"))
    journal.write(step("a"))
    part = journal.taken()
    for _ in range(2):
        assert await journal.writer._write([part]) == set()
    assert await states(store, journal) == {"a": "succeeded"}
    journal.commits = 0
    journal.write(step("a", "failed"))
    with pytest.raises(StoreError, match="another commit of number 0"):
        await journal.commit()
    assert await states(store, journal) == {"a": "succeeded"}


FLOW_WITH_A_LIMIT = """
flow: f
tasks: [effects.py, tasks.py]
connections: {db: {type: sqlite, database: "FOLDER/base.db"}}
steps:
  - sqlite_execute: {id: made, query: "CREATE TABLE t (i integer)"}
  - hold: {folder: FOLDER}
  - try:
      - for_each: [1]
        timeout: 300ms
        do:
          - BLOCK
    catch:
      - {on: [timeout], do: [{change: {id: c}}]}
  - {id: s, wait: {signal: go}}
"""
BLOCKS = {
    "step": "change: {id: b}",
    "transaction": "{transaction: db, id: b, do: [{sqlite_execute: {id: i, query: INSERT INTO t VALUES (1)}}]}",
}


@pytest.mark.parametrize("block", BLOCKS)
async def test_what_was_cancelled_before_its_beginning_was_committed(store: Store, tmp_path: Path, block: str) -> None:
    """It was not begun: nobody has to look whether it was done, and in each life it is cancelled."""
    holding_flow(tmp_path)
    shutil.copy(Path(__file__).parent / "effects.py", tmp_path)
    (tmp_path / "f.yaml").write_text(FLOW_WITH_A_LIMIT.replace("FOLDER", str(tmp_path)).replace("BLOCK", BLOCKS[block]))
    cancelled = asyncio.Event()

    def listen(event: Event) -> None:
        if isinstance(event, StepCancelled):
            cancelled.set()

    async with runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(tmp_path / "f.yaml"), files_root=str(tmp_path), on_event=[listen])
        await until(lambda: lines(tmp_path / "holding"))
        async with stalled(store):
            (tmp_path / "go").touch()
            await cancelled.wait()
        await until(lambda: (tmp_path / "effects.jsonl").exists())
    await signals.send(store, handle.run_id, "go", "1")
    assert (await runs.resume(handle.run_id, store=store)).status == "succeeded"
    effects = (tmp_path / "effects.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in effects] == ["try#3.catch1.c"]
    ends = {each.path: each.state for each in await store.steps(handle.run_id)}
    assert ends["try#3.try.for_each#1[0].b"] == "cancelled"
