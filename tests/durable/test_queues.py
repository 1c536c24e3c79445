"""Which runs a worker gets: due ones, by priority and age, within the limits of their queue."""

from __future__ import annotations

import asyncio

import pytest

from flowlang.durable.journal import Journal, Writer
from flowlang.durable.liveness import Watch
from flowlang.durable.queues import (
    Limits,
    claim,
    give_back,
    owned_by,
    put_back,
    seconds_to_next,
    set_limits,
)
from flowlang.durable.reaper import reap
from flowlang.durable.records import StoredFlow, StoredRun, StoredStep
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError

FLOW = StoredFlow("0" * 64, "f", "/f.yaml", {"/f.yaml": "flow: f\nsteps: []\n"})


async def add(store: Store, run_id: str, **options: object) -> StoredRun:
    return await store.add(FLOW, "{}", {}, run_id=run_id, **options)  # type: ignore[arg-type]


async def claimed(store: Store, most: int = 10, limits: Limits | None = None, owner: str = "w") -> list[str]:
    return [run.id for run in await claim(store, owner, "default", most, limits)]


async def test_the_highest_priority_comes_first_then_the_oldest(store: Store) -> None:
    """Each run is claimed once, in that order."""
    for run_id, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)):
        await add(store, run_id, priority=priority)
    assert await claimed(store, 3) == ["b", "d", "a"]
    assert await claimed(store) == ["c", "e"]
    assert await claimed(store) == []


async def test_workers_that_claim_at_once_get_different_runs(store: Store) -> None:
    """Nothing is claimed twice, nothing is left."""
    for number in range(20):
        await add(store, f"r{number:02}")
    got = await asyncio.gather(*(claimed(store, 5, owner=f"w{number}") for number in range(4)))
    assert sorted(each for part in got for each in part) == [f"r{number:02}" for number in range(20)]


async def test_a_delayed_run_is_not_due(store: Store) -> None:
    """It says when it will be; other queues do not count."""
    await add(store, "later", delay=100.0)
    await add(store, "elsewhere", queue="other")
    assert await claimed(store) == []
    rest = await seconds_to_next(store, ["default"])
    assert rest is not None
    assert 50 < rest <= 100
    assert await seconds_to_next(store, ["nobody's"]) is None


async def test_a_run_that_was_refused_before_it_began_has_not_begun(store: Store) -> None:
    """It takes nobody's place in a rate; one that has done something keeps the time at which it began."""
    limits = Limits("default", rate=1, period=3600.0)
    refused, begun = [await add(store, each) for each in ("a", "b")]
    (run,) = await claim(store, "w", "default", 1, limits)
    assert run.id == refused.id
    assert await put_back(store, run, "a plugin is missing", 9) == "queued"
    (run,) = await claim(store, "w", "default", 1, limits)
    assert run.id == begun.id
    journal = Journal(Writer(store), run, [])
    journal.write(StoredStep("s", 0, "succeeded", "{}", "task", None, 1.0, 2.0))
    await journal.commit()
    await put_back(store, run, "a plugin is missing", 9)
    found = [await store.run(each) for each in ("a", "b")]
    assert [each and each.started_at for each in found] == [None, run.started_at]


async def test_one_run_of_a_key_at_a_time(store: Store) -> None:
    """A second one is the first; when that is over there may be another. Other queues have keys of their own."""
    first = await add(store, "a", dedup="k")
    assert (await add(store, "b", dedup="k")).id == "a"
    assert (await add(store, "c", dedup="k", queue="other")).id == "c"
    run = (await claim(store, "w", "default", 1))[0]
    assert run.id == first.id
    assert (await add(store, "d", dedup="k")).id == "a"
    assert await store.finish(run, "succeeded")
    assert (await add(store, "e", dedup="k")).id == "e"


async def test_the_concurrency_of_a_queue_counts_all_workers(store: Store) -> None:
    """What ends makes room."""
    limits = Limits("default", concurrency=3)
    for run_id in "abcde":
        await add(store, run_id)
    got = await asyncio.gather(*(claim(store, f"w{number}", "default", 2, limits) for number in range(3)))
    runs = [run for part in got for run in part]
    assert sorted(run.id for run in runs) == ["a", "b", "c"]
    assert await store.finish(runs[0], "failed")
    assert await claimed(store, 9, limits) == ["d"]


