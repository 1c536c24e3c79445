"""Whether to try again, and after how long. Pure functions of a policy and a failure."""

from __future__ import annotations

from flowlang.document.model import Retry
from flowlang.exceptions import ERROR_CLASSES, Failure


def wants_retry(policy: Retry, failure: Failure, *, repeatable: bool) -> bool:
    """Whether `policy` asks for another attempt after `failure`, the number of attempts left aside.

    `repeatable`: doing the step twice is harmless (a read, or an idempotent or keyed write). A failure that
    leaves open whether the operation took place is retried only then, or when `on` names its class.
    """
    if failure.type in policy.unless or failure.type == "cancelled":
        return False
    if policy.on:
        # A class that is retried by itself, and yet was not to be this time, was told so by the service or the task.
        forbidden = ERROR_CLASSES[failure.type].retryable and not failure.retryable
        return failure.type in policy.on and not forbidden
    if failure.outcome_unknown and not repeatable:
        return False
    return failure.retryable


def next_delay(policy: Retry, attempt: int, failure: Failure, chance: float) -> float:
    """Seconds to wait after attempt number `attempt` (from 1) failed. `chance` is a random number in [0, 1).

    What the service asks for (`retry_after`) wins. Jitter takes the delay to between half and all of itself, so
    that many runs that failed together do not come back together.
    """
    if failure.retry_after is not None:
        return max(0.0, failure.retry_after)
    if policy.backoff == "constant":
        delay = policy.delay
    elif policy.backoff == "linear":
        delay = policy.delay * attempt
    else:
        delay = policy.delay * _power(policy.multiplier, attempt - 1)
    delay = min(delay, policy.max_delay)
    return delay * (0.5 + chance / 2) if policy.jitter else delay


def _power(base: float, exponent: int) -> float:
    try:
        return base**exponent
    except OverflowError:
        return 1e300
