"""Cancelled at every turn of the event loop, in a flow of every verb: no lease is left, and each clean-up ran once.

The clock jumps, so that a turn of the event loop is all that ever passes, and the n-th is the same place in each run.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from typing import Any

import pytest
from tests.engine.support import JumpingClock, Service, registry_of, story

import flowlang
from flowlang.events import Event

VERBS = """\
flow: f
connections:
  a: {type: one}
  b: {type: two, lazy: true}
defaults: {timeout: 60s}
steps:
  - id: t
    try:
      - one_op: {id: first}
      - until: page.value == 1
        max_iterations: 3
        interval: 1s
        do:
          - try: [{one_op: {id: page, value: "${index}"}}]
            finally: [{one_op: {id: turned}}, {log: turn finally}]
      - while: default(again.n, 0) < 2
        max_iterations: 3
        do: [{id: again, set: {n: "${default(again.n, 0) + 1}"}}, {two_op: {}}]
      - id: rows
        one_stream: {count: 5}
      - for_each: ${rows.rows}
        max_concurrency: 2
        do:
          - try: [{two_op: {value: "${item.n}"}}]
            finally: [{two_op: {id: row_done}}, {log: row finally}]
      - for_each: [1, 2, 3]
        max_concurrency: 2
        batch_size: 2
        max_failures: 1
        do: [{two_fail: {error: auth, times: 1}}]
      - wait: {signal: go, timeout: 1h}
      - wait: 5s
      - parallel:
          - try: [{one_op: {}}]
            catch: [{do: [{log: never}]}]
            finally: [{one_op: {id: branch_done}}, {log: branch finally}]
          - {id: tried, one_fail: {times: 1}, retry: {max_attempts: 2, delay: 1s}, timeout: 30s}
          - do: [{two_op: {}}, {if: 1 > 0, then: [{log: branch}]}]
      - {id: sub, subflow: sub.yaml}
      - raise: {type: conflict, message: on purpose}
    catch:
      - on: [conflict]
        do: [{one_op: {id: handled}}, {log: handled}]
    finally:
      - one_op: {id: outer_done}
      - log: try finally
  - transaction: a
    do: [{one_op: {}}, {two_op: {}}]
  - switch: ${inputs.word}
    cases: [{when: x, do: [{one_op: {}}]}]
on_cancel: [{one_op: {}}, {log: on_cancel}]
finally: [{two_op: {id: last}}, {log: finally}]
inputs: [{name: word, type: string, default: x}]
"""
SUB = """\
flow: sub
connections: {c: {type: two}}
steps:
  - try: [{two_op: {}}]
    finally: [{two_op: {id: sub_done}}, {log: sub try finally}]
finally: [{two_op: {id: sub_last}}, {log: sub finally}]
"""


def around(starts: Counter[str], word: str) -> set[str]:
    """The `try` steps, a part of which has begun."""
    return {path[: match.start()] for path in starts for match in re.finditer(rf"\.{word}\.", path)}


class Stage:
    def __init__(self, folder: Any) -> None:
        (folder / "sub.yaml").write_text(SUB)
        (folder / "flow.yaml").write_text(VERBS)
        self.flow = str(folder / "flow.yaml")
        self.one, self.two = Service("one", capacity=4), Service("two", capacity=4)
        self.events: list[Event] = []

    async def play(self, stop_at: int | None, again_after: int | None = None) -> tuple[str, int]:
        """The status, and how many turns of the event loop it took. `stop_at`: the turn at which it is cancelled."""
        before = asyncio.all_tasks()
        random.seed(1)
        handle = flowlang.start(
            self.flow, registry=registry_of(self.one, self.two), on_event=self.events.append, clock=JumpingClock()
        )
        handle.signal("go")
        turns = 0
        while not handle.done:
            if turns == stop_at:
                handle.cancel()
            if again_after is not None and stop_at is not None and turns == stop_at + again_after:
                handle._run.cancel()
            await asyncio.sleep(0)
            turns += 1
        result = await handle
        assert asyncio.all_tasks() == before
        return result.status, turns

    def proven(self) -> Counter[str]:
        told = story(self.events)
        for service in (self.one, self.two):
            assert service.clean(), service.log
            assert service.count("connect") == service.count("disconnect")
            assert service.count("lease") == service.count("release") + service.count("discard")
        starts = Counter(each.split(" ")[1] for each in told if each.startswith("start"))
        ends = Counter(
            each.split(" ")[1].rstrip(":") for each in told if each.startswith(("ok", "failed", "cancelled"))
        )
        assert starts == ends
        return starts


@pytest.mark.slow
async def test_each_clean_up_runs_exactly_once_wherever_the_run_is_cancelled(tmp_path: Any) -> None:
    stage = Stage(tmp_path)
    status, length = await stage.play(None)
    assert status == "succeeded", story(stage.events)[-12:]
    whole = stage.proven()
    assert length > 100
    assert len(around(whole, "try")) == 10
    statuses = set()
    for stop_at in range(length + 1):
        stage = Stage(tmp_path)
        status, _ = await stage.play(stop_at)
        statuses.add(status)
        starts = stage.proven()
        assert all(count == 1 for path, count in starts.items() if "finally." in path), starts
        assert around(starts, "try") <= around(starts, "finally"), stop_at
        assert ("finally.last" in starts) == bool(starts)
    assert statuses == {"cancelled", "succeeded"}


@pytest.mark.parametrize("seed", range(2))
async def test_a_second_cancellation_anywhere_leaves_nothing_behind(tmp_path: Any, seed: int) -> None:
    """It may cut a clean-up short; leases and connections still come back, and no clean-up begins twice."""
    dice = random.Random(seed)
    _, length = await Stage(tmp_path).play(None)
    for _ in range(25):
        stage = Stage(tmp_path)
        await stage.play(dice.randrange(length), dice.randrange(1, 12))
        starts = stage.proven()
        assert all(count == 1 for path, count in starts.items() if "finally." in path), starts
