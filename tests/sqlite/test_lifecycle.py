"""How connections to SQLite open, are shared, are cancelled and close."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowlang.connections.errors import classify
from flowlang.connections.sqlite.provider import SQLitePlugin
from flowlang.exceptions import ConnectionError, FlowExecutionError

from .conftest import Database

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000) SELECT sum(i) FROM n"


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("sqlite-")]


def descriptors() -> set[str]:
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(os.readlink(each))
    return {each for each in found if ".db" in each}


async def until(condition: Callable[[], bool]) -> None:
    """Give the event loop turns until something is so."""
    while not condition():  # noqa: ASYNC110 - a thread's state, which no asyncio event tells
        await asyncio.sleep(0.001)


def busy(handle: Any) -> bool:
    """Whether the thread is at work; the job before stays the current one for a moment after it settled."""
    job = handle._worker._current
    return job is not None and not job.settled


def files_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


# ── config ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"database": "file:x.db?mode=memory"}, "URI"),
        ({"database": "FILE:x.db"}, "URI"),
        ({"database": " "}, "path"),
        ({"database": "a\0b"}, "path"),
        ({"database": ":temp:"}, ":memory:"),
        ({"database": ":memory:", "read_only": True}, "read_only"),
        ({"database": "a.db", "pool_size": 0}, "pool_size"),
        ({"database": "a.db", "timeout": -1}, "timeout"),
        ({"database": "a.db", "isolation_level": "SERIALIZABLE"}, "isolation_level"),
        ({"database": "a.db", "load_extension": True}, "load_extension"),
        ({}, "database"),
    ],
)
def test_config_that_makes_no_sense_is_refused(config: dict[str, Any], message: str) -> None:
    """Before anything is opened, with the field named."""
    valid, reason = SQLitePlugin().validate_config(config)
    assert not valid
    assert message in (reason or "")


def test_sensible_config_is_accepted() -> None:
    """Paths with odd characters are just paths."""
    for database in (":memory:", "a.db", "/abs/a b?c#d%20.db", "profile:x.db"):
        assert SQLitePlugin().validate_config({"database": database}) == (True, None)


@pytest.mark.parametrize("name", ["a b.db", "q?mode=memory.db", "h#x.db", "p%20.db", "ünï.db", "'.db"])
async def test_odd_file_names_are_taken_literally(opened: Any, tmp_path: Path, name: str) -> None:
    """For writing and for reading only."""
    db = await opened(database=str(tmp_path / name))
    await db.call("execute", query="CREATE TABLE t (a)")
    assert (tmp_path / name).is_file()
    reader = await opened(database=str(tmp_path / name), read_only=True)
    assert await reader.rows("SELECT count(*) AS n FROM t") == [{"n": 0}]


@pytest.mark.parametrize(
    ("make", "config", "message"),
    [
        (lambda path: None, {"database": "no/such/folder/a.db"}, "folder of the database does not exist"),
        (lambda path: (path / "d.db").mkdir(), {"database": "d.db"}, "no ordinary file"),
        (lambda path: None, {"database": "a.db", "read_only": True}, "does not exist"),
    ],
)
async def test_what_cannot_be_opened_is_said_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any, config: dict[str, Any], message: str
) -> None:
    """Not retryable, and of class connect."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path)
    plugin = SQLitePlugin()
    with pytest.raises(ConnectionError, match=message) as caught:
        await plugin.connect(config)
    await plugin.disconnect()
    verdict = classify(caught.value, plugin, "connect")
    assert (verdict.error_class, verdict.retryable) == ("connect", False)
    assert threads() == []


async def test_a_file_that_is_no_database_is_a_config_error(tmp_path: Path) -> None:
    """Found when it opens, also for reading only; the file is left as it was."""
    path = tmp_path / "a.db"
    path.write_text("this is no database " * 100)
    for read_only in (False, True):
        plugin = SQLitePlugin()
        with pytest.raises(ConnectionError, match="not a database") as caught:
            await plugin.connect({"database": str(path), "read_only": read_only})
        await plugin.disconnect()
        assert classify(caught.value, plugin, "connect").error_class == "config"
    assert path.read_text().startswith("this is no database")
    assert threads() == []


