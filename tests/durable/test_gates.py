"""`concurrency` of a flow among all runs of a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from flowlang import api, runs
from flowlang.durable import gates
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError

Begin = Callable[..., object]


@pytest.fixture
def flow(tmp_path: Path) -> Callable[[str], api.Flow]:
    def made(on_conflict: str, limit: int = 1) -> api.Flow:
        path = tmp_path / "gated.yaml"
        path.write_text(
            "flow: gated\ninputs: [{name: who, type: string, default: ada}]\n"
            f"concurrency: {{key: '${{inputs.who}}', limit: {limit}, on_conflict: {on_conflict}}}\n"
            "steps:\n  - wait: {signal: go}\n"
        )
        return api.load(path)

    return made  # type: ignore[return-value]


async def inside(store: Store) -> int:
    rows = await store.database.fetch("SELECT count(*) AS n FROM flowlang_runs WHERE gate IS NOT NULL")
    return int(rows[0]["n"])


async def until_inside(store: Store, count: int) -> None:
    async with asyncio.timeout(30):
        while await inside(store) != count:  # noqa: ASYNC110 - another process may be what changes it
            await asyncio.sleep(0.02)


async def test_a_run_waits_for_the_one_before_it_in_another_process(store: Store, flow: Begin) -> None:
    async with runs.hosting(store) as one, runs.hosting(store) as other:
        first = await runs.begin(one, flow("queue"))  # type: ignore[arg-type]
        await until_inside(store, 1)
        second = await runs.begin(other, flow("queue"))  # type: ignore[arg-type]
        apart = await runs.begin(other, flow("queue"), {"who": "bob"})  # type: ignore[arg-type]
        await until_inside(store, 2)
        async with asyncio.timeout(10):
            while not second.queued:  # noqa: ASYNC110 - it says so itself
                await asyncio.sleep(0.01)
        for each in (first, second, apart):
            await runs.send_signal(each.run_id, "go", store=store)
        assert [(await each).status for each in (first, apart, second)] == ["succeeded"] * 3
    ended = {each: await store.run(each.run_id) for each in (first, second)}
    assert ended[first].ended_at < ended[second].ended_at  # type: ignore[union-attr,operator]
    assert await inside(store) == 0


async def test_a_run_is_skipped(store: Store, flow: Begin) -> None:
    async with runs.hosting(store) as one:
        first = await runs.begin(one, flow("skip"))  # type: ignore[arg-type]
        await until_inside(store, 1)
        result = await (await runs.begin(one, flow("skip")))  # type: ignore[arg-type]
        assert (result.status, result.reason) == (
            "skipped", "1 of its runs are under way, as many as `concurrency` allows",
        )  # fmt: skip
        await runs.send_signal(first.run_id, "go", store=store)
        assert (await first).status == "succeeded"


async def test_the_oldest_makes_room_and_no_other(store: Store, flow: Begin) -> None:
    gated = flow("cancel_running", 2)
    async with runs.hosting(store) as one:
        begun = []
        for count in (1, 2):
            begun.append(await runs.begin(one, gated))  # type: ignore[arg-type]
            await until_inside(store, count)
        newest = await runs.begin(one, gated)  # type: ignore[arg-type]
        assert (await begun[0]).status == "cancelled"
        for each in (begun[1], newest):
            await runs.send_signal(each.run_id, "go", store=store)
        assert [(await each).status for each in (begun[1], newest)] == ["succeeded", "succeeded"]


async def test_a_run_is_over_also_when_the_next_cannot_be_woken(
    store: Store, flow: Begin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: object) -> None:
        raise StoreError("no room on the disk")

    async with runs.hosting(store) as one:
        first = await runs.begin(one, flow("queue"))  # type: ignore[arg-type]
        await until_inside(store, 1)
        monkeypatch.setattr(gates, "left", refuse)
        await runs.send_signal(first.run_id, "go", store=store)
        assert (await first).status == "succeeded"
    assert "was not told: no room on the disk" in caplog.text
    kept = await store.run(first.run_id)
    assert kept is not None
    assert kept.state == "succeeded"


async def test_one_that_queues_leaves_its_worker_and_comes_back(store: Store, flow: Begin) -> None:
    gated = flow("queue")
    async with runs.hosting(store) as one, runs.hosting(store) as worker:
        first = await runs.begin(one, gated)  # type: ignore[arg-type]
        await until_inside(store, 1)
        added = await store.add(runs.captured(gated.checked), "{}", {})  # type: ignore[attr-defined]
        taken = await runs.taken(worker, added.id)
        left = await runs.handle_of(worker, await runs.again(worker, taken, leaves=True))
        assert left.status == "waiting"
        await runs.send_signal(first.run_id, "go", store=store)
        assert (await first).status == "succeeded"
        due = await store.run(added.id)
        assert due is not None
        assert (due.state, due.waits_for is not None) == ("waiting", True)
        assert due.due_at <= (await store.database.fetch("SELECT {now} AS now"))[0]["now"]
        await runs.send_signal(added.id, "go", store=store)
        back = await runs.handle_of(worker, await runs.again(worker, await runs.taken(worker, added.id), leaves=True))
        assert back.status == "succeeded"
