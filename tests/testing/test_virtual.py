"""Time that jumps: only when everything waits for it, and never over what is really under way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from flowlang.testing.virtual import START, VirtualClock, VirtualLoop


def play(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def loop() -> VirtualLoop:
    found = asyncio.get_running_loop()
    assert isinstance(found, VirtualLoop)
    return found


def test_a_month_passes_at_once_and_in_order() -> None:
    """Sleepers wake in the order of their time, and the clock shows exactly that time."""

    async def main() -> list[tuple[str, float]]:
        woken = []

        async def sleeper(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append((name, loop().time()))

        await asyncio.gather(sleeper("month", 30 * 86_400.0), sleeper("hour", 3600.0), sleeper("second", 1.0))
        return woken

    assert play(main()) == [("second", 1.0), ("hour", 3600.0), ("month", 2_592_000.0)]


def test_a_limit_is_passed_without_waiting() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600):
                await asyncio.sleep(3600)
        return loop().time()

    assert play(main()) == 600.0


def test_time_does_not_jump_over_what_is_real() -> None:
    """A thread that answers later is waited for, though a timer would be due first; no time passes meanwhile."""

    async def main() -> tuple[str, float]:
        gate = threading.Event()
        loop().call_later(3600, gate.set)  # would let the thread go, if time jumped

        def work() -> str:
            return "too early" if gate.wait(0.05) else "in time"

        with loop().really():
            answer = await asyncio.to_thread(work)
        return answer, loop().time()

    assert play(main()) == ("in time", 0.0)


def test_time_runs_along_when_real_work_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the patience is used up a limit ends also what really hangs."""
    monkeypatch.setattr("flowlang.testing.virtual.PATIENCE", 0.01)

    async def main() -> None:
        never = loop().create_future()
        with loop().really():
            async with asyncio.timeout(0.02):
                await never

    with pytest.raises(TimeoutError):
        play(main())


def test_a_wait_inside_of_real_work_jumps() -> None:
    """A back-off between two attempts to connect is not real, though connecting is."""

    async def main() -> tuple[float, int]:
        with loop().really():
            await VirtualClock(loop()).sleep(3600)
        return loop().time(), loop().under_way

    assert play(main()) == (3600.0, 0)


def test_nothing_to_wait_for_is_told() -> None:
    """When nothing will ever happen again the loop says so, instead of hanging."""

    async def main() -> str:
        never: asyncio.Future[str] = loop().create_future()
        loop().on_stuck = lambda: never.set_result("stuck")
        answer = await never
        loop().on_stuck = None
        return answer

    assert play(main()) == "stuck"


def test_the_clock_and_its_chance_repeat_themselves() -> None:
    """Two runs of the same test see the same times, identifiers and numbers; another seed gives others."""

    async def main(seed: int) -> tuple[Any, ...]:
        clock = VirtualClock(loop(), START, seed)
        await clock.sleep(1.5)
        return clock.now(), clock.time(), clock.monotonic(), clock.uuid(), clock.random()

    first, again, other = play(main(0)), play(main(0)), play(main(1))
    assert first == again
    assert first[:3] == (datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC), START.timestamp() + 1.5, 1.5)
    assert first[3].version == 4
    assert first[3:] != other[3:]