async def test_paths_count_from_the_working_directory(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And keep meaning that place when it changes later."""
    monkeypatch.chdir(tmp_path)
    db = await opened(database="here.db", pool_size=2)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    first, second = await db.plugin.get_connection(), await db.plugin.get_connection()
    await db.plugin.release_connection(first)
    await db.plugin.release_connection(second)
    assert files_in(tmp_path / "other") == []


async def test_each_database_in_memory_is_its_own(opened: Any) -> None:
    """One handle, and the data lives as long as the connection, also past a discarded lease."""
    one, other = await opened(database=":memory:", pool_size=8), await opened(database=":memory:")
    assert one.plugin.capacity == 1
    await one.call("execute", query="CREATE TABLE t (a)")
    handle = await one.plugin.get_connection()
    await one.plugin.discard_connection(handle)
    assert await one.rows("SELECT count(*) AS n FROM t") == [{"n": 0}]
    with pytest.raises(FlowExecutionError, match="no such table"):
        await other.rows("SELECT * FROM t")


async def test_settings_of_a_session(opened: Any) -> None:
    """WAL, foreign keys, normal synchronisation, no extensions."""
    db = await opened()
    assert await db.rows("PRAGMA journal_mode") == [{"journal_mode": "wal"}]
    assert await db.rows("PRAGMA foreign_keys") == [{"foreign_keys": 1}]
    assert await db.rows("PRAGMA synchronous") == [{"synchronous": 1}]
    with pytest.raises(FlowExecutionError, match="not authorized"):
        await db.rows("SELECT load_extension('x')")


async def test_full_text_search_and_triggers_work(opened: Any) -> None:
    """What real databases hold is not hindered by the session's settings."""
    db = await opened()
    for text in (
        "CREATE TABLE d (id INTEGER PRIMARY KEY, body TEXT)",
        "CREATE VIRTUAL TABLE f USING fts5(body)",
        "CREATE TRIGGER tr AFTER INSERT ON d BEGIN INSERT INTO f(rowid, body) VALUES (new.id, new.body); END",
        "CREATE VIEW w AS SELECT json_extract(body, '$') AS j FROM d WHERE body LIKE '{%'",
        "INSERT INTO d(body) VALUES ('hello world')",
    ):
        await db.call("execute", query=text)
    assert await db.rows("SELECT rowid FROM f WHERE f MATCH 'hello'") == [{"rowid": 1}]
    assert await db.rows("SELECT * FROM w") == []


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "error_class"),
    [
        ("SELEC 1", "validation"),
        ("SELECT * FROM nope", "not_found"),
        ("SELECT nope FROM t", "not_found"),
        ("SELECT nope(1)", "not_found"),
        ("CREATE TABLE t (a)", "conflict"),
        ("INSERT INTO t VALUES (1, 1), (1, 1)", "conflict"),
        ("INSERT INTO child VALUES (99)", "conflict"),
        ("SELECT 1; SELECT 2", "validation"),
        ("SELECT 1; DROP TABLE t", "validation"),
        ("", "validation"),
        ("-- nothing", "validation"),
        ("INSERT INTO t VALUES (1)", "validation"),
        ("ATTACH 'other.db' AS o", "permission"),
        ("VACUUM INTO 'copy.db'", "validation"),
        ("SELECT zeroblob(2000000000)", "limit"),
    ],
)
async def test_errors_of_statements_have_a_class(db: Database, query: str, error_class: str) -> None:
    """And none of them is retried; nothing is changed."""
    await db.call("execute", query="CREATE TABLE child (id REFERENCES t(id))")
    with pytest.raises(FlowExecutionError) as caught:
        await db.call("execute", query=query)
    verdict = classify(caught.value, db.plugin, "task")
    assert (verdict.error_class, verdict.retryable) == (error_class, False)
    assert await db.rows("SELECT * FROM t") == []
    assert not list(db.path.parent.glob("[oc]*.db"))


async def test_vacuum_works_with_attach_off(db: Database) -> None:
    """SQLite attaches a file of its own for it."""
    await db.call("execute", query="VACUUM")
    with pytest.raises(FlowExecutionError, match="ATTACH is off"):
        await db.call("execute", query="ATTACH 'other.db' AS o")


