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

import yaml

import flowlang
from cache import cache
from control import cancel, turns
from databases import databases
from documents import documents
from editor import figures as keys_in_an_editor
from flowlang import api
from flowlang.checking.flows import check_text
from flowlang.connections import plugin_registry
from flowlang.document.source import Limits
from flowlang.events import Event
from flowlang.plan import ROOTS, Assign
from flows import BLOCK, shop
from flows import STEPS as STEPS_OF_BLOCK
from harness import Figure, in_turn, processes_in_turn, run, seconds, spawn
from moves import moves
from plugin import op, waiting_op
from sharing import sharing
from web import services, web

STEPS = 1000
HEAD = """\
flow: bench
connections: {b: {type: bench}}
inputs: [{name: text, type: string, default: x}]
defaults: {timeout: 30s}
steps:
"""


def sequence(steps: int = STEPS) -> str:
    """A flow of steps with three references each, two of them to the step before, and a timeout on each."""
    first = '  - bench_op: {id: s0, connection: b, first: 1, second: "${inputs.text}", third: []}\n'
    rest = [
        f'  - bench_op: {{id: s{n}, connection: b, first: "${{s{n - 1}.count}}", second: "${{inputs.text}}", '
        f'third: "${{s{n - 1}.rows}}"}}\n'
        for n in range(1, steps)
    ]
    return HEAD + first + "".join(rest) + f'outputs:\n  - {{name: last, value: "${{s{steps - 1}.count}}"}}\n'


def side_by_side(task: str, branches: int = STEPS) -> str:
    """A flow of one parallel step with that many branches of one step."""
    lines = [
        f'      - {task}: {{id: s{n}, connection: b, first: {n}, second: "${{inputs.text}}", third: []}}\n'
        for n in range(branches)
    ]
    return HEAD + "  - parallel:\n" + "".join(lines)


def step() -> list[Figure]:
    """The cost of a step, without and with a listener."""
    flow = flowlang.load(text=sequence())
    seen = 0

    def listener(event: Event) -> None:
        nonlocal seen
        seen += 1

    async def floor() -> None:
        text, outputs = "x", {"count": 1, "rows": []}
        for _ in range(STEPS):
            outputs = await op(first=outputs["count"], second=text, third=outputs["rows"])

    async def alone() -> None:
        await run(flow)

    async def listened() -> None:
        await run(flow, on_event=listener)

    measured = in_turn(40, floor, alone, listened, times=5)
    how = (
        f"{STEPS:,} steps, three references each, leased, each with a timeout; whole run / steps; "
        "the listener counts; 40 rounds of 5 runs"
    )
    bare_text = f"bare `await op(…)`, the same three values: {seconds(measured.of(0) / STEPS)}"
    quiet, heard = (seconds(measured.of(place) / STEPS) for place in (1, 2))
    return [
        Figure("step, nobody listens", bare_text, quiet, measured.ratio(1), "×", 10, how),
        Figure("step, one listener", bare_text, heard, measured.ratio(2), "×", 20, how),
    ]


def parallel() -> list[Figure]:
    """The cost of a branch, for operations that return at once and for such that wait."""
    return [
        _parallel("branch of 1,000 that wait once", "bench_waiting_op", waiting_op),
        _parallel("branch of 1,000 that return at once", "bench_op", op),
    ]


def _parallel(what: str, task: str, operation: Callable[..., Awaitable[object]]) -> Figure:
    flow = flowlang.load(text=side_by_side(task))

    async def floor() -> None:
        await asyncio.gather(*(operation(first=number, second="x", third=[]) for number in range(STEPS)))

    async def ours() -> None:
        await run(flow)

    measured = in_turn(40, floor, ours, times=2)
    how = "one `parallel` step, leased, each branch with a timeout; whole run / branches; 40 rounds of 2 runs"
    floor_text = f"`asyncio.gather` of the same: {seconds(measured.of(0) / STEPS)}"
    return Figure(what, floor_text, seconds(measured.of(1) / STEPS), measured.ratio(1), "×", 1.6, how)


