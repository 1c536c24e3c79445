"""Runs that are killed at the writes of their journal: a process that forks one for each life.

    python killed.py STORE FOLDER < plan.json     each line: {"flow": …, "kills": [[write, "before" or "after"], …]}

The commits of a database that the flow works on count as writes, too. For each line a run is begun; its n-th life dies
at the n-th of `kills`, the last one lives on. After each line one is written: `{"status", "outputs", "lives", "writes",
"attention"}`; `commits` are those of the writes that the flow itself did. Forking spares starting Python each time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from flowlang import runs
from flowlang.api import load
from flowlang.connections.mysql.handle import Handle as MySQLHandle
from flowlang.connections.postgres.handle import Handle as PostgresHandle
from flowlang.connections.sqlite.handle import Handle as SqliteHandle
from flowlang.durable.host import Host
from flowlang.durable.journal import Writer
from flowlang.durable.store import open_store
from flowlang.engine.result import RunResult

STORE, FOLDER = sys.argv[1], sys.argv[2]


class Deadly:
    """Kills its process at a write; counts them."""

    def __init__(self, write: int | None, moment: str) -> None:
        self.left, self.moment, self.count = write, moment, 0
        self.commits: list[int] = []

    def around(self, write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def deadly(*args: Any) -> Any:
            if args[-1] and isinstance(args[-1], str):  # a savepoint: nothing is kept by that yet
                return await write(*args)
            self.count += 1
            if not isinstance(args[0], Writer):
                self.commits.append(self.count)
            if self.count == self.left and self.moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            written = await write(*args)
            if self.count == self.left:
                os.kill(os.getpid(), signal.SIGKILL)
            return written

        return deadly

    def at_work(self) -> None:
        Writer._write = self.around(Writer._write)  # type: ignore[method-assign]
        for kind in (SqliteHandle, PostgresHandle, MySQLHandle):
            kind.commit = self.around(kind.commit)  # type: ignore[method-assign]


async def life(flow: str, run_id: str, first: bool, deadly: Deadly, decisions: dict[str, Any]) -> dict[str, Any]:
    deadly.at_work()
    async with await open_store(STORE) as store, runs.hosting(store) as host:
        known = await store.run(run_id)
        if first or known is None:
            result = await (await runs.begin(host, load(flow), run_id=run_id, files_root=FOLDER))
        else:
            for path, outputs in decisions.items():
                await decided(store, run_id, path, outputs)
            record = await runs.taken(host, run_id)
            result = await runs.handle_of(host, await runs.again(host, record))
    assert isinstance(result, RunResult)
    attention = result.failure.step if result.status == "needs_attention" and result.failure is not None else None
    detail = result.failure.detail if result.failure is not None else None
    outputs = json.loads(json.dumps(result.outputs, default=str))
    return {
        "status": result.status,
        "outputs": outputs,
        "writes": deadly.count,
        "commits": deadly.commits,
        "reason": result.reason,
        "attention": attention,
        "detail": detail,
    }


async def unattended(_: Host) -> None:
    """The history is written with the journal alone, so that each run has the same writes."""
    await asyncio.Event().wait()


async def decided(store: Any, run_id: str, path: str, outputs: Any) -> None:
    """What a person would decide about a step: it was done, with these outputs, or it was not."""
    if outputs is None:
        statement = "DELETE FROM flowlang_steps WHERE run_id = :run AND path = :path AND state = 'started'"
        await store.database.execute(statement, run=run_id, path=path)
    else:
        statement = (
            "UPDATE flowlang_steps SET state = 'succeeded', outcome = :outcome"
            " WHERE run_id = :run AND path = :path AND state = 'started'"
        )
        await store.database.execute(statement, run=run_id, path=path, outcome=runs.encode(outputs))


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
    """Whether the file of effects says that the step at `path` was done."""
    try:
        with open(os.path.join(FOLDER, "effects.jsonl"), encoding="utf-8") as file:
            return any(json.loads(line)["step"] == path for line in file if line.endswith("\n"))
    except FileNotFoundError:
        return False


def main() -> None:
    Host.attend = unattended  # type: ignore[method-assign]
    lines = [json.loads(line) for line in sys.stdin]
    for each in {wanted["flow"]: wanted for wanted in lines}:
        runs.plan_of(runs.captured(load(each).checked))  # known to all lives, so that they need not compile it
    gc.freeze()
    for number, wanted in enumerate(lines):
        run_id, kills = f"run-{os.getpid()}-{number}", [*wanted["kills"], [None, "after"]]
        lives, first, decisions = 0, True, {}
        effects = os.path.join(FOLDER, "effects.jsonl")
        if os.path.exists(effects):
            os.unlink(effects)
        attention = []
        while True:
            kill = kills[min(lives, len(kills) - 1)]
            told = forked(wanted["flow"], run_id, first, kill, decisions)
            first, decisions, lives = False, {}, lives + 1
            if told is None:
                continue
            if told["status"] != "needs_attention":
                break
            attention.append(told["attention"])
            path = told["attention"]
            decisions[path] = {"step": path} if done(path) else None
        try:
            with open(effects, encoding="utf-8") as file:
                made = [json.loads(each) for each in file]
        except FileNotFoundError:
            made = []
        said = json.dumps({**told, "lives": lives, "attention": attention, "effects": made})
        sys.stdout.write(said + "\n")
        sys.stdout.flush()


main()