async def test_attach_can_be_allowed(opened: Any, tmp_path: Path) -> None:
    """And ends with the step: the next one finds a fresh session."""
    db = await opened(allow_attach=True, pool_size=1)
    await db.call("execute", query="ATTACH ? AS o", params=[str(tmp_path / "other.db")])
    assert [row["name"] for row in await db.rows("PRAGMA database_list")] == ["main"]


async def test_a_read_only_connection_cannot_write(opened: Any, db: Database) -> None:
    """The class is permission."""
    reader = await opened(database=str(db.path), read_only=True)
    for task, arguments in (
        ("execute", {"query": "INSERT INTO t VALUES (1, 1)"}),
        ("batch_insert", {"table": "t", "records": [{"id": 1}]}),
    ):
        with pytest.raises(FlowExecutionError) as caught:
            await reader.call(task, **arguments)
        assert caught.value.error_class == "permission"


async def test_a_lock_held_by_another_process_is_a_transient_conflict(opened: Any, db: Database) -> None:
    """After the time the config gives it; the message says who holds it."""
    impatient = await opened(database=str(db.path), timeout=0.05)
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for task, arguments in (
        ("execute", {"query": "INSERT INTO t VALUES (1, 1)"}),
        ("batch_insert", {"table": "t", "records": [{"id": 1, "v": 1}]}),
        ("transaction", {"queries": [{"query": "INSERT INTO t VALUES (1, 1)"}]}),
    ):
        with pytest.raises(FlowExecutionError, match="locked") as caught:
            await impatient.call(task, **arguments)
        verdict = classify(caught.value, impatient.plugin, "task")
        assert (verdict.error_class, verdict.retryable) == ("conflict", True)
    assert await impatient.rows("SELECT * FROM t") == []  # readers do not wait
    other.execute("ROLLBACK")
    other.close()
    assert await impatient.call("execute", query="INSERT INTO t VALUES (1, 1)") == {"rows_affected": 1}


async def test_a_writer_waits_for_a_lock(opened: Any, db: Database) -> None:
    """As long as `timeout` allows it."""
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(db.call("execute", query="INSERT INTO t VALUES (1, 1)"))
    await asyncio.sleep(0)
    assert not waiting.done()
    other.execute("COMMIT")
    other.close()
    assert await waiting == {"rows_affected": 1}


async def test_damage_is_reported_and_not_retried(opened: Any, tmp_path: Path) -> None:
    """A corrupted page in the middle of the file."""
    path = tmp_path / "bad.db"
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (a)")
        made.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 200)
        made.commit()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xee" * (len(data) - 4096)
    path.write_bytes(data)
    db = await opened(database=str(path))
    with pytest.raises(FlowExecutionError, match="malformed") as caught:
        await db.rows("SELECT * FROM t")
    assert (caught.value.error_class, caught.value.retryable) == ("unavailable", False)


async def test_a_text_that_is_no_unicode_is_refused_with_a_reason(db: Database) -> None:
    """Other programs may have stored it; CAST AS BLOB reads it."""
    await db.call("execute", query="INSERT INTO t VALUES (1, CAST(x'ff' AS TEXT))")
    with pytest.raises(FlowExecutionError, match="UTF-8"):
        await db.rows("SELECT v FROM t")
    assert await db.rows("SELECT CAST(v AS BLOB) AS v FROM t") == [{"v": b"\xff"}]


# ── the pool ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_pool_is_bounded_and_serves_in_order(opened: Any) -> None:
    """Never more handles than its size; who waits longest is next."""
    db = await opened(pool_size=2)
    held = [await db.plugin.get_connection(), await db.plugin.get_connection()]
    order: list[int] = []

    async def worker(number: int) -> None:
        handle = await db.plugin.get_connection()
        order.append(number)
        await db.plugin.release_connection(handle)

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(worker(number))
        await asyncio.sleep(0)
        assert order == []
        assert len(threads()) == 2
        for handle in held:
            await db.plugin.release_connection(handle)
    assert order == list(range(20))
    assert len(threads()) == 2


