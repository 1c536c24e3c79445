"""`concurrency`: how many runs with the same key are under way at once, and what becomes of one more."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tests.engine.support import Service, registry_of, story, until

import flowlang
from flowlang.events import Event, RunQueued


class House:
    """Runs of one flow that stay until they are let out, and what they did, in order."""

    def __init__(self, name: str, concurrency: str, more: str = "") -> None:
        self.log: list[str] = []
        self.doors: dict[str, asyncio.Event] = {}
        self.events: dict[str, list[Event]] = {}
        text = f"""flow: {name}
concurrency: {{{concurrency}}}
inputs: [{{name: who, type: string}}, {{name: room, type: string, default: a}}]
{more}steps:
  - stay: {{id: s, who: "${{default(inputs.who, 'x')}}"}}
finally: [{{note: {{text: "${{default(inputs.who, 'x')}} out"}}}}]
"""
        self.flow = flowlang.load(text=text, tasks=[self.stay, self.note])

    async def stay(self, who: str) -> dict[str, Any]:
        self.log.append(f"{who} in")
        await self.doors[who].wait()
        return {}

    async def note(self, text: str) -> dict[str, Any]:
        self.log.append(text)
        return {}

    def start(self, who: str, **inputs: Any) -> flowlang.RunHandle:
        self.doors[who] = asyncio.Event()
        self.events[who] = []
        return flowlang.start(self.flow, {"who": who, **inputs}, on_event=self.events[who].append)

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    def ahead(self, who: str) -> list[int]:
        return [each.ahead for each in self.events[who] if isinstance(each, RunQueued)]


async def test_runs_queue_in_the_order_in_which_they_came() -> None:
    house = House("queue", "key: '${inputs.room}'")
    handles = {who: house.start(who) for who in "abc"}
    other = house.start("d", room="b")
    await until(lambda: len(house.log) == 2)
    await house.settle()
    assert house.log == ["a in", "d in"]
    assert [handles[who].queued for who in "abc"] == [False, True, True]
    assert [house.ahead(who) for who in "abcd"] == [[], [1], [2], []]
    for who in "abc":
        house.doors[who].set()
        assert (await handles[who]).succeeded
    house.doors["d"].set()
    assert (await other).succeeded
    assert [each for each in house.log if not each.startswith("d")] == [
        "a in", "a out", "b in", "b out", "c in", "c out",
    ]  # fmt: skip


async def test_a_limit_lets_as_many_in() -> None:
    house = House("limit", "limit: 2")
    handles = [house.start(who) for who in "abc"]
    await until(lambda: len(house.log) == 2)
    await house.settle()
    assert house.log == ["a in", "b in"]
    for door in house.doors.values():
        door.set()
    assert [(await each).status for each in handles] == ["succeeded"] * 3


async def test_one_too_many_is_skipped() -> None:
    service = Service()
    text = "flow: skip\nconcurrency: {on_conflict: skip}\nconnections: {c: {type: fake}}\nsteps: [{hold: {}}]\n"
    text += "finally: [{log: end}]\n"
    done = asyncio.Event()

    async def hold() -> dict[str, Any]:
        await done.wait()
        return {}

    events: list[Event] = []
    flow = flowlang.load(text=text, tasks=[hold], registry=registry_of(service))
    first = flowlang.start(flow)
    await until(lambda: service.open)
    result = await flowlang.run(flow, on_event=events.append)
    assert (result.status, result.succeeded, result.failure) == ("skipped", False, None)
    assert result.reason == "1 of its runs are under way, as many as `concurrency` allows"
    assert result.to_record()["status"] == "skipped"
    assert (story(events), service.count("connect")) == ([], 1)
    done.set()
    assert (await first).succeeded
    assert (await flowlang.run(flow)).succeeded


async def test_the_oldest_makes_room_and_is_over_first() -> None:
    house = House("cancel", "on_conflict: cancel_running, limit: 2")
    a, b = house.start("a"), house.start("b")
    await until(lambda: len(house.log) == 2)
    c = house.start("c")
    result = await a
    assert result.status == "cancelled"
    assert result.failure is not None
    assert result.failure.detail == "the run was cancelled by a newer run with the same `concurrency` key"
    await until(lambda: "c in" in house.log)
    assert house.log == ["a in", "b in", "a out", "c in"]
    for who in "bc":
        house.doors[who].set()
    assert [(await each).status for each in (b, c)] == ["succeeded"] * 2


async def test_one_that_waits_makes_room_for_one_still_newer() -> None:
    house = House("newest", "on_conflict: cancel_running")
    a = house.start("a")
    await until(lambda: house.log)
    b, c = house.start("b"), house.start("c")
    assert [(await each).status for each in (a, b)] == ["cancelled", "cancelled"]
    house.doors["c"].set()
    assert (await c).succeeded
    assert house.log == ["a in", "a out", "c in", "c out"]


async def test_one_that_is_cleaning_up_is_not_cut_short() -> None:
    reached, go = asyncio.Event(), asyncio.Event()
    cleaned: list[str] = []

    async def clean() -> dict[str, Any]:
        reached.set()
        await go.wait()
        cleaned.append("whole")
        return {}

    text = "flow: tidy\nconcurrency: {on_conflict: cancel_running}\nsteps: []\nfinally: [{clean: {}}]\n"
    flow = flowlang.load(text=text, tasks=[clean])
    first, second = flowlang.start(flow), None
    await reached.wait()
    second = flowlang.start(flow)
    await until(lambda: second.queued)
    go.set()
    assert [(await first).status, (await second).status] == ["succeeded", "succeeded"]
    assert cleaned == ["whole", "whole"]


async def test_a_run_that_waits_can_be_cancelled_and_leaves_its_place() -> None:
    house = House("leave", "limit: 1")
    a, b, c = (house.start(who) for who in "abc")
    await until(lambda: b.queued and c.queued)
    b.cancel()
    assert (await b).status == "cancelled"
    for who in "ac":
        house.doors[who].set()
    assert [(await each).status for each in (a, c)] == ["succeeded"] * 2
    assert "b in" not in house.log
    assert "b out" not in house.log


async def test_the_time_limit_of_the_flow_counts_while_it_waits() -> None:
    house = House("late", "limit: 1", "timeout: 50ms\n")
    holding = House("late", "limit: 1")
    a = holding.start("a")
    await until(lambda: holding.log)
    result = await house.start("b")
    assert (result.status, house.log) == ("timed_out", [])
    holding.doors["a"].set()
    assert (await a).succeeded


async def test_a_key_that_cannot_be_computed_fails_the_run() -> None:
    flow = flowlang.load(text="flow: f\ninputs: [{name: n}]\nconcurrency: {key: '${inputs.n.x}'}\nsteps: []\n")
    result = await flowlang.run(flow, {"n": {}})
    assert result.failure is not None
    assert (result.failure.type, result.failure.step) == ("expression", "concurrency")
    assert (await flowlang.run(flow, {"n": {"x": "k"}})).succeeded


@pytest.mark.parametrize("on_conflict", ["queue", "cancel_running"])
def test_runs_in_several_threads_wait_for_each_other(on_conflict: str) -> None:
    """Each has an event loop of its own; none waits for ever, and never two are inside."""
    inside: list[int] = []
    most: list[int] = []

    async def work() -> dict[str, Any]:
        inside.append(1)
        most.append(len(inside))
        try:
            await asyncio.sleep(0.01)
        finally:
            inside.pop()
        return {}

    text = f"flow: threads {on_conflict}\nconcurrency: {{on_conflict: {on_conflict}}}\nsteps: [{{work: {{}}}}]\n"
    flow = flowlang.load(text=text, tasks=[work])
    statuses: list[str] = []
    threads = [threading.Thread(target=lambda: statuses.append(flowlang.run_sync(flow).status)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert len(statuses) == 8
    assert set(statuses) <= {"succeeded", "cancelled"}
    assert max(most) == 1
    assert on_conflict != "queue" or statuses == ["succeeded"] * 8


async def test_a_subflow_is_no_run_of_its_own(tmp_path: Any) -> None:
    (tmp_path / "sub.yaml").write_text("flow: sub\nconcurrency: {on_conflict: skip}\nsteps: []\n")
    (tmp_path / "flow.yaml").write_text("flow: f\nsteps: [{parallel: [{subflow: sub.yaml}, {subflow: sub.yaml}]}]\n")
    assert (await flowlang.run(tmp_path / "flow.yaml")).succeeded
