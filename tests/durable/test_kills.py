"""Processes that are killed at every write of a journal, and again while they recover (threats 27 and 44)."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from tests.durable.conftest import Kill, Life
from tests.durable.flows import made

FLOW = """
flow: killed
tasks: [effects.py]
steps:
  - look: {id: a}
  - change: {id: b, value: "${a.step}"}
  - {id: s, set: {u: "${uuid()}", t: "${now()}", r: "${random()}"}}
  - put: {id: c, value: "${[s.u, s.t, s.r]}"}
  - parallel:
      - change: {id: p1}
      - do:
          - put: {id: p2}
          - change: {id: p3}
      - wait: 10ms
  - for_each: [1, 2]
    id: loop
    collect: ${turn.step}
    do:
      - change: {id: turn, value: "${item}"}
  - try:
      - refuse: {id: no, times: 9}
        retry: {max_attempts: 2, delay: 5ms, jitter: false}
    catch:
      - on: [task]
        as: problem
        do:
          - change: {id: mended}
finally:
  - put: {id: last}
outputs:
  - {name: all, value: "${[a.step, b.step, c.step, p1.step, p2.step, p3.step, loop.results]}"}
"""


def hold_true(told: dict[str, Any], whole: dict[str, Any]) -> None:
    """Nothing lost, nothing repeated that must not be, and the same outcome as a run that nobody disturbed."""
    assert (told["status"], told["outputs"], told["detail"]) == (whole["status"], whole["outputs"], whole["detail"])
    done, wanted = (Counter(each["step"] for each in of["effects"] if each["kind"] == "change") for of in (told, whole))
    assert done == wanted
    assert applied(told) == applied(whole)
    assert told["marks"] == whole["marks"], "rows that are written once, or in a transaction"
    assert all(step in wanted or ".both" in f".{step}" for step in told["attention"])
    values: dict[str, Any] = {}
    for each in told["effects"]:
        if each["kind"] == "put":
            first = values.setdefault(each["step"], each["value"])
            assert each["value"] == first, "time, chance and signals are the same in each life"


def applied(told: dict[str, Any]) -> dict[str, int]:
    """How often a service that knows its keys has done each of the keyed writes."""
    keys = {(each["step"], each["key"]) for each in told["effects"] if each["kind"] in ("put", "refuse")}
    return dict(Counter(step for step, _ in keys))


@pytest.mark.slow
def test_a_kill_at_each_write_and_one_more_while_it_recovers(killed: Life) -> None:
    whole = killed([(FLOW, [])])[0]
    assert whole["status"] == "succeeded", whole["detail"]
    assert len(whole["effects"]) == 12
    chance = random.Random(44)
    plans: list[list[Kill]] = []
    for write in range(1, whole["writes"] + 1):
        plans.append([(write, "before")])
        plans.append([(write, "after"), (chance.randint(1, 3), chance.choice(["before", "after"]))])
    lives = []
    for told in killed([(FLOW, plan) for plan in plans]):
        hold_true(told, whole)
        lives.append(told["lives"])
    assert sum(each > 1 for each in lives) >= len(lives) - 4, "the last writes are not in every run"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1))
def test_random_flows_with_random_kills(killed: Life, seed: int) -> None:
    prove(killed, seed, 5)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_random_flows_with_random_kills(killed: Life, seed: int) -> None:
    prove(killed, seed, 60)


def prove(killed: Life, seed: int, count: int) -> None:
    """Random flows, first left alone, then killed at random writes of several lives."""
    chance = random.Random(seed)
    flows = [made(chance) for _ in range(count)]
    models = killed([(text, []) for text in flows])
    plans = [
        [(chance.randint(1, 1 + model["writes"] // 2), chance.choice(["before", "after"])) for _ in range(4)]
        for model in models
    ]
    for text, model, told in zip(flows, models, killed(list(zip(flows, plans))), strict=True):
        try:
            hold_true(told, model)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{text}\n{told}\n{model}") from error


LONG = """
flow: long
tasks: [effects.py]
steps:
  - look: {id: a}
  - change: {id: b}
  - dwell: {id: c}
"""

ROW = """
flow: row
tasks: [effects.py]
steps:
  - for_each: [1, 2, 3, 4, 5]
    do:
      - tarry: {id: b}
"""


def test_what_came_of_a_write_is_kept_while_a_read_takes_long(killed: Life) -> None:
    """It is committed beside the read: the second write is the end of `b`, and `c` is under way. Writes that follow
    each other have one commit each, and the run one for its end. Never two for a write."""
    before, after, row = killed([(LONG, [(2, "before")]), (LONG, [(2, "after")]), (ROW, [])])
    for told, attention in ((before, ["b"]), (after, [])):
        assert (told["status"], told["attention"]) == ("succeeded", attention)
        assert Counter(each["step"] for each in told["effects"]) == {"a": 1, "b": 1, "c": 2}
    assert row["writes"] in (6, 7), "one more where the end of the run takes its time"