async def test_a_waiter_that_leaves_loses_nothing(opened: Any) -> None:
    """A handle that was on its way to a cancelled waiter goes to the next."""
    db = await opened(pool_size=1)
    held = await db.plugin.get_connection()
    leaver = asyncio.create_task(db.plugin.get_connection())
    stayer = asyncio.create_task(db.plugin.get_connection())
    await asyncio.sleep(0)
    release = asyncio.create_task(db.plugin.release_connection(held))
    leaver.cancel()
    await release
    handle = await stayer
    with pytest.raises(asyncio.CancelledError):
        await leaver
    await db.plugin.release_connection(handle)
    assert await db.rows("SELECT 1 AS one") == [{"one": 1}]


async def test_a_discarded_place_is_opened_again(opened: Any) -> None:
    """Discarding never shrinks the pool, also when someone waits."""
    db = await opened(pool_size=1)
    for _ in range(5):
        handle = await db.plugin.get_connection()
        waiting = asyncio.create_task(db.rows("SELECT 1 AS one"))
        await asyncio.sleep(0)
        await db.plugin.discard_connection(handle)
        assert await waiting == [{"one": 1}]


async def test_release_undoes_what_a_task_left_open(opened: Any, db: Database) -> None:
    """An open transaction, and settings of the session."""
    db = await opened(database=str(db.path), pool_size=1)
    handle = await db.plugin.get_connection()
    await handle.begin()
    await handle.run("INSERT INTO t VALUES (1, 1)", [])
    await db.plugin.release_connection(handle)
    assert await db.rows("SELECT * FROM t") == []
    await db.call("execute", query="PRAGMA foreign_keys = OFF")
    await db.call("execute", query="CREATE TEMP TABLE mine (a)")
    assert await db.rows("PRAGMA foreign_keys") == [{"foreign_keys": 1}]
    with pytest.raises(FlowExecutionError, match="no such table"):
        await db.rows("SELECT * FROM mine")


async def test_transactions_nest(db: Database) -> None:
    """A batch inside a transaction is a savepoint: it fails alone."""
    handle = await db.plugin.get_connection()
    async with db.plugin.transaction(handle):
        await handle.run("INSERT INTO t VALUES (1, 1)", [])
        with pytest.raises(FlowExecutionError):
            await db.tasks["sqlite_batch_insert"](
                table="t", records=[{"id": 2, "v": 0}, {"id": 1, "v": 0}], connection=handle
            )
        await db.tasks["sqlite_batch_insert"](table="t", records=[{"id": 3, "v": 0}], connection=handle)
    await db.plugin.release_connection(handle)
    assert [row["id"] for row in await db.rows("SELECT id FROM t")] == [1, 3]


async def test_many_readers_beside_a_writer(opened: Any, db: Database) -> None:
    """Every reader sees whole transactions only."""
    db = await opened(database=str(db.path), pool_size=4)
    await db.call("batch_insert", table="t", records=[{"id": n, "v": 0} for n in range(100)])

    async def write() -> None:
        for number in range(1, 11):
            await db.call("execute", query="UPDATE t SET v = ?", params=[number])

    async def read() -> None:
        for _ in range(20):
            assert len(await db.rows("SELECT DISTINCT v FROM t")) == 1

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        for _ in range(6):
            group.create_task(read())


async def test_many_writers_lose_nothing(opened: Any, db: Database) -> None:
    """Transactions that read and then write wait for each other."""
    db = await opened(database=str(db.path), pool_size=4, timeout=60)
    await db.call("execute", query="INSERT INTO t VALUES (1, 0)")
    add = [{"query": "SELECT v FROM t"}, {"query": "UPDATE t SET v = v + 1"}]
    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(db.call("transaction", queries=add))
    assert await db.rows("SELECT v FROM t") == [{"v": 40}]


# ── cancelling ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_cancelled_query_stops_at_once(db: Database) -> None:
    """It would run for hours; the handle is usable again right after."""
    handle = await db.plugin.get_connection()
    running = asyncio.create_task(db.tasks["sqlite_query"](query=ENDLESS, connection=handle))
    await until(lambda: busy(handle))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await handle.fetch("SELECT 1 AS one", [], None) == [{"one": 1}]
    await db.plugin.release_connection(handle)


