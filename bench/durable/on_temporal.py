"""Temporal's development server: one activity for each step. Variants: activity, local (run by the workflow's worker).

python -m durable.on_temporal FOLDER VARIANT        one turn
python -m durable.on_temporal --worker ADDRESS      a worker
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from itertools import count as numbers
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from durable.engine import Engine, main, process, ready, script
from durable.servers import Temporal, running
from durable.work import result

QUEUE = "bench"
LIMIT = timedelta(minutes=2)


@activity.defn
async def step(number: int) -> dict[str, Any]:
    return result(number)


def start(variant: str, number: int) -> Awaitable[dict[str, Any]]:
    """A step, as the variant has it."""
    if variant == "local":
        return workflow.execute_local_activity(step, number, start_to_close_timeout=LIMIT)
    return workflow.execute_activity(step, number, start_to_close_timeout=LIMIT)


@workflow.defn
class Chain:
    @workflow.run
    async def run(self, variant: str, steps: int) -> int:
        last: dict[str, Any] = {}
        for number in range(steps):
            last = await start(variant, number)
        return len(last)


@workflow.defn
class Fan:
    @workflow.run
    async def run(self, variant: str, branches: int) -> int:
        return len(await asyncio.gather(*(start(variant, number) for number in range(branches))))


class OnTemporal(Engine):
    """Workflows and their activities run in the same worker, as small installations have it."""

    @contextmanager
    def servers(self) -> Iterator[None]:
        server = Temporal(self.folder / "temporal")
        with running(server):
            self.address = server.url
            self.number = numbers()
            yield

    @contextmanager
    def worker(self, name: str) -> Iterator[None]:
        with process(script("on_temporal", "--worker", self.address), self.folder / f"{name}.log", ready="ready"):
            yield

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        self.temporal = await Client.connect(self.address)
        yield

    async def sequential(self, steps: int) -> None:
        await self.one(Chain.run, steps)

    async def fan_out(self, branches: int) -> None:
        await self.one(Fan.run, branches)

    async def runs(self, count: int, steps: int) -> None:
        await asyncio.gather(*(self.one(Chain.run, steps) for _ in range(count)))

    async def one(self, flow: Any, size: int) -> None:
        name = f"run-{next(self.number)}"
        await self.temporal.execute_workflow(flow, args=[self.variant, size], id=name, task_queue=QUEUE)


async def work(address: str) -> None:
    """A worker, until it is told to end."""
    client = await Client.connect(address)
    async with Worker(
        client, task_queue=QUEUE, workflows=[Chain, Fan], activities=[step],
        workflow_runner=UnsandboxedWorkflowRunner(), max_concurrent_activities=1000,
        max_concurrent_local_activities=1000, max_concurrent_workflow_tasks=200,
    ):  # fmt: skip
        await ready()


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        asyncio.run(work(*sys.argv[2:]))
    else:
        main(OnTemporal)
