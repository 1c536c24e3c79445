"""The runs of one process: one owner for all of them, one writer for their journals, one look after all.

async with hosting(store) as host:
    outcome = await host.start(record, plan, ...)
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Any

from flowlang import tracecontext
from flowlang.durable.execution import Outcome, execute, inputs_of, prepared
from flowlang.durable.executors import Executor
from flowlang.durable.journal import Writer
from flowlang.durable.log import Past
from flowlang.durable.records import StoredRun
from flowlang.durable.reuse import Reuse
from flowlang.durable.run import DurableRun, Left
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError
from flowlang.plan import Plan
from flowlang.tasks.files import FILES_ROOT

_LOG = logging.getLogger("flowlang.durable")
CLOCK = 5.0  # seconds between two looks at the clock of the database
LOOK = 1.0  # seconds between two looks for requests to cancel; events reach the store as often


class Host:
    """What a process needs to run what is stored."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.running: dict[str, tuple[DurableRun, asyncio.Task[Outcome]]] = {}
        self.writer = Writer(store, self.running)
        self.executor = Executor(store)

    async def prepare(
        self,
        record: StoredRun,
        plan: Plan,
        *,
        accept: Callable[[Plan, Mapping[str, Any]], Mapping[str, Any]],
        leaves: bool = False,
        begins: bool = False,
        **options: Any,
    ) -> DurableRun:
        """The next life of a run that this process owns. `accept` makes the values of its inputs. `begins`: it is the
        first one, of which nothing can be recorded."""
        recorded = Past({}, 0) if begins else await self.store.outcomes(record.id)
        chunks = [] if begins else await self.store.messages(record.id)
        inputs = accept(plan, inputs_of(self.store, record))
        run = prepared(
            plan, inputs, store=self.store, writer=self.writer, record=record, recorded=recorded, chunks=chunks,
            leaves=leaves,
            **options,
        )  # fmt: skip
        if record.origin is not None:
            before, own = await self.store.steps(record.origin), await self.store.steps(record.id)
            run.reuse = Reuse(before, plan, record.options.get("retry_from"), own)
        return run

    def start(self, run: DurableRun) -> asyncio.Task[Outcome]:
        """Begin to execute it; the task's result is how it ended, or why it left."""
        surroundings = copy_context()
        root = run.record.options.get("files_root")
        if root is not None:
            surroundings.run(FILES_ROOT.set, root)
        trace = tracecontext.parsed(run.record.options.get("trace_parent"), run.record.options.get("trace_state"))
        if trace is not None:
            surroundings.run(tracecontext.CURRENT.set, trace)
        task = asyncio.get_running_loop().create_task(execute(run), context=surroundings)
        self.running[run.run_id] = (run, task)
        task.add_done_callback(lambda _: self.running.pop(run.run_id, None))
        return task

    async def attend(self) -> None:
        """Until cancelled: hand on requests to cancel, and keep the history of what is under way up to date."""
        looked = time.monotonic()
        while True:
            try:
                if time.monotonic() - looked >= CLOCK:
                    await self.store.look_at_clock()
                    looked = time.monotonic()
                await self.store.database.wait([f"run:{each}" for each in self.running], LOOK)
                for run_id in await self.store.to_cancel(self.executor.id):
                    if run_id in self.running:
                        self.running[run_id][0].asked_to_cancel()
            except StoreError as error:
                _LOG.warning("%s", error)
                await asyncio.sleep(LOOK)
            for run, _ in list(self.running.values()):
                if run.journal.told and not run.abandoned:
                    run.journal.flush = True
                    await run.committed()

    async def abandon_all(self, left: Left) -> None:
        """Stop every run where it is; they go on elsewhere."""
        tasks = [task for _, task in self.running.values()]
        for run, _ in list(self.running.values()):
            run.abandon(left)
        if tasks:
            await asyncio.wait(tasks)


@asynccontextmanager
async def hosting(store: Store) -> AsyncIterator[Host]:
    """A host that looks after its runs; leaving it, what still runs is stopped, to go on elsewhere."""
    host = Host(store)
    await host.executor.open()
    attending = asyncio.get_running_loop().create_task(host.attend())
    try:
        yield host
    finally:
        try:
            await host.abandon_all(Left("released", "its process ends"))
        finally:
            try:
                attending.cancel()
                await asyncio.wait([attending])
            finally:  # whoever leaves may be cancelled once more
                await host.executor.close()
