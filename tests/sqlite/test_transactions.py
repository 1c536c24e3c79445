"""`transaction` on real SQLite files: what another connection sees, and what is kept when something goes wrong."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import flowlang

HEAD = """flow: f
connections: {db: {type: sqlite, database: t.db, pool_size: 1, timeout: 0.2}}
steps:
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `t.db`, table `t (n INTEGER PRIMARY KEY)`."""
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("t.db") as db:
        db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
        db.execute("PRAGMA journal_mode = WAL")
    db.close()
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No thread and no open file of the database stays behind."""
    yield
    assert [each.name for each in threading.enumerate() if each.name.startswith("sqlite-")] == []
    folder = Path("/proc/self/fd")
    links = [os.readlink(each) for each in folder.iterdir() if each.is_symlink()] if folder.exists() else []
    assert [each for each in links if "t.db" in each] == []


def kept() -> list[int]:
    """What somebody else sees."""
    db = sqlite3.connect("t.db")
    try:
        return [n for (n,) in db.execute("SELECT n FROM t ORDER BY n")]
    finally:
        db.close()


def insert(n: int, more: str = "") -> str:
    return f"{{sqlite_execute: {{query: INSERT INTO t VALUES ({n})}}{more}}}"


def flow(*steps: str, modifiers: str = "") -> str:
    return f"{HEAD}  - transaction: db\n{modifiers}    do:\n" + "".join(f"      - {each}\n" for each in steps)


async def test_nobody_sees_any_of_it_before_the_commit() -> None:
    seen: list[list[int]] = []

    def look() -> dict[str, Any]:
        seen.append(kept())
        return {}

    result = await flowlang.run(text=flow(insert(1), "look: {}", insert(2), "look: {}"), tasks={"look": look})
    assert result.succeeded
    assert (seen, kept()) == ([[], []], [1, 2])


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((insert(1), "exit: enough"), [1]),
        ((insert(1), "exit: {status: failure}"), []),
        ((insert(1), insert(1)), []),
        ((insert(1), insert(1, ", continue_on_error: true"), insert(2)), [1, 2]),
        ((insert(1), "sqlite_batch_insert: {table: t, records: [{n: 2}, {n: 3}]}"), [1, 2, 3]),
        (
            (insert(1), "{sqlite_batch_insert: {table: t, records: [{n: 2}, {n: 1}]}, continue_on_error: true}"),
            [1],
        ),
        (
            (
                insert(1),
                "sqlite_transaction: {queries: [{query: INSERT INTO t VALUES (2)}], continue_on_error: true}",
                "{sqlite_transaction: {queries: [{query: DELETE FROM t}, {query: INSERT INTO x VALUES (1)}]}, "
                "continue_on_error: true}",
            ),
            [1, 2],
        ),
        (
            (
                insert(1),
                "sqlite_stream: {id: s, query: SELECT n + 10 AS n FROM t, batch_size: 1}",
                "sqlite_batch_insert: {table: t, records: '${s.rows}', batch_size: 1}",
            ),
            [1, 11],
        ),
    ],
)
async def test_all_or_nothing(steps: tuple[str, ...], expected: list[int]) -> None:
    """The tasks that write several rows stay all or nothing of their own, inside the transaction around them."""
    await flowlang.run(text=flow(*steps))
    assert kept() == expected


async def test_what_follows_a_transaction_that_sqlite_has_undone_is_not_kept() -> None:
    """`OR ROLLBACK` undoes all of it. A handled failure must not let the steps behind it commit on their own."""
    undo = "{sqlite_execute: {query: INSERT OR ROLLBACK INTO t VALUES (1)}, continue_on_error: true}"
    more = "sqlite_batch_insert: {id: more, table: t, records: [{n: 5}], continue_on_error: true}"
    for steps in ((insert(1), undo, insert(2)), (insert(1), undo, more), (insert(1), undo)):
        result = await flowlang.run(text=flow(*steps))
        assert result.failure is not None
        assert result.failure.detail == (
            "SQLite has rolled the transaction back after an earlier error: nothing of it is kept"
        )
        assert kept() == []


async def test_a_constraint_that_is_looked_at_in_the_commit() -> None:
    with sqlite3.connect("t.db") as db:
        db.execute("CREATE TABLE child (t INTEGER REFERENCES t DEFERRABLE INITIALLY DEFERRED)")
    db.close()
    result = await flowlang.run(text=flow(insert(1), "sqlite_execute: {query: INSERT INTO child VALUES (9)}"))
    assert result.failure is not None
    assert (result.failure.type, result.failure.step) == ("conflict", "transaction#1")
    assert result.failure.outcome_unknown is False
    assert kept() == []


async def test_a_step_that_takes_too_long_undoes_the_transaction() -> None:
    forever = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
    result = await flowlang.run(text=flow(insert(1), f"sqlite_query: {{query: '{forever}', timeout: 50ms}}"))
    assert result.failure is not None
    assert (result.failure.type, result.failure.outcome_unknown) == ("timeout", False)
    assert kept() == []


async def test_a_cancelled_transaction_leaves_no_lock() -> None:
    reached = asyncio.Event()

    async def stop() -> dict[str, Any]:
        reached.set()
        await asyncio.sleep(3600)
        return {}

    flow_ = flowlang.load(text=flow(insert(1), "stop: {}"), tasks={"stop": stop})
    handle = flowlang.start(flow_)
    await reached.wait()
    assert handle.done is False
    handle.cancel()
    assert (await handle).status == "cancelled"
    assert (await flowlang.run(text=f"{HEAD}  - {insert(7)}\n")).succeeded
    assert kept() == [7]


HOLDER = """
import sqlite3, sys
db = sqlite3.connect("t.db", isolation_level=None)
db.execute("BEGIN IMMEDIATE")
db.execute("INSERT INTO t VALUES (100)")
print("locked", flush=True)
sys.stdin.readline()
db.execute("COMMIT")
print("done", flush=True)
sys.stdin.readline()
"""


async def test_another_process_holds_the_lock() -> None:
    """It is a conflict that may be tried again; when the lock is gone the whole transaction runs."""
    process = subprocess.Popen(  # noqa: ASYNC220 - a sink, which is no coroutine, talks to it
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "locked\n"
        result = await flowlang.run(text=flow(insert(1)))
        assert result.failure is not None
        assert (result.failure.type, result.failure.retryable) == ("conflict", True)
        failures = []

        def told(event: Any) -> None:
            if type(event).__name__ == "AttemptFailed":
                failures.append(event.failure.type)
                process.stdin.write("go\n")
                assert process.stdout.readline() == "done\n"

        text = flow(insert(1), modifiers="    retry: {delay: 0s}\n")
        result = await flowlang.run(text=text, on_event=told)
        assert result.succeeded
        assert failures == ["conflict"]
        assert kept() == [1, 100]
    finally:
        process.communicate("\n\n")


async def test_two_transactions_wait_for_each_other() -> None:
    text = """flow: f
connections: {db: {type: sqlite, database: t.db, timeout: 30}}
steps:
  - parallel:
      - {transaction: db, do: [{sqlite_execute: {query: "INSERT INTO t SELECT coalesce(max(n), 0) + 1 FROM t"}}]}
      - {transaction: db, do: [{sqlite_execute: {query: "INSERT INTO t SELECT coalesce(max(n), 0) + 1 FROM t"}}]}
      - {transaction: db, do: [{sqlite_execute: {query: "INSERT INTO t SELECT coalesce(max(n), 0) + 1 FROM t"}}]}
"""
    assert (await flowlang.run(text=text)).succeeded
    assert kept() == [1, 2, 3]
