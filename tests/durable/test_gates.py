"""`concurrency` of a flow among all runs of a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.durable.test_conflicts import other

from flowlang import api, runs
from flowlang.durable import gates
from flowlang.durable.host import Host
from flowlang.durable.opening import open_store
from flowlang.durable.queues import claim, put_back
from flowlang.durable.run import Left
from flowlang.durable.store import Store
from flowlang.engine.result import RunResult
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
        (row,) = await store.database.fetch("SELECT due_at - {now} AS rest FROM flowlang_runs WHERE state = 'waiting'")
        assert 0 < row["rest"] <= gates.LOOK
        await runs.send_signal(first.run_id, "go", store=store)
        assert (await first).status == "succeeded"
        due = await store.run(added.id)
        assert due is not None
        assert (due.state, due.waits_for is not None) == ("waiting", True)
        assert due.due_at <= (await store.database.fetch("SELECT {now} AS now"))[0]["now"]
        await runs.send_signal(added.id, "go", store=store)
        back = await runs.handle_of(worker, await runs.again(worker, await runs.taken(worker, added.id), leaves=True))
        assert back.status == "succeeded"


# ---------------------------------------------------------------- no turn is missed


async def begun(store: Store, host: Host, gated: object, count: int = 1) -> list[api.RunHandle]:
    """So many runs that are let in."""
    before = await inside(store)
    handles: list[api.RunHandle] = []
    for number in range(1, count + 1):
        handles.append(await runs.begin(host, gated))  # type: ignore[arg-type]
        await until_inside(store, before + number)
    return handles


async def life(host: Host, run_id: str) -> RunResult:
    """The next life of a run, up to its end or until it leaves to wait."""
    return await runs.handle_of(host, await runs.again(host, await runs.taken(host, run_id), leaves=True))


async def in_line(store: Store, host: Host, gated: object) -> str:
    """A run that queues and has left its worker."""
    added = await store.add(runs.captured(gated.checked), "{}", {})  # type: ignore[attr-defined]
    assert (await life(host, added.id)).status == "waiting"
    return str(added.id)


async def over(store: Store, handle: api.RunHandle) -> None:
    await runs.send_signal(handle.run_id, "go", store=store)
    assert (await handle).status == "succeeded"


async def due(store: Store) -> set[str]:
    """The runs of the line whose turn it is."""
    rows = await store.database.fetch("SELECT id FROM flowlang_runs WHERE state = 'waiting' AND due_at <= {now}")
    return {row["id"] for row in rows}


async def test_the_one_before_ends_just_before_a_run_leaves_to_queue(
    store: Store, flow: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits yet that it could wake: who leaves then is due at once."""
    gated, enter = flow("queue"), gates.enter
    async with runs.hosting(store) as host:
        (first,) = await begun(store, host, gated)

        async def then_it_ends(*args: Any) -> gates.Answer:
            answer = await enter(*args)
            if not answer.entered:
                await over(store, first)
            return answer

        monkeypatch.setattr(gates, "enter", then_it_ends)
        second = await in_line(store, host, gated)
        assert await due(store) == {second}


async def test_the_one_before_ends_while_a_run_leaves_to_queue(postgres_url: str, flow: Begin) -> None:
    """Who ends waits for who leaves, and sees it."""
    async with await open_store(postgres_url) as store, runs.hosting(store) as host:
        gated = flow("queue")
        (first,) = await begun(store, host, gated)
        second = await in_line(store, host, gated)
        record = await store.take(second, host.executor.id)
        async with other(postgres_url) as they:
            gate = gates.queued_at(record)  # type: ignore[arg-type]
            await they.execute(f"SELECT pg_advisory_xact_lock(hashtextextended('gate:{gate}', 0))")
            ending = asyncio.ensure_future(over(store, first))
            await they.holds_up(ending)
            await they.execute(
                "UPDATE flowlang_runs SET state = 'waiting', owner = NULL, token = NULL, due_at = 9e15"
                f" WHERE id = '{second}'"
            )
        await ending
        assert await due(store) == {second}


async def test_two_that_end_wake_two(store: Store, flow: Begin) -> None:
    """Also when none of those has come yet when the second ends."""
    gated = flow("queue", 2)
    async with runs.hosting(store) as host:
        pair = await begun(store, host, gated, 2)
        line = [await in_line(store, host, gated) for _ in pair]
        for number, each in enumerate(pair, 1):
            await over(store, each)
            assert await due(store) == set(line[:number])


async def test_who_comes_later_does_not_go_first(store: Store, flow: Begin) -> None:
    """Not even while the one whose turn it is is on its way."""
    gated = flow("queue")
    async with runs.hosting(store) as host:
        (first,) = await begun(store, host, gated)
        second = await in_line(store, host, gated)
        await over(store, first)
        record = await runs.taken(host, second)
        third = await in_line(store, host, gated)
        run = await runs.again(host, record, leaves=True)
        await runs.send_signal(second, "go", store=store)
        assert (await runs.handle_of(host, run)).status == "succeeded"
        assert await due(store) == {third}


async def test_who_is_cancelled_while_it_queues_is_over_and_passes_its_turn_on(store: Store, flow: Begin) -> None:
    gated = flow("queue")
    async with runs.hosting(store) as host:
        (first,) = await begun(store, host, gated)
        line = [await in_line(store, host, gated) for _ in range(3)]
        await store.ask_to_cancel(line[0])
        assert (await life(host, line[0])).status == "cancelled"  # there is no room for it, and it needs none
        assert await inside(store) == 1
        await over(store, first)
        await store.ask_to_cancel(line[1])
        assert (await life(host, line[1])).status == "cancelled"
        assert line[2] in await due(store)


async def test_who_cannot_begin_passes_its_turn_on(store: Store, flow: Begin) -> None:
    gated = flow("queue")
    async with runs.hosting(store) as host:
        (first,) = await begun(store, host, gated)
        second, third = [await in_line(store, host, gated) for _ in range(2)]
        await over(store, first)
        (record,) = await claim(store, host.executor.id, "default", 5)
        assert record.id == second
        assert await put_back(store, record, "it lacks a plugin", 10) == "queued"
        assert await due(store) == {third}
        await runs.send_signal(third, "go", store=store)
        assert (await life(host, third)).status == "succeeded"


async def test_who_stops_for_somebody_to_decide_makes_way(store: Store, flow: Begin) -> None:
    gated = flow("queue")
    async with runs.hosting(store) as host:
        (first,) = await begun(store, host, gated)
        second = await in_line(store, host, gated)
        host.running[str(first.run_id)][0].abandon(Left("attention", "somebody has to look", "steps[0]"))
        await first
        assert await due(store) == {second}
