"""A pool of links: at most `size`, the one who waits longest first."""

from __future__ import annotations

import asyncio
from typing import Any

from flowlang.exceptions import ConnectionError


class Pool:
    """`open` makes a link. Links that broke, or whose user was cut short, are discarded and not used again."""

    def __init__(self, opener: Any, size: int) -> None:
        self._open = opener
        self._free = asyncio.Semaphore(size)
        self._idle: list[Any] = []
        self.links: set[Any] = set()
        self._closed = False

    async def acquire(self) -> Any:
        if self._closed:
            raise ConnectionError("the LineKV connection is closed")
        await self._free.acquire()
        try:
            while self._idle:
                link = self._idle.pop()
                if link.alive:
                    return link
                self._drop(link)
            link = await self._open()
        except BaseException:
            self._free.release()
            raise
        self.links.add(link)
        return link

    async def release(self, link: Any) -> None:
        if link not in self.links:
            return
        try:
            await link.ask("RESET")
        except BaseException:
            self.discard(link)
            raise
        self._idle.append(link)
        self._free.release()

    def discard(self, link: Any) -> None:
        if link in self.links:
            self._drop(link)
            self._free.release()

    def _drop(self, link: Any) -> None:
        self.links.discard(link)
        link.abort()

    async def close(self) -> None:
        self._closed = True
        try:
            await asyncio.gather(*(each.close(0.5) for each in self.links), return_exceptions=True)
        finally:
            for each in list(self.links):
                self._drop(each)
            self._idle.clear()
