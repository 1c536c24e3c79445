"""What befalls a store while a run is under way: its server is killed, its disk full, its file damaged or torn."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.servers.process import Server

from flowlang import api, runs
from flowlang.cli.app import serve
from flowlang.durable.journal import Journal, Writer
from flowlang.durable.liveness import lives
from flowlang.durable.opening import open_store
from flowlang.durable.records import StoredFlow, StoredStep
from flowlang.durable.store import Store

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATIENCE = 60.0  # seconds on a machine that is busy
HOLD = '''
import asyncio, os
from flowlang import task

@task(effect="read")
async def hold(folder: str):
    """Says that it holds, until somebody makes the file `go`."""
    open(f"{folder}/holding", "w").close()
    while not os.path.exists(f"{folder}/go"):
        await asyncio.sleep(0.01)
    return {}
'''


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A folder with tasks whose effects can be counted, and one that waits."""
    shutil.copy(HERE / "effects.py", tmp_path)
    (tmp_path / "hold.py").write_text(HOLD)
    return tmp_path


def effects(folder: Path) -> list[str]:
    return [json.loads(line)["step"] for line in (folder / "effects.jsonl").read_text().splitlines()]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


# ---------------------------------------------------------------- the server


@pytest.mark.slow
async def test_a_server_that_is_killed_and_started_again(own_postgres: Server, tasks: Path) -> None:
    """Inside a step, and while the run waits for a signal: the run goes on by itself, and its process is not dead."""
    flow = tasks / "flow.yaml"
    flow.write_text(
        "flow: f\ntasks: [effects.py, hold.py]\nsteps:\n  - change: {id: a}\n"
        f"  - hold: {{folder: {tasks}}}\n  - change: {{id: b}}\n"
        "  - {id: s, wait: {signal: go, timeout: 1h}}\n  - change: {id: c, value: '${s.payload}'}\n"
    )
    url = own_postgres.url + "?synchronous_commit=on"  # as it is unless somebody wants it otherwise, like our servers
    async with await open_store(url) as store, runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(flow), files_root=str(tasks))

        async def holds() -> bool:
            return (tasks / "holding").exists()

        await until(holds)
        await asyncio.to_thread(own_postgres.kill)
        (tasks / "go").touch()
        await asyncio.to_thread(own_postgres.start)

        async def locked() -> bool:
            return await lives(store, host.executor.id)

        await until(locked)

        async def waits() -> bool:
            return any(each.path == "s@until" for each in await store.steps(handle.run_id))

        await until(waits)
        await asyncio.to_thread(own_postgres.kill)
        await asyncio.to_thread(own_postgres.start)
        assert await runs.send_signal(handle.run_id, "go", store=url) == "running"
        result = await handle
        assert (result.status, result.failure) == ("succeeded", None)
    assert effects(tasks) == ["a", "b", "c"]


# ---------------------------------------------------------------- the disk

FULL = """
import asyncio, json, logging, resource, sys
from flowlang import runs
from flowlang.durable.journal import Writer

def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

class Freed(logging.Handler):
    def emit(self, record):
        room(resource.RLIM_INFINITY)

async def main(flow, folder, url):
    room(400_000)
    Writer.patience = 0.2
    first = await runs.run(flow, store=url, files_root=folder)
    Writer.patience = 60.0
    logging.getLogger("flowlang.durable").addHandler(Freed())
    second = await runs.resume(first.run_id, store=url)
    failures = [each.failure and [each.failure.detail, *each.failure.notes] for each in (first, second)]
    print(json.dumps([first.status, second.status, *failures]))

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_disk_that_is_full(tasks: Path) -> None:
    """The run stops with the reason, and can be resumed; while it is tried again it needs nobody once there is room."""
    flow = tasks / "flow.yaml"
    flow.write_text(
        "flow: f\ntasks: [effects.py]\nsteps:\n"
        f"  - for_each: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]\n    id: l\n    do:\n"
        f"      - put: {{id: p, value: {'x' * 40_000}}}\n"
    )
    url = f"sqlite:///{tasks}/full/runs.db"
    words = [sys.executable, "-c", FULL, str(flow), str(tasks), url]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    first, second, (detail, note), failure = json.loads(ran.stdout)
    assert (first, second, failure) == ("interrupted", "succeeded", None)
    assert "cannot be written" in detail
    assert "flowlang runs resume" in note
    made = effects(tasks)
    assert list(dict.fromkeys(made)) == [f"l[{turn}].p" for turn in range(12)]
    assert len(made) <= 14, "the one that was under way is asked for again, with its key"


# ---------------------------------------------------------------- the file


async def committed(store: Store, commits: int) -> str:
    """A run with so many commits of two steps each; its id."""
    flow = StoredFlow("h", "demo", "/flows/demo.yaml", {"/flows/demo.yaml": "flow: demo\n"})
    run = await store.add(flow, "{}", {}, owner="me")
    journal = Journal(Writer(store), run)
    for number in range(commits):
        for name in ("a", "b"):
            journal.write(StoredStep(f"{name}{number}", 0, "succeeded", '"' + "x" * 900 + '"', "task", None, 1.0, 2.0))
        await journal.commit()
    return run.id


def contents(path: Path) -> tuple[bytes, bytes]:
    """The file of a store, and its log."""
    return path.read_bytes(), path.with_name(f"{path.name}-wal").read_bytes()


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
async def test_a_log_that_is_torn_anywhere(tmp_path: Path, damage: str) -> None:
    """What a power cut leaves of SQLite's log: whole commits, up to some point, and never a part of one."""
    many = 8
    path = tmp_path / "runs.db"
    async with await open_store(f"sqlite:///{path}?synchronous=normal") as store:
        run_id = await committed(store, many)
        base, log = contents(path)
    seen = []
    for number, place in enumerate([*range(len(log) // 2, len(log), 1009), len(log)]):
        torn = tmp_path / f"torn-{number}.db"
        rest = b"" if damage == "cut" else bytes(255 - each for each in log[place : place + 512]) + log[place + 512 :]
        torn.write_bytes(base)
        torn.with_name(f"{torn.name}-wal").write_bytes(log[:place] + rest)
        async with await open_store(f"sqlite:///{torn}?synchronous=normal") as store:
            steps = sorted(each.path for each in await store.steps(run_id))
        whole = len(steps) // 2
        assert steps == sorted(f"{name}{each}" for name in "ab" for each in range(whole))
        seen.append(whole)
    assert seen == sorted(seen)
    assert set(seen) >= set(range(many // 2 + 1, many + 1))
    assert seen[-1] == many


@pytest.mark.parametrize("damage", ["overwritten", "truncated"])
async def test_a_file_that_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    """It is said, by every command, and nothing is run or made up."""
    path = tmp_path / "runs.db"
    url = f"sqlite:///{path}"
    async with await open_store(url) as store:
        await committed(store, 20)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096) if damage == "overwritten" else b"")
        file.truncate(path.stat().st_size if damage == "overwritten" else path.stat().st_size // 2 + 100)
    damaged = path.read_bytes()
    for words in (["runs", "resume"], ["runs", "signal", "x", "go"]):
        assert await asyncio.to_thread(serve, [*words, "--store", url]) != 0
        said = capsys.readouterr()
        assert "is damaged, or no SQLite file" in said.err
        assert "Traceback" not in said.err
    assert path.read_bytes() == damaged
