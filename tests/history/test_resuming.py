"""`flowlang runs resume` without an id: every run whose process is gone, one after the other."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import forks

from flowlang.durable.store import Store


async def states(store: Store) -> dict[str, str]:
    rows = await store.database.fetch("SELECT flow, state FROM flowlang_runs")
    return {row["flow"]: row["state"] for row in rows}


async def interrupted(store: Store, flows: Any, *names: str) -> dict[str, str]:
    """Runs that were lost in their only step, by the names of their flows, which are those of their steps."""
    return {
        name: await flows.lost(store, flows.write(f"- look: {{id: {name}}}", name=name, file=f"{name}.yaml"), name)
        for name in names
    }


async def test_each_goes_on_whatever_becomes_of_the_others(
    file_store: Store, flows: Any, cli: Callable[..., Any]
) -> None:
    """The exit code is the highest of all."""
    ids = await interrupted(file_store, flows, "damaged", "stopped", "fails", "works")
    await file_store.database.execute("UPDATE flowlang_runs SET inputs = '{' WHERE flow = 'damaged'")
    await file_store.ask_to_cancel(ids["stopped"])
    flows.broken("fails")
    code, _, err = await cli("runs", "resume", "--store", file_store.url)
    assert code == 130
    assert [line.split()[1] for line in err.splitlines() if line.startswith("run ")] == list(ids.values())
    assert f"error: the inputs of run `{ids['damaged']}` are damaged" in err
    told = await states(file_store)
    assert (told["stopped"], told["fails"], told["works"]) == ("cancelled", "failed", "succeeded")
    code, _, err = await cli("runs", "resume", "--store", file_store.url)
    assert code == 1, "it is as it was, and still there to be resumed"
    await file_store.database.execute("UPDATE flowlang_runs SET inputs = '{}' WHERE flow = 'damaged'")
    assert (await cli("runs", "resume", "--store", file_store.url))[0] == 0
    code, _, err = await cli("runs", "resume", "--store", file_store.url)
    assert (code, err) == (0, "no run waits to be resumed\n")


async def test_ctrl_c_ends_one_and_leaves_the_others(file_store: Store, flows: Any, folder: Path) -> None:
    await interrupted(file_store, flows, "one", "two")
    flows.hang("one")
    before = len(flows.effects())
    words = [sys.executable, "-c", forks.START, "runs", "resume", "--store", file_store.url]
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(60):
            while len(flows.effects()) == before:  # noqa: ASYNC110 - tasks tell by a file
                await asyncio.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 130
    assert "1 more run not begun" in err.decode()
    assert (await states(file_store))["one"] == "cancelled"
    assert flows.effects()[before:] == ["one"]
