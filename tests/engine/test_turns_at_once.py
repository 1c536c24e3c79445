"""`for_each` with `max_concurrency`: results in source order, backpressure, one bounded error, nothing left behind."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.engine.support import run, story, tasks

import flowlang


def loop(items: str, *body: str, **options: Any) -> str:
    steps = "".join(f"      - {each}\n" for each in body)
    extra = "".join(f"    {name}: {value}\n" for name, value in options.items())
    return f"flow: f\nsteps:\n  - id: l\n    for_each: {items}\n    as: n\n    do:\n{steps}{extra}"


RESULTS = "outputs: [{name: l, value: '${l}'}]\n"


class Crowd:
    """A task that takes a few turns of the event loop, and how many calls of it there were at once."""

    def __init__(self, seed: int = 0, bad: frozenset[int] = frozenset()) -> None:
        self.dice = random.Random(seed)
        self.bad = bad
        self.now = self.most = self.begun = self.ended = 0

    async def work(self, n: int) -> dict[str, Any]:
        self.now += 1
        self.begun += 1
        self.most = max(self.most, self.now)
        try:
            for _ in range(self.dice.randrange(6)):
                await asyncio.sleep(0)
            if n in self.bad:
                raise ValueError(f"no {n}")
        finally:
            self.now -= 1
            self.ended += 1
        return {"n": n}


@pytest.mark.parametrize("limit", [2, 7, 100, 10**9])
async def test_the_limit_is_reached_and_never_exceeded(limit: int) -> None:
    crowd = Crowd()
    flow = loop("${range(60)}", "work: {id: w, n: '${n}'}", max_concurrency=limit, collect="${w.n * 2}") + RESULTS
    result, _ = await run(flow, tasks={"work": crowd.work}, on_event=None)
    assert result.outputs["l"] == {"count": 60, "failed": 0, "results": [2 * n for n in range(60)]}
    assert crowd.most <= min(limit, 60)
    assert crowd.most == limit if limit < 10 else crowd.most > 10


@pytest.mark.parametrize("seed", range(5))
async def test_results_are_in_source_order_over_a_stream_and_an_object(seed: int) -> None:
    for source, extra, wanted in (
        ("${s.rows}", {}, list(range(25))),
        ("${s.rows}", {"batch_size": 4}, [list(range(25))[n : n + 4] for n in range(0, 25, 4)]),
        ("'${{str(n): n for n in range(9)}}'", {}, [{"key": str(n), "value": n} for n in range(9)]),
    ):
        crowd = Crowd(seed)
        flow = loop(source, "work: {n: '${index}'}", max_concurrency=3, collect="${n}", **extra) + RESULTS
        flow = flow.replace("steps:\n", "steps:\n  - rows: {id: s, count: 25, size: 5}\n", 1)
        result, _ = await run(flow, tasks={**tasks(), "work": crowd.work}, on_event=None)
        assert result.outputs["l"]["results"] == wanted
        assert crowd.most <= 3


async def test_a_stream_is_pulled_only_when_there_is_a_turn_to_take_its_rows() -> None:
    crowd, pulled = Crowd(), 0

    async def source() -> AsyncIterator[list[int]]:
        nonlocal pulled
        for start in range(0, 60, 2):
            assert pulled - crowd.begun <= 2, "a batch was pulled while rows were waiting"
            pulled += 2
            yield [start, start + 1]
            await asyncio.sleep(0)

    flow = "flow: f\nsteps:\n  - source: {id: s}\n" + loop("${s.rows}", "work: {n: '${n}'}", max_concurrency=3)[15:]
    result, _ = await run(flow, tasks={"work": crowd.work, "source": flowlang.task(source)}, on_event=None)
    assert result.succeeded, result.failure
    assert (crowd.most, crowd.ended) == (3, 60)


@pytest.mark.parametrize("seed", range(6))
async def test_a_thousand_turns_with_random_failures_give_one_bounded_error(seed: int) -> None:
    bad = frozenset(random.Random(seed).sample(range(1000), 90))
    before = asyncio.all_tasks()
    crowd = Crowd(seed, bad)
    flow = loop("${range(1000)}", "work: {id: w, n: '${n}'}", max_concurrency=20, max_failures=40)
    result, _ = await run(flow, tasks={"work": crowd.work}, on_event=None)
    failure = result.failure
    assert failure is not None
    assert result.status == "failed"
    told = [failure.step, *[note.split("`")[1] for note in failure.notes[:5]]]
    assert told == [f"l[{n}].w" for n in sorted(bad)[:6]]
    more = re.fullmatch(r"and (\d+) more turns failed", failure.notes[5])
    assert more is not None
    assert 35 <= int(more[1]) < 35 + 20  # those that failed before they could be cancelled
    assert len(failure.notes) == 6
    assert crowd.now == 0
    assert asyncio.all_tasks() == before


async def test_failures_up_to_the_limit_are_counted_and_leave_no_result() -> None:
    crowd = Crowd(bad=frozenset({3, 5}))
    flow = loop("${range(8)}", "work: {n: '${n}'}", max_concurrency=4, max_failures=2, collect="${n}") + RESULTS
    result, _ = await run(flow, tasks={"work": crowd.work})
    assert result.outputs["l"] == {"count": 8, "failed": 2, "results": [0, 1, 2, 4, 6, 7]}


async def test_the_failure_that_is_too_many_cancels_the_turns_under_way() -> None:
    flow = loop(
        "${[0, 1, 2]}", "if: n == 1", "nap: {}", max_concurrency=3, on_error="[{log: '${error.type}'}]"
    ).replace("if: n == 1", "{if: n == 1, then: [{nap: {seconds: 0}}, {raise: {type: auth, message: no}}]}")
    result, events = await run(flow, tasks=tasks())
    assert result.succeeded
    told = story(events)
    assert {"cancelled l[0].nap#2", "cancelled l[2].nap#2", "log auth"} <= set(told)
    assert told.index("cancelled l[2].nap#2") < told.index("failed l: auth")


async def test_an_exit_in_a_turn_cancels_the_others_and_ends_the_run() -> None:
    body = "{if: n == 1, then: [{nap: {seconds: 0}}, {exit: 'in turn ${n}'}]}"
    result, events = await run(loop("${range(3)}", body, "nap: {}", max_concurrency=3), tasks=tasks())
    assert (result.status, result.reason) == ("succeeded", "in turn 1")
    assert {"cancelled l[0].nap#2", "cancelled l[2].nap#2"} <= set(story(events))


async def test_of_two_exits_at_once_the_first_in_source_order_counts() -> None:
    result, _ = await run(loop("${range(9)}", "exit: 'in turn ${n}'", max_concurrency=9), tasks=tasks())
    assert result.reason == "in turn 0"


async def test_a_source_that_fails_is_the_failure_of_the_loop() -> None:
    flow = "flow: f\nsteps:\n  - rows: {id: s, count: 9, fail_at: 4}\n"
    flow += loop("${s.rows}", "nap: {}", max_concurrency=9)[15:]
    result, events = await run(flow, tasks=tasks())
    assert result.failure is not None
    assert (result.failure.type, result.failure.step) == ("unavailable", "l")
    assert sum(each.startswith("cancelled l[") for each in story(events)) == 4


async def test_turns_have_their_own_places_and_paths() -> None:
    flow = loop(
        "${range(4)}",
        "{id: a, set: {v: '${n * 10 + index}'}}",
        "nap: {seconds: 0}",
        "{id: b, set: {v: '${a.v + 1}'}}",
        max_concurrency=4,
        collect="${b.v}",
    )
    result, events = await run(flow + RESULTS, tasks=tasks())
    assert result.outputs["l"]["results"] == [1, 12, 23, 34]
    assert {f"ok l[{n}].b" for n in range(4)} <= set(story(events))
    counted = [event.done for event in events if type(event).__name__ == "Progress"]  # type: ignore[union-attr]
    assert counted == [1, 2, 3, 4]
