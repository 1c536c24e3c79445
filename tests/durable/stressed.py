"""A process that does whatever can be asked of a store, in an order that is left to chance, beside others that do too.

python stressed.py URL FOLDER SEED SECONDS      (a line of JSON at the end: how often what was done, and what failed)

A worker is part of it. What is done once says so by a line in FOLDER/effects: the run, its step.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from flowlang import api, runs, workers
from flowlang.durable.opening import open_store
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError, StoreUnavailable
from flowlang.history.listing import Filter, listed

AT_ONCE = 4  # lines of operations in a process
KINDS = ("plain", "plain", "many", "waits", "gated", "fails")
QUEUES = ("default", "bounded")
TASKS = '''
import os
from flowlang import task
from flowlang.tasks.context import Context

@task(effect="write")
async def once(context: Context, folder: str):
    """An effect that must not happen twice."""
    file = os.open(f"{folder}/effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, f"{context.run_id} {context.step}\\n".encode())
    finally:
        os.close(file)
    return {}
'''
FLOW = """
flow: stress
tasks: [stress.py]
inputs:
  - {name: folder, type: string, required: true}
  - {name: kind, type: string, required: true}
  - {name: key, type: string, required: true}
concurrency: {key: "${inputs.key}", limit: 2}
steps:
  - once: {id: first, folder: "${inputs.folder}"}
  - if: inputs.kind == 'many'
    then:
      - for_each: [1, 2, 3, 4, 5, 6]
        id: turns
        max_concurrency: 3
        do:
          - once: {id: turn, folder: "${inputs.folder}"}
  - if: inputs.kind == 'waits'
    then:
      - {id: asked, wait: {signal: go, timeout: 10m}}
  - if: inputs.kind == 'fails'
    then:
      - raise: {type: conflict, message: "one that fails"}
  - once: {id: last, folder: "${inputs.folder}"}
"""
TICKS = """
flow: ticks
triggers:
  - schedule: {cron: "* * * * *", overlap: queue}
  - every: {interval: 1s}
steps:
  - wait: 1ms
