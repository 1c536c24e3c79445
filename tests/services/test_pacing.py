"""`rate_limit`: when requests may leave, in time that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.services.conftest import config
from tests.services.servers import TOKEN, Slack

import flowlang
from flowlang.services import pacing
from flowlang.services.model import Rate
from flowlang.services.pacing import Pace
from flowlang.testing.virtual import VirtualLoop


def played(story: Callable[[Pace], Awaitable[Any]], rate: Rate | None) -> Any:
    async def told() -> Any:
        return await story(Pace(rate))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(told())


async def times(pace: Pace, count: int) -> list[float]:
    """When each of some requests leaves that are made at once, in seconds."""
    began = asyncio.get_running_loop().time()

    async def one() -> float:
        await pace.turn()
        return round(asyncio.get_running_loop().time() - began, 3)

    return list(await asyncio.gather(*(one() for _ in range(count))))


def test_so_many_leave_at_once_and_then_one_for_each_share() -> None:
    assert played(lambda pace: times(pace, 8), Rate(5, 1.0)) == [0, 0, 0, 0, 0, 0.2, 0.4, 0.6]


def test_a_pause_fills_up_what_may_leave_at_once() -> None:
    async def story(pace: Pace) -> list[list[float]]:
        first = await times(pace, 4)
        await asyncio.sleep(10)
        return [first, await times(pace, 3)]

    assert played(story, Rate(2, 1.0)) == [[0, 0, 0.5, 1.0], [0, 0, 0.5]]


def test_without_a_limit_nobody_waits() -> None:
    assert played(lambda pace: times(pace, 100), None) == [0.0] * 100


SERVICE = """\
service: teams
kind: http
version: 1.0.0
description: Who is asking
config: [{name: token, type: string, secret: true, required: true, description: Who asks}]
base_url: https://teams.example
auth: {type: bearer, token: "${config.token}"}
rate_limit: {requests: 1, per: 1h}
operations:
  mine:
    description: Who I am.
    request: {method: POST, path: /auth.test}
    outputs: [{name: ok, value: "${body.ok}", type: boolean, description: Whether it knows}]
"""
FLOW = """
flow: f
connections:
  one: {type: teams, token: "${env.TOKEN}", base_url: "${env.URL}", allow_private: true}
  two: {type: teams, token: "${env.OTHER}", base_url: "${env.URL}", allow_private: true}
steps:
  - teams_mine: {connection: one}
  - teams_mine: {connection: two, timeout: 300ms}
"""


@pytest.mark.parametrize(("other", "types"), [(TOKEN, ["timeout", "timeout"]), ("somebody", [None, "timeout"])])
async def test_who_asks_as_the_same_shares_the_limit(
    slack: Slack, tmp_path: Path, other: str, types: list[str | None]
) -> None:
    """Two connections of a flow, and those of another run, wait for one another; other credentials do not."""
    (tmp_path / "teams.service.yaml").write_text(SERVICE)
    settings = {"TOKEN": TOKEN, "OTHER": other, "URL": config("slack", slack)["base_url"]}
    first = await flowlang.run(text=FLOW, file=str(tmp_path / "f.yaml"), env=settings)
    text = FLOW.replace("connection: one}", "connection: one, timeout: 300ms}")
    second = await flowlang.run(text=text, file=str(tmp_path / "f.yaml"), env=settings)
    assert [each.failure and each.failure.type for each in (first, second)] == types
    assert len(slack.asked) == (1 if other == TOKEN else 2)


def test_paces_that_nobody_waits_for_are_forgotten() -> None:
    """As many as are kept stay few; one that is under way stays what it is."""

    async def story() -> None:
        busy = pacing.shared(Rate(1, 1e6), "busy")
        await busy.turn()
        for number in range(3 * pacing._MOST):
            await pacing.shared(Rate(1, 1.0), str(number)).turn()
            await asyncio.sleep(2)
        assert pacing.shared(Rate(1, 1e6), "busy") is busy
        assert len(pacing._SHARED[asyncio.get_running_loop()]) <= pacing._MOST + 1

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(story())
