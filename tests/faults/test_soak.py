"""Thousands of operations, well and ill, on each service: what is held afterwards, here and there, is counted."""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import flowlang

from .conftest import FAULT, Place

pytestmark = pytest.mark.skipif(
    "not __import__('os').path.isdir('/proc/self/fd')", reason="descriptors are counted in /proc"
)
WARM, ROUNDS, BRANCHES = 20, 40, 8  # a round is four runs of some fifty operations together
PATIENT = {"retry": {"max_attempts": 30, "delay": "10ms", "backoff": "constant"}}


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_nothing_grows(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat 47: runs that end well, fail, are cancelled, and whose links break, in pools of their own and in a shared
    one. Descriptors, tasks and the server's sessions are counted by `place`; here threads, objects and files."""
    files = tmp_path / "temporary"
    files.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(files))
    chance, size = random.Random(47), {place.service.pool_key: 4}
    read: Mapping[str, Any] = place.service.read
    many = {"parallel": [read] * BRANCHES}
    patient = {"parallel": [read | PATIENT] * BRANCHES}  # links of the shared pool may be broken by the round before

    async def dies() -> None:
        raise LookupError

    async def one_round(pools: flowlang.Pools | None) -> None:
        await place.ok(patient, place.service.write, patient, pools=pools, **size)
        failure = await place.failed(patient, FAULT, fault=[dies], pools=pools, **size)
        assert "LookupError" in str(failure), failure
        failed = await place.run(patient, FAULT, place.service.write, fault=[place.proxy.sever], pools=pools, **size)
        assert failed.failure is None or failed.failure.retryable, failed.failure
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
    assert after["blocks"] - before["blocks"] < 11 * 4 * ROUNDS, (before, after)  # the result of a run that is kept: 13
    assert after["bytes"] - before["bytes"] < 16 << 20, (before, after)
    assert list(files.iterdir()) == []


def held() -> dict[str, int]:
    """How many threads this process has (beside asyncio's own few, which come as they are needed), blocks of memory
    that Python handed out, and bytes that the system gave."""
    gc.collect()
    threads = [each for each in threading.enumerate() if not each.name.startswith("asyncio_")]
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return {"threads": len(threads), "blocks": sys.getallocatedblocks(), "bytes": resident}
