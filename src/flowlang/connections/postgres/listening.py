"""Notifications: what other sessions say on a channel (`NOTIFY`), heard by one session that listens.

The server sends a notification when the transaction that made it commits, and only to sessions that are in no
transaction themselves. asyncpg hands over what comes from the moment `Subscription` is entered; nothing is lost between
that moment and the first wait, nor between two waits, since all of it is kept until it is taken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict

from flowlang.connections._sql.records import invalid
from flowlang.exceptions import FlowExecutionError

if TYPE_CHECKING:
    from flowlang.connections.postgres.handle import Handle

MOST_WAITING = 10_000  # notifications, of at most 8,000 bytes each, that nobody has taken yet
_LONGEST_CHANNEL = 63  # bytes: LISTEN would cut a longer name off without a word


class Notification(TypedDict):
    """`payload`: what was said, empty for a bare signal. `pid`: the server's process of the session that said it."""

    channel: str
    payload: str
    pid: int


def checked_channel(channel: str) -> str:
    """The name of a channel. Raises FlowExecutionError (`validation`) for one that no channel can have."""
    if not channel or "\0" in channel:
        raise invalid(f"`channel` is {channel!r}: it needs a name")
    size = len(channel.encode(errors="replace"))
    if size > _LONGEST_CHANNEL:
        raise invalid(f"`channel` has {size} bytes; the name of a channel has at most {_LONGEST_CHANNEL}")
    return channel


class Subscription:
    """`async with` it to listen on a channel; at the end the session listens to nothing again.

    Raises FlowExecutionError: `validation` inside a transaction, where nothing would ever be heard.
    """

    def __init__(self, handle: Handle, channel: str) -> None:
        self._handle = handle
        self._driver = handle.marked()  # marks the session: its reset stops the listening too
        self._channel = checked_channel(channel)
        self._heard: deque[Notification] = deque()
        self._news = asyncio.Event()
        self._lost = False

    async def __aenter__(self) -> Subscription:
        if self._driver.is_in_transaction():
            raise invalid("a session hears nothing while it is in a transaction: listen outside of the `transaction`")
        self._driver.add_termination_listener(self._on_end)
        with self._handle.told():
            await self._driver.add_listener(self._channel, self._on_notification)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._driver.remove_termination_listener(self._on_end)
        if kind is asyncio.CancelledError:
            return  # the session is thrown away; one more question would only keep the cancellation waiting
        with self._handle.told():
            await self._driver.remove_listener(self._channel, self._on_notification)

    def _on_notification(self, _: Any, pid: int, channel: str, payload: str) -> None:
        self._heard.append({"channel": channel, "payload": payload, "pid": pid})
        self._news.set()

    def _on_end(self, _: Any) -> None:
        self._lost = True
        self._news.set()

    async def wait(self, seconds: float) -> list[Notification]:
        """All that has come and was not taken yet; waits for the first one, at most so long. Empty when none came.

        Raises FlowExecutionError: `connection_lost` when the session ends; `limit` when more came than is kept.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return []
        heard = list(self._heard)
        self._heard.clear()
        if self._lost:
            raise FlowExecutionError("the session that listened was ended", error_class="connection_lost")
        self._news.clear()
        if len(heard) > MOST_WAITING:
            raise FlowExecutionError(
                f"more than {MOST_WAITING:,} notifications on `{self._channel}` were waiting: the flow is too slow",
                error_class="limit",
            )
        return heard
