"""Each service behind a proxy, and a count of what a test leaves behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.faults.proxy import Proxy
from tests.faults.services import SERVICES, Service, through


class Place:
    """A service, the proxy before it, and the URL that leads through it; `direct` leads past it."""

    def __init__(self, service: Service, proxy: Proxy, direct: str) -> None:
        self.service = service
        self.proxy = proxy
        self.direct = direct
        self.url = through(direct, proxy.port)


@pytest.fixture(params=SERVICES, ids=lambda each: each.kind)
def service(request: pytest.FixtureRequest) -> Service:
    return request.param


@pytest.fixture
def direct(service: Service, request: pytest.FixtureRequest) -> str:
    """The URL of an empty place on the real server."""
    return request.getfixturevalue(f"{service.kind}_url")


@pytest.fixture
async def place(service: Service, direct: str) -> AsyncIterator[Place]:
    """After the test no socket, no task and no link at the server may be left."""
    parts = urlsplit(direct)
    assert parts.hostname is not None
    assert parts.port is not None
    async with Proxy(parts.hostname, parts.port) as proxy:
        sockets, tasks, handles = _sockets(), len(asyncio.all_tasks()), await service.handles(direct)
        yield Place(service, proxy, direct)
        proxy.heal()
        await _until(lambda: _sockets() <= sockets)
        assert len(asyncio.all_tasks()) <= tasks
        for _ in range(200):
            if await service.handles(direct) <= handles:
                break
        assert await service.handles(direct) <= handles


def _sockets() -> int:
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(each).startswith("socket:")
        except OSError:
            continue
    return found


async def _until(condition) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the state of the process, which no event tells
            await asyncio.sleep(0.01)
