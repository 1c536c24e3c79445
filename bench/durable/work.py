"""The work that every engine does, in numbers: a step returns a small dict, so that what is timed is the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

STEPS = 100
"""Steps of the sequential run."""
BRANCHES = 1000
"""Branches of the fan-out, of one step each."""
RUNS = 100
STEPS_OF_RUN = 5
"""The many runs: submitted together, of so many steps one after the other."""
PATIENCE = 180  # seconds that any one part of a turn may take


def result(number: int) -> dict[str, Any]:
    """What every step of every engine returns."""
    return {"number": number, "text": "a small result", "done": True}


async def timed(work: Awaitable[object]) -> float:
    """Seconds of it. Raises `TimeoutError` when it takes longer than anybody should wait."""
    async with asyncio.timeout(PATIENCE):
        began = time.perf_counter()
        await work
        return time.perf_counter() - began
