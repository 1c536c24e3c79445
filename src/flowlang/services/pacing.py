"""`rate_limit`: requests of one connection are spread so that no more leave than the service allows."""

from __future__ import annotations

import asyncio

from flowlang.services.model import Rate


class Pace:
    """Lets `requests` through at once, and from then on one more each time that its share of `per` has passed.

    This is the generic cell rate algorithm: `_due` is when the next request would leave if they went evenly.
    """

    def __init__(self, rate: Rate | None) -> None:
        self._share = rate.per / rate.requests if rate is not None else 0.0
        self._ahead = rate.per - self._share if rate is not None else 0.0  # how far before its time one may leave
        self._due = 0.0

    async def turn(self) -> None:
        """Wait until the next request may leave. Whoever is cancelled here has used up his turn."""
        if not self._share:
            return
        now = asyncio.get_running_loop().time()
        due = max(self._due, now)
        self._due = due + self._share
        wait = due - self._ahead - now
        if wait > 0:
            await asyncio.sleep(wait)
