"""The example of a day's orders: killed in its loop and while it waits, it handles each order once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from flowlang import runs
from flowlang.durable.opening import open_store
from flowlang.durable.store import Store

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/approvals"
PATIENCE = 60.0  # seconds on a machine that is busy
Command = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def command(postgres_url: str) -> Iterator[Command]:
    """Begins `flowlang …` with the shop and the store in one database; what is left of it is killed at the end."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        surroundings = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "DATABASE_URL": postgres_url}
        begun.append(
            subprocess.Popen(
                [sys.executable, "-m", "flowlang", *words, "--store", postgres_url],
                cwd=ROOT, env=surroundings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True,
            )
        )  # fmt: skip
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()
        each.communicate()


async def until(condition: Callable[[], Awaitable[Any]], process: subprocess.Popen[str]) -> None:
    """Wait until it is so, for as long as the process lives."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            assert process.poll() is None, process.communicate()
            await asyncio.sleep(0.02)


async def killed(process: subprocess.Popen[str], store: Store) -> str:
    """`kill -9`; the id of the run that is left behind, once the server has noticed."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    async with asyncio.timeout(PATIENCE):
        while not (left := await runs.interrupted(store)):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)
    (run,) = left
    return run.id


async def test_each_order_is_handled_once(postgres_url: str, command: Command) -> None:
    shop = await asyncpg.connect(postgres_url)
    try:
        await shop.execute((EXAMPLE / "shop.sql").read_text(encoding="utf-8"))
        async with await open_store(postgres_url) as store:
            await handled(shop, store, command)
        assert await shop.fetch("SELECT order_id FROM shipments ORDER BY order_id") == [(1,), (2,), (3,), (4,)]
        assert dict(await shop.fetch("SELECT sku, quantity FROM stock")) == {"pen": 83, "ink": 98, "press": 9}
    finally:
        await shop.close()


async def handled(shop: asyncpg.Connection, store: Store, command: Command) -> None:
    """Run the day's orders, with a kill inside of the loop's third order, and one while the run waits for a person."""
    held = shop.transaction()
    await held.start()
    await shop.execute("SELECT 1 FROM stock WHERE sku = 'press' FOR UPDATE")

    async def stands_before_the_lock() -> bool:
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(await store.database.fetch(waiting))

    first = command("run", str(EXAMPLE / "day.yaml"), "-i", "day=2026-11-27", "--durable")
    await until(stands_before_the_lock, first)
    run_id = await killed(first, store)
    await held.rollback()
    assert await shop.fetchval("SELECT count(*) FROM shipments") == 2

    async def waits() -> bool:
        return any(each.path == "approval@until" for each in await store.steps(run_id))

    second = command("runs", "resume")
    await until(waits, second)
    assert await killed(second, store) == run_id
    assert await shop.fetchval("SELECT count(*) FROM shipments") == 3

    sent = command("runs", "signal", run_id, "approval", "--json", '{"approved": [3]}')
    told, _ = await asyncio.to_thread(sent.communicate, timeout=PATIENCE)
    assert (sent.returncode, told) == (0, "")
    third = command("runs", "resume", run_id, "--json")
    out, err = await asyncio.to_thread(third.communicate, timeout=PATIENCE)
    assert third.returncode == 0, err
    assert json.loads(out)["outputs"] == {"orders": 5, "held": 2, "approved": [3]}
