"""Workers for tests: processes of their own, and flows that hold a step until they are let go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from flowlang import workers
from flowlang.durable.records import StoredRun
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.durable.store import Store

PATIENCE = 60.0  # seconds on a machine that is busy

TASKS = '''
import asyncio, os
import flowlang

def add(path, text):
    with open(path, "a") as file:
        file.write(f"{text}\\n")

@flowlang.task
async def note(folder: str, text: str):
    """Can be done once only."""
    add(f"{folder}/notes", text)
    return {}

@flowlang.task(idempotent=True)
async def hold(folder: str):
    """Says who holds, until somebody makes the file `go`; and who does not any more."""
    add(f"{folder}/holding", os.getpid())
    try:
        while not os.path.exists(f"{folder}/go"):
            await asyncio.sleep(0.01)
    finally:
        add(f"{folder}/left", os.getpid())
    return {}
'''
FLOW = """
flow: hold
tasks: [tasks.py]
inputs:
  - {name: folder, type: string, required: true}
steps:
  - note: {folder: "${inputs.folder}", text: one}
  - hold: {folder: "${inputs.folder}"}
  - note: {folder: "${inputs.folder}", text: two}
"""


def holding_flow(folder: Path) -> Path:
    """The file of a flow that makes a note, holds, and makes another one."""
    (folder / "tasks.py").write_text(TASKS)
    (folder / "hold.yaml").write_text(FLOW)
    return folder / "hold.yaml"


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


async def until(condition: object) -> None:
    """Wait for a function to say yes."""
    assert callable(condition)
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - other processes set off no event here
            await asyncio.sleep(0.01)


async def reached(store: Store, run_id: str, *states: str) -> StoredRun:
    async with asyncio.timeout(PATIENCE):
        while True:
            run = await store.run(run_id)
            assert run is not None
            if run.state in states:
                return run
            await asyncio.sleep(0.02)


async def begun_anew(store: Store, pid: int, before: str | None) -> None:
    """Wait until the process has noticed that it was taken for dead: it has another name than `before`."""
    async with asyncio.timeout(PATIENCE):
        while True:
            rows = await store.database.fetch("SELECT id FROM flowlang_executors WHERE pid = :pid", pid=pid)
            if any(row["id"] != before for row in rows):
                return
            await asyncio.sleep(0.02)


class Process:
    """`flowlang worker` that is ready to claim. `under`: the words of a program that it is run by."""

    def __init__(self, url: str, *options: str, under: Sequence[str] = ()) -> None:
        words = [*under, sys.executable, "-m", "flowlang", "worker", "--store", url, *options]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        self.greeting = self._process.stderr.readline()
        self.pid = self._process.pid

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ended(self) -> int:
        """Its exit code."""
        self._process.communicate(timeout=PATIENCE)
        return self._process.returncode

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def freeze(pid: int, store: Store) -> None:
    """Not in the middle of a write to SQLite: nobody else could write until it goes on."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        if not isinstance(store.database, SqliteDatabase):
            return
        with contextlib.closing(sqlite3.connect(store.database.path, timeout=0.1, isolation_level=None)) as probe:
            try:
                probe.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def worker(url: str, *options: str, under: Sequence[str] = ()) -> Iterator[Process]:
    process = Process(url, *options, under=under)
    try:
        assert "serves" in process.greeting, process.greeting
        yield process
    finally:
        process.close()


async def killed_and_taken_over(url: str, store: Store, folder: Path) -> StoredRun:
    """A run that a worker held which was killed, and that another one has ended. No step is done twice whose end is
    recorded."""
    flow = holding_flow(folder)
    with worker(url) as first:
        run = await workers.submit(flow, {"folder": str(folder)}, store=store)
        await until(lambda: lines(folder / "holding") == [str(first.pid)])
        with worker(url) as second:
            first.send(signal.SIGKILL)
            await until(lambda: lines(folder / "holding") == [str(first.pid), str(second.pid)])
            (folder / "go").touch()
            assert (await workers.result_of(run.id, store=store)).succeeded
    assert lines(folder / "notes") == ["one", "two"]
    return await reached(store, run.id, "succeeded")


async def end_session(store: Store, executor: str) -> None:
    """What a restart of PostgreSQL does to an executor: its session with the lock ends."""
    await store.database.fetch(
        """SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
            AND (classid::bigint << 32) | objid::bigint = hashtextextended(:name, 0)""",
        name=f"flowlang executor {executor}",
    )


async def lose_lock(store: Store, executor: str) -> None:
    """What others do to an executor that they take for dead."""
    if isinstance(store.database, SqliteDatabase):
        os.unlink(f"{store.database.path}.locks/{executor}")
        return
    await store.database.execute("DELETE FROM flowlang_executors WHERE id = :id", id=executor)
    await end_session(store, executor)