"""
STEPS = {
    "plain": ["first", "last"],
    "gated": ["first", "last"],
    "waits": ["first", "last"],
    "many": ["first", *(f"if#2.then.turns[{turn}].turn" for turn in range(6)), "last"],
}  # of the runs that succeed
# What may be said to who asks for something that has just become impossible.
REFUSALS = re.compile(
    r"there is no run|is over: |has not ended|is under way in another process|was taken by another process just now"
    r"|is still needed|was deleted just now|there is no schedule|there is nothing to decide about"
)
Operation = Callable[["Stress", Store, Random], Awaitable[object]]


def written(folder: Path) -> None:
    """The flows that the processes run."""
    for name, text in (("stress.py", TASKS), ("stress.yaml", FLOW), ("ticks.yaml", TICKS)):
        (folder / name).write_text(text)


class Stress:
    """`done`: how often what was done, by name. `failed`: what no user should ever be told."""

    def __init__(self, url: str, folder: Path, seed: str) -> None:
        self.url, self.folder, self.seed = url, folder, seed
        self.flow, self.ticks = api.load(folder / "stress.yaml"), api.load(folder / "ticks.yaml")
        self.done: Counter[str] = Counter()
        self.failed: list[str] = []

    async def work(self, seconds: float) -> None:
        """Operations for so long, beside a worker."""
        ready = asyncio.get_running_loop().create_future()
        settings = workers.Settings(dict.fromkeys(QUEUES), concurrency=8, grace=0.5, park_after=1000)
        working = asyncio.create_task(workers.work(settings, store=self.url, ready=ready.set_result))
        await asyncio.wait([working, ready], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
        async with await open_store(self.url) as shared:
            until = asyncio.get_running_loop().time() + seconds
            chances = [Random(f"{self.seed}-{at}") for at in range(AT_ONCE)]
            each = chances[0].sample(list(OPERATIONS), len(OPERATIONS))  # whatever chance says, each of them once
            todo = [each[at::AT_ONCE] for at in range(AT_ONCE)]
            await asyncio.gather(*map(partial(self._line, shared, until), chances, todo))
        ready.result().stop()
        await working

    async def _line(self, shared: Store, until: float, random: Random, todo: list[Operation]) -> None:
        """One operation after the other: those of `todo`, and more for as long as there is time."""
        while todo or asyncio.get_running_loop().time() < until:
            operation = todo.pop() if todo else random.choices(list(OPERATIONS), list(OPERATIONS.values()))[0]
            name = operation.__name__
            try:
                async with self._store(shared, random) as store:
                    await operation(self, store, random)
            except StoreError as error:
                if isinstance(error, StoreUnavailable) or not REFUSALS.search(str(error)):
                    self.failed.append(f"{name}: {error!r}")
                name += " refused"
            except Exception as error:  # noqa: BLE001 - told by the test
                self.failed.append(f"{name}: {error!r}")
            self.done[name] += 1

    @asynccontextmanager
    async def _store(self, shared: Store, random: Random) -> AsyncIterator[Store]:
        """That of the process, or one that is opened for it."""
        if random.random() < 0.8:
            yield shared
            return
        async with await open_store(self.url) as own:
            yield own

    async def some(self, store: Store, random: Random, where: str = "1 = 1") -> str:
        """The id of a run, mostly of a young one."""
        rows = await store.database.fetch(
            f"SELECT id FROM flowlang_runs WHERE {where} ORDER BY created_at DESC LIMIT 20"
        )
        return random.choice(rows)["id"] if rows else "none"

    def inputs(self, random: Random) -> dict[str, str]:
        kind = random.choice(KINDS)
        key = random.choice("ab") if kind == "gated" else f"{random.random()}"
        return {"folder": str(self.folder), "kind": kind, "key": key}


# ---------------------------------------------------------------- what is asked


async def submit(stress: Stress, store: Store, random: Random) -> None:
    given = stress.inputs(random)
    dedup = random.choice((None, None, "one", "two"))
    await workers.submit(
        stress.flow, given, store=store, queue=random.choice(QUEUES), dedup=dedup, priority=random.randrange(3),
        delay=random.choice((0.0, 0.0, 0.1)),
    )  # fmt: skip


async def begin(stress: Stress, store: Store, random: Random) -> None:
    """A run in this process."""
    given = stress.inputs(random)
    if given["kind"] in ("plain", "many", "fails"):
        await runs.run(stress.flow, given, store=store)


async def signal(stress: Stress, store: Store, random: Random) -> None:
    waiting = random.random() < 0.7
    await runs.send_signal(await stress.some(store, random, _WAITS if waiting else "1 = 1"), "go", store=store)


async def cancel(stress: Stress, store: Store, random: Random) -> None:
    await runs.cancel(await stress.some(store, random), store=store)


async def resume(stress: Stress, store: Store, random: Random) -> None:
    """Mostly of one about which somebody has to decide; what is unknown is taken for done."""
    run_id = await stress.some(store, random, "state = 'needs_attention'" if random.random() < 0.8 else "1 = 1")
    open_ = [each.path for each in await store.steps(run_id) if each.state == "started"]
    with (stress.folder / "decided").open("a") as file:
        file.write(f"{run_id}\n")
    async with asyncio.timeout(30.0):  # four processes that write into one file wait long for one another
        with_outputs: dict[str, Any] = {path: {} for path in open_}
        await _for_a_while(runs.resume(run_id, skip=with_outputs, store=store))


async def retry(stress: Stress, store: Store, random: Random) -> None:
    run_id = await stress.some(store, random, "ended_at IS NOT NULL AND flow = 'stress'")
    async with runs.hosting(store) as host:
        run = await runs.retried(host, run_id)
        await _for_a_while(runs.handle_of(host, run))


async def _for_a_while(running: Awaitable[object]) -> None:
    """One that waits for a signal goes on elsewhere."""
    task = asyncio.ensure_future(running)
    await asyncio.wait([task], timeout=0.5)
    if not task.done():
        task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def delete(stress: Stress, store: Store, random: Random) -> None:
    over = random.random() < 0.8
    await runs.delete(await stress.some(store, random, "ended_at IS NOT NULL" if over else "1 = 1"), store=store)


async def prune(stress: Stress, store: Store, random: Random) -> None:
    bounds = runs.Retention(older_than=random.uniform(0.5, 3.0), keep=random.choice((None, 50)))
    await runs.prune(bounds, store=store, dry_run=random.random() < 0.2)


async def queue(stress: Stress, store: Store, random: Random) -> None:
    if random.random() < 0.3:
        await workers.remove_queue("bounded", store=store)
        return
    rate, period = random.choice(((None, None), (50, 1.0)))
    limits = workers.Limits("bounded", random.choice((None, 3)), random.choice((None, 2)), rate, period)
    await workers.set_queue(limits, store=store)


async def schedule(stress: Stress, store: Store, random: Random) -> None:
    if (chance := random.random()) < 0.5:
        await workers.schedule(stress.ticks, store=store, queue=random.choice(QUEUES))
    elif chance < 0.9:
        await workers.pause_schedule("ticks", paused=random.random() < 0.5, store=store)
    else:
        await workers.remove_schedule("ticks", store=store)


async def look(stress: Stress, store: Store, random: Random) -> None:
    await listed(store, Filter(limit=10))
    await workers.queues(store=store)


async def bereave(stress: Stress, store: Store, random: Random) -> None:
    """A process is taken for dead that lives."""
    rows = await store.database.fetch("SELECT id FROM flowlang_executors")
    if not rows:
        return
    executor = random.choice(rows)["id"]
    if isinstance(store.database, SqliteDatabase):
        with contextlib.suppress(FileNotFoundError):  # it has ended since
            os.unlink(f"{store.database.path}.locks/{executor}")
        return
    await store.database.execute("DELETE FROM flowlang_executors WHERE id = :id", id=executor)
    await store.database.fetch(
        """SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
            AND (classid::bigint << 32) | objid::bigint = hashtextextended(:name, 0)""",
        name=f"flowlang executor {executor}",
    )


_WAITS = "state IN ('running', 'waiting') AND flow = 'stress'"
OPERATIONS: dict[Operation, float] = {
    submit: 30, begin: 4, signal: 15, cancel: 6, resume: 3, retry: 3, delete: 5, prune: 3, queue: 3, schedule: 4,
    look: 4, bereave: 0.7,
}  # fmt: skip
"""With how often each is wanted."""


async def main(url: str, folder: str, seed: str, seconds: str) -> None:
    stress = Stress(url, Path(folder), seed)
    await stress.work(float(seconds))
    sys.stdout.write(json.dumps({"done": stress.done, "failed": stress.failed}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
