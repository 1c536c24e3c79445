"""What docs/operations.md tells to do is done: the unit, the images, the backup."""

from __future__ import annotations

import asyncio
import configparser
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from tests.docs.blocks import ROOT, blocks
from tests.durable.workers import PATIENCE, holding_flow, lines, reached, until
from tests.servers.postgres import FOLDERS
from tests.servers.process import program

from flowlang import api, runs, workers
from flowlang.durable.opening import open_store
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.durable.store import Store

PAGE = ROOT / "docs/operations.md"
BLOCKS = list(blocks(PAGE))


def block(**wanted: str) -> str:
    (found,) = [each for each in BLOCKS if all(getattr(each, name) == value for name, value in wanted.items())]
    return found.text


UNIT = block(file="flowlang-worker@.service")


def service() -> dict[str, str]:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT)
    return dict(unit["Service"])


async def test_the_unit_s_command_ends_in_its_time_with_its_runs(tmp_path: Path) -> None:
    """What systemd does: the command, and SIGTERM in the end. What runs then may end; it has longer than the grace."""
    url, unit, flow = f"sqlite:///{tmp_path}/runs.db", service(), holding_flow(tmp_path)
    words = [sys.executable, "-m", "flowlang", *shlex.split(unit["ExecStart"])[1:]]
    none, given = asyncio.subprocess.DEVNULL, {**os.environ, "FLOWLANG_STORE": url}
    process = await asyncio.create_subprocess_exec(*words, env=given, stdin=none, stderr=none)
    try:
        async with await open_store(url) as store:
            run = await workers.submit(flow, {"folder": str(tmp_path)}, store=store)
            await until(lambda: lines(tmp_path / "holding"))
            process.send_signal(signal.SIGTERM)
            (tmp_path / "go").touch()
            assert await asyncio.wait_for(process.wait(), float(unit["TimeoutStopSec"])) == 0
            assert (await reached(store, run.id, "succeeded")).takeovers == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert lines(tmp_path / "notes") == ["one", "two"]


def test_the_unit_the_image_and_the_cluster_say_the_same() -> None:
    """The same command, and the same time to end."""
    unit = service()
    name, *options = shlex.split(unit["ExecStart"])
    command = [Path(name).name, *options]
    image = block(file="Dockerfile")
    assert json.loads(image.rpartition("CMD ")[2]) == command
    pod = yaml.safe_load(block(language="yaml"))["spec"]["template"]["spec"]
    assert pod["containers"][0]["command"] == command
    stops = [int(unit["TimeoutStopSec"]), pod["terminationGracePeriodSeconds"]]
    stops.append(int(PAGE.read_text(encoding="utf-8").partition("--stop-timeout ")[2].split()[0]))
    grace = int(options[options.index("--grace") + 1].removesuffix("s"))
    assert set(stops) == {stops[0]}
    assert stops[0] > grace


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """Each key of it, in its section."""
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd is not here (Debian: apt install systemd)")
    unit = tmp_path / "flowlang-worker@1.service"
    unit.write_text(UNIT.replace("ExecStart=/srv/flows/.venv/bin/flowlang", f"ExecStart={sys.executable}"))
    ran = subprocess.run([verify, "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


# ---------------------------------------------------------------- backup


def tool(name: str, package: str) -> str:
    found = program(name, *FOLDERS) or shutil.which(name)
    if found is None:
        pytest.skip(f"`{name}` is not here (Debian: apt install {package})")
    return found


async def ran(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    _, told = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0, told


@pytest.fixture
async def copied(store: Store, tmp_path: Path) -> AsyncIterator[Any]:
    """Makes a backup of the store, and later a store of it."""
    made: list[str] = []

    async def backup() -> None:
        if isinstance(store.database, SqliteDatabase):
            await ran(tool("sqlite3", "sqlite3"), store.database.path, f".backup {tmp_path}/copy.db")
        else:
            dump = tool("pg_dump", "postgresql-client")
            await ran(dump, "-Fc", "-f", f"{tmp_path}/copy.dump", store.database.address)  # type: ignore[attr-defined]

    async def restored() -> str:
        if isinstance(store.database, SqliteDatabase):
            return f"sqlite:///{tmp_path}/copy.db"
        address = urlsplit(store.database.address)  # type: ignore[attr-defined]
        made.append(f"{address.path[1:]}_copy")
        await store.database.execute(f"CREATE DATABASE {made[0]} TEMPLATE template0")
        url = address._replace(path=f"/{made[0]}").geturl()
        await ran(tool("pg_restore", "postgresql-client"), "-d", url, f"{tmp_path}/copy.dump")
        return url

    yield backup, restored
    for name in made:
        await store.database.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_runs_of_a_backup_go_on_where_they_were_when_it_was_made(
    store: Store, copied: Any, tmp_path: Path
) -> None:
    """It is made while a run is under way and another one waits for a signal. What they did since, they do again."""
    backup, restored = copied
    flow = holding_flow(tmp_path)
    (tmp_path / "ask.yaml").write_text(
        "flow: ask\nsteps:\n  - {id: asked, wait: {signal: answer}}\n"
        "outputs:\n  - {name: it, value: '${asked.payload}'}\n"
    )
    waiting = await workers.submit(tmp_path / "ask.yaml", store=store)
    async with runs.hosting(store) as host:
        under_way = await runs.begin(host, api.load(flow), {"folder": str(tmp_path)})
        await until(lambda: lines(tmp_path / "holding"))
        await backup()
        (tmp_path / "go").touch()
        assert (await under_way).succeeded
    assert lines(tmp_path / "notes") == ["one", "two"]
    async with await open_store(await restored()) as copy:
        assert [each.id for each in await runs.interrupted(copy)] == [under_way.run_id]
        assert (await runs.resume(str(under_way.run_id), store=copy)).succeeded
        await runs.send_signal(waiting.id, "answer", 7, store=copy)
        assert (await runs.resume(waiting.id, store=copy)).outputs == {"it": 7}
    assert lines(tmp_path / "notes") == ["one", "two", "two"]
