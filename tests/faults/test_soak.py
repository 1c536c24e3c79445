"""Thousands of operations, well and ill, on each service: what is held afterwards, here and there, is counted."""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.faults.proxy import Proxy
from tests.faults.services import sqlite_at

import flowlang

from .conftest import FAULT, Fault, Place, descriptors

pytestmark = pytest.mark.skipif(
    "not __import__('os').path.isdir('/proc/self/fd')", reason="descriptors are counted in /proc"
)
WARM, ROUNDS, BRANCHES = 20, 40, 8  # a round is four runs of some fifty operations together
PATIENT = {"retry": {"max_attempts": 30, "delay": "10ms", "backoff": "constant"}}


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_nothing_grows(place: Place, no_files: None) -> None:
    """Threat 47: runs that end well, fail, are cancelled, and whose links break, in pools of their own and in a shared
    one. Descriptors, tasks and the server's sessions are counted by `place`; here threads, objects and files."""
    await _soaked(place, place.proxy.sever)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_nothing_grows_beside_a_file(tmp_path: Path, no_files: None) -> None:
    """The same with SQLite. What comes between is another program that keeps the file to itself."""
    file = tmp_path / "writes.db"
    before = descriptors(), len(asyncio.all_tasks())
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE writes (n INTEGER)")
        place = Place(sqlite_at(str(file)), Proxy("127.0.0.1", 0), "")  # nobody goes by the proxy

        def locks() -> None:
            other.execute("BEGIN IMMEDIATE")

        await _soaked(place, locks, other.rollback)
    # Before, SQLite keeps some open: a process that closes any of a file's descriptors loses all its locks on it.
    assert descriptors() <= before[0]
    assert len(asyncio.all_tasks()) <= before[1]


async def _soaked(place: Place, breaks: Fault, mends: Callable[[], None] = lambda: None) -> None:
    """Rounds of runs, and the count. In one run of each `breaks` comes between a read and a write, `mends` after it."""
    chance, size = random.Random(47), {place.service.pool_key: 4}
    read: Mapping[str, Any] = place.service.read
    many = {"parallel": [read] * BRANCHES}
    patient = {"parallel": [read | PATIENT] * BRANCHES}  # links of the shared pool may be broken by the round before

    async def dies() -> None:
        raise LookupError

    async def one_round(pools: flowlang.Pools | None) -> None:
        place.proxy.pieces.clear()  # it notes what passes
        await place.ok(patient, place.service.write, patient, pools=pools, **size)
        failure = await place.failed(patient, FAULT, fault=[dies], pools=pools, **size)
        assert "LookupError" in str(failure), failure
        failed = await place.run(patient, FAULT, place.service.write, fault=[breaks], pools=pools, **size)
        assert failed.failure is None or failed.failure.retryable, failed.failure
        mends()
        doomed = asyncio.ensure_future(place.run(many, many, pools=pools, **size))
        for _ in range(chance.randrange(400)):
            await asyncio.sleep(0)
        doomed.cancel()
        with suppress(asyncio.CancelledError):
            await doomed

    async def soak(count: int) -> None:
        async with flowlang.Pools() as shared:
            for number in range(count):
                await one_round(shared if number % 2 else None)

    await soak(WARM)  # what is loaded and kept is there before the count
    before = held()
    await soak(ROUNDS)
    after = held()
    assert after["threads"] <= before["threads"], (before, after)
    assert after["blocks"] - before["blocks"] < 2 * 4 * ROUNDS, (before, after)  # the result of a run that is kept: 13
    assert after["bytes"] - before["bytes"] < 16 << 20, (before, after)


@pytest.fixture
def no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No temporary file may be left."""
    files = tmp_path / "temporary"
    files.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(files))
    yield
    assert list(files.iterdir()) == []


def held() -> dict[str, int]:
    """How many threads this process has (beside asyncio's own few, which come as they are needed), blocks of memory
    that Python handed out, and bytes that the system gave."""
    if sys.version_info < (3, 13):
        sys._clear_type_cache()  # it keeps up to 4,096 names that were looked up on a class, each by its address
    flowlang.api._CACHE._entries.clear()  # up to 64 plans, of which more or less has been compiled
    gc.collect()
    threads = [each for each in threading.enumerate() if not each.name.startswith("asyncio_")]
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return {"threads": len(threads), "blocks": sys.getallocatedblocks(), "bytes": resident}