async def test_a_rate_bounds_how_many_begin_and_not_how_many_go_on(store: Store) -> None:
    """A run that waited is no new one."""
    limits = Limits("default", rate=2, period=1000.0)
    for run_id in "abc":
        await add(store, run_id)
    runs = await claim(store, "w", "default", 9, limits)
    assert [run.id for run in runs] == ["a", "b"]
    assert await claimed(store, 9, limits) == []
    assert await store.release(runs[0], "waiting", 0.0)
    assert await claimed(store, 9, limits) == ["a"]


async def test_a_limit_below_one_is_refused(store: Store) -> None:
    """And names the queue."""
    with pytest.raises(StoreError, match="`mail` is 0"):
        await set_limits(store, Limits("mail", concurrency=0))


async def test_a_run_that_cannot_begin_tries_again_later_and_is_parked_in_the_end(store: Store) -> None:
    """It says why. One that began in between starts to count anew."""
    await add(store, "a")
    for _ in range(2):
        run = (await claim(store, "w", "default", 1))[0]
        assert await put_back(store, run, "no plugin `x` here", park_after=3) == "queued"
        assert await claimed(store) == [], "not before its time"
        await store.database.execute("UPDATE flowlang_runs SET due_at = 0")
    run = (await claim(store, "w", "default", 1))[0]
    assert await put_back(store, run, "no plugin `x` here", park_after=3) == "parked"
    parked = await store.run("a")
    assert parked is not None
    assert (parked.state, parked.reason, parked.takeovers) == ("parked", "no plugin `x` here", 0)
    assert await put_back(store, run, "again", park_after=3) == "lost", "it is not this worker's any more"


async def test_a_row_that_is_damaged_keeps_no_worker_from_the_others(store: Store) -> None:
    """It is parked, and says so."""
    for run_id in "abc":
        await add(store, run_id)
    await store.database.execute("UPDATE flowlang_runs SET options = '{\"files_ro' WHERE id = 'b'")
    assert await claimed(store) == ["a", "c"]
    rows = await store.database.fetch("SELECT state, reason, owner FROM flowlang_runs WHERE id = 'b'")
    assert (rows[0]["state"], rows[0]["owner"]) == ("parked", None)
    assert "run `b` in the store is damaged" in rows[0]["reason"]


async def test_runs_of_the_dead_go_back_and_are_parked_when_they_kill_again_and_again(store: Store) -> None:
    """One that was only recorded has failed; one that is to be cancelled goes on, so that its clean-up runs."""
    await add(store, "a", owner="ghost")
    await add(store, "recorded", owner="ghost", durable=False)
    await add(store, "unwanted", owner="ghost")
    await store.ask_to_cancel("unwanted")
    assert {run.id: run.state for run in await reap(store, Watch(store), park_after=1)} == {
        "a": "parked", "recorded": "lost", "unwanted": "queued",
    }  # fmt: skip
    assert await reap(store, Watch(store)) == []
    await add(store, "b", owner="ghost")
    assert [(run.state, run.takeovers) for run in await reap(store, Watch(store), park_after=2)] == [("queued", 1)]
    assert sorted(await claimed(store, owner="phantom")) == ["b", "unwanted"]
    assert {run.id: run.state for run in await reap(store, Watch(store), park_after=2)} == {
        "b": "parked",
        "unwanted": "queued",
    }


async def test_whoever_was_taken_for_dead_writes_nothing_any_more(store: Store) -> None:
    """Neither an end, nor a wait, nor a refusal."""
    lost = await add(store, "a", owner="ghost")
    await reap(store, Watch(store))
    assert not await store.finish(lost, "succeeded")
    assert not await store.release(lost, "waiting", 0.0)
    assert await put_back(store, lost, "late", 5) == "lost"
    run = await store.run("a")
    assert run is not None
    assert run.state == "queued"


async def test_a_run_that_its_owner_does_not_know_of_is_given_back(store: Store) -> None:
    """Only by its owner, and it counts as no takeover."""
    await add(store, "a", owner="w")
    assert await owned_by(store, "w") == ["a"]
    await give_back(store, "a", "somebody else")
    assert await claimed(store) == []
    await give_back(store, "a", "w")
    run = (await claim(store, "w", "default", 1))[0]
    assert run.takeovers == 0
