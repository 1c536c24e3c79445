"""A pooler between a worker and its store: in session mode it works, and in transaction mode it is refused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.durable.workers import killed_and_taken_over
from tests.servers.fixtures import require
from tests.servers.pgbouncer import PgBouncer

from flowlang.durable.opening import open_store
from flowlang.exceptions import StoreError

Pooler = Callable[..., str]


@pytest.fixture
def pooler(postgres_url: str, tmp_path: Path) -> Iterator[Pooler]:
    """Starts a PgBouncer in front of the test's database; its URL."""
    require("pgbouncer")
    begun: list[PgBouncer] = []

    def start(mode: str, size: int) -> str:
        begun.append(PgBouncer(tmp_path / f"{mode}-{size}", postgres_url, mode, size))
        begun[-1].start()
        return begun[-1].url

    yield start
    for each in begun:
        each.remove()


def test_in_transaction_mode_it_is_refused(pooler: Pooler) -> None:
    """With sessions to spare and with hardly any. A lock would belong to whoever is given its session next."""
    with pytest.raises(StoreError, match="behind a pooler that shares sessions"):
        asyncio.run(open_store(pooler("transaction", 2)))
    words = [sys.executable, "-m", "flowlang", "worker", "--store", pooler("transaction", 20)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "behind a pooler that shares sessions between transactions" in ran.stderr
    assert "connect to PostgreSQL itself, or to a pooler in session mode" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


async def test_in_session_mode_workers_take_over_as_ever(pooler: Pooler, tmp_path: Path) -> None:
    """The session of a worker that is killed ends with it, behind the pooler too, and its lock is free."""
    url = await asyncio.to_thread(pooler, "session", 40)
    async with await open_store(url) as store:
        await killed_and_taken_over(url, store, tmp_path)
