"""Clocks that jump: those of machines do not matter, and that of the database for what it is asked only."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.durable.workers import holding_flow, lines, reached, until, worker

from flowlang import api, runs, workers
from flowlang.durable.queues import Limits, claim
from flowlang.durable.records import StoredFlow
from flowlang.durable.store import Store
from flowlang.engine.clock import Clock

HOUR = 3600.0
FLOW = """
flow: f
timeout: 5m
steps:
  - {id: w, wait: 300ms}
  - try:
      - {id: s, wait: {signal: go, timeout: 300ms}}
    catch:
      - {on: [timeout], do: [{id: l, wait: 30m}]}
"""


async def waits(store: Store, run_id: str, step: str) -> None:
    """Until the step has begun."""
    async with asyncio.timeout(20):
        while not any(each.path.split(".")[-1] == step for each in await store.steps(run_id)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_the_clock_of_a_machine_jumps_while_a_run_waits(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait, the timeout of a signal and that of the flow take as long as they should: neither is over, nor stuck."""
    (tmp_path / "f.yaml").write_text(FLOW)
    real = time.time

    def jump(by: float) -> None:
        monkeypatch.setattr(Clock, "time", staticmethod(lambda: real() + by))
        monkeypatch.setattr(time, "time", lambda: real() + by)

    async with runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(tmp_path / "f.yaml"))

        await waits(store, handle.run_id, "w")
        jump(-HOUR)
        await waits(store, handle.run_id, "l")
        jump(HOUR)
        done, _ = await asyncio.wait([asyncio.ensure_future(handle)], timeout=1.2)
        assert not done, "half an hour is not over, and neither are five minutes"
        await runs.cancel(handle.run_id, store=store)
        assert (await handle).status == "cancelled"


async def test_a_rate_when_the_clock_of_the_database_goes_back(store: Store) -> None:
    """The queue does not stand still for an hour: who has begun in what is now to come does not count."""
    flow = StoredFlow("h", "f", "/f.yaml", {"/f.yaml": "flow: f\n"})
    limits = Limits("default", rate=2, period=60.0)
    for _ in range(4):
        await store.add(flow, "{}", {})
    assert len(await claim(store, "w", "default", 9, limits)) == 2
    assert await claim(store, "w", "default", 9, limits) == []
    await store.database.execute("UPDATE flowlang_runs SET started_at = started_at + 3600")
    assert len(await claim(store, "w", "default", 9, limits)) == 2
    assert await claim(store, "w", "default", 9, limits) == []


@pytest.fixture
def clock(tmp_path: Path) -> tuple[tuple[str, ...], Callable[[str], None]]:
    """The words of a program whose clock is told by a file, all but the monotonic one; and what sets it."""
    found = sorted(Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1"))
    if not found or shutil.which("env") is None:
        pytest.skip("libfaketime is not installed (Debian: apt install faketime)")
    file = tmp_path / "clock"

    def turn(by: str) -> None:
        file.with_suffix(".new").write_text(by)
        file.with_suffix(".new").replace(file)

    turn("+0s")
    settings = {
        "LD_PRELOAD": found[-1], "FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_NO_CACHE": 1, "DONT_FAKE_MONOTONIC": 1,
        "FAKETIME_DONT_FAKE_MONOTONIC": 1,
    }  # fmt: skip
    return ("env", *(f"{name}={value}" for name, value in settings.items())), turn


@pytest.mark.long
@pytest.mark.parametrize("jump", ["+3600s", "-3600s", "-1s", "+0s x1.1", "+0s x0.9", "+378432000s"])
async def test_the_clock_of_a_worker_jumps_for_real(
    postgres_url: str, tmp_path: Path, clock: tuple[tuple[str, ...], Callable[[str], None]], jump: str
) -> None:
    """Or repeats a second, as for a leap second, or goes too fast or too slow, as when it is brought back. While a run
    waits outside of it, and while another one waits for its turn: both go on, in time."""
    from flowlang.durable.opening import open_store

    under, turn = clock
    (tmp_path / "w.yaml").write_text(
        "flow: w\nsteps:\n  - {id: a, wait: 3s}\n  - {id: b, wait: 1h}\noutputs: [{name: o, value: 1}]\n"
    )
    async with await open_store(postgres_url) as store:
        with worker(postgres_url, under=under) as only:
            waiting = await workers.submit(tmp_path / "w.yaml", store=store)
            held = await workers.submit(holding_flow(tmp_path), {"folder": str(tmp_path)}, store=store)
            await reached(store, waiting.id, "waiting")
            await until(lambda: lines(tmp_path / "holding"))
            turn(jump)
            await waits(store, waiting.id, "b")
            (tmp_path / "go").touch()
            assert (await workers.result_of(held.id, store=store)).succeeded
            late = await workers.submit(holding_flow(tmp_path), {"folder": str(tmp_path)}, store=store)
            assert (await workers.result_of(late.id, store=store)).succeeded
            left = await reached(store, waiting.id, "waiting")
            assert left.due_at - left.created_at > 3000, "an hour is not over"
            assert (await store.run(held.id) or left).takeovers == 0
            assert only.pid