def startup() -> list[Figure]:
    """How long a fresh process takes to be of use."""
    measured = processes_in_turn(15, ["-c", "pass"], ["-c", "import flowlang"], ["-m", "flowlang", "--help"])
    how = "fresh processes in turn, byte-compiled, start to end; 15 rounds"
    floor = f"`python -c pass`: {seconds(measured.of(0))}"
    imported, helped = measured.of(1), measured.of(2)
    return [
        Figure("`flowlang --help`", floor, seconds(helped), helped * 1e3, "ms", 150, how),
        Figure("`import flowlang`", floor, seconds(imported), measured.ratio(1), "×", None, how),
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
        measured = processes_in_turn(15, floor, ["-m", "flowlang", "run", str(file)])
    how = "fresh processes in turn, byte-compiled, start to end; 15 rounds"
    floor_text, own = f"a script with asyncio and sqlite3: {seconds(measured.of(0))}", seconds(measured.of(1))
    return [Figure("smallest SQLite flow, as a command", floor_text, own, measured.ratio(1), "×", 2.5, how)]


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

        measured = in_turn(7, floor, ours)
    how = "one list of dicts, a new file each time, WAL, synchronous NORMAL, one transaction; whole run; 7 rounds"
    floor_text, own = f"`executemany` by hand: {seconds(measured.of(0))}", seconds(measured.of(1))
    return [Figure(f"batch insert of {ROWS:,} rows", floor_text, own, measured.ratio(1), "×", 1.2, how)]


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
    bare = int(spawn(["-c", "import memory; print(memory.peak_memory())"]))
    how = "a child process, `for_each` over a stream in batches of 5,000; its high-water mark"
    floor = f"an empty Python process: {bare / 1e6:.0f} MB"
    return [Figure(f"peak memory, streaming {MANY:,} rows", floor, f"{peak / 1e6:.0f} MB", peak / 1e6, "MB", 120, how)]


def load() -> list[Figure]:
    """From text to a program that has run, and from the same text again."""
    text = sequence()
    number = itertools.count()

    def new() -> str:
        return f"{text}# {next(number)}\n"

    async def loaded() -> None:
        flowlang.load(text=new())

    async def compiled() -> None:
        await run(flowlang.load(text=new()))

    async def again() -> None:
        flowlang.load(text=text)

    flowlang.load(text=text)
    measured = in_turn(9, loaded, compiled, again)
    how = f"text of a flow of {STEPS:,} steps to a checked plan; per step; 9 rounds"
    ran = how.replace("checked plan", "checked plan and to the end of its first run, in which each step is compiled")
    names = ("load, per step", "load, compile and run, per step", "load again, per step")
    methods, targets = (how, ran, how + ", text unchanged"), (None, 120, 1)
    each = [measured.of(place) / STEPS for place in range(3)]
    return [
        Figure(name, "", seconds(taken), taken * 1e6, "µs", target, method)
        for name, taken, target, method in zip(names, each, targets, methods, strict=True)
    ]


# ---------------------------------------------------------------- check

LIFTED = Limits(size=1 << 30, nodes=1 << 30)


def check_once(text: str) -> None:
    """What `flowlang.check(text=…)` does the first time, with the limits of the reader lifted."""
    checked = check_text(text, "bench.yaml", registry=plugin_registry, read=api.read_text, limits=LIFTED)
    if checked.plan is None:
        raise RuntimeError(f"the flow is not valid: {checked.findings[0]}")


def compose(text: str) -> None:
    """The fastest loader one can have that keeps positions: nodes with marks, from libyaml."""
    loader = yaml.CBaseLoader(text)
    try:
        loader.get_single_node()
    finally:
        loader.dispose()


def check() -> list[Figure]:
    """A large flow checked, beside reading it; and whether twice the text takes twice the time."""
    texts = {lines: shop(lines) for lines in (1_000, 10_000, 100_000)}

    async def floor() -> None:
        compose(texts[10_000])

    def ours(lines: int) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            check_once(texts[lines])

        return run

    measured = in_turn(7, floor, ours(10_000), collecting=False)
    lines = texts[10_000].count("\n")
    steps = lines // BLOCK.count("\n") * STEPS_OF_BLOCK
    how = (
        f"a flow of {lines:,} lines and {steps:,} steps, parsed and checked; "
        "the floor is PyYAML's `compose` on libyaml with the base loader, of the same text; both without the garbage "
        "collector; 7 rounds"
    )
    floor_text, own = f"`yaml.compose`, nodes with marks: {seconds(measured.of(0))}", seconds(measured.of(1))
    found = [Figure("check of 10,000 lines", floor_text, own, measured.ratio(1), "×", 8, how)]
    small = [shop(100, first) for first in range(0, 150, 10)]  # as many lines in all as the flow beside them

    async def smalls() -> None:
        for text in small:
            check_once(text)

    beside = in_turn(9, ours(1_000), smalls, collecting=False)
    large = in_turn(3, ours(1_000), ours(100_000), collecting=False)
    lines_of = {100: sum(text.count("\n") for text in small), 100_000: texts[100_000].count("\n")}
    how = "the time of a check by its lines, beside that of one of 1,000 lines; the reader's limits lifted; "
    for size, scaled, detail in ((100, beside, f"{len(small)} flows; 9 rounds"), (100_000, large, "3 rounds")):
        least, own_lines = texts[1_000].count("\n"), lines_of[size]
        ratio = scaled.ratio(1) * least / own_lines
        floor_text, own = f"a line of 1,000: {seconds(scaled.of(0) / least)}", seconds(scaled.of(1) / own_lines)
        found.append(Figure(f"check, a line of {size:,}", floor_text, own, ratio, "×", 1.5, how + detail))
    return found


# ---------------------------------------------------------------- fmt


def fmt() -> list[Figure]:
    """Whether ten times the text takes ten times the time to be put into its canonical form."""
    texts = {lines: shop(lines) for lines in (2_000, 20_000)}

    def ours(lines: int) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            api.format_text(texts[lines])

        return run

    measured = in_turn(7, ours(2_000), ours(20_000))
    each = {size: measured.of(place) / texts[size].count("\n") for place, size in enumerate(texts)}
    how = "the time of `fmt` by the lines of the text, beside that of 2,000 lines; 7 rounds"
    floor_text, own = f"a line of 2,000: {seconds(each[2_000])}", seconds(each[20_000])
    return [Figure("fmt, a line of 20,000", floor_text, own, each[20_000] / each[2_000], "×", 1.5, how)]


# ---------------------------------------------------------------- expressions

EXPRESSIONS = """flow: expressions
inputs:
  - {name: user, type: object, required: true}
  - {name: count, type: integer, required: true}
steps:
  - set:
      path: ${inputs.user.address.city}
      comparison: ${inputs.count >= 18}
      interpolation: "Hello ${inputs.user.name}: ${inputs.count} orders"
"""
SAME_IN_PYTHON = {
    "path": "inputs['user']['address']['city']",
    "comparison": "inputs['count'] >= 18",
    "interpolation": "f\"Hello {inputs['user']['name']}: {inputs['count']} orders\"",
}


def expressions() -> list[Figure]:
    """An expression, and the same of Python's."""
    flow = flowlang.load(text=EXPRESSIONS)
    assign = flow.plan.steps[0]
    assert isinstance(assign, Assign)
    inputs = {"user": {"name": "Ada", "address": {"city": "Paris"}}, "count": 18}
    frame: list[Any] = [None] * flow.plan.size
    frame[ROOTS.inputs] = inputs
    return [_expression(name, evaluate, frame, inputs) for name, evaluate in assign.values]


def _expression(name: str, evaluate: Callable[..., object], frame: list[Any], inputs: dict[str, Any]) -> Figure:
    same = eval(f"lambda inputs, x: {SAME_IN_PYTHON[name]}")
    assert evaluate(frame, None) == same(inputs, None)
    many = range(20_000)

    async def floor() -> None:
        for _ in many:
            same(inputs, None)

    async def ours() -> None:
        for _ in many:
            evaluate(frame, None)

    measured = in_turn(25, floor, ours)
    how = "compiled functions, called in a loop; Python's gets the same values as dicts; 25 rounds of 20,000 calls"
    floor_text = f"`{SAME_IN_PYTHON[name]}`: {seconds(measured.of(0) / len(many))}"
    own = seconds(measured.of(1) / len(many))
    return Figure(f"expression, {name}", floor_text, own, measured.ratio(1), "×", 3, how)


def editor() -> list[Figure]:
    """A key in a long flow, answered by the language server."""
    with tempfile.TemporaryDirectory() as folder:
        return keys_in_an_editor(Path(folder))


FIGURES = (
    step, parallel, turns, cancel, startup, smallest, insert, stream, load, editor, check, fmt, expressions,
    web, services, documents, cache, databases, moves, sharing,
)  # fmt: skip
ALL = {each.__name__: each for each in FIGURES}
