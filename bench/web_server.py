"""A small HTTP server in a process of its own: every request gets the same order as JSON. It prints its port, and ends
with its standard input."""

from __future__ import annotations

import asyncio
import sys

BODY = b'{"id": 7, "customer": "Ada", "total": 40.5, "paid": true, "lines": [{"sku": "pen", "count": 2}]}'
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Service(asyncio.Protocol):
    """Answers each request that has no content, as soon as its headers have ended."""

    def __init__(self) -> None:
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *whole, self._held = (self._held + data).split(b"\r\n\r\n")
        self._transport.write(REPLY * len(whole))


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Service, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
