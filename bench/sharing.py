"""Runs that share connections, beside the same runs with connections of their own."""

from __future__ import annotations

import asyncio

import flowlang
from databases import SERVICES, Service, server
from harness import Figure, in_turn, run, seconds

RUNS = 100


def flow(service: Service, url: str) -> flowlang.Flow:
    """One query."""
    step = service.query.replace("${N}", "${7}")
    return flowlang.load(
        text=f"flow: small\nconnections: {{db: {{type: {service.kind}, url: '{url}'}}}}\nsteps: [{{{step}}}]\n"
    )


def sharing() -> list[Figure]:
    """Many runs of one query, one after the other and all at once."""
    found: list[Figure] = []
    for service in SERVICES:
        with server(service.kind) as url:
            found += [_runs(service, url, at_once) for at_once in (1, RUNS)]
    return found


def _runs(service: Service, url: str, at_once: int) -> Figure:
    small = flow(service, url)

    async def every(pools: flowlang.Pools | None) -> None:
        for _ in range(RUNS // at_once):
            await asyncio.gather(*(run(small, pools=pools) for _ in range(at_once)))

    async def alone() -> None:
        await every(None)

    async def shared() -> None:
        async with flowlang.Pools() as pools:
            await every(pools)

    measured = in_turn(5, alone, shared)
    side = "at once" if at_once > 1 else "one after the other"
    floor, ours = seconds(measured.of(0) / RUNS), seconds(measured.of(1) / RUNS)
    how = f"whole runs, the `Pools` opened and closed; {RUNS} logins beside one pool for all; 5 rounds"
    what = f"{service.kind}, {RUNS} runs of one query, {side}, sharing a connection"
    return Figure(what, f"each its own: {floor} a run", f"{ours} a run", measured.ratio(1), "×", 0.6, how)
