"""A worker: claims runs that are due, executes them, and takes over those of workers that died.

claim ─► begin ─► (ends · leaves to wait) ─► claim …        until it is stopped: then it drains
reap: every half second, runs whose owner is dead go back to their queues
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from flowlang.durable.execution import Outcome
from flowlang.durable.executors import Executor
from flowlang.durable.host import Host
from flowlang.durable.liveness import Watch, count_executors
from flowlang.durable.queues import DEFAULT, Limits, claim, give_back, limits_of, owned_by, put_back, seconds_to_next
from flowlang.durable.reaper import PARK_AFTER, reap
from flowlang.durable.records import StoredRun
from flowlang.durable.retention import Retention
from flowlang.durable.run import DurableRun, Left
from flowlang.exceptions import FlowLangError, InvalidFlowError, StoreError
from flowlang.records import frozen

_LOG = logging.getLogger("flowlang.worker")
LOOK = 0.5  # seconds between two looks for the dead, and for runs when nobody is notified
_LIMITS_LAST = 1.0  # seconds for which the limits of queues are known
_REFUSALS = 10  # times that a run is put back because it cannot begin; then somebody has to look
_LACKS = 24 * 60  # the same where the worker lacks what the flow needs; one a minute, so that is a day
_PASSED_OVER = 60.0  # seconds for which the runs of a flow are left to others then
_AGAIN = 1.0  # seconds before the store is tried again
_CROWD = 8  # workers that look for the dead as often as one alone does
_CHECK = 5.0  # seconds between two looks for runs that belong to this worker without its knowing


@frozen
class Settings:
    """`queues`: their names, and how many runs of each this worker has at once (None: only the limits of the queue
    count). `grace`: seconds that runs get to end when the worker is stopped. `retention`: what is kept of runs that are
    over; None: all of them."""

    queues: Mapping[str, int | None]
    concurrency: int = 20
    grace: float = 30.0
    park_after: int = PARK_AFTER
    retention: Retention | None = None


Begin = Callable[[StoredRun], Awaitable[DurableRun]]
"""The next life of a run that this worker owns. Raises `FlowLangError` when it cannot begin here."""


class Worker:
    """`begin` makes a run of a record; `attending` is what else there is to do for as long as it works."""

    def __init__(self, host: Host, begin: Begin, settings: Settings | None = None) -> None:
        self.host = host
        self.store = host.store
        self.settings = settings or Settings({DEFAULT: None})
        self.attending: list[Callable[[], Coroutine[Any, Any, None]]] = [
            self._reaping,
            self._keeping_alive,
            self._scheduling,
        ]
        self._begin = begin
        self._queue_of: dict[str, str] = {}  # of the runs that are under way here
        self._limits: dict[str, Limits] = {}
        self._limits_until = 0.0
        self._refused: list[tuple[StoredRun, str, int]] = []  # to be put back, why, and how often at most
        self._passed_over: dict[str, float] = {}  # flows that this worker lacks something for, and until when
        self._telling: set[asyncio.Future[None]] = set()
        self._watch = Watch(host.store)
        self._crowd, self._counted_until = 1, 0.0  # how many workers there are
        self._awake = asyncio.Event()
        self._stopping = False
        self._lost = False  # this worker's lock: nothing is claimed without it

    def stop(self) -> None:
        """Claim nothing more. Runs under way may end within the grace."""
        self._stopping = True
        self._awake.set()

    async def work(self) -> None:
        """Until stopped; then until all is over, or the grace is. What runs then goes on elsewhere."""
        attending = [asyncio.create_task(each()) for each in self.attending]
        try:
            while not self._stopping:
                await self._persistently(self._turn)
            await self._drain()
            await self._persistently(self._put_back_refused)
        finally:
            for each in [*attending, *self._telling]:
                each.cancel()
            await asyncio.wait([*attending, *self._telling])

    async def _persistently(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Trouble with the store is told and waited out: nothing that a worker does ends it."""
        try:
            await work()
        except StoreError as error:
            _LOG.warning("%s; trying again", error)
            await asyncio.sleep(_AGAIN)

    # ------------------------------------------------------------ claiming

    async def _turn(self) -> None:
        """Claim what there is room for; when there is nothing, wait until there may be."""
        claimed = 0
        await self._put_back_refused()
        limits = await self._known_limits()
        for queue in self.settings.queues if self.host.executor.alive and not self._lost else ():
            room = self._room(queue, limits.get(queue))
            if room > 0 and not self._stopping:
                runs = await claim(self.store, self.host.executor.id, queue, room, limits.get(queue), self._lacking())
                self._queue_of |= {run.id: queue for run in runs}
                for run in runs:
                    await self._start(run)
                claimed += len(runs)
        if not claimed and not self._stopping:
            await self._wait(limits)

    async def _known_limits(self) -> dict[str, Limits]:
        if time.monotonic() >= self._limits_until:
            self._limits = await limits_of(self.store)
            self._limits_until = time.monotonic() + _LIMITS_LAST
        return self._limits

    def _room(self, queue: str, limits: Limits | None) -> int:
        """How many more runs of a queue fit."""
        here = Counter(self._queue_of.values())[queue]
        bounds = [self.settings.concurrency - len(self._queue_of)]
        given = (self.settings.queues[queue], limits.worker_concurrency if limits is not None else None)
        bounds += [most - here for most in given if most is not None]
        return min(bounds)

    async def _wait(self, limits: Mapping[str, Limits]) -> None:
        """Until something is submitted, a run is due or has ended here, or for half a second."""
        open_ = [queue for queue in self.settings.queues if self._room(queue, limits.get(queue)) > 0]
        rest = await seconds_to_next(self.store, open_)
        seconds = LOOK if rest is None or rest <= 0 else min(rest, LOOK)
        await self._pause(self.store.database.wait([f"queue:{each}" for each in self.settings.queues], seconds))

    async def _pause(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Until `waiting` returns, or something has changed here."""
        tasks = [asyncio.create_task(waiting), asyncio.create_task(self._awake.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.wait(tasks)
            self._awake.clear()
        if not tasks[0].cancelled():
            tasks[0].result()

    def _lacking(self) -> list[str]:
        """The flows whose runs are left to others for now."""
        if self._passed_over:
            now = time.monotonic()
            self._passed_over = {flow: until for flow, until in self._passed_over.items() if until > now}
        return list(self._passed_over)

    # ------------------------------------------------------------ runs

    async def _start(self, record: StoredRun) -> None:
        try:
            await self._end_earlier_life(record)
            run = await self._begin(record)
        except InvalidFlowError as error:  # a plugin, a file of tasks, a secret: another worker may have it
            self._passed_over[record.hash] = time.monotonic() + _PASSED_OVER
            self._refuse(record, str(error), _LACKS)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, this run goes back and the others go on
            known = isinstance(error, FlowLangError)
            self._refuse(record, str(error) if known else f"its worker failed to begin it: {error!r}")
            return
        self.host.start(run).add_done_callback(lambda task: self._over(record, task))

    async def _end_earlier_life(self, record: StoredRun) -> None:
        """A run that was taken from this very worker, and came back before it has noticed."""
        if record.id in self.host.running:
            run, task = self.host.running[record.id]
            run.abandon(Left("lost", "it was taken over"))
            await asyncio.wait([task])
            self._queue_of[record.id] = record.queue

    def _refuse(self, record: StoredRun, reason: str, most: int = _REFUSALS) -> None:
        del self._queue_of[record.id]
        self._refused.append((record, reason, most))
        self._awake.set()

    async def _put_back_refused(self) -> None:
        """Runs that could not begin, or failed in a way that runs do not: others may have more luck with them."""
        while self._refused:
            record, reason, most = self._refused[-1]
            state = await put_back(self.store, record, reason, most)
            self._refused.pop()
            _LOG.warning("run %s of `%s` cannot go on here, it is %s: %s", record.id, record.flow, state, reason)

    def _over(self, record: StoredRun, task: asyncio.Task[Outcome]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._refuse(record, "cancelled" if task.cancelled() else f"a defect: {task.exception()!r}")
            return
        queue = self._queue_of.pop(record.id)
        self._awake.set()
        outcome = task.result()
        if isinstance(outcome, Left):
            why = "it waits, and takes no place meanwhile" if outcome.why == "waiting" else outcome.detail
            _LOG.info("run %s of `%s` left this worker: %s", record.id, record.flow, why)
        else:
            why = f": {outcome.shown_failure()}" if outcome.failure is not None else ""
            _LOG.info("run %s of `%s` %s in %.3f s%s", record.id, record.flow, outcome.status, outcome.duration, why)
        if queue in self._limits and self._limits[queue].shared:
            told = asyncio.ensure_future(self._tell(queue))
            self._telling.add(told)
            told.add_done_callback(self._telling.discard)

    async def _tell(self, queue: str) -> None:
        """Other workers may claim what the limits of the queue did not let them."""
        try:
            await self.store.database.notify(f"queue:{queue}")
        except StoreError as error:
            _LOG.debug("%s", error)  # they look twice a second anyway

    async def _drain(self) -> None:
        tasks = [task for _, task in self.host.running.values()]
        if tasks:
            _LOG.info("draining: %d runs have %g s to end", len(tasks), self.settings.grace)
            await asyncio.wait(tasks, timeout=self.settings.grace)
        await self.host.abandon_all(Left("released", "its worker was stopped"))

    # ------------------------------------------------------------ the dead, and oneself

    async def _reaping(self) -> None:
        """Many workers look less often each, so that they look as often together as a few do."""
        while True:
            pause = LOOK if self._watch.doubtful else LOOK * max(1.0, self._crowd / _CROWD)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that they do not look in step
            await self._persistently(self._reap)

    async def _reap(self) -> None:
        await reap(self.store, self._watch, self.settings.park_after)
        if time.monotonic() >= self._counted_until:
            self._crowd = await count_executors(self.store)
            self._counted_until = time.monotonic() + _CHECK

    async def _scheduling(self) -> None:
        """Begin what is scheduled; whichever worker looks first does."""
        while True:
            await asyncio.sleep(LOOK * random.uniform(0.5, 1.0))  # noqa: S311 - so that they do not look in step
            if not self._stopping:
                await self._persistently(self._fire)

    async def _fire(self) -> None:
        from flowlang.durable.schedules import fire

        for run_id in await fire(self.store):
            _LOG.info("run %s was begun by its schedule", run_id)

    async def _keeping_alive(self) -> None:
        """Who has lost its lock is dead for the others: its runs stop here, and it begins anew under another id."""
        checked, before = time.monotonic(), frozenset[str]()
        while True:
            await asyncio.sleep(LOOK)
            if not self.host.executor.alive:
                await self._persistently(self._begin_anew)
                continue
            if time.monotonic() - checked < _CHECK:
                continue
            checked = time.monotonic()
            try:
                before = await self._strays(before)
            except StoreError as error:
                _LOG.warning("%s", error)

    async def _begin_anew(self) -> None:
        if not self._lost:
            _LOG.warning("this worker has lost its lock in the store: its runs stop here, and go on from the store")
        self._lost = True
        await self.host.abandon_all(Left("released", "its worker had lost its lock in the store"))
        old, new = self.host.executor, Executor(self.store)
        await new.open()
        self.host.executor, self._lost = new, False
        self._awake.set()
        await old.close()

    async def _strays(self, before: frozenset[str]) -> frozenset[str]:
        """Give back what the store says that this worker has, and that it has not: the answer to a claim was lost, or
        the end of a run could not be written. Those that were strays `before` as well; returns the new ones."""
        owned = await owned_by(self.store, self.host.executor.id)
        held = {record.id for record, *_ in self._refused}
        strays = frozenset(owned) - set(self._queue_of) - held
        for run_id in strays & before:
            _LOG.warning("run %s belonged to this worker without its knowing; it goes back to its queue", run_id)
            await give_back(self.store, run_id, self.host.executor.id)
        return strays - before
