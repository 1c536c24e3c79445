"""Runs that are killed at the writes of their journal: a process that forks one for each life.

    python killed.py STORE FOLDER < plan.json     each line: {"flow": …, "kills": [[write, "before" or "after"], …]}

For each line a run is begun; its n-th life dies at the n-th of `kills`, the last one lives on. After each line one is
written: `{"status", "outputs", "lives", "writes", "attention"}`. Forking spares starting Python each time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import traceback
from typing import Any

from flowlang import runs
from flowlang.api import load
from flowlang.durable.journal import Writer
from flowlang.durable.store import open_store
from flowlang.engine.result import RunResult

STORE, FOLDER = sys.argv[1], sys.argv[2]


class Deadly:
    """Kills its process at a write of the journal; counts them."""

    def __init__(self, write: int | None, moment: str) -> None:
        self.left, self.moment, self.count = write, moment, 0
        self._write = Writer._write

    async def __call__(self, writer: Writer, parts: Any) -> set[str]:
        self.count += 1
        if self.count == self.left and self.moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        lost = await self._write(writer, parts)
        if self.count == self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        return lost


async def life(flow: str, run_id: str, first: bool, deadly: Deadly, decisions: dict[str, Any]) -> dict[str, Any]:
    async def write(writer: Writer, parts: Any) -> set[str]:
        return await deadly(writer, parts)

    Writer._write = write  # type: ignore[method-assign]
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
        "attention": attention,
        "detail": detail,
    }


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
    gc.freeze()
    for number, line in enumerate(sys.stdin):
        wanted = json.loads(line)
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
