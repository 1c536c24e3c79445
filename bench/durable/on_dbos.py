"""DBOS Transact as it comes: one DBOS step for each step. Variants: sqlite, postgres.

    python -m durable.on_dbos FOLDER VARIANT            one turn
    python -m durable.on_dbos --worker NAME URL         a worker

Tuned: queues polled each 0.05 s, at most 32 runs at once in a worker so that two share the work, SQLite in WAL with
`synchronous = FULL`, 16 threads.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import sqlalchemy
from dbos import DBOS, DBOSClient, DBOSConfig

from durable import floors
from durable.engine import Engine, main, process, ready, script, until
from durable.servers import DurablePostgres, running
from durable.work import result

QUEUE = "bench"


@DBOS.step()
async def step(number: int) -> dict[str, Any]:
    return result(number)


@DBOS.workflow()
async def chain(steps: int) -> int:
    last: dict[str, Any] = {}
    for number in range(steps):
        last = await step(number)
    return len(last)


@DBOS.workflow()
async def fan(branches: int) -> int:
    return len(await asyncio.gather(*(step(number) for number in range(branches))))


@DBOS.workflow()
async def empty() -> None:
    """Nothing: what a run costs."""


def store(url: str) -> sqlalchemy.Engine:
    """The engine of SQLAlchemy that DBOS is given."""
    if not url.startswith("sqlite"):
        return sqlalchemy.create_engine(url, pool_size=20, max_overflow=0)
    engine = sqlalchemy.create_engine(url, pool_size=20, max_overflow=0)

    @sqlalchemy.event.listens_for(engine, "connect")
    def tune(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 30000", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


@contextmanager
def launched(name: str, url: str, *, listening: bool) -> Iterator[None]:
    """DBOS in this process, taking runs from the queue or not."""
    config: DBOSConfig = {
        "name": "bench", "executor_id": name, "application_version": "bench", "system_database_url": url,
        "system_database_engine": store(url), "log_level": "ERROR", "run_admin_server": False,
        "max_executor_threads": 16,
    }  # type: ignore[typeddict-unknown-key]  # fmt: skip
    DBOS(config=config)
    DBOS.listen_queues([QUEUE] if listening else ["nothing"])
    DBOS.launch()
    try:
        yield
    finally:
        DBOS.destroy()


class NativeDBOS(Engine):
    """The client runs the single runs itself, as DBOS does; the many runs go through the queue to the workers."""

    @contextmanager
    def servers(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self.variant == "sqlite":
                self.url = f"sqlite:///{self.folder / 'dbos.db'}"
            else:
                server = DurablePostgres(self.folder / "postgres")
                self.postgres = server.url
                stack.enter_context(running(server))
                self.url = server.url.replace("postgresql://", "postgresql+psycopg://")
            with launched("maker", self.url, listening=False):  # makes the tables
                DBOS.register_queue(QUEUE, polling_interval_sec=0.05, worker_concurrency=32)
            yield

    @contextmanager
    def worker(self, name: str) -> Iterator[None]:
        with process(script("on_dbos", "--worker", name, self.url), self.folder / f"{name}.log", ready="ready"):
            yield

    @asynccontextmanager
    async def client(self) -> AsyncIterator[None]:
        with launched("client", self.url, listening=False):
            self.store = store(self.url)
            self.submitter = DBOSClient(system_database_engine=self.store, application_name="bench")
            try:
                yield
            finally:
                self.submitter.destroy()
                self.store.dispose()

    async def floor(self) -> float:
        if self.variant == "sqlite":
            return await super().floor()
        return (await floors.postgres_commit(self.postgres))[0]

    async def sequential(self, steps: int) -> None:
        await chain(steps)

    async def fan_out(self, branches: int) -> None:
        await fan(branches)

    async def runs(self, count: int, steps: int) -> None:
        options: Any = {"workflow_name": "chain", "queue_name": QUEUE, "app_version": "bench"}
        await asyncio.gather(*(self.submitter.enqueue_async(options, steps) for _ in range(count)))
        await until(self.idle)

    async def idle(self) -> bool:
        return await asyncio.to_thread(self._idle)

    def _idle(self) -> bool:
        table = "workflow_status" if self.variant == "sqlite" else "dbos.workflow_status"
        unfinished = f"SELECT count(*) FROM {table} WHERE status IN ('ENQUEUED', 'PENDING')"
        with self.store.connect() as connection:
            return connection.execute(sqlalchemy.text(unfinished)).scalar() == 0


async def work(name: str, url: str) -> None:
    """A worker, until it is told to end."""
    with launched(name, url, listening=True):
        await ready()


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        asyncio.run(work(*sys.argv[2:]))
    else:
        main(NativeDBOS)
