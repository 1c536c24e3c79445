"""Schedules: each time comes once, whatever clocks and workers do; missed times and overlaps as the rule says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

import pytest

from flowlang import workers
from flowlang.cli.app import serve
from flowlang.durable.opening import open_store
from flowlang.durable.queues import claim
from flowlang.durable.records import StoredFlow
from flowlang.durable.schedules import fire, pause, register, remove, schedules, slots, to_fire
from flowlang.durable.store import Store
from flowlang.plan import Schedule

FLOW = StoredFlow("0" * 64, "f", "/f.yaml", {"/f.yaml": "flow: f\nsteps: []\n"})
OPTIONS = {"queue": "default", "priority": 0, "files_root": None}


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def hourly(**more: str) -> Schedule:
    return Schedule("schedule", "0 * * * *", **more)  # type: ignore[arg-type]


NOON = at("2026-11-27T12:00:00+00:00")


async def begun(store: Store, now: float) -> int:
    return len(await fire(store, now))


async def due(store: Store) -> list[str]:
    return [run.id for run in await claim(store, "w", "default", 9)]


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("30 2 * * *", "2026-03-28T12:00+01:00", ["2026-03-29T01:00+00:00", "2026-03-30T00:30+00:00"]),
        ("30 2 * * *", "2026-10-24T12:00+02:00", ["2026-10-25T00:30+00:00", "2026-10-26T01:30+00:00"]),
        (
            "*/30 * * * *",
            "2026-10-25T00:00+00:00",
            ["2026-10-25T00:30+00:00", "2026-10-25T01:00+00:00", "2026-10-25T01:30+00:00", "2026-10-25T02:00+00:00"],
        ),
    ],
    ids=["gap", "overlap", "each-half-hour"],
)
def test_daylight_saving(cron: str, after: str, expected: Sequence[str]) -> None:
    """A time that is skipped comes at the end of the gap, one that is twice comes once; intervals go on evenly."""
    rule, found, moment = Schedule("schedule", cron, "Europe/Oslo"), [], at(after)
    for _ in expected:  # as workers do: each from the one before
        moment = next(slots(rule, moment))
        found.append(moment)
    assert found == [at(each) for each in expected]
    assert list(islice(slots(rule, at(after)), len(expected))) == found


@pytest.mark.parametrize(
    ("catchup", "late", "expected"),
    [
        ("none", 10, [0]), ("none", 61, []), ("none", 3 * 3600 + 10, [3]), ("none", 3 * 3600 + 61, []),
        ("last", 3 * 3600 + 61, [3]), ("all", 3 * 3600 + 61, [0, 1, 2, 3]), ("last", 4000 * 3600 + 61, [4000]),
    ],
)  # fmt: skip
def test_missed_times(catchup: str, late: float, expected: Sequence[int]) -> None:
    """Within a minute a time was not missed; then `catchup` decides. The next one is the first that is to come."""
    rule = hourly(catchup=catchup)
    assert to_fire(rule, NOON, NOON + late) == (
        [NOON + hour * 3600 for hour in expected],
        NOON + (late // 3600 + 1) * 3600,
    )


def test_an_interval_that_was_missed_comes_once_and_keeps_its_step() -> None:
    """No pile of runs after a night off."""
    rule = Schedule("every", interval=600.0, catchup="last")
    assert to_fire(rule, NOON, NOON + 6000.0 + 1) == ([NOON + 6000.0], NOON + 6600.0)


async def test_a_time_comes_once_for_many_workers_and_wild_clocks(store: Store) -> None:
    """Ten look at once; then the clock goes back an hour, and forward again."""
    await register(store, FLOW, [hourly(overlap="allow")], OPTIONS, NOON - 10)
    counts = await asyncio.gather(*(begun(store, NOON + 1) for _ in range(10)))
    assert sum(counts) == 1
    assert await begun(store, NOON - 3600) == 0
    assert await begun(store, NOON + 2) == 0
    assert await begun(store, NOON + 3600) == 1
    assert len(await due(store)) == 2


@pytest.mark.parametrize(
    ("overlap", "first", "later"), [("skip", 1, 0), ("allow", 3, 0), ("queue", 1, 1), ("cancel_running", 1, 1)]
)
async def test_times_that_come_while_a_run_is_not_over(store: Store, overlap: str, first: int, later: int) -> None:
    """How many runs are due with one under way, and once it is over."""
    await register(store, FLOW, [hourly(overlap=overlap)], OPTIONS, NOON - 10)
    await fire(store, NOON)
    run = (await claim(store, "w", "default", 9))[0]
    for hour in (1, 2):
        await fire(store, NOON + hour * 3600)
    assert 1 + len(await due(store)) == first
    known = await store.run(run.id)
    assert known is not None
    assert known.cancel == (overlap == "cancel_running")
    await store.finish(run, "succeeded")
    await fire(store, NOON + 2 * 3600 + 1)
    assert len(await due(store)) == later


@pytest.mark.parametrize("change", ["removed", "skip", "another queue"])
async def test_runs_that_wait_their_turn_have_it_whatever_becomes_of_their_schedule(store: Store, change: str) -> None:
    """One after the other, as was asked for when their times came."""
    await register(store, FLOW, [hourly(overlap="queue", catchup="all")], OPTIONS, NOON - 10)
    assert await begun(store, NOON + 2 * 3600) == 3
    if change == "removed":
        await remove(store, "f")
    else:
        queue = "other" if change == "another queue" else OPTIONS["queue"]
        rule = hourly(overlap="skip" if change == "skip" else "queue", catchup="all")
        await register(store, FLOW, [rule], {**OPTIONS, "queue": queue}, NOON + 2 * 3600 + 1)
    for _ in range(3):
        (run,) = await claim(store, "w", "default", 9)
        await fire(store, NOON + 2 * 3600 + 2)
        assert await due(store) == []
        await store.finish(run, "succeeded")
        await fire(store, NOON + 2 * 3600 + 2)
    assert await claim(store, "w", "default", 9) == []


async def test_what_passes_during_a_pause_is_gone(store: Store) -> None:
    """It goes on with the next time from when it goes on."""
    await register(store, FLOW, [hourly(catchup="all")], OPTIONS, NOON - 10)
    assert await pause(store, "f", paused=True) == 1
    assert await begun(store, NOON + 9000) == 0
    await pause(store, "f", paused=False, now=NOON + 9000)
    assert await begun(store, NOON + 9000) == 0
    assert await begun(store, NOON + 3 * 3600) == 1


async def test_a_schedule_that_is_added_again_goes_on_unless_its_rule_changed(store: Store) -> None:
    """A new version of the flow misses nothing; triggers that are gone are forgotten."""
    await register(store, FLOW, [hourly(), Schedule("every", interval=60.0)], OPTIONS, NOON - 10)
    await register(store, FLOW, [hourly()], OPTIONS, NOON + 100)
    assert [(each.id, each.next_at) for each in await schedules(store)] == [("f#1", NOON)]
    await register(store, FLOW, [hourly(catchup="all")], OPTIONS, NOON + 100)
    assert [each.next_at for each in await schedules(store)] == [NOON + 3600]


def test_the_commands_and_a_worker(store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flow that is added runs by itself; a paused one does not; one without times is refused."""
    (tmp_path / "f.yaml").write_text("flow: f\ntriggers:\n  - every: {interval: 100ms}\nsteps:\n  - log: hello\n")
    assert serve(["schedule", "add", str(tmp_path / "f.yaml"), "--store", store_url]) == 0
    assert capsys.readouterr().out.startswith("f#1: every 0.1 s, next 20")

    async def ran() -> None:
        async with await open_store(store_url) as store, asyncio.timeout(60):
            made: list[workers.Worker] = []
            task = asyncio.create_task(workers.work(store=store, ready=made.append))
            while not (found := await store.database.fetch("SELECT id FROM flowlang_runs")):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            result = await workers.result_of(found[0]["id"], store=store)
            made[0].stop()
            await task
        assert result.succeeded

    asyncio.run(ran())
    assert serve(["schedule", "pause", "f", "--store", store_url]) == 0
    assert serve(["schedule", "list", "--store", store_url]) == 0
    assert capsys.readouterr().out == "f#1: every 0.1 s, paused\n"
    assert serve(["schedule", "resume", "f", "--store", store_url]) == 0
    assert serve(["schedule", "remove", "f", "--store", store_url]) == 0
    assert serve(["schedule", "remove", "f", "--store", store_url]) == 1
    (tmp_path / "g.yaml").write_text("flow: g\nsteps:\n  - log: hello\n")
    assert serve(["schedule", "add", str(tmp_path / "g.yaml"), "--store", store_url]) == 1
