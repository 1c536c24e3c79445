"""Runs that are killed at what they write: a process that forks one for each life.

    python killed.py STORE FOLDER < plan.json     each line: {"flow": …, "kills": [[write, "before" or "after"], …]}

A write is a commit of the journal, a signal that is taken, the end of a run, and a commit of a database that the flow
works on. For each line a run is begun; its n-th life dies at the n-th of `kills`, the last one lives on. After each
line one is written: `{"status", "outputs", "lives", "writes", "attention"}`; `commits` are those of the writes that the
flow itself did, `marks` the rows in the table that flows may write to. Forking spares starting Python each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import re
import signal
import sqlite3
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from flowlang import runs
from flowlang.api import load
from flowlang.connections.mysql.handle import Handle as MySQLHandle
from flowlang.connections.postgres.handle import Handle as PostgresHandle
from flowlang.connections.sqlite.handle import Handle as SqliteHandle
from flowlang.durable import signals
from flowlang.durable.host import Host
from flowlang.durable.journal import Writer
from flowlang.durable.opening import open_store
from flowlang.durable.schema import ENDED
from flowlang.durable.store import Store
from flowlang.engine.result import RunResult

STORE, FOLDER = sys.argv[1], sys.argv[2]
MARKS = os.path.join(FOLDER, "marks.db")


class Deadly:
    """Kills its process at a write; counts them."""

    def __init__(self, write: int | None, moment: str) -> None:
        self.left, self.moment, self.count = write, moment, 0
        self.commits: list[int] = []

    def around(self, write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """`write`, before or after which it may strike."""

        async def deadly(*args: Any, **options: Any) -> Any:
            self.count += 1
            strikes = self.count == self.left
            if strikes and self.moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            written = await write(*args, **options)
            if strikes:
                os.kill(os.getpid(), signal.SIGKILL)
            return written

        return deadly

    def around_commit(self, commit: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The same of a commit of a flow's own."""
        deadly = self.around(commit)

        async def noted(*args: Any) -> Any:
            if args[-1] and isinstance(args[-1], str):  # a savepoint: nothing is kept by that yet
                return await commit(*args)
            self.commits.append(self.count + 1)
            return await deadly(*args)

        return noted

    def at_work(self) -> None:
        Writer._write = self.around(Writer._write)  # type: ignore[method-assign]
        signals.take = self.around(signals.take)  # type: ignore[assignment]
        Store.finish = self.around(Store.finish)  # type: ignore[method-assign,assignment]
        for kind in (SqliteHandle, PostgresHandle, MySQLHandle):
            kind.commit = self.around_commit(kind.commit)  # type: ignore[method-assign]


async def life(flow: str, run_id: str, first: bool, deadly: Deadly, decisions: dict[str, Any]) -> dict[str, Any]:
    deadly.at_work()
    async with await open_store(STORE) as store, runs.hosting(store) as host:
        known = await store.run(run_id)
        if first or known is None:
            handle = await runs.begin(host, load(flow), run_id=run_id, files_root=FOLDER)
        elif known.state in ENDED:
            return told(runs.result_of(known, known.state), deadly)
        else:
            retried = [path for path, outputs in decisions.items() if outputs is None]
            skipped = {path: outputs for path, outputs in decisions.items() if outputs is not None}
            record = await runs.taken(host, run_id, retried, skipped)
            handle = runs.handle_of(host, await runs.again(host, record))
        await signal_all(store, run_id)
        return told(await handle, deadly)


def told(result: RunResult, deadly: Deadly) -> dict[str, Any]:
    failure = result.failure
    return {
        "status": result.status,
        "outputs": json.loads(json.dumps(result.outputs, default=str)),
        "writes": deadly.count,
        "commits": deadly.commits,
        "reason": result.reason,
        "attention": failure.step if result.status == "needs_attention" and failure is not None else None,
        "detail": failure.detail if failure is not None else None,
    }


async def unattended(_: Host) -> None:
    """The history is written with the journal alone, so that each run has the same writes."""
    await asyncio.Event().wait()


async def signal_all(store: Store, run_id: str) -> None:
    """Send the signals that the flow waits for, those that were not sent before."""
    run = await store.run(run_id)
    assert run is not None
    wanted = set(re.findall(r"signal: (\w+)", "".join((await store.flow(run.hash)).texts.values())))
    rows = await store.database.fetch("SELECT name FROM flowlang_signals WHERE run_id = :run", run=run_id)
    for name in sorted(wanted - {row["name"] for row in rows}):
        await signals.send(store, run_id, name, json.dumps(name))


def forked(flow: str, run_id: str, first: bool, kill: Any, decisions: dict[str, Any]) -> dict[str, Any] | None:
    """One life; None when it was killed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            told = asyncio.run(life(flow, run_id, first, Deadly(*kill), decisions))
            os.write(write, json.dumps(told).encode())
            os._exit(0)
        except BaseException:  # noqa: BLE001 - told to whoever reads stderr, and the parent sees the exit code
            traceback.print_exc()
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    if os.WEXITSTATUS(status) != 0:
        raise SystemExit(f"a life of {run_id} failed")
    found: dict[str, Any] = json.loads(said)
    return found


def done(path: str) -> bool:
    """Whether what there is says that the step at `path` was done."""
    step = path.rpartition(".")[2]
    if step.startswith("both"):
        return [step, ",".join(re.findall(r"\[(\d+)\]", path))] in marks()
    return any(each["step"] == path for each in effects())


def marks() -> list[list[str]]:
    with contextlib.closing(sqlite3.connect(MARKS)) as connection:
        return [list(row) for row in connection.execute("SELECT step, turn FROM marks ORDER BY step, turn")]


def effects() -> list[dict[str, Any]]:
    try:
        with open(os.path.join(FOLDER, "effects.jsonl"), encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def empty() -> None:
    """Nothing was done yet."""
    for name in ("effects.jsonl", "marks.db", "marks.db-wal", "marks.db-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(FOLDER, name))
    with contextlib.closing(sqlite3.connect(MARKS)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE marks (step TEXT, turn TEXT)")


def whole(wanted: dict[str, Any], run_id: str) -> dict[str, Any]:
    """All lives of a run."""
    kills, lives, decisions, attention = [*wanted["kills"], [None, "after"]], 0, {}, []
    while True:
        told = forked(wanted["flow"], run_id, lives == 0, kills[min(lives, len(kills) - 1)], decisions)
        decisions, lives = {}, lives + 1
        if told is None:
            continue
        if told["status"] != "needs_attention":
            return {**told, "lives": lives, "attention": attention, "effects": effects(), "marks": marks()}
        path = told["attention"]
        attention.append(path)
        decisions[path] = None if not done(path) else {} if ".both" in f".{path}" else {"step": path}


def main() -> None:
    Host.attend = unattended  # type: ignore[method-assign]
    os.environ["EFFECTS"] = FOLDER
    lines = [json.loads(line) for line in sys.stdin]
    for flow in {wanted["flow"] for wanted in lines}:
        runs.plan_of(runs.captured(load(flow).checked))  # known to all lives, so that they need not compile it
    gc.freeze()
    for number, wanted in enumerate(lines):
        empty()
        sys.stdout.write(json.dumps(whole(wanted, f"run-{os.getpid()}-{number}")) + "\n")
        sys.stdout.flush()


main()
