"""Retries as a run carries them out: when each attempt begins, and when there is to be none."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from tests.engine.support import JumpingClock, tasks

import flowlang
from flowlang.exceptions import FlowExecutionError


class Dice(JumpingClock):
    """The jumping clock with real chance in its jitter."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.dice = random.Random(seed)

    def random(self) -> float:
        return self.dice.random()


async def attempts(policy: str, clock: JumpingClock, takes: float = 0.0, **error: Any) -> list[float]:
    """The times at which the attempts of a step began that always fails, each of which `takes` so many seconds."""
    begun: list[float] = []

    @flowlang.task(effect="read")
    async def broken() -> None:
        begun.append(clock.passed)
        clock.passed += takes
        raise FlowExecutionError("broken", **{"error_class": "unavailable", **error})

    text = f"flow: f\nsteps: [{{broken: {{id: b}}, retry: {policy}}}]\n"
    result = await flowlang.run(text=text, tasks=[broken], clock=clock)
    assert result.status == "failed"
    assert result.failure is not None
    assert result.failure.attempt == len(begun)
    return begun


@pytest.mark.parametrize(
    ("policy", "times"),
    [
        ("{max_attempts: 4, delay: 2s, jitter: false, backoff: constant}", [0, 2, 4, 6]),
        ("{max_attempts: 4, delay: 2s, jitter: false, backoff: linear}", [0, 2, 6, 12]),
        ("{max_attempts: 4, delay: 2s, jitter: false}", [0, 2, 6, 14]),
        ("{max_attempts: 4, delay: 2s, jitter: false, multiplier: 3, max_delay: 5s}", [0, 2, 7, 12]),
        ("{max_attempts: 9, delay: 2s, jitter: false, max_elapsed: 7s}", [0, 2, 6]),
        ("{max_attempts: 1}", [0]),
        ("{max_attempts: 3, delay: 0s}", [0, 0, 0]),
        ("{max_attempts: 3, unless: [unavailable]}", [0]),
        ("{max_attempts: 3, on: [timeout]}", [0]),
        ("{max_attempts: 3, delay: 1s, jitter: false, on: [unavailable]}", [0, 1, 3]),
    ],
)
async def test_each_attempt_begins_when_the_formula_says(policy: str, times: list[float]) -> None:
    assert await attempts(policy, JumpingClock()) == times


async def test_what_the_service_asks_for_is_honoured_and_counts_against_max_elapsed() -> None:
    policy = "{max_attempts: 4, delay: 1s, max_delay: 2s, jitter: false}"
    assert await attempts(policy, JumpingClock(), retry_after=30.0) == [0, 30, 60, 90]
    policy = "{max_attempts: 4, delay: 1s, max_elapsed: 70s}"
    assert await attempts(policy, JumpingClock(), retry_after=30.0) == [0, 30, 60]


async def test_what_says_that_it_is_not_to_be_retried_is_not() -> None:
    assert await attempts("{max_attempts: 4, on: [unavailable]}", JumpingClock(), retryable=False) == [0]
    assert await attempts("{max_attempts: 3, on: [auth], delay: 0s}", JumpingClock(), error_class="auth") == [0, 0, 0]


@pytest.mark.parametrize("seed", range(40))
async def test_no_attempt_begins_after_max_elapsed(seed: int) -> None:
    """Whatever the jitter, the backoff and the time that an attempt takes."""
    dice = random.Random(seed)
    most, takes = dice.uniform(1, 50), dice.uniform(0, 8)
    backoff = dice.choice(["constant", "linear", "exponential"])
    policy = f"{{max_attempts: 50, delay: {dice.uniform(0.1, 5):.2f}, backoff: {backoff}, max_elapsed: {most:.2f}}}"
    begun = await attempts(policy, Dice(seed), takes)
    assert max(begun) <= round(most, 2)
    assert all(later - earlier >= takes for earlier, later in pairwise(begun))


async def test_a_thousand_runs_that_fail_together_do_not_come_back_together() -> None:
    """Jitter spreads them evenly over the second half of the delay."""
    seconds = [(await attempts("{max_attempts: 2, delay: 10s}", Dice(seed)))[1] for seed in range(1000)]
    assert all(5 <= each <= 10 for each in seconds)
    assert 7.3 < sum(seconds) / 1000 < 7.7
    slots = Counter(int(each * 10) for each in seconds)  # of a tenth of a second: 50, so 20 on average
    assert len(slots) == 50
    assert max(slots.values()) < 45


async def test_an_attempt_that_takes_too_long_is_given_up_and_another_follows() -> None:
    text = (
        "flow: f\nsteps: [{nap: {id: n}, retry: {max_attempts: 2, attempt_timeout: 20ms, delay: 3s, jitter: false}}]\n"
    )
    clock = JumpingClock()
    result = await flowlang.run(text=text, tasks=tasks(), clock=clock)
    assert result.failure is not None
    assert (result.failure.type, result.failure.attempt, clock.slept) == ("timeout", 2, [3])


LIMITED = {
    "if": "{if: 1 > 0, then: [{nap: {}}]}",
    "switch": "{switch: '${1}', cases: [{when: 1, do: [{nap: {}}]}]}",
    "for_each": "{for_each: [1], do: [{nap: {}}]}",
    "for_each at once": "{for_each: [1, 2], max_concurrency: 2, do: [{nap: {}}]}",
    "while": "{while: 1 > 0, max_iterations: 2, do: [{nap: {}}]}",
    "until": "{until: 1 > 0, max_iterations: 2, do: [{nap: {}}]}",
    "parallel": "{parallel: [{nap: {}}, {nap: {}}]}",
    "try": "{try: [{nap: {}}], catch: [{do: []}], finally: [{log: done}]}",
    "wait": "{wait: 1h}",
    "wait for a signal": "{wait: {signal: never}}",
    "task": "{nap: {}}",
}


@pytest.mark.parametrize("verb", LIMITED)
async def test_timeout_bounds_every_verb(verb: str) -> None:
    text = f"flow: f\nsteps: [{LIMITED[verb][:-1]}, timeout: 20ms, id: s}}]\n"
    result = await flowlang.run(text=text, tasks=tasks())
    assert result.failure is not None, result.findings
    assert (result.failure.type, result.failure.step) == ("timeout", "s")