async def test_cancelling_twice_still_waits_for_the_thread(db: Database) -> None:
    """Nobody else may get the handle while its thread is busy."""
    handle = await db.plugin.get_connection()
    running = asyncio.create_task(db.tasks["sqlite_query"](query=ENDLESS, connection=handle))
    await until(lambda: busy(handle))
    job = handle._worker._current
    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert job.settled
    await db.plugin.release_connection(handle)


async def test_a_timeout_interrupts_too(db: Database) -> None:
    """`asyncio.timeout` cancels from inside."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await db.rows(ENDLESS)
    assert await db.rows("SELECT 1 AS one") == [{"one": 1}]


async def test_a_cancelled_write_is_undone(db: Database) -> None:
    """A large insert, cancelled half-way, leaves nothing and no lock."""
    records = [{"id": number, "v": number} for number in range(200_000)]
    handle = await db.plugin.get_connection()
    writing = asyncio.create_task(
        db.tasks["sqlite_batch_insert"](table="t", records=records, batch_size=100, connection=handle)
    )
    await until(lambda: handle._session._db.total_changes > 0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await db.plugin.release_connection(handle)
    assert await db.rows("SELECT * FROM t") == []
    assert await db.call("execute", query="INSERT INTO t VALUES (1, 1)") == {"rows_affected": 1}


async def test_waiting_for_a_lock_can_be_cancelled(opened: Any, db: Database) -> None:
    """Long before the time for the lock is over."""
    patient = await opened(database=str(db.path), timeout=3600)
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    handle = await patient.plugin.get_connection()
    waiting = asyncio.create_task(handle.run("INSERT INTO t VALUES (1, 1)", []))
    await until(lambda: busy(handle))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await patient.plugin.release_connection(handle)
    other.close()
    assert await patient.rows("SELECT * FROM t") == []


@pytest.mark.parametrize("how", ["close", "cancel", "error"])
async def test_a_stream_given_up_half_way_leaves_a_usable_handle(db: Database, how: str) -> None:
    """Closed, cancelled or left by an exception: the statement ends, a writer is not held up."""
    await db.call("batch_insert", table="t", records=[{"id": number, "v": 0} for number in range(5000)])
    handle = await db.plugin.get_connection()
    stream = db.tasks["sqlite_stream"](query="SELECT * FROM t", batch_size=10, connection=handle)

    begun = asyncio.Event()

    async def consume() -> None:
        async with contextlib.aclosing(stream):
            async for _ in stream:
                begun.set()
                if how == "close":
                    return
                if how == "error":
                    raise KeyError
                await asyncio.Event().wait()

    if how == "cancel":
        task = asyncio.create_task(consume())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        with contextlib.suppress(KeyError):
            await consume()
    await handle.run("DROP TABLE t", [])  # "table is locked" while a statement reads it
    await db.plugin.release_connection(handle)


# ── closing ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_closing_leaves_no_thread_no_descriptor_no_file(tmp_path: Path) -> None:
    """Opened, used and closed many times, by cancelled and failing users too."""
    before = descriptors()
    for round_ in range(5):
        plugin = SQLitePlugin()
        await plugin.connect({"database": str(tmp_path / "leak.db"), "pool_size": 3})
        tasks = plugin.get_builtin_tasks()

        async def use(number: int, plugin: SQLitePlugin = plugin, tasks: Any = tasks) -> None:
            handle = await plugin.get_connection()
            try:
                if number % 3 == 0:
                    async with asyncio.timeout(0.001):
                        await tasks["sqlite_query"](query=ENDLESS, connection=handle)
                elif number % 3 == 1:
                    await tasks["sqlite_query"](query="SELECT nope", connection=handle)
                else:
                    await tasks["sqlite_execute"](query="CREATE TABLE IF NOT EXISTS t (a)", connection=handle)
            finally:
                await (plugin.discard_connection if number % 2 else plugin.release_connection)(handle)

        await asyncio.gather(*(use(number) for number in range(12)), return_exceptions=True)
        await plugin.disconnect()
        await plugin.disconnect()
        assert threads() == [], round_
    gc.collect()
    assert descriptors() == before
    assert files_in(tmp_path) == ["leak.db"]


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ("execute", {"query": "INSERT INTO t VALUES (1, 1), (1, 1)"}),
        ("query", {"query": "SELECT json_extract('{', '$')"}),
        ("query", {"query": "SELECT id, id FROM t"}),
        ("batch_insert", {"table": "t", "records": [{"id": 1, "v": 1}] * 2}),
        ("batch_update", {"table": "t", "updates": [{"id": 1, "v": 2**70}]}),
        ("batch_update", {"table": "u", "updates": [{"id": 1, "v": None}]}),
    ],
)
async def test_an_error_that_is_kept_does_not_keep_the_file_open(db: Database, task: str, arguments: Any) -> None:
    """Its traceback holds the frames of the driver's calls."""
    await db.call("execute", query="CREATE TABLE u (id INTEGER PRIMARY KEY, v NOT NULL)")
    await db.call("execute", query="INSERT INTO u VALUES (1, 1)")
    with pytest.raises(FlowExecutionError) as caught:
        await db.call(task, **arguments)
    await db.plugin.disconnect()
    assert not [each for each in descriptors() if str(db.path) in each]
    assert files_in(db.path.parent) == ["test.db"]
    assert caught.value.__traceback__ is not None


