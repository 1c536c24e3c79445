"""Workers: processes that execute what is submitted, and what happens when they are killed, frozen, stopped."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.durable.workers import (
    begun_anew,
    freeze,
    holding_flow,
    killed_and_taken_over,
    lines,
    lose_lock,
    reached,
    until,
    worker,
)

from flowlang import api, runs, workers
from flowlang.cli.app import serve
from flowlang.durable import signals
from flowlang.durable.opening import open_store
from flowlang.durable.records import StoredRun
from flowlang.durable.run import Left
from flowlang.durable.store import Store
from flowlang.durable.worker import Settings, Worker


async def test_a_killed_workers_run_goes_on_in_another(store: Store, store_url: str, tmp_path: Path) -> None:
    """No step whose end is recorded is done again, and the takeover is counted."""
    assert (await killed_and_taken_over(store_url, store, tmp_path)).takeovers == 1


async def test_a_frozen_worker_loses_its_run_and_wakes_up_without_harm(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its lock, but is silent: another goes on. When it wakes up it drops the run, and works on for others."""
    monkeypatch.setenv("FLOWLANG_LEASE", "2")
    flow = holding_flow(tmp_path)
    with worker(store_url) as first:
        run = await workers.submit(flow, {"folder": str(tmp_path)}, store=store)
        await until(lambda: lines(tmp_path / "holding") == [str(first.pid)])
        known = await store.run(run.id)
        assert known is not None
        freeze(first.pid, store)
        with worker(store_url, "--grace", "0s") as second:
            await until(lambda: lines(tmp_path / "holding") == [str(first.pid), str(second.pid)])
            first.send(signal.SIGCONT)
            await begun_anew(store, first.pid, known.owner)
            (tmp_path / "go").touch()
            assert (await workers.result_of(run.id, store=store)).succeeded
            over = await store.run(run.id)
            assert over is not None
            assert over.takeovers == 1
            second.send(signal.SIGTERM)
            assert second.ended() == 0
        again = await workers.submit(flow, {"folder": str(tmp_path)}, store=store)
        assert (await workers.result_of(again.id, store=store)).succeeded
        first.send(signal.SIGTERM)
        assert first.ended() == 0
    assert lines(tmp_path / "notes") == ["one", "two", "one", "two"]


async def test_a_stopped_worker_gives_back_what_does_not_end(store: Store, store_url: str, tmp_path: Path) -> None:
    """After its grace; that is no takeover, and what was under way, and may be done again, is not recorded at all."""
    flow = holding_flow(tmp_path)
    with worker(store_url, "--grace", "0s") as only:
        run = await workers.submit(flow, {"folder": str(tmp_path)}, store=store)
        await until(lambda: lines(tmp_path / "holding"))
        only.send(signal.SIGTERM)
        assert only.ended() == 0
    left = await store.run(run.id)
    assert left is not None
    assert (left.state, left.takeovers, left.owner) == ("queued", 0, None)
    assert [step.state for step in await store.steps(run.id)] == ["succeeded"]


class Serving:
    """A worker in this process."""

    def __init__(self, store: Store, env: Mapping[str, str] | None = None, **settings: object) -> None:
        made = Settings({"default": None}, **settings)  # type: ignore[arg-type]
        self.task = asyncio.create_task(workers.work(made, store=store, env=env or {}, ready=self._ready))
        self.worker: Worker | None = None

    def _ready(self, worker: Worker) -> None:
        self.worker = worker

    async def __aenter__(self) -> Worker:
        await until(lambda: self.worker is not None or self.task.done())
        assert self.worker is not None, self.task.result()
        return self.worker

    async def __aexit__(self, *error: object) -> None:
        assert self.worker is not None
        self.worker.stop()
        await self.task


async def test_a_stopped_worker_claims_nothing_and_lets_runs_end(store: Store, tmp_path: Path) -> None:
    """What is submitted meanwhile stays for others."""
    flow = holding_flow(tmp_path)
    async with Serving(store) as serving:
        run = await workers.submit(flow, {"folder": str(tmp_path)}, store=store)
        await until(lambda: lines(tmp_path / "holding"))
        serving.stop()
        late = await workers.submit(flow, {"folder": str(tmp_path)}, store=store)
        (tmp_path / "go").touch()
    assert (await reached(store, run.id, "succeeded")).takeovers == 0
    assert (await reached(store, late.id, "queued")).started_at is None


