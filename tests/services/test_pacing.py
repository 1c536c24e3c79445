"""`rate_limit`: when requests may leave, in time that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from flowlang.services.model import Rate
from flowlang.services.pacing import Pace
from flowlang.testing.virtual import VirtualLoop


def played(story: Callable[[Pace], Awaitable[Any]], rate: Rate | None) -> Any:
    async def told() -> Any:
        return await story(Pace(rate))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(told())


async def times(pace: Pace, count: int) -> list[float]:
    """When each of some requests leaves that are made at once, in seconds."""
    began = asyncio.get_running_loop().time()

    async def one() -> float:
        await pace.turn()
        return round(asyncio.get_running_loop().time() - began, 3)

    return list(await asyncio.gather(*(one() for _ in range(count))))


def test_so_many_leave_at_once_and_then_one_for_each_share() -> None:
    assert played(lambda pace: times(pace, 8), Rate(5, 1.0)) == [0, 0, 0, 0, 0, 0.2, 0.4, 0.6]


def test_a_pause_fills_up_what_may_leave_at_once() -> None:
    async def story(pace: Pace) -> list[list[float]]:
        first = await times(pace, 4)
        await asyncio.sleep(10)
        return [first, await times(pace, 3)]

    assert played(story, Rate(2, 1.0)) == [[0, 0, 0.5, 1.0], [0, 0, 0.5]]


def test_without_a_limit_nobody_waits() -> None:
    assert played(lambda pace: times(pace, 100), None) == [0.0] * 100
