"""The journal of a run that is under way, and the one place where journals are committed.

The rule: what came of a step is committed before a later effect starts. So a result waits, together with those of
other branches and runs, until some step of its run is about to write; the commit of that step's beginning carries it.
In a sequence of steps this is one commit a step; between 1,000 branches it is one for all of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from flowlang.durable.lines import chunk
from flowlang.durable.log import Commit, Past, commits
from flowlang.durable.ownership import Lost
from flowlang.durable.records import Place, Recorded, StoredRun, StoredStep, key
from flowlang.durable.sqlite import SqliteDatabase
from flowlang.durable.store import Store
from flowlang.events import Event
from flowlang.exceptions import StoreUnavailable

if TYPE_CHECKING:
    from flowlang.durable.postgres import PostgresDatabase

_LOG = logging.getLogger("flowlang.durable")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0  # seconds between attempts to write
T = TypeVar("T")
_MANY = 500  # events
_SOON = 0.005  # seconds from the end of a write until it is committed by itself: short reads cost no commit
_CLEAN_UP = frozenset({"on_cancel", "finally"})  # in paths


class Part(NamedTuple):
    """What a commit has of one journal: the entries, as rows of its log; and a chunk of events with its number."""

    journal: Journal
    steps: Sequence[StoredStep]
    rows: Sequence[Commit]
    lines: str | None
    seq: int


class Journal:
    """What is recorded of one run: `known` from earlier lives of it, `pending` what is not committed yet.

    `told` are events on their way into the store. They are not worth a commit of their own in the middle of a run: they
    go with one when they have become many, when the host flushes them, and at the end.
    """

    def __init__(self, writer: Writer, run: StoredRun, recorded: Past[Recorded] | None = None, seq: int = 0) -> None:
        self.run = run
        self.known, self.commits = recorded or Past({}, 0)  # the second: the number of the next one
        self.pending: dict[Place, StoredStep] = {}
        self.told: list[Event] = []
        self.flush = False  # whether the next commit takes the events along
        self.seq = seq
        self.writer = writer
        self._calls: dict[str, int] = {}
        self._hurried: asyncio.TimerHandle | None = None
        self._beside: asyncio.Task[bool] | None = None  # commits while the run goes on
        self.alone = True  # whether the run has one line of execution only

    def place(self, path: str) -> Place:
        """Which call of `path` this is; the same in each life of the run, since one branch makes them all."""
        nth = self._calls.get(path, 0)
        self._calls[path] = nth + 1
        return path, nth

    def recall(self, path: str, nth: int) -> Recorded | None:
        """What is recorded of a call, taken out: the way goes over each place once."""
        return self.known.pop(key(path, nth), None) if self.known else None

    def first(self, path: str) -> Recorded | None:
        """The same for the first call of `path`, which it is then, when that has succeeded: most have."""
        known = self.known.get(path)
        if known is None or known.state != "succeeded" or path in self._calls:
            return None
        self._calls[path] = 1
        del self.known[path]
        return known

    def passed(self, calls: Mapping[str, int]) -> None:
        """Calls that were made in an earlier life, and are not made again in this one."""
        for path, count in calls.items():
            first = self._calls.get(path, 0)
            self._calls[path] = first + count
            for nth in range(first, first + count):
                self.recall(path, nth)

    def latest(self, path: str) -> int:
        """Which call of `path` is under way."""
        return self._calls[path] - 1

    def ahead(self, path: str) -> bool:
        """Whether the next call of `path`, or a turn of it, is recorded already: no need to wait before it."""
        if not self.known:
            return False
        return key(path, self._calls.get(path, 0)) in self.known or any(
            known.startswith(f"{path}[") for known in self.known
        )

    def goes_on(self) -> bool:
        """Whether there is more to go through that came before a clean-up of the run, or of a subflow."""
        return any(
            each.state != "cancelled" and not _CLEAN_UP.intersection(each.path.split("."))
            for each in self.known.values()
        )

    def write(self, step: StoredStep) -> None:
        """Record it with the next commit."""
        self.pending[step.path, step.nth] = step

    async def commit(self) -> None:
        """Whatever is recorded is in the store when this returns, whoever writes it. Raises `Lost`, and
        `StoreUnavailable` when the store could not be written for as long as anybody would wait."""
        if (committing := self.committing()) is not None:
            await committing

    def committing(self) -> Awaitable[None] | None:
        """What to wait for to have it there, if anything is missing: `commit` without a coroutine of its own, for a
        thousand branches that wait at once."""
        if self.pending or (self.told and self.flush):
            return self.writer.commit(self)
        return self.writer.under_way(self)

    def hurry(self, tried: Callable[[Awaitable[None]], Coroutine[Any, Any, bool]]) -> None:
        """Commit soon, beside whatever the run does meanwhile, also when that takes long and commits nothing. The next
        write of the run, if there is one before, takes along what is pending: then there is nothing to do. `tried` is
        around the commit, and tells the run of its failure."""
        if self._hurried is None:
            self._hurried = asyncio.get_running_loop().call_later(_SOON, self._begin_beside, tried)

    def _begin_beside(self, tried: Callable[[Awaitable[None]], Coroutine[Any, Any, bool]]) -> None:
        self._hurried = None
        if self.pending and self._beside is None:
            self._beside = asyncio.get_running_loop().create_task(tried(self.writer.queued(self)))
            self._beside.add_done_callback(self._done_beside)

    def _done_beside(self, _: asyncio.Task[bool]) -> None:
        self._beside = None

    async def settled(self) -> None:
        """The run is over: nothing is committed beside it any more."""
        if self._hurried is not None:
            self._hurried.cancel()
        if self._beside is not None:
            await asyncio.wait([self._beside])

    async def flushed(self) -> None:
        """As `commit`, with the events."""
        self.flush = True
        await self.commit()

    @property
    def full(self) -> bool:
        """Whether the next commit takes events along."""
        return bool(self.told) and (self.flush or len(self.told) >= _MANY)

    def number(self) -> int:
        """Of a commit: each has its own."""
        self.commits += 1
        return self.commits - 1

    def taken(self) -> Part:
        """What is pending, taken out, and the rows that it is."""
        steps, self.pending = list(self.pending.values()), {}
        rows = commits(self.commits, steps) if steps else []
        self.commits += len(rows)
        if not self.full:
            return Part(self, steps, rows, None, self.seq)
        lines, self.told, self.flush = chunk(self.told), [], False
        self.seq += 1
        return Part(self, steps, rows, lines, self.seq - 1)

    def put_back(self, steps: Sequence[StoredStep], told: Sequence[Event] = ()) -> None:
        """They were taken, and it is not known whether they were written. What was recorded since is newer; events are
        rather told twice than not at all."""
        self.pending = {(each.path, each.nth): each for each in steps} | self.pending
        self.told, self.flush = [*told, *self.told], self.flush or bool(told)


class Writer:
    """Commits the journals of one process, those that ask in the same turn of the event loop together."""

    patience = 60.0  # seconds to try before a run is given up; its journal is whole, and it can be resumed

    def __init__(self, store: Store, running: dict[str, Any] | None = None) -> None:
        """`running`: the runs that are under way in this process, by their ids; several share their commits."""
        self.store = store
        self._running = {} if running is None else running
        self._asked: dict[Journal, list[asyncio.Future[None]]] = {}
        self._taken: dict[Journal, list[asyncio.Future[None]]] = {}  # the batch that is being written
        self._task: asyncio.Task[None] | None = None

    def commit(self, journal: Journal) -> Awaitable[None]:
        if journal.alone and len(self._running) <= 1 and self._task is None and not journal.full:
            return self._at_once(journal)
        return self.queued(journal)

    def queued(self, journal: Journal) -> asyncio.Future[None]:
        """Commit it behind what is being written, with whatever else there is by then: what a journal has recorded
        first is there first."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._asked.setdefault(journal, []).append(future)
        if self._task is None:
            self._task = loop.create_task(self._work())
        return future

    def under_way(self, journal: Journal) -> asyncio.Future[None] | None:
        """What to wait for, where something of a journal is being written that somebody else has asked for."""
        waiting = self._taken.get(journal)
        if waiting is None:
            return None
        future = asyncio.get_running_loop().create_future()
        waiting.append(future)
        return future

    async def _at_once(self, journal: Journal) -> None:
        """Without a task and its turns of the event loop: nobody else has anything to write."""
        part = journal.taken()
        try:
            lost = await self.persistently(lambda: self._write([part]))
        except asyncio.CancelledError:
            journal.put_back(part.steps)
            raise
        if lost:
            raise Lost(journal.run.id)

    async def _work(self) -> None:
        """One batch after the other, until nobody asks any more."""
        try:
            while self._asked:
                self._taken, self._asked = self._asked, {}
                await self._batch(self._taken)
        finally:
            self._task, self._taken = None, {}

    async def _batch(self, asked: dict[Journal, list[asyncio.Future[None]]]) -> None:
        told = [journal.told for journal in asked]
        parts = [journal.taken() for journal in asked]
        try:
            lost = await self.persistently(lambda: self._write(parts))
        except BaseException as error:  # noqa: BLE001 - told to everybody who waits, and they raise it
            if isinstance(error, asyncio.CancelledError):
                for part, events in zip(parts, told, strict=True):
                    part.journal.put_back(part.steps, events if part.lines is not None else ())
            for waiting in asked.values():
                _tell(waiting, error)
            return
        for journal, waiting in asked.items():
            _tell(waiting, Lost(journal.run.id) if journal.run.id in lost else None)

    async def persistently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` gives, asked again and again while the store does not answer. It must do no harm when it was done
        already. Raises `StoreUnavailable` when the patience ends."""
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), _FIRST_PAUSE
        while True:
            try:
                return await ask()
            except StoreUnavailable as error:
                if loop.time() - began + pause > self.patience:
                    raise
                if pause == _FIRST_PAUSE:
                    _LOG.warning("%s; trying again", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _write(self, parts: Sequence[Part]) -> set[str]:
        database = self.store.database
        if isinstance(database, SqliteDatabase):
            from flowlang.durable.batches import write_sqlite

            return await write_sqlite(database, parts)
        from flowlang.durable.batches import write_postgres

        return await write_postgres(cast("PostgresDatabase", database), parts)


def _tell(waiting: Sequence[asyncio.Future[None]], error: BaseException | None) -> None:
    """Those who wait for a commit; whoever was cancelled waits no more."""
    for future in waiting:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
            future.exception()  # seen: whoever waited may be cancelled yet, and not look
