"""`rate_limit`: requests are spread so that no more leave than the service allows.

A service counts by who asks. Connections that ask the same address with the same credentials therefore share a pace,
those of other runs on the same event loop, too.
"""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from flowlang.services.model import Rate

_MOST = 256  # paces of one event loop, before those that nobody waits for are forgotten
_SHARED: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, Rate | None], Pace]] = WeakKeyDictionary()


def shared(rate: Rate | None, asker: str) -> Pace:
    """The pace of all that ask as `asker` on the running event loop, whose clock it goes by."""
    paces = _SHARED.setdefault(asyncio.get_running_loop(), {})
    if len(paces) >= _MOST:
        for key in [key for key, each in paces.items() if each.idle]:
            del paces[key]  # one that has been idle is as good as a new one
    return paces.setdefault((asker, rate), Pace(rate))


class Pace:
    """Lets `requests` through at once, and from then on one more each time that its share of `per` has passed.

    This is the generic cell rate algorithm: `_due` is when the next request would leave if they went evenly.
    """

    def __init__(self, rate: Rate | None) -> None:
        self._share = rate.per / rate.requests if rate is not None else 0.0
        self._ahead = rate.per - self._share if rate is not None else 0.0  # how far before its time one may leave
        self._due = 0.0

    @property
    def idle(self) -> bool:
        """Whether as many may leave as at the very beginning."""
        return self._due <= asyncio.get_running_loop().time()

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
