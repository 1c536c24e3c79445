"""The figures, one function each. A function measures floor and ours in turn and returns what it found."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import flowlang
from flowlang.events import Event
from harness import Figure, in_turn, processes_in_turn, seconds, spawn
from plugin import op, waiting_op

STEPS = 1000
HEAD = "flow: bench\nconnections: {b: {type: bench}}\ndefaults: {timeout: 30s}\nsteps:\n"


def sequence(steps: int = STEPS) -> str:
    """A flow of steps, each reading the one before it, with a timeout on each."""
    first = "  - bench_op: {id: s0, connection: b, value: 1}\n"
    rest = [f'  - bench_op: {{id: s{n}, connection: b, value: "${{s{n - 1}.value}}"}}\n' for n in range(1, steps)]
    return HEAD + first + "".join(rest) + f'outputs:\n  - {{name: last, value: "${{s{steps - 1}.value}}"}}\n'


def side_by_side(task: str, branches: int = STEPS) -> str:
    """A flow of one parallel step with that many branches of one step."""
    lines = [f"      - {task}: {{id: s{n}, connection: b, value: {n}}}\n" for n in range(branches)]
    return HEAD + "  - parallel:\n" + "".join(lines)


async def run(flow: Any, **options: Any) -> dict[str, Any]:
    """Run a flow that has to succeed; gives its outputs."""
    result = await flowlang.run(flow, **options)
    if result.status != "succeeded":
        raise RuntimeError(f"the flow ended as {result.status}: {result.failure or result.findings}")
    return dict(result.outputs)


def step() -> list[Figure]:
    """The cost of a step, without and with a listener."""
    flow = flowlang.load(text=sequence())
    seen: list[Event] = []

    async def floor() -> None:
        for number in range(STEPS):
            await op(number)

    async def alone() -> None:
        await run(flow)

    async def listened() -> None:
        seen.clear()
        await run(flow, on_event=seen.append)

    bare, quiet, heard = in_turn(15, floor, alone, listened)
    how = f"a flow of {STEPS:,} steps that read each other, leased, each with a timeout; whole run / steps; 15 rounds"
    bare_text = f"bare `await op()`: {seconds(bare / STEPS)}"
    return [
        Figure("step, nobody listens", bare_text, seconds(quiet / STEPS), quiet / bare, "×", 10, how),
        Figure("step, one listener", bare_text, seconds(heard / STEPS), heard / bare, "×", 20, how),
    ]


def parallel() -> list[Figure]:
    """The cost of a branch, for operations that return at once and for such that wait."""
    return [
        _parallel("branch of 1,000 that wait once", "bench_waiting_op", waiting_op),
        _parallel("branch of 1,000 that return at once", "bench_op", op),
    ]


def _parallel(what: str, task: str, operation: Callable[[int], Awaitable[object]]) -> Figure:
    flow = flowlang.load(text=side_by_side(task))

    async def floor() -> None:
        await asyncio.gather(*(operation(number) for number in range(STEPS)))

    async def ours() -> None:
        await run(flow)

    bare, own = in_turn(15, floor, ours)
    how = "one `parallel` step, leased, each branch with a timeout; whole run / branches; 15 rounds"
    floor_text = f"`asyncio.gather`: {seconds(bare / STEPS)}"
    return Figure(what, floor_text, seconds(own / STEPS), own / bare, "×", 1.6, how)


def startup() -> list[Figure]:
    """How long a fresh process takes to be of use."""
    bare, imported, helped = processes_in_turn(
        15, ["-c", "pass"], ["-c", "import flowlang"], ["-m", "flowlang", "--help"]
    )
    how = "fresh processes in turn, byte-compiled, start to end; 15 rounds"
    floor = f"`python -c pass`: {seconds(bare)}"
    return [
        Figure("`flowlang --help`", floor, seconds(helped), helped * 1e3, "ms", 150, how),
        Figure("`import flowlang`", floor, seconds(imported), imported / bare, "×", None, how),
    ]


SMALLEST = """flow: smallest
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: SELECT 1 AS one}
outputs:
  - {name: one, value: "${q.rows[0].one}"}
"""


def smallest() -> list[Figure]:
    """The smallest flow that asks a database something, as a command."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "smallest.yaml")
        file.write_text(SMALLEST, encoding="utf-8")
        floor = ["-c", "import smallest_sqlite; smallest_sqlite.main()"]
        bare, own = processes_in_turn(15, floor, ["-m", "flowlang", "run", str(file)])
    how = "fresh processes in turn, byte-compiled, start to end; 15 rounds"
    floor_text = f"a script with asyncio and sqlite3: {seconds(bare)}"
    return [Figure("smallest SQLite flow, as a command", floor_text, seconds(own), own / bare, "×", 2.5, how)]


