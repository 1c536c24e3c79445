"""What changes while runs are in flight: their flow, the plugins of workers, FlowLang itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.connections.guide.laying import module
from tests.durable.test_workers import Serving
from tests.durable.workers import PATIENCE, holding_flow, lines, reached, until, worker

from flowlang import api, runs, workers
from flowlang.durable import executors, schema, signals
from flowlang.durable.opening import open_store
from flowlang.durable.store import Store
from flowlang.exceptions import InvalidFlowError, StoreError

SIGNALLED = """
flow: told
steps:
  - id: asked
    wait: {signal: go}
  - subflow: part
    id: part
outputs:
  - {name: version, value: "${[asked.payload, part.version, '%s']}"}
"""
PART = "flow: part\nsteps:\n  - log: hello\noutputs:\n  - {name: version, value: %s}\n"


async def test_a_flow_that_is_edited_while_runs_of_it_wait(store: Store, tmp_path: Path) -> None:
    """For a signal, and in a queue: each goes on with the texts that it was submitted with, its subflow's included."""

    def edit(version: str) -> Path:
        (tmp_path / "told.yaml").write_text(SIGNALLED % version)
        (tmp_path / "part.yaml").write_text(PART % version)
        return tmp_path / "told.yaml"

    waiting = await workers.submit(edit("one"), store=store)
    async with Serving(store):
        await reached(store, waiting.id, "waiting")
    queued = await workers.submit(edit("two"), store=store)
    late = await workers.submit(edit("three"), store=store)
    told = []
    async with Serving(store):
        for run in (waiting, queued, late):
            await signals.send(store, run.id, "go", '"gone"')
            told.append((await workers.result_of(run.id, store=store)).outputs["version"])
    assert told == [["gone", each, each] for each in ("one", "two", "three")]


# ---------------------------------------------------------------- plugins

METER = '''
from flowlang import task
from flowlang.connections.base import ConnectionPlugin

class Meter(ConnectionPlugin):
    name = "meter"
    description = "Counts."
    version = "{version}"

    def get_config_schema(self):
        return {{"type": "object", "properties": {{}}, "additionalProperties": False}}

    async def connect(self, config):
        return self

    async def disconnect(self):
        pass

    async def get_connection(self):
        return self

    def get_builtin_tasks(self):
        return {{"meter_read": self.read}}

    @task
    async def read(self, connection) -> dict:
        """Which version reads."""
        return {{"version": "{version}"}}
'''
GIVEN_BACK = "SELECT reason FROM flowlang_runs WHERE state = 'queued' AND reason IS NOT NULL"
METERED = """
flow: metered
tasks: [tasks.py]
inputs:
  - {name: folder, type: string, required: true}
connections:
  m: {type: meter}
steps:
  - meter_read: {id: before, connection: m}
  - hold: {folder: "${inputs.folder}"}
  - meter_read: {id: after, connection: m}
outputs:
  - {name: versions, value: "${[before.version, after.version]}"}
"""


@contextlib.contextmanager
def installed(folder: Path, version: str) -> Iterator[None]:
    """Processes that begin meanwhile have the plugin in this version."""
    before = os.environ.get("PYTHONPATH")
    if not folder.exists():
        module(folder, "meter_plugin", METER.format(version=version), "meter = meter_plugin:Meter", version)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *([before] if before else [])])
    try:
        yield
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


async def test_workers_with_two_versions_of_a_plugin_and_one_without(tmp_path: Path) -> None:
    """The one without leaves the run to others, and asks for it no second time; so does `runs resume` there. What one
    version has begun the other goes on with: the outputs that count stay."""
    url, (old, new) = f"sqlite:///{tmp_path}/runs.db", (tmp_path / "old", tmp_path / "new")
    holding_flow(tmp_path)
    (tmp_path / "metered.yaml").write_text(METERED)
    words = ["submit", str(tmp_path / "metered.yaml"), "-i", f"folder={tmp_path}", "--store", url]
    with installed(old, "1.0.0"):
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-m", "flowlang", *words], capture_output=True, text=True, timeout=PATIENCE
        )
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    async with await open_store(url) as store:
        before = await store.run(run_id)
        with pytest.raises(InvalidFlowError, match="`meter`"):
            await runs.resume(run_id, store=store)
        assert await store.run(run_id) == before
        with worker(url):
            async with asyncio.timeout(PATIENCE):
                while not (reasons := [row["reason"] for row in await store.database.fetch(GIVEN_BACK)]):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert "`meter`" in reasons[0]
            with installed(old, "1.0.0"), worker(url) as first:
                await until(lambda: lines(tmp_path / "holding") == [str(first.pid)])
                with installed(new, "2.0.0"), worker(url) as second:
                    first.send(signal.SIGKILL)
                    await until(lambda: lines(tmp_path / "holding") == [str(first.pid), str(second.pid)])
                    (tmp_path / "go").touch()
                    over = await reached(store, run_id, "succeeded", "failed", "parked")
        assert (over.state, over.outputs, over.takeovers) == ("succeeded", '{"versions":["1.0.0","2.0.0"]}', 1)
        refused = await store.database.fetch("SELECT refused FROM flowlang_runs")
        assert refused[0]["refused"] == 1


# ---------------------------------------------------------------- the format of the store


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A FlowLang whose stores have one more column."""
    monkeypatch.setattr(schema, "FORMAT", schema.FORMAT + 1)
    monkeypatch.setattr(executors, "FORMAT", schema.FORMAT)
    monkeypatch.setattr(schema, "UPGRADES", {schema.FORMAT - 1: ("ALTER TABLE flowlang_runs ADD COLUMN note {float}",)})


async def test_a_later_version_goes_on_with_what_an_earlier_one_began(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not while the earlier one is at work; and the earlier one does not touch the store any more."""
    flow = holding_flow(tmp_path)
    async with runs.hosting(store) as host:
        handle = await runs.begin(host, api.load(flow), {"folder": str(tmp_path)})
        await until(lambda: lines(tmp_path / "holding"))
        with monkeypatch.context() as patch:
            later(patch)
            told = rf"format {schema.FORMAT - 1}, .* writes format {schema.FORMAT}, and 1 process of the older version"
            with pytest.raises(StoreError, match=told):
                await open_store(store_url)
    (tmp_path / "go").touch()
    with monkeypatch.context() as patch:
        later(patch)
        async with await open_store(store_url) as newer:
            assert (await runs.resume(handle.run_id, store=newer)).succeeded
            assert await newer.database.fetch("SELECT note FROM flowlang_runs WHERE note IS NOT NULL") == []
    assert lines(tmp_path / "notes") == ["one", "two"]
    with pytest.raises(
        StoreError,
        match=rf"is of format {schema.FORMAT + 1}, this FlowLang writes format {schema.FORMAT}: use the version that",
    ):
        await open_store(store_url)
    with pytest.raises(StoreError, match=f"not of format {schema.FORMAT} any more"):
        async with runs.hosting(store):
            pass
    assert await store.database.fetch("SELECT id FROM flowlang_executors") == []


async def test_a_format_of_which_nothing_is_known(
    store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too old, or too new: the store stays as it is."""
    for found, ours in (("99", 1), ("1", 3)):
        await store.database.execute("UPDATE flowlang_meta SET value = :found WHERE key = 'format'", found=found)
        with monkeypatch.context() as patch:
            patch.setattr(schema, "FORMAT", ours)
            with pytest.raises(StoreError, match=f"is of format {found}, this FlowLang writes format {ours}"):
                await open_store(store_url)
        assert (await store.database.fetch("SELECT value FROM flowlang_meta"))[0]["value"] == found
