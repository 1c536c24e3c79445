"""Times for programs have one form in all that commands write as JSON, and no time is too late to be shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import flowlang
from flowlang import runs
from flowlang.durable.store import Store

TIMES = ("begun", "created_at", "due_at", "ended_at", "last_at", "next_at", "sent_at", "started_at", "waits_until")


def times(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Whatever stands under the name of a time, and whatever could be one in seconds since the epoch."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from times(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from times(each, name)
    elif value is not None and (name in TIMES or (isinstance(value, float) and value > 1e9)):
        yield name, value


async def test_they_are_iso_8601_in_utc(file_store: Store, flows: Any, cli: Callable[..., Any]) -> None:
    steps = "- wait: {{signal: go}}\n- {{id: w, wait: {}h}}"
    waiting = [flows.write(steps.format(hours), file=f"{hours}.yaml") for hours in (1, 100_000_000)]
    flows.write("- log: hello", file="due.yaml", more="triggers:\n  - every: {interval: 1h}\n")
    result = await runs.run(flows.write("- charge: {}"), store=file_store)
    async with runs.hosting(file_store) as host:
        for file in waiting:
            handle = await runs.begin(host, flowlang.load(file))
            await runs.send_signal(str(handle.run_id), "go", store=file_store)
            async with asyncio.timeout(20):
                while not any(each.path == "w" for each in await file_store.steps(str(handle.run_id))):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    at = ("--store", file_store.url)
    assert (await cli("schedule", "add", "due.yaml", *at))[0] == 0
    ids = [row["id"] for row in await file_store.database.fetch("SELECT id FROM flowlang_runs")]
    assert str(result.run_id) in ids
    commands = [
        ("run", "orders.yaml"),
        ("runs", "list"),
        ("schedule", "list"),
        *(("runs", "show", each) for each in ids),
    ]
    seen = set()
    for words in commands:
        code, shown, _ = await cli(*words, "--json", *at)
        assert code == 0
        for name, time in times(json.loads(shown)):
            assert isinstance(time, str), (words, name, time)
            assert time.endswith("+00:00")
            assert datetime.fromisoformat(time) - datetime.now(UTC) < timedelta(hours=2)
            seen.add(name)
    assert seen == set(TIMES) - {"last_at"}
    for run_id in ids:
        assert (await cli("runs", "show", run_id, *at))[0] == 0, "a wait of 11,000 years, too"
    assert (await cli("runs", "list", *at))[0] == 0
