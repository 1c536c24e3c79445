"""Bad links between a connection and its server: the class of the failure, its retryable flag, and nothing left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowlang.connections import opened
from flowlang.connections.errors import Classified, classify

from .conftest import Place

pytestmark = pytest.mark.skipif(
    "not __import__('os').path.isdir('/proc/self/fd')", reason="sockets are counted in /proc"
)


async def failing(connection: Any, step: tuple[str, Any]) -> Classified:
    """The class of the failure of a step that has to fail."""
    task, arguments = step
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its class is what the test looks at
        await connection.run(task, **arguments)
    return classify(caught.value, connection.plugin, "task")


async def running(connection: Any, step: tuple[str, Any]) -> dict[str, Any]:
    task, arguments = step
    found: dict[str, Any] = await connection.run(task, **arguments)
    return found


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "end"])
async def test_a_reply_lost_after_the_write(place: Place, reset: bool) -> None:
    """Threat 32: it was done, nobody knows, and it is not done again; the next step gets a link that stands."""
    service = place.service
    async with opened(service.kind, service.config(place.url)) as connection:
        await running(connection, service.read)
        place.proxy.cut("to_client", reset=reset)
        verdict = await failing(connection, service.write)
        assert (verdict.error_class, verdict.outcome_unknown) == ("connection_lost", True)
        await running(connection, service.read)
        assert await service.writes(place.direct) == 1


async def test_a_reply_that_is_dropped(place: Place) -> None:
    """Threat 32, without a sign: the limit ends the wait, and the outcome is unknown."""
    service = place.service
    async with opened(service.kind, service.config(place.url)) as connection:
        place.proxy.mute = True
        verdict = await failing(connection, service.write)
        assert (verdict.error_class, verdict.outcome_unknown) == ("timeout", True)
        place.proxy.heal()
        await running(connection, service.read)
        assert await service.writes(place.direct) == 1


async def test_a_half_open_link(place: Place) -> None:
    """Threat 33: nobody answers, nobody says so; the limit fires, and closing does not wait for the server."""
    service = place.service
    async with asyncio.timeout(20):
        async with opened(service.kind, service.config(place.url)) as connection:
            place.proxy.swallow = True
            assert (await failing(connection, service.read)).error_class == "timeout"


async def test_a_byte_a_second(place: Place) -> None:
    """Threat 34: what trickles in does not move the limit."""
    service = place.service
    async with opened(service.kind, service.config(place.url)) as connection:
        place.proxy.rate = 1
        assert (await failing(connection, service.read)).error_class == "timeout"


async def test_a_slow_link_is_only_slow(place: Place) -> None:
    """Threat 34: latency below the limit changes nothing."""
    service = place.service
    place.proxy.delay = 0.02
    async with opened(service.kind, service.config(place.url)) as connection:
        await running(connection, service.write)
    assert await service.writes(place.direct) == 1


@pytest.mark.parametrize("switch", ["refuse", "stall", "swallow"])
async def test_a_link_that_does_not_come_about(place: Place, switch: str) -> None:
    """Threats 33, 34: opening fails in time, is worth a retry, and leaves nothing open."""
    service = place.service
    setattr(place.proxy, switch, True)
    plugin = _plugin(service.kind)
    async with asyncio.timeout(20):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - its class is what the test looks at
            await plugin.connect(service.config(place.url))
        await plugin.disconnect()
    verdict = classify(caught.value, plugin, "connect")
    assert verdict.error_class in ("connect", "connection_lost", "timeout")
    assert verdict.retryable


async def test_a_reset_at_each_byte_of_the_handshake(place: Place) -> None:
    """Threat 34: opening fails, is worth a retry, and leaves nothing open."""
    service = place.service
    for after in range(service.handshake):
        for reset in (True, False):
            place.proxy.cut("to_client", after, reset=reset)
            plugin = _plugin(service.kind)
            with pytest.raises(Exception) as caught:  # noqa: PT011 - its class is what the test looks at
                await plugin.connect(service.config(place.url))
            await plugin.disconnect()
            verdict = classify(caught.value, plugin, "connect")
            assert (verdict.error_class in ("connect", "connection_lost"), verdict.retryable) == (True, True), after
    place.proxy.heal()


async def test_a_pool_of_one_with_fifty_branches(place: Place) -> None:
    """Threat 35: all get their turn, over one link."""
    service = place.service
    config = service.config(place.url) | {service.pool_key: 1}
    async with opened(service.kind, config) as connection:
        await asyncio.gather(*(running(connection, service.write) for _ in range(50)))
        assert place.proxy.accepted == 1
    assert await service.writes(place.direct) == 50


async def test_links_that_all_break_while_in_use(place: Place) -> None:
    """Threat 31: whoever was at work fails, and the pool serves as before."""
    service = place.service
    config = service.config(place.url) | {service.pool_key: 4}
    async with opened(service.kind, config) as connection:
        place.proxy.swallow = True
        jobs = [asyncio.create_task(failing(connection, service.read)) for _ in range(4)]
        assert {each.error_class for each in await asyncio.gather(*jobs)} <= {
            "timeout",
            "connection_lost",
            "connect",
            "task",
        }
        place.proxy.heal()
        await asyncio.gather(*(running(connection, service.read) for _ in range(20)))


def _plugin(kind: str) -> Any:
    from flowlang.connections import plugin_registry

    return plugin_registry.new(kind)