INSERT = """flow: insert
inputs:
  - {name: database, type: string, required: true}
  - {name: records, type: array, required: true}
vars: {database: "${inputs.database}"}
connections: {db: {type: sqlite, database: "${vars.database}"}}
steps:
  - sqlite_execute: {query: "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, amount REAL, note TEXT)"}
  - sqlite_batch_insert: {id: done, table: t, records: "${inputs.records}", batch_size: 5000}
outputs:
  - {name: count, value: "${done.inserted_count}"}
"""
ROWS = 100_000


def insert_by_hand(database: str, records: list[dict[str, Any]]) -> None:
    """One transaction, one prepared statement, WAL and syncs as the plugin has them."""
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, amount REAL, note TEXT)")
        connection.execute("BEGIN IMMEDIATE")
        values = map(itemgetter("id", "name", "amount", "note"), records)
        connection.executemany("INSERT INTO t (id, name, amount, note) VALUES (?, ?, ?, ?)", values)
        connection.execute("COMMIT")
    finally:
        connection.close()


def insert() -> list[Figure]:
    """Many rows into a file."""
    records = [{"id": n, "name": f"name {n}", "amount": n / 7, "note": None if n % 3 else "x"} for n in range(ROWS)]
    flow = flowlang.load(text=INSERT)
    with tempfile.TemporaryDirectory() as folder:
        fresh = (str(Path(folder, f"{n}.db")) for n in itertools.count())

        async def floor() -> None:
            await asyncio.to_thread(insert_by_hand, next(fresh), records)

        async def ours() -> None:
            outputs = await run(flow, inputs={"database": next(fresh), "records": records})
            assert outputs == {"count": ROWS}

        bare, own = in_turn(7, floor, ours)
    how = "one list of dicts, a new file each time, WAL, synchronous NORMAL, one transaction; whole run; 7 rounds"
    floor_text = f"`executemany` by hand: {seconds(bare)}"
    return [Figure(f"batch insert of {ROWS:,} rows", floor_text, seconds(own), own / bare, "×", 1.2, how)]


STREAM = """flow: stream
inputs:
  - {name: database, type: string, required: true}
vars: {database: "${inputs.database}"}
connections: {db: {type: sqlite, database: "${vars.database}"}}
steps:
  - sqlite_stream: {id: all, query: "SELECT id, name, amount FROM t", batch_size: 5000}
  - {id: batches, for_each: "${all.rows}", batch_size: 5000, do: [{id: seen, set: {rows: "${len(item)}"}}]}
outputs:
  - {name: batches, value: "${batches.count}"}
"""
MANY = 1_000_000


def stream() -> list[Figure]:
    """Many rows out of a file: the memory it takes."""
    with tempfile.TemporaryDirectory() as folder:
        file, database = Path(folder, "stream.yaml"), str(Path(folder, "many.db"))
        file.write_text(STREAM, encoding="utf-8")
        connection = sqlite3.connect(database)
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, amount REAL)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", ((n, f"name {n}", n / 7) for n in range(MANY)))
        connection.commit()
        connection.close()
        batches, peak = map(int, spawn(["-m", "stream_rows", str(file), database]).split())
    assert batches == MANY // 5000
    bare = int(spawn(["-c", "import resource as r; print(r.getrusage(r.RUSAGE_SELF).ru_maxrss * 1024)"]))
    how = "a child process, `for_each` over a stream in batches of 5,000; `ru_maxrss`"
    floor = f"an empty Python process: {bare / 1e6:.0f} MB"
    return [Figure(f"peak memory, streaming {MANY:,} rows", floor, f"{peak / 1e6:.0f} MB", peak / 1e6, "MB", 120, how)]


def load() -> list[Figure]:
    """From text to a program, the first time and again."""
    text = sequence()
    number = itertools.count()

    async def anew() -> None:
        flowlang.load(text=f"{text}# {next(number)}\n")

    async def again() -> None:
        flowlang.load(text=text)

    flowlang.load(text=text)
    first, cached = in_turn(9, anew, again)
    how = f"text of a flow of {STEPS:,} steps to a checked, compiled plan; per step; 9 rounds"
    per_step, per_step_cached = first / STEPS * 1e6, cached / STEPS * 1e6
    return [
        Figure("load and compile, per step", "", seconds(first / STEPS), per_step, "µs", 120, how),
        Figure("load again, per step", "", seconds(cached / STEPS), per_step_cached, "µs", 1, how + ", text unchanged"),
    ]


ALL = {each.__name__: each for each in (step, parallel, startup, smallest, insert, stream, load)}
