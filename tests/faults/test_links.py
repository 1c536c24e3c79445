"""Bad links between a flow and a service: the class of the failure, whether it may be repeated, and nothing left."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.exceptions import Failure

from .conftest import FAULT, LIMITED, RETRIED, Place, Seen

pytestmark = pytest.mark.skipif(
    "not __import__('os').path.isdir('/proc/self/fd')", reason="descriptors are counted in /proc"
)


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "end"])
async def test_a_reply_lost_after_the_write(place: Place, seen: Seen, reset: bool) -> None:
    """Threat 32: it was done, nobody knows, and a `retry` does not do it again."""
    service = place.service

    def cut() -> None:
        place.proxy.cut("to_client", reset=reset)

    failure = await place.failed(service.write, FAULT, service.write | RETRIED, fault=[cut])
    seen("reply lost after a write", failure)
    assert (failure.type, failure.retryable, failure.outcome_unknown) == ("connection_lost", True, True)
    assert failure.attempt == 1
    assert await place.writes == 2


async def test_a_reply_lost_after_a_write_with_a_key(place: Place) -> None:
    """Threat 32: a service that knows keys is asked again, and has done it once. Where it knows none, a key is refused,
    since it would protect nothing (a database that speaks SQL keeps it for `exactly_once`)."""
    service = place.service
    keyed = service.write | RETRIED | {"idempotency_key": "order 1"}
    result = await place.run(service.read, FAULT, keyed, fault=[lambda: place.proxy.cut("to_client")])
    known = service.kind in ("http", "mongodb")
    if known:
        assert result.status == "succeeded", result.failure
    else:
        assert [each.code for each in result.findings] == ["key-without-effect"]
    assert await place.writes == (1 if known else 0)


async def test_a_reply_that_never_comes(place: Place, seen: Seen) -> None:
    """Threat 32, without a sign: the limit of the step ends the wait, the outcome is unknown, nothing is repeated."""
    service = place.service

    def mute() -> None:
        place.proxy.mute = True

    failure = await place.failed(service.write, FAULT, service.write | LIMITED | RETRIED, fault=[mute])
    seen("reply swallowed after a write", failure)
    assert (failure.type, failure.outcome_unknown, failure.attempt) == ("timeout", True, 1)
    assert await place.writes == 2


@pytest.mark.parametrize(("switch", "value"), [("swallow", True), ("rate", 1)], ids=["half-open", "a byte a second"])
async def test_a_link_that_stands_and_does_not_carry(place: Place, seen: Seen, switch: str, value: Any) -> None:
    """Threats 33, 34: nobody answers in time and nobody says so; the limit fires, and the run ends soon."""
    service = place.service
    failure = await place.failed(
        service.read, FAULT, service.read | LIMITED, fault=[lambda: setattr(place.proxy, switch, value)]
    )
    seen({"swallow": "half-open", "rate": "a byte a second"}[switch], failure)
    assert (failure.type, failure.retryable) == ("timeout", True)


async def test_a_slow_link_is_only_slow(place: Place) -> None:
    """Threat 34: latency below the limits changes nothing."""
    place.proxy.delay = 0.02
    await place.ok(place.service.write)
    assert await place.writes == 1


@pytest.mark.parametrize("switch", ["refuse", "stall", "swallow", "rate"])
async def test_a_link_that_does_not_come_about(place: Place, seen: Seen, switch: str) -> None:
    """Threats 33, 34: opening fails in time, and is worth a retry."""
    setattr(place.proxy, switch, True)
    failure = await place.failed(place.service.read | LIMITED, connect_timeout="400ms")
    greeted = {"stall": "never greeted", "swallow": "greeting swallowed", "rate": "greeted by a byte a second"}
    seen(greeted.get(switch, "closed at once"), failure)
    assert failure.type in ("connect", "connection_lost", "timeout")
    assert failure.retryable
    assert not failure.outcome_unknown or failure.type == "timeout"


@pytest.mark.parametrize("which", ["some", pytest.param("every", marks=[pytest.mark.long, pytest.mark.timeout(600)])])
async def test_an_end_in_each_state_of_the_handshake(place: Place, seen: Seen, which: str) -> None:
    """Threats 13, 34: before, inside and after each piece that the server sends until the first answer is there; in the
    long form after every single byte of it."""
    service = place.service
    place.proxy.pieces.clear()
    await place.ok(service.read)
    marks, end = {0}, 0
    for size in place.proxy.pieces[:12]:
        marks |= {end + size // 2, end + size - 1}
        end += size
    for number, after in enumerate(range(end) if which == "every" else sorted(marks)[:24]):
        place.proxy.cut("to_client", after, reset=number % 2 == 0)
        result = await place.run(service.read | LIMITED, connect_timeout="2s")
        place.proxy.heal()
        if result.failure is None:  # what was cut off was a farewell, or came on another link
            continue
        seen("cut in the handshake", result.failure)
        assert result.failure.type in ("connect", "connection_lost", "timeout"), (after, result.failure)
        assert result.failure.retryable, (after, result.failure)


async def test_a_pool_of_one_with_fifty_branches(place: Place) -> None:
    """Threat 35: all get their turn, over one link."""
    service = place.service
    before = place.proxy.accepted
    branches = {"parallel": [service.write] * 50}
    await place.ok(branches, **{service.pool_key: 1})
    assert await place.writes == 50
    assert place.proxy.accepted - before <= 1 + service.watchers


async def test_links_that_all_break_while_nobody_uses_them(place: Place) -> None:
    """Threat 31: a pool full of broken links serves a step that may be repeated, and a write never twice."""
    service = place.service
    config = {service.pool_key: 4}
    await place.ok({"parallel": [service.read] * 8}, FAULT, service.read | RETRIED, fault=[place.proxy.sever], **config)
    result = await place.run(
        {"parallel": [service.read] * 8}, FAULT, service.write, fault=[place.proxy.sever], **config
    )
    if result.failure is not None:
        assert (result.failure.type, result.failure.retryable) == ("connection_lost", True)
    assert await place.writes == (0 if result.failure else 1)


async def test_links_that_break_in_use_break_nothing_else(place: Place, seen: Seen) -> None:
    """Threat 31: whoever was at work fails, and the pool serves as before, with no more links than it may have."""
    service = place.service
    failures: list[Failure] = []

    async def breaks() -> None:
        place.proxy.swallow = True
        await place.proxy.held.wait()
        await place.proxy.sever()
        place.proxy.heal()

    def note(event: Any) -> None:
        if type(event).__name__ == "StepFailed":
            failures.append(event.failure)

    guarded = {"try": [service.read], "catch": [{"do": [{"log": "${error.type}"}]}]}
    steps = [
        {"parallel": [service.read] * 4},
        {"parallel": [FAULT, *[guarded] * 4]},
        {"parallel": [service.read | RETRIED] * 20},
    ]
    await place.ok(*steps, fault=[breaks], on_event=note, **{service.pool_key: 4})
    assert failures or service.kind == "http"  # whose client asks once more for what may be repeated
    for each in failures:
        seen("link broke in use", each)
        assert (each.type in ("connection_lost", "connect"), each.retryable) == (True, True), each
    assert place.proxy.most <= 4 + service.watchers
