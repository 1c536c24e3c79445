"""A PostgreSQL that dies, and its replica that takes its place, at another address."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from tests.durable.workers import reached, until, worker
from tests.servers.fixtures import own_server, require
from tests.servers.postgres import FOLDERS, Postgres
from tests.servers.process import HOST, program

from flowlang import api, runs, workers
from flowlang.durable import postgres
from flowlang.durable.opening import open_store
from flowlang.exceptions import StoreUnavailable

HERE = Path(__file__).parent
MANY = 150
FLOW = f"""
flow: many
tasks: [effects.py]
steps:
  - for_each: "${{range(0, {MANY})}}"
    id: l
    do:
      - change: {{id: c}}
"""


class Replica(Postgres):
    """Of the server `of`, which it follows. It is there once the server waits for it with each commit."""

    of: Postgres

    def prepare(self) -> None:
        copy = program("pg_basebackup", *FOLDERS) or "pg_basebackup"
        words = [copy, "-D", str(self.data), "-R", "-X", "stream", "-c", "fast", "--no-sync"]
        self.tool(*words, "-h", HOST, "-p", str(self.of.port), "-U", "flow")

    async def answers(self) -> None:
        await super().answers()
        session = await asyncpg.connect(self.of.url)
        try:
            await session.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            await session.execute("SELECT pg_reload_conf()")
            states = await session.fetch("SELECT sync_state FROM pg_stat_replication")
            assert [row["sync_state"] for row in states] == ["sync"]
        finally:
            await session.close()

    def promote(self) -> None:
        self.tool(program("pg_ctl", *FOLDERS) or "pg_ctl", "promote", "-D", str(self.data))


@dataclass
class Pair:
    primary: Postgres
    replica: Replica

    @property
    def url(self) -> str:
        """Of both. Commits wait for the replica, whatever our servers do by themselves."""
        hosts = f"{HOST}:{self.primary.port},{HOST}:{self.replica.port}"
        return f"postgresql://flow@{hosts}/postgres?synchronous_commit=on"

    def fail_over(self) -> None:
        self.primary.kill()
        self.replica.promote()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    require("postgres")
    opened = contextmanager(own_server)
    with opened(Postgres, tmp_path / "one") as primary:
        assert isinstance(primary, Postgres)
        with opened(type("Following", (Replica,), {"of": primary}), tmp_path / "two") as replica:
            assert isinstance(replica, Replica)
            yield Pair(primary, replica)


def flow(folder: Path) -> Path:
    shutil.copy(HERE / "effects.py", folder)
    (folder / "many.yaml").write_text(FLOW)
    return folder / "many.yaml"


def changes(folder: Path) -> list[str]:
    file = folder / "effects.jsonl"
    return [json.loads(line)["step"] for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.long
async def test_a_run_outlives_the_server_of_its_store(pair: Pair, tmp_path: Path) -> None:
    """It goes on by itself with the replica, where all is that had been committed."""
    async with await open_store(pair.url) as store, runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(flow(tmp_path)), files_root=str(tmp_path))
        await until(lambda: len(changes(tmp_path)) > MANY // 3)
        await asyncio.to_thread(pair.fail_over)
        result = await handle
        assert result.succeeded, result.failure
        steps = await store.steps(handle.run_id)
    assert changes(tmp_path) == [f"l[{turn}].c" for turn in range(MANY)]
    assert sorted(each.path for each in steps if each.state == "succeeded") == sorted(changes(tmp_path))


@pytest.mark.long
async def test_a_worker_that_dies_with_the_server_of_its_store(pair: Pair, tmp_path: Path) -> None:
    """Another one goes on with the replica: no step that counted is done again, though its server is gone."""
    path = flow(tmp_path)
    async with await open_store(pair.url) as store:
        with worker(pair.url) as first:
            run = await workers.submit(path, store=store, files_root=str(tmp_path))
            await until(lambda: len(changes(tmp_path)) > MANY // 3)
            first.send(signal.SIGKILL)
            await asyncio.to_thread(pair.fail_over)
        with worker(pair.url):
            left = await reached(store, run.id, "succeeded", "needs_attention")
    done = changes(tmp_path)
    assert len(done) == len(set(done)), "nothing was done twice"
    assert left.state == "needs_attention" or len(done) == MANY


# ---------------------------------------------------------------- addresses


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of a host that takes connections and never answers."""
    with closing(socket.socket()) as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield f"{HOST}:{listener.getsockname()[1]}"


async def test_a_host_that_answers_nothing_does_not_hide_the_next_one(
    silent: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not asked again as long as the other one will do. What is shown of the address has no password."""
    monkeypatch.setattr(postgres, "_CONNECT", 2.0)
    account, _, place = postgres_url.partition("://")[2].partition("@")
    url = f"postgresql://{account}:hush@{silent},{place}"
    async with await open_store(url) as store:
        assert store.url == f"postgresql://{silent},{place}"
        await store.database.notify("a")
        await store.database.wait(["a"], 0.01)


async def test_several_hosts_of_which_none_will_do(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told of each why, and may be tried again."""
    monkeypatch.setattr(postgres, "_CONNECT", 0.4)
    with pytest.raises(StoreUnavailable, match="no host of it can be used now") as refused:
        await open_store(f"postgresql://flow:hush@{silent},{HOST}:9/d")
    assert "hush" not in str(refused.value)
    assert f"`{HOST}:9`: " in str(refused.value)
