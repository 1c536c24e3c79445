"""When to try again, and after how long: pure functions of a policy and a failure."""

from __future__ import annotations

import itertools

import pytest

from flowlang.document.model import Retry
from flowlang.engine.retry import next_delay, wants_retry
from flowlang.exceptions import ERROR_CLASSES, Failure


def failure(kind: str = "unavailable", retryable: bool | None = None, **more: object) -> Failure:
    known = ERROR_CLASSES[kind].retryable if retryable is None else retryable
    return Failure(kind, "broken", retryable=known, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (Retry(delay=2, backoff="constant", jitter=False), [2, 2, 2, 2]),
        (Retry(delay=2, backoff="linear", jitter=False), [2, 4, 6, 8]),
        (Retry(delay=2, multiplier=3, jitter=False), [2, 6, 18, 54]),
        (Retry(delay=2, multiplier=3, max_delay=10, jitter=False), [2, 6, 10, 10]),
        (Retry(delay=0, jitter=False), [0, 0, 0, 0]),
    ],
)
def test_the_formula(policy: Retry, delays: list[float]) -> None:
    assert [next_delay(policy, attempt, failure(), 0.5) for attempt in (1, 2, 3, 4)] == delays


@pytest.mark.parametrize(
    ("attempt", "multiplier", "delay"), [*itertools.product((10**3, 10**6), (1.5, 10.0, 1e6), (0, 1))]
)
def test_many_attempts_overflow_into_max_delay(attempt: int, multiplier: float, delay: float) -> None:
    assert next_delay(Retry(delay=delay, multiplier=multiplier, jitter=False), attempt, failure(), 0) == 60 * delay


def test_jitter_is_between_half_and_all() -> None:
    policy = Retry(delay=10, backoff="constant")
    assert [next_delay(policy, 1, failure(), chance) for chance in (0, 0.5, 0.999999)] == [5, 7.5, pytest.approx(10)]


def test_what_the_service_asks_for_wins_over_everything() -> None:
    policy = Retry(delay=1, max_delay=2)
    assert next_delay(policy, 9, failure(retry_after=77.0), 0) == 77
    assert next_delay(policy, 1, failure(retry_after=0.0), 0) == 0


@pytest.mark.parametrize("kind", ERROR_CLASSES)
def test_without_on_the_failure_decides(kind: str) -> None:
    assert wants_retry(Retry(), failure(kind), repeatable=True) is (
        ERROR_CLASSES[kind].retryable and kind != "cancelled"
    )
    assert wants_retry(Retry(), failure(kind, False), repeatable=True) is False
    assert wants_retry(Retry(), failure(kind, True), repeatable=True) is (kind != "cancelled")


@pytest.mark.parametrize("kind", ERROR_CLASSES)
def test_on_names_the_only_classes_and_unless_wins(kind: str) -> None:
    assert wants_retry(Retry(on=(kind,)), failure(kind), repeatable=False) is (kind != "cancelled")
    assert wants_retry(Retry(on=("expression",)), failure(kind, True), repeatable=True) is (kind == "expression")
    assert not wants_retry(Retry(on=(kind,), unless=(kind,)), failure(kind, True), repeatable=True)


def test_on_does_not_overrule_a_task_that_says_no() -> None:
    assert not wants_retry(Retry(on=("unavailable",)), failure("unavailable", False), repeatable=True)


def test_an_unknown_outcome_is_repeated_only_when_that_is_harmless_or_asked_for() -> None:
    lost = failure("connection_lost", outcome_unknown=True)
    assert wants_retry(Retry(), lost, repeatable=True)
    assert not wants_retry(Retry(), lost, repeatable=False)
    assert wants_retry(Retry(on=("connection_lost",)), lost, repeatable=False)
