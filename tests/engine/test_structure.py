"""Structured concurrency: nothing outlives its block, results are in order, errors are bounded."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from typing import Any

import pytest
from tests.engine.support import Service, run, tasks

import flowlang


def branches(*steps: str, **options: Any) -> str:
    body = "".join(f"      - {each}\n" for each in steps)
    extra = "".join(f"    {name}: {value}\n" for name, value in options.items())
    return f"flow: f\nsteps:\n  - id: p\n    parallel:\n{body}{extra}"


@pytest.mark.parametrize("last", ["fail: {error: auth}", "exit: {}", "nap: {seconds: 0}"])
async def test_nothing_outlives_a_parallel(last: str) -> None:
    """Seen by the very next step, inside the run."""
    alive: list[set[Any]] = []

    async def look() -> None:
        alive.append(asyncio.all_tasks())

    before = asyncio.all_tasks()
    flow = branches("nap: {seconds: 0.001}", last, "do: [{parallel: [{nap: {seconds: 0.001}}]}]")
    flow += "    on_error: [{look: {}}]\n  - look: {}\nfinally: [{look: {}}]\n"
    await run(flow, tasks={**tasks(), "look": look})
    assert alive
    assert all(len(each - before) <= 1 for each in alive)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    "steps",
    [
        "  - make: {}\n",
        "  - parallel: [{make: {}}, {make: {}}]\n",
        "  - {for_each: [1, 2, 3], max_concurrency: 2, do: [{make: {id: m}}], collect: '${m.rows}'}\n",
        "  - {transaction: db, do: [{make: {}}]}\n",
    ],
)
async def test_what_a_run_has_made_is_gone_with_it(steps: str) -> None:
    """At once, and not whenever Python looks for circles: it may be a great deal."""
    made: list[weakref.ref[Rows]] = []

    async def make() -> dict[str, Any]:
        rows = Rows()
        made.append(weakref.ref(rows))
        return {"rows": rows}

    head = "flow: f\nconnections: {db: {type: sqlite, database: ':memory:'}}\nsteps:\n"
    gc.disable()
    try:
        flow = flowlang.load(text=head + steps + "  - sqlite_query: {query: SELECT 1}\n", tasks={"make": make})
        assert (await flowlang.run(flow)).succeeded
        assert made
        assert [each() for each in made] == [None] * len(made)
    finally:
        gc.enable()


class Rows(list[int]):
    """Something that can be watched."""


async def test_a_thousand_failures_are_one_bounded_error() -> None:
    flow = branches(*[f"fail: {{id: b{n}, message: 'failure {n}'}}" for n in range(1000)], fail_fast="false")
    result, _ = await run(flow, tasks=tasks(), on_event=None)
    failure = result.failure
    assert failure is not None
    assert failure.detail == "failure 0"
    assert len(failure.notes) == 6
    assert failure.notes[-1] == "and 994 more branches failed"


@pytest.mark.parametrize("seed", range(5))
async def test_random_failures_are_told_in_source_order(seed: int) -> None:
    chosen = random.Random(seed)
    bad = sorted(chosen.sample(range(1000), chosen.randrange(20, 400)))
    before = asyncio.all_tasks()

    async def work(n: int) -> dict[str, Any]:
        for _ in range(chosen.randrange(4)):
            await asyncio.sleep(0)
        if n in bad:
            raise ValueError(f"no {n}")
        return {"n": n}

    flow = branches(*[f"work: {{id: b{n}, n: {n}}}" for n in range(1000)], fail_fast="false")
    result, _ = await run(flow, tasks={"work": work}, on_event=None)
    assert result.failure is not None
    assert result.failure.step == f"p.b{bad[0]}"
    assert [note.split("`")[1] for note in result.failure.notes[:5]] == [f"p.b{n}" for n in bad[1:6]]
    assert result.failure.notes[5:] == (f"and {len(bad) - 6} more branches failed",)
    assert asyncio.all_tasks() == before


async def test_max_concurrency_is_never_exceeded_and_reached() -> None:
    now, most = 0, 0

    async def work() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    result, _ = await run(branches(*["work: {}"] * 50, max_concurrency=7), tasks={"work": work})
    assert result.succeeded
    assert most == 7


async def test_results_stand_where_their_branches_do() -> None:
    async def work(n: int) -> dict[str, Any]:
        for _ in range(30 - n):
            await asyncio.sleep(0)
        return {"n": n}

    flow = branches(*[f"work: {{id: b{n}, n: {n}}}" for n in range(30)])
    flow += "outputs: [{name: all, value: [" + ", ".join(f"'${{b{n}.n}}'" for n in range(30)) + "]}]\n"
    result, _ = await run(flow, tasks={"work": work})
    assert result.outputs == {"all": list(range(30))}


async def test_what_a_cancelled_branch_raises_does_not_replace_what_decided() -> None:
    async def spiteful() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise RuntimeError("on my way out")

    flow = branches("spiteful: {}", "do: [{nap: {seconds: 0}}, {exit: {reason: enough}}]")
    result, _ = await run(flow, tasks={**tasks(), "spiteful": spiteful})
    assert (result.status, result.reason) == ("succeeded", "enough")


async def test_a_branch_that_something_else_cancelled_is_a_failure_and_not_silence() -> None:
    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    result, _ = await run(branches("odd: {}", "log: hi"), tasks={"odd": cancels_itself})
    assert result.failure is not None
    assert (result.status, result.failure.type) == ("failed", "cancelled")


async def test_a_hundred_leases_of_a_small_pool() -> None:
    service = Service(capacity=3)
    most = 0

    async def watch(number: int) -> None:
        nonlocal most
        most = max(most, len(service.leased))

    service.hooks["release"] = watch
    body = branches(*["fake_op: {}"] * 100).replace("flow: f\n", "flow: f\nconnections: {c: {type: fake}}\n")
    result, _ = await run(body, service, on_event=None)
    assert result.succeeded
    assert most == 3
    assert service.count("lease") == 100
    assert service.clean()


async def test_a_subflow_whose_caller_is_cancelled_leaves_nothing() -> None:
    before = asyncio.all_tasks()
    flow = branches("fail: {error: auth}", "nap: {}")
    result = await flowlang.run(text=flow, tasks=tasks())
    assert result.status == "failed"
    assert asyncio.all_tasks() == before
