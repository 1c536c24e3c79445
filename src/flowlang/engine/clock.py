"""Where a run takes its time, its waits and its randomness from; tests pass others."""

from __future__ import annotations

import asyncio
import random
import time as _time
import uuid
from datetime import UTC, datetime


class Clock:
    """The real ones. A subclass may jump instead of waiting."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    time = staticmethod(_time.time)
    """Seconds since the epoch, for the records of a run."""

    monotonic = staticmethod(_time.monotonic)
    """Seconds of a clock that never jumps, for durations and deadlines."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def uuid(self) -> uuid.UUID:
        return uuid.uuid4()

    def random(self) -> float:
        """A number from 0 (inclusive) to 1 (exclusive)."""
        return random.random()  # noqa: S311 - documented as not for secrets
