"""Servers that are killed, frozen and started again, between the statements of a flow and inside of them."""

from __future__ import annotations

import asyncio

import pytest
from tests.servers.process import Server

from .conftest import FAULT, LIMITED, Seen, behind
from .services import SERVICES, Service

pytestmark = pytest.mark.skipif(
    "not __import__('os').path.isdir('/proc/self/fd')", reason="descriptors are counted in /proc"
)
KILLED = [each for each in SERVICES if each.kind != "mongodb"]  # which has such a test of its own
PATIENT = {"retry": {"max_attempts": 100, "delay": "200ms", "backoff": "constant"}}


@pytest.mark.slow
@pytest.mark.parametrize("service", KILLED, indirect=True, ids=lambda each: each.kind)
async def test_a_server_that_dies_and_comes_back(service: Service, own: Server, seen: Seen) -> None:
    """Threat 31: gone between two statements, away, back again, frozen, killed inside a write. One server for all."""

    async def kill() -> None:
        await asyncio.to_thread(own.kill)

    async def start() -> None:
        await asyncio.to_thread(own.start)
        await service.prepare(own.url)  # a server in memory has forgotten

    async def restart() -> None:
        await kill()
        await start()

    await service.prepare(own.url)
    async with behind(service, own.url) as place:
        failure = await place.failed(service.read, FAULT, service.read, fault=[kill])
        seen("killed between statements", failure)
        assert (failure.type in ("connect", "connection_lost"), failure.retryable) == (True, True), failure

        failure = await place.failed(service.read, connect_timeout="2s")
        seen("nobody listens", failure)
        assert (failure.type in ("connect", "connection_lost"), failure.retryable) == (True, True), failure

        await start()
        await place.ok(service.read, FAULT, service.read | PATIENT, service.write, fault=[restart])
        before = await place.writes

        failure = await place.failed(service.read, FAULT, service.read | LIMITED, fault=[own.pause])
        own.resume()
        seen("frozen", failure)
        assert (failure.type, failure.retryable) == ("timeout", True)

        killing: list[asyncio.Task[None]] = []  # it goes on when the write's failure ends the branch that began it

        async def dies() -> None:
            await place.proxy.said.wait()
            killing.append(asyncio.ensure_future(kill()))
            await asyncio.shield(killing[0])

        def freezes() -> None:
            own.pause()
            place.proxy.said.clear()

        last = {"parallel": [service.write, FAULT]}
        failure = await place.failed(service.write, FAULT, last, fault=[freezes, dies])
        await killing[0]
        seen("killed inside a write", failure)
        assert (failure.type, failure.retryable, failure.outcome_unknown) == ("connection_lost", True, True)
        await start()
        assert before >= 1
