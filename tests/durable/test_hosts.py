"""Workers whose host is gone, or that are frozen, with the times that are set by default."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.durable.workers import begun_anew, freeze, holding_flow, lines, until, worker
from tests.servers.fixtures import own_server, require
from tests.servers.postgres import Postgres
from tests.servers.process import HOST

from flowlang import workers
from flowlang.durable.opening import open_store
from flowlang.durable.store import Store

pytestmark = [pytest.mark.long, pytest.mark.skipif(os.name == "nt", reason="signals and namespaces of Linux")]
PROMISED = 20.0  # seconds


async def test_a_frozen_worker_is_replaced_in_time(
    store: Store, store_url: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """With nothing set, from `SIGSTOP` to the next life of its run."""
    with worker(store_url) as first, worker(store_url) as second:
        pids = await begun(store, tmp_path, first.pid, second.pid)
        freeze(pids[0], store)
        seconds = await taken_over(tmp_path, pids)
        os.kill(pids[0], signal.SIGCONT)
        (tmp_path / "go").touch()
        await ended(store, tmp_path)
    kind = store_url.partition(":")[0]
    record_property("figure", f"a run whose worker is frozen begins its next life ({kind}): {seconds:.1f} s")
    assert seconds <= PROMISED


async def begun(store: Store, folder: Path, *pids: int) -> list[int]:
    """A run that one of the processes holds; that one first."""
    await workers.submit(holding_flow(folder), {"folder": str(folder)}, store=store, run_id="held")
    await until(lambda: lines(folder / "holding"))
    holder = int(lines(folder / "holding")[0])
    return sorted(pids, key=lambda pid: pid != holder)


async def taken_over(folder: Path, pids: Sequence[int]) -> float:
    """How many seconds it takes until the second of the processes holds the run as well."""
    began = time.monotonic()
    await until(lambda: lines(folder / "holding") == [str(pid) for pid in pids])
    return time.monotonic() - began


async def ended(store: Store, folder: Path) -> None:
    assert (await workers.result_of("held", store=store)).succeeded
    run = await store.run("held")
    assert run is not None
    assert run.takeovers == 1
    assert lines(folder / "notes") == ["one", "two"]


# ---------------------------------------------------------------- a host of its own


class Network:
    """A network of its own for what runs `under` it, with one line to ours, where it sees `here`."""

    def __init__(self) -> None:
        number = os.getpid() % 16384
        self.name = f"flowlang-{os.getpid()}"
        self._ends = f"fl{number}a", f"fl{number}b"
        block = f"198.18.{number // 64}.{number % 64 * 4}"  # of the range that is kept for tests of networks
        first, _, last = block.rpartition(".")
        self.here, self.there = f"{first}.{int(last) + 1}", f"{first}.{int(last) + 2}"
        self.under = ("ip", "netns", "exec", self.name)

    def open(self) -> None:
        """Raises `CalledProcessError` where that is not allowed."""
        ours, theirs = self._ends
        _ip("netns", "add", self.name)
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", self.name)
        _ip("address", "add", f"{self.here}/30", "dev", ours)
        _ip("link", "set", ours, "up")
        _ip("-n", self.name, "address", "add", f"{self.there}/30", "dev", theirs)
        self.line("up")

    def line(self, state: str) -> None:
        """Cut it, or mend it: nobody is told, packets are gone."""
        _ip("-n", self.name, "link", "set", self._ends[1], state)

    def close(self) -> None:
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", self._ends[0]], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, check=True)


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network of its own needs root, and the program `ip` (Debian: apt install iproute2)")
    made = Network()
    try:
        made.open()
    except subprocess.CalledProcessError as error:
        made.close()
        pytest.skip(f"no network of its own can be made here: {error.stderr.decode().strip()}")
    yield made
    made.close()


class Reached(Postgres):
    """A server that is reached from another network as well."""

    address = HOST

    def prepare(self) -> None:
        super().prepare()
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {self.address}/30 trust\n")

    def command(self) -> Sequence[str]:
        return [*super().command(), f"--listen_addresses={HOST},{self.address}"]


@pytest.fixture
def server(network: Network, tmp_path: Path) -> Iterator[Postgres]:
    require("postgres")
    kind = type("Reached", (Reached,), {"address": network.here})
    with contextlib.contextmanager(own_server)(kind, tmp_path) as made:
        assert isinstance(made, Postgres)
        yield made


async def test_a_worker_whose_host_is_gone_is_replaced_in_time(
    network: Network, server: Postgres, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """It stops its run by itself before another one begins; when its line is mended it works on under a new name."""
    far = server.url.replace(HOST, network.here)
    async with await open_store(server.url) as store:
        with worker(far, under=network.under) as first:
            await begun(store, tmp_path, first.pid)
            known = await store.run("held")
            assert known is not None
            with worker(server.url) as second:
                network.line("down")
                seconds = await taken_over(tmp_path, [first.pid, second.pid])
                assert lines(tmp_path / "left") == [str(first.pid)], "it had stopped before"
                network.line("up")
                await begun_anew(store, first.pid, known.owner)
                (tmp_path / "go").touch()
                await ended(store, tmp_path)
    record_property("figure", f"a run whose worker's host is gone begins its next life: {seconds:.1f} s")
    assert seconds <= PROMISED
