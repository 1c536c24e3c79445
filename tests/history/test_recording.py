"""`flowlang run --record`: a run in memory in the same history, which never minds what becomes of its record."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowlang import runs
from flowlang.durable.liveness import Watch
from flowlang.durable.opening import open_store
from flowlang.durable.reaper import reap
from flowlang.durable.store import Store
from flowlang.history.story import story
from flowlang.views.story import story_text

MORE = "inputs:\n  - {name: n, type: integer, default: 7}\n  - {name: key, type: string, secret: true, default: ''}\n"


async def only(store: Store) -> str:
    rows = await store.database.fetch("SELECT id FROM flowlang_runs")
    assert len(rows) == 1
    return str(rows[0]["id"])


async def test_a_run_in_memory_has_its_story(store: Store, store_url: str, flows: Any, cli: Callable[..., Any]) -> None:
    flows.broken("b")
    file = flows.write('- look: {id: a, value: "${inputs.n}"}\n- charge: {id: b, value: 1}\n- look: {id: c}', more=MORE)
    flows.broken("c")
    words = ("run", file, "--record", "--store", store_url, "-i", "n=3", "-i", "key=canary-4711")
    code, _, err = await cli(*words)
    assert code == 1
    assert f"run {await only(store)} in {store.url}\n" in err, "so that it can be looked at"
    found = await story(store, await only(store), runs.steps_of)
    assert found.state == "failed"
    assert not found.run.durable
    assert found.run.owner is None
    assert found.inputs == {"n": 3, "key": "***"}
    assert [(each.path, each.state) for each in found.steps] == [
        ("a", "succeeded"),
        ("b", "succeeded"),
        ("c", "failed"),
    ]
    text = story_text(found, 0.0)
    assert "it cannot be resumed" in text
    assert "id: c" in text, "the snippet"
    assert await store.steps(found.run.id) == []


async def test_a_store_that_cannot_be_used_is_one_warning(flows: Any, cli: Callable[..., Any]) -> None:
    file = flows.write("- look: {id: a}", more='outputs:\n  - {name: it, value: "${a.seen}"}\n')
    code, shown, err = await cli("run", file, "--record", "--store", "sqlite:////proc/no/such.db", "--json")
    assert code == 0
    assert '"status": "succeeded"' in shown or '"status":"succeeded"' in shown
    assert err.count("warning: the run is not recorded") == 1


async def test_one_that_is_killed_is_lost_and_says_so(flows: Any, folder: Path) -> None:
    flows.hang("a")
    file = flows.write("- look: {id: a}")
    url = f"sqlite:///{folder}/runs.db"
    words = [sys.executable, "-m", "flowlang", "run", file, "--record", "--store", url]
    process = await asyncio.create_subprocess_exec(*words, stderr=subprocess.DEVNULL)
    try:
        async with await open_store(url) as store:
            until = time.monotonic() + 60
            while time.monotonic() < until and not await store.database.fetch("SELECT 1 FROM flowlang_events"):
                assert process.returncode is None
                await store.database.wait([], 0.1)
            process.kill()
            await process.wait()
            found = await story(store, await only(store), runs.steps_of)
            assert found.state == "lost"
            assert found.steps[0].state == "unfinished"
            assert "run it again" in story_text(found, 0.0)
            assert [each.state for each in await reap(store, Watch(store))] == ["lost"]
            again = await story(store, found.run.id, runs.steps_of)
            assert (again.state, again.run.ended_at is not None) == ("lost", True)
            await runs.delete(found.run.id, store=store)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
