"""What reading steps returned, kept for later runs of the same process."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any

from flowlang.engine.clock import Clock
from flowlang.exceptions import Failure, StepError
from flowlang.tasks.stream import Stream

Key = tuple[object, ...]
Outputs = dict[str, Any]


class SharedFailure(Exception):
    """The call that was waited for has failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class OutputCache:
    """At most `size` answers; the one that was asked for longest ago leaves first. Failures are never kept.

    Whoever owns it hands it to each run. Its runs may belong to several event loops, in threads of their own.
    """

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._kept: OrderedDict[Key, tuple[float, Outputs]] = OrderedDict()  # until when (of the run's clock), and what
        self._under_way: dict[tuple[Key, asyncio.AbstractEventLoop], asyncio.Future[Failure | None]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    async def answer(
        self, key: Key, ttl: float, clock: Clock, call: Callable[[], Awaitable[Outputs]]
    ) -> tuple[Outputs, bool]:
        """The outputs for `key`, and whether they were kept. Of several that miss it at once one calls, the others
        wait for it, and share its failure: `SharedFailure`. When it is cancelled, the next one calls."""
        loop = asyncio.get_running_loop()
        mine = (key, loop)
        while True:
            kept = self._look(key, clock.monotonic())
            if kept is not None:
                return kept, True
            other = self._under_way.get(mine)
            if other is None:
                break
            await asyncio.wait([other])
            failed = other.result()
            if failed is not None:
                raise SharedFailure(failed)
        done = self._under_way[mine] = loop.create_future()
        failure: Failure | None = None
        try:
            outputs = await call()
            self._keep(key, clock.monotonic() + ttl, outputs)
            return outputs, False
        except StepError as error:
            failure = error.failure
            raise
        finally:
            del self._under_way[mine]
            done.set_result(failure)

    def _look(self, key: Key, now: float) -> Outputs | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            if kept[0] <= now:
                del self._kept[key]
                return None
            self._kept.move_to_end(key)
        return deepcopy(kept[1])

    def _keep(self, key: Key, until: float, outputs: Outputs) -> None:
        """Runs share nothing that changes, so each gets a copy; what cannot be copied cannot be kept."""
        if any(isinstance(each, Stream) for each in outputs.values()):
            return
        try:
            copy = deepcopy(outputs)
        except Exception:  # noqa: BLE001 - a foreign object that refuses: the step has its outputs all the same
            return
        with self._lock:
            self._kept[key] = (until, copy)
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