async def test_disconnect_before_connect_does_nothing() -> None:
    """As after a connection that was never used."""
    await SQLitePlugin().disconnect()


async def test_a_closed_connection_says_so(db: Database) -> None:
    """To those that ask later, and to those that wait."""
    held = [await db.plugin.get_connection() for _ in range(4)]
    waiting = asyncio.create_task(db.plugin.get_connection())
    await asyncio.sleep(0)
    await db.plugin.disconnect()
    with pytest.raises(ConnectionError, match="closed"):
        await waiting
    with pytest.raises(ConnectionError, match="not open"):
        await db.plugin.get_connection()
    with pytest.raises(ConnectionError, match="closed"):
        await held[0].fetch("SELECT 1", [], None)
    await db.plugin.release_connection(held[0])


async def test_disconnect_ends_a_running_statement(opened: Any) -> None:
    """Closing never waits for a statement that runs for hours."""
    db = await opened()
    handle = await db.plugin.get_connection()
    running = asyncio.create_task(handle.fetch(ENDLESS, [], None))
    await until(lambda: busy(handle))
    await db.plugin.disconnect()
    with pytest.raises(FlowExecutionError) as caught:
        await running
    assert caught.value.error_class == "cancelled"
    assert threads() == []


def test_one_plugin_works_in_two_event_loops(tmp_path: Path) -> None:
    """One after the other."""
    plugin = SQLitePlugin()

    async def use() -> None:
        await plugin.connect({"database": str(tmp_path / "a.db")})
        handle = await plugin.get_connection()
        assert await handle.fetch("SELECT 1 AS one", [], None) == [{"one": 1}]
        await plugin.release_connection(handle)
        await plugin.disconnect()

    asyncio.run(use())
    asyncio.run(use())


async def test_ping_notices_a_file_that_is_gone(opened: Any, tmp_path: Path) -> None:
    """Removed, or replaced by another."""
    db = await opened(database=str(tmp_path / "gone.db"))
    await db.call("execute", query="CREATE TABLE t (a)")
    handle = await db.plugin.get_connection()
    await db.plugin.ping(handle)
    (tmp_path / "gone.db").rename(tmp_path / "moved.db")
    with pytest.raises(FlowExecutionError, match="removed") as caught:
        await db.plugin.ping(handle)
    assert caught.value.error_class == "not_found"
    (tmp_path / "gone.db").write_bytes(b"")
    with pytest.raises(FlowExecutionError, match="replaced"):
        await db.plugin.ping(handle)
    await db.plugin.release_connection(handle)


async def test_a_stream_holds_few_rows(db: Database) -> None:
    """However many there are: the one the consumer has, and the next one."""
    import tracemalloc

    await db.call("batch_insert", table="t", records=[{"id": number, "v": "x" * 100} for number in range(50_000)])
    handle = await db.plugin.get_connection()
    tracemalloc.start()
    count = 0
    async for batch in db.tasks["sqlite_stream"](query="SELECT * FROM t", batch_size=500, connection=handle):
        count += len(batch)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 50_000
    assert peak < 2_000_000
    await db.plugin.release_connection(handle)
