"""Celery on Redis: one task for each step.

    python -m durable.on_celery FOLDER
    celery --app durable.on_celery worker        a worker; `BENCH_REDIS` names the server

Steps one after the other are a chain, which the workers carry on without their client and so faster than by a client
that sends one task at a time; steps side by side are a group.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from celery import Celery, chain, group

from durable.engine import Engine, main, process
from durable.servers import LoggedRedis, running
from durable.work import result

app = Celery("bench", broker=os.environ.get("BENCH_REDIS"), backend=os.environ.get("BENCH_REDIS"))
app.conf.update(
    worker_prefetch_multiplier=4, task_acks_late=True, task_serializer="json", result_serializer="json",
    accept_content=["json"], worker_hijack_root_logger=False, broker_connection_retry_on_startup=True,
)  # fmt: skip


@app.task(name="bench.step")
def step(number: int) -> dict[str, Any]:
    return result(number)


class CeleryOnRedis(Engine):
    """Each worker has one process for tasks; a step is done when its result is in Redis."""

    workers = 0

    @contextmanager
    def servers(self) -> Iterator[None]:
        server = LoggedRedis(self.folder / "redis")
        with running(server):
            self.url = server.url
            app.conf.update(broker_url=self.url, result_backend=self.url)
            yield

    @contextmanager
    def worker(self, name: str) -> Iterator[None]:
        words = [sys.executable, "-m", "celery", "--app", "durable.on_celery", "worker", "--concurrency", "1"]
        words += ["--hostname", f"{name}@bench", "--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
        with process(words, self.folder / f"{name}.log", BENCH_REDIS=self.url):
            self.workers += 1
            while len(app.control.ping(timeout=0.5)) < self.workers:
                pass
            yield
            self.workers -= 1

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        yield

    async def sequential(self, steps: int) -> None:
        await asyncio.to_thread(self._sequential, steps)

    def _sequential(self, steps: int) -> None:
        chain(*(step.si(number) for number in range(steps))).delay().get()

    async def fan_out(self, branches: int) -> None:
        await asyncio.to_thread(self._fan_out, branches)

    def _fan_out(self, branches: int) -> None:
        group(step.s(number) for number in range(branches)).delay().get()

    async def runs(self, count: int, steps: int) -> None:
        await asyncio.to_thread(self._runs, count, steps)

    def _runs(self, count: int, steps: int) -> None:
        submitted = [chain(*(step.si(number) for number in range(steps))).delay() for _ in range(count)]
        for each in submitted:
            each.get()


if __name__ == "__main__":
    main(CeleryOnRedis)
