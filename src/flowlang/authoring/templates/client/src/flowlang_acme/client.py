"""A client of Acme: one JSON object a line, over a few TCP links.

Where the service has a client of its own, that takes the place of this module.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

LONGEST = 2**26  # bytes of a reply
Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Refused(Exception):
    """The service refused a request. `code`: its word for why; `retry_after`: seconds to wait."""

    def __init__(self, code: str, text: str, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.retry_after = retry_after


class Client:
    """At most `links` requests at a time, each on a link of its own. `timeout`: seconds for one."""

    def __init__(self, host: str, port: int, token: str, *, links: int, timeout: float) -> None:
        self._place = (host, port)
        self._token = token
        self._timeout = timeout
        self._free = asyncio.Semaphore(links)
        self._idle: list[Link] = []

    async def ask(self, verb: str, **arguments: Any) -> Any:
        """One request and its reply. Raises `Refused`, `TimeoutError`, `OSError`."""
        async with self._free, asyncio.timeout(self._timeout):
            link = self._idle.pop() if self._idle else await self._dialled()
            try:
                reply = await _exchanged(link, {"verb": verb, **arguments})
            except BaseException as error:
                link[1].close()  # what may still come on it, nobody else may read
                if isinstance(error, OSError):
                    await self.close()  # the service went away: the other links are no better
                raise
            self._idle.append(link)
        return _value(reply)

    async def close(self) -> None:
        """Close the links that nobody uses. Closing twice does nothing."""
        idle, self._idle = self._idle, []
        for _, writer in idle:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in idle), return_exceptions=True)

    async def _dialled(self) -> Link:
        reader, writer = await asyncio.open_connection(*self._place, limit=LONGEST)
        try:
            _value(await _exchanged((reader, writer), {"verb": "login", "token": self._token}))
        except BaseException:
            writer.close()
            raise
        return reader, writer


async def _exchanged(link: Link, request: dict[str, Any]) -> dict[str, Any]:
    reader, writer = link
    writer.write(json.dumps(request).encode() + b"\n")
    await writer.drain()
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise ConnectionResetError("the service closed the link")
    reply: dict[str, Any] = json.loads(line)
    return reply


def _value(reply: dict[str, Any]) -> Any:
    if "error" in reply:
        raise Refused(reply["error"], reply["text"], reply.get("retry_after"))
    return reply["value"]
