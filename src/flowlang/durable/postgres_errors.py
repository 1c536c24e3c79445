"""What PostgreSQL refuses, as errors of the store; and what it undid because it met another, done again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from flowlang.exceptions import StoreError, StoreUnavailable

_LOG = logging.getLogger("flowlang.durable")
_TRIES = 5
_PAUSE = 0.05  # seconds before the second try, at most; twice as long before each further one
# A serialization failure, a deadlock, a lock that was not had in time (where the role has a `lock_timeout`). The server
# has undone the whole transaction then.
_MET = frozenset({"40001", "40P01", "55P03"})
# SQLSTATE classes and codes under which a later attempt may go well: connections, resources, what an operator does,
# a server that has become a replica, a transaction that was idle for too long, and transactions that met another.
_LATER = ("08", "53", "57", "25006", "25P03", "40", "55P03")
T = TypeVar("T")


class translated:  # noqa: N801 - reads as a statement
    """What the driver raises inside, as an error of the store."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        import asyncpg

        known = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
        if error is None or not isinstance(error, known):
            return
        state = _state(error)
        # TimeoutError is an OSError; the other two are what comes of a connection that was lost under the driver
        later = state.startswith(_LATER) if isinstance(error, asyncpg.PostgresError) else True
        said = str(error) or type(error).__name__
        if state in _MET:
            raise StoreUnavailable(f"the store {self._url} has undone what met another transaction: {said}") from error
        if later:
            raise StoreUnavailable(f"the store {self._url} does not answer: {said}") from error
        raise StoreError(f"the store {self._url}: {said}") from error


def _state(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""


async def again(ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` gives: a statement of its own, or a transaction. One that the server has undone because it met another
    is asked for again, a few times; of that nothing was kept, so nothing is done twice."""
    for tried in range(_TRIES - 1):
        try:
            return await ask()
        except StoreUnavailable as error:
            if _state(error.__cause__) not in _MET:
                raise
            _LOG.info("%s; trying again", error)
        await asyncio.sleep(random.uniform(0.0, _PAUSE * 2**tried))  # noqa: S311 - so that the two do not meet again
    return await ask()
