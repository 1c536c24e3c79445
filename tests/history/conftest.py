"""Stores on both databases, and flows whose effects can be counted and whose process can be lost in the middle."""

from __future__ import annotations

import asyncio
import json
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import flowlang
from flowlang import runs
from flowlang.cli.app import serve
from flowlang.durable.opening import open_store
from flowlang.durable.run import Left
from flowlang.durable.store import Store

TASKS = '''
import asyncio, json, os
from typing import TypedDict
from flowlang import task
from flowlang.tasks.context import Context
from flowlang.tasks.files import FILES_ROOT


def note(context, kind, value):
    with open(os.path.join(FILES_ROOT.get(), "effects.jsonl"), "a") as file:
        file.write(json.dumps({"step": context.step, "kind": kind, "value": value}) + "\\n")


async def perhaps_hang(context):
    """While a file says so, as a service that does not answer."""
    if os.path.exists(os.path.join(FILES_ROOT.get(), "hang-" + context.step)):
        await asyncio.sleep(3600)


@task(effect="write")
async def charge(context: Context, value: object = None) -> dict[str, object]:
    """An effect that must not happen twice."""
    note(context, "charge", value)
    await perhaps_hang(context)
    return {"receipt": f"receipt for {value}"}


class Paid(TypedDict):
    receipt: str


@task(effect="write")
async def pay(context: Context, value: object = None) -> Paid:
    """An effect that says what it gives."""
    return await charge(context, value)


@task(effect="read")
async def look(context: Context, value: object = None) -> dict[str, object]:
    """Reads."""
    note(context, "look", value)
    await perhaps_hang(context)
    if os.path.exists(os.path.join(FILES_ROOT.get(), "broken-" + context.step)):
        raise ValueError(f"{value} cannot be looked at")
    return {"seen": value}
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with tasks; flows are laid out below it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    async with await open_store(store_url) as opened:
        yield opened


@pytest.fixture
async def file_store(tmp_path: Path) -> AsyncIterator[Store]:
    """For what does not hang on the database."""
    async with await open_store(f"sqlite:///{tmp_path}/runs.db") as opened:
        yield opened


class Flows:
    """Writes flows, runs them, and counts what they did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, steps: str, name: str = "orders", file: str = "orders.yaml", more: str = "") -> str:
        body = textwrap.indent(textwrap.dedent(steps), "  ")
        text = f"flow: {name}\ntasks: [tasks.py]\n{textwrap.dedent(more)}steps:\n{body}"
        (self.folder / file).write_text(text)
        return file

    def hang(self, path: str, *, on: bool = True) -> None:
        marker = self.folder / f"hang-{path}"
        marker.touch() if on else marker.unlink()

    def broken(self, path: str, *, on: bool = True) -> None:
        marker = self.folder / f"broken-{path}"
        marker.touch() if on else marker.unlink()

    def effects(self) -> list[str]:
        """The paths of the steps that were really done, in order."""
        file = self.folder / "effects.jsonl"
        return [json.loads(line)["step"] for line in file.read_text().splitlines()] if file.exists() else []

    async def lost(self, store: Store, file: str, *paths: str, **options: Any) -> str:
        """Run until all of `paths` hang, then lose the process: the id of the run."""
        for path in paths:
            self.hang(path)
        async with runs.hosting(store) as host:
            handle = await runs.begin(host, flowlang.load(file), **options)
            async with asyncio.timeout(20):
                while not set(paths) <= set(self.effects()):  # noqa: ASYNC110 - tasks tell by a file
                    await asyncio.sleep(0.005)
            run, task = host.running[handle.run_id]
            await run.journal.flushed()  # with the events that were told, as the host does each second
            run.abandon(Left("lost", "the test takes it for dead"))
            await asyncio.wait([task])
            await handle
        for path in paths:
            self.hang(path, on=False)
        return str(handle.run_id)


@pytest.fixture
def flows(folder: Path) -> Flows:
    return Flows(folder)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Call a command outside the event loop of a test: `(code, out, err)`."""

    async def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = await asyncio.to_thread(serve, words)
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err

    return call
