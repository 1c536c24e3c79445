"""The client of a small HTTP service, with the interface that the guide's plugin uses."""

from __future__ import annotations

import asyncio
import json as codec
from typing import Any
from urllib.parse import urlsplit

__version__ = "1.2.0"


class ApiError(Exception):
    """The service answered with an error status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class AsyncClient:
    """One request per socket; `timeout` is seconds for each."""

    def __init__(self, *, api_key: str, base_url: str, timeout: float = 30.0) -> None:
        self._api_key = api_key
        self._base = urlsplit(base_url)
        self._timeout = timeout
        self.closed = False

    async def ping(self) -> None:
        await self._ask("GET", "/ping", None)

    async def get(self, path: str) -> Any:
        return await self._ask("GET", path, None)

    async def post(self, path: str, *, json: Any) -> Any:
        return await self._ask("POST", path, json)

    async def close(self) -> None:
        self.closed = True

    async def _ask(self, method: str, path: str, body: Any) -> Any:
        if self.closed:
            raise RuntimeError("the client is closed")
        async with asyncio.timeout(self._timeout):
            reader, writer = await asyncio.open_connection(self._base.hostname, self._base.port)
            try:
                content = b"" if body is None else codec.dumps(body).encode()
                head = (
                    f"{method} {path} HTTP/1.0\r\nAuthorization: Bearer {self._api_key}\r\n"
                    f"Content-Length: {len(content)}\r\n\r\n"
                )
                writer.write(head.encode() + content)
                answer = await reader.read()
            finally:
                writer.close()
                await writer.wait_closed()
        start, _, text = answer.partition(b"\r\n\r\n")
        status = int(start.split()[1])
        if status >= 400:
            raise ApiError(status, text.decode())
        return codec.loads(text)
