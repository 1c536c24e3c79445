"""Each service behind a proxy, flows that are run against it, and a count of what a test leaves behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.faults.proxy import Proxy
from tests.faults.services import SERVICES, Service, through
from tests.faults.web import Web
from tests.servers.fixtures import own_server
from tests.servers.process import Server

import flowlang
from flowlang.exceptions import Failure

Fault = Callable[[], Awaitable[None] | None]
Seen = Callable[[str, Failure], None]
FAULT: dict[str, Any] = {"fault": {}}
LIMITED = {"timeout": "400ms"}
RETRIED = {"retry": {"max_attempts": 3, "delay": "1ms"}}
# PyMongo leaves a socket whose connecting is cancelled to the garbage collector. Only such a one is let pass: it has no
# address at the other end. All descriptors are counted below.
_PYMONGO = pytest.mark.filterwarnings(
    r"ignore:unclosed <socket\.socket fd=\d+, family=\d+, type=\d+, proto=\d+, laddr=[^r]*>:ResourceWarning"
)
_ALL = [pytest.param(each, marks=[_PYMONGO] if each.kind == "mongodb" else [], id=each.kind) for each in SERVICES]


@dataclass
class Place:
    """A service, the proxy before it, and the URL that leads past the proxy."""

    service: Service
    proxy: Proxy
    direct: str

    @property
    def writes(self) -> Awaitable[int]:
        """How often the write took place."""
        return self.service.writes(self.direct)

    @property
    def config(self) -> dict[str, Any]:
        """The config that leads through the proxy."""
        return self.service.config(through(self.direct, self.proxy.port))

    async def run(
        self,
        *steps: Mapping[str, Any],
        fault: Sequence[Fault] = (),
        on_event: Any = None,
        pools: flowlang.Pools | None = None,
        tasks: Sequence[Callable[..., Any]] = (),
        outputs: Mapping[str, str] | None = None,
        **config: Any,
    ) -> flowlang.RunResult:
        """Run a flow of these steps through the proxy. Each step `FAULT` calls the next of `fault`."""
        faults = iter(fault)

        @flowlang.task(name="fault", effect="none")
        async def happens() -> None:
            happened = next(faults)()
            if happened is not None:
                await happened

        connection = {"type": self.service.kind, **self.config, **config}
        given = [{"name": name, "value": value} for name, value in (outputs or {}).items()]
        flow = {"flow": "faults", "connections": {"service": connection}, "steps": list(steps), "outputs": given}
        async with asyncio.timeout(60):
            return await flowlang.run(text=json.dumps(flow), tasks=[happens, *tasks], on_event=on_event, pools=pools)

    async def ok(self, *steps: Mapping[str, Any], **more: Any) -> flowlang.RunResult:
        result = await self.run(*steps, **more)
        assert result.status == "succeeded", (result.failure, result.findings)
        return result

    async def failed(self, *steps: Mapping[str, Any], **more: Any) -> Failure:
        result = await self.run(*steps, **more)
        assert result.failure is not None, (result.status, result.findings)
        return result.failure


@pytest.fixture(params=_ALL)
def service(request: pytest.FixtureRequest) -> Service:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def seen(record_property: Callable[[str, object], None], service: Service) -> Seen:
    """Notes the verdict on a failure, for a table of faults and services (`-o junit_family=xunit1 --junitxml=…`)."""

    def note(fault: str, failure: Failure) -> None:
        marks = ("retryable" if failure.retryable else "final") + (", unknown" if failure.outcome_unknown else "")
        record_property("fault", f"{fault}|{service.kind}|{failure.type} ({marks})")

    return note


@pytest.fixture
def http_url(tmp_path: Path) -> Iterator[str]:
    """The URL of a web service of the test's own."""
    for each in own_server(Web, tmp_path):
        yield each.url


@pytest.fixture
def own_http(tmp_path: Path) -> Iterator[Server]:
    """A web service of the test's own, to stop, kill and freeze."""
    yield from own_server(Web, tmp_path)


@pytest.fixture
def direct(service: Service, request: pytest.FixtureRequest) -> str:
    """The URL of an empty place on the shared server."""
    return request.getfixturevalue(f"{service.kind}_url")  # type: ignore[no-any-return]


@pytest.fixture
async def place(service: Service, direct: str) -> AsyncIterator[Place]:
    """That place behind a proxy. What a test leaves is counted when it ends."""
    await service.prepare(direct)
    async with behind(service, direct) as place:
        yield place


@pytest.fixture
def own(service: Service, request: pytest.FixtureRequest) -> Server:
    """A server of the test's own."""
    return request.getfixturevalue(f"own_{service.kind}")  # type: ignore[no-any-return]


@asynccontextmanager
async def behind(service: Service, direct: str) -> AsyncIterator[Place]:
    """A proxy before a service. When it ends, no descriptor, no task and no link at the server may be left."""
    parts = urlsplit(direct)
    assert parts.hostname is not None
    assert parts.port is not None
    async with Proxy(parts.hostname, parts.port) as proxy:
        place = Place(service, proxy, direct)
        await place.ok(service.read)  # what a driver loads and keeps is there before the count
        await _until(lambda: proxy.links == 0, lambda: f"{proxy.links} links")
        gc.collect()
        before = descriptors(), len(asyncio.all_tasks()), await _links(service, direct)
        yield place
        proxy.heal()
        await _until(lambda: proxy.links == 0, lambda: f"{proxy.links} links that the client has not closed")
        gc.collect()
        await _until(lambda: descriptors() <= before[0], lambda: f"{descriptors()} descriptors, {before[0]} before")
        assert len(asyncio.all_tasks()) <= before[1], asyncio.all_tasks()
        async with asyncio.timeout(20):
            while await _links(service, direct) > before[2]:  # noqa: ASYNC110 - the server does not tell
                await asyncio.sleep(0.02)


async def _links(service: Service, direct: str) -> int:
    return 0 if service.links is None else await service.links(direct)


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


async def _until(condition: Callable[[], bool], told: Callable[[], str]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(told())