@pytest.mark.parametrize("stop", ["its worker", "the run"])
async def test_what_is_stopped_while_its_end_is_written_down_has_ended(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    """It is not put back, and nothing is held against it."""
    flow = tmp_path / "f.yaml"
    flow.write_text("flow: f\nsteps:\n  - log: hello\n")
    finish, ending, stopped = store.finish, asyncio.Event(), asyncio.Event()

    async def held(*args: Any, **options: Any) -> bool:
        ending.set()
        await stopped.wait()
        return await finish(*args, **options)

    monkeypatch.setattr(store, "finish", held)
    async with runs.hosting(store) as host, asyncio.timeout(30):
        handle = await runs.begin(host, api.load(flow))
        await ending.wait()
        run, _ = host.running[str(handle.run_id)]
        if stop == "the run":
            run.cancel()
        else:
            run.abandon(Left("released", "its worker was stopped"))
        stopped.set()
        assert (await handle).status == "succeeded"
    (row,) = await store.database.fetch("SELECT state, refused FROM flowlang_runs")
    assert (row["state"], row["refused"]) == ("succeeded", 0)


async def test_a_worker_that_lost_its_lock_begins_anew(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runs stop and go on, here or elsewhere, and are done once."""
    monkeypatch.setenv("FLOWLANG_LEASE", "0.4")
    flow = holding_flow(tmp_path)
    async with Serving(store) as serving:
        run = await workers.submit(flow, {"folder": str(tmp_path)}, store=store)
        await until(lambda: lines(tmp_path / "holding"))
        before = serving.host.executor.id
        await lose_lock(store, before)
        await until(lambda: len(lines(tmp_path / "holding")) >= 2 and serving.host.executor.id != before)
        (tmp_path / "go").touch()
        assert (await workers.result_of(run.id, store=store)).succeeded
    assert lines(tmp_path / "notes") == ["one", "two"]


async def test_a_run_that_waits_long_gives_its_place_to_others(store: Store, tmp_path: Path) -> None:
    """And comes back when it is signalled."""
    (tmp_path / "ask.yaml").write_text(
        "flow: ask\nsteps:\n  - id: asked\n    wait: {signal: answer}\n  - log: got it\n"
        "outputs:\n  - {name: it, value: '${asked.payload}'}\n"
    )
    (tmp_path / "other.yaml").write_text("flow: other\nsteps:\n  - log: hello\n")
    async with Serving(store, concurrency=1):
        run = await workers.submit(tmp_path / "ask.yaml", store=store)
        assert (await reached(store, run.id, "waiting")).owner is None
        other = await workers.submit(tmp_path / "other.yaml", store=store)
        assert (await workers.result_of(other.id, store=store)).succeeded
        await signals.send(store, run.id, "answer", '"yes"')
        result = await workers.result_of(run.id, store=store)
    assert result.outputs == {"it": "yes"}


async def test_a_run_that_cannot_begin_here_is_put_back_with_its_reason(store: Store, tmp_path: Path) -> None:
    """A missing secret: it stays queued, for a worker that has it."""
    (tmp_path / "f.yaml").write_text(
        'flow: f\nconnections:\n  api: {type: http, base_url: "http://127.0.0.1:1", '
        'headers: {token: "${secrets.TOKEN}"}}\nsteps:\n  - http_get: {connection: api, path: /}\n'
    )
    async with Serving(store):
        run = await workers.submit(tmp_path / "f.yaml", store=store)
        async with asyncio.timeout(60):
            while True:
                record = await store.run(run.id)
                assert record is not None
                if record.reason is not None:
                    break
                await asyncio.sleep(0.02)
    assert record.state == "queued"
    assert record.reason.startswith("secret `TOKEN` is not set: set the variable FLOWLANG_SECRET_TOKEN")
    assert record.due_at > record.created_at


async def test_the_log_says_why_a_run_failed(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = "import flowlang\n@flowlang.task\ndef boom(pw: str):\n    raise ValueError(f'{pw} is wrong')\n"
    (tmp_path / "tasks.py").write_text(task)
    (tmp_path / "f.yaml").write_text("flow: f\ntasks: [tasks.py]\nsteps:\n  - boom: {id: a, pw: '${secrets.PW}'}\n")
    with caplog.at_level(logging.INFO, "flowlang.worker"):
        async with Serving(store, {"FLOWLANG_SECRET_PW": "canary-5e"}):
            run = await workers.submit(tmp_path / "f.yaml", store=store)
            assert (await workers.result_of(run.id, store=store)).status == "failed"
    (told,) = [each.getMessage() for each in caplog.records if "failed in" in each.getMessage()]
    assert told.endswith(" s: a: task: *** is wrong")


def test_the_commands(store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """submit checks first, tells the id, and finds a run of the same key; queue sets limits and shows what is there."""
    flow = str(holding_flow(tmp_path))

    def said(*words: str, code: int = 0) -> str:
        assert serve([*words, "--store", store_url]) == code, capsys.readouterr().err
        return capsys.readouterr().out

    async def stored(run_id: str) -> StoredRun | None:
        async with await open_store(store_url) as store:
            return await store.run(run_id)

    assert said("submit", flow, code=2) == "", "an input is missing"
    given = ("-i", f"folder={tmp_path}", "--dedup", "k", "--queue", "mail")
    run_id = said("submit", flow, *given, "--priority", "3", "--delay", "5m").strip()
    run = asyncio.run(stored(run_id))
    assert run is not None
    assert (run.queue, run.priority, run.dedup) == ("mail", 3, "k")
    assert round(run.due_at - run.created_at) == 300
    told = json.loads(said("submit", flow, *given, "--json"))
    assert told == {"run_id": run_id, "flow": "hold", "state": "queued", "queue": "mail", "new": False}
    said("queue", "set", "mail", "--concurrency", "4", "--rate", "100/1m")
    assert json.loads(said("queue", "list", "--json")) == {
        "mail": {
            "concurrency": 4, "worker_concurrency": None, "rate": 100, "period": 60.0, "runs": {"queued": 1},
        }
    }  # fmt: skip
    said("queue", "remove", "mail")
    assert said("queue", "list") == "mail: 1 queued\n"


async def test_copies_of_a_flow_have_python_files_of_their_own(store: Store, tmp_path: Path) -> None:
    """The same text in another folder: what is run are the files beside it."""
    outputs = []
    async with Serving(store):
        for name in ("left", "right"):
            (tmp_path / name).mkdir()
            task = f"import flowlang\n@flowlang.task\ndef where():\n    return {{'it': '{name}'}}\n"
            (tmp_path / name / "tasks.py").write_text(task)
            flow = tmp_path / name / "f.yaml"
            flow.write_text(
                "flow: f\ntasks: [tasks.py]\nsteps:\n  - where: {id: asked}\n"
                "outputs:\n  - {name: it, value: '${asked.it}'}\n"
            )
            run = await workers.submit(flow, store=store)
            outputs.append((await workers.result_of(run.id, store=store)).outputs["it"])
    assert outputs == ["left", "right"]
