"""Restate: one `ctx.run` for each step, in a service that Hypercorn serves.

python -m durable.on_restate FOLDER          `BENCH_RESTATE` names the server's program
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import restate
from tests.servers.process import HOST, free_port

from durable.engine import Engine, main, process
from durable.servers import Restate, running
from durable.work import PATIENCE, result

flows = restate.Service("flows")


def step(number: int) -> dict[str, Any]:
    return result(number)


@flows.handler()
async def chain(ctx: restate.Context, steps: int) -> int:
    last: dict[str, Any] = {}
    for number in range(steps):
        last = await ctx.run_typed("step", step, number=number)
    return len(last)


@flows.handler()
async def fan(ctx: restate.Context, branches: int) -> int:
    futures = [ctx.run_typed("step", step, number=number) for number in range(branches)]
    await restate.gather(*futures)
    return len([await each for each in futures])


app = restate.app([flows])


class OnRestate(Engine):
    """Two workers are two processes of Hypercorn on one socket: Restate calls a service at one address."""

    @contextmanager
    def servers(self) -> Iterator[None]:
        self.server = Restate(self.folder / "restate", Path(os.environ["BENCH_RESTATE"]))
        with running(self.server):
            self.port = free_port()
            yield

    @contextmanager
    def worker(self, name: str) -> Iterator[None]:
        count = 1 if name == "one" else 2
        if name == "two":
            self.service.terminate()
            self.service.wait(10)
        words = [sys.executable, "-m", "hypercorn", "--bind", f"{HOST}:{self.port}", "--workers", str(count)]
        with process(
            [*words, "--log-level", "error", "durable.on_restate:app"], self.folder / f"{name}.log"
        ) as self.service:
            self.register()
            yield

    def register(self) -> None:
        """Tell Restate where the service is, once it answers."""
        wanted = {"uri": f"http://{HOST}:{self.port}", "force": True}
        request = urllib.request.Request(
            f"http://{HOST}:{self.server.admin}/deployments", json.dumps(wanted).encode(),
            {"content-type": "application/json"},
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(request, timeout=PATIENCE).close()
                return
            except urllib.error.HTTPError as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(error.read().decode()) from error
            time.sleep(0.1)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
        async with httpx.AsyncClient(base_url=self.server.url, timeout=PATIENCE, limits=limits) as self.http:
            yield

    async def call(self, handler: str, size: int) -> None:
        answer = await self.http.post(f"/flows/{handler}", json=size)
        answer.raise_for_status()

    async def sequential(self, steps: int) -> None:
        await self.call("chain", steps)

    async def fan_out(self, branches: int) -> None:
        await self.call("fan", branches)

    async def runs(self, count: int, steps: int) -> None:
        await asyncio.gather(*(self.call("chain", steps) for _ in range(count)))


if __name__ == "__main__":
    main(OnRestate)
