"""Runs in memory, written into the history: a listener that costs the run next to nothing, and never fails it.

    run ─ events ─► queue ─► (a thread with a store of its own) ─ each second ─► store

The run is marked as not durable: nobody takes it over. Its process holds the lock of an executor as others do, so that
one that is lost can be told from one that goes on.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from flowlang.durable.codec import Unstorable, encode
from flowlang.durable.executors import Executor
from flowlang.durable.lines import chunk
from flowlang.durable.opening import open_store
from flowlang.durable.records import StoredFlow, StoredRun
from flowlang.durable.store import Store
from flowlang.engine.result import RunResult
from flowlang.events import Event
from flowlang.exceptions import StoreError

QUEUE = "memory"  # that nobody takes runs from: it counts for no limit
PERIOD = 1.0  # seconds between two writes
PATIENCE = 5.0  # seconds at the end for what is not written yet; a store that does not answer delays no one for longer


class Recorder:
    """A listener. `begin` it when the run has begun; `close` it with the result, for which it takes up to `PATIENCE`
    seconds.

    When the store cannot be used `warn` is told so, once; the run goes on without.
    """

    def __init__(
        self,
        url: str | None,
        flow: StoredFlow,
        env: Mapping[str, str],
        warn: Callable[[str], None],
        added: Callable[[str, str], None] | None = None,
    ) -> None:
        """`added`: is told the id of the run and the address of the store, once it is there."""
        self._added = added
        self._url = url
        self._flow = flow
        self._env = env
        self._warn = warn
        self._told: deque[Event] = deque()
        self._result: RunResult | None = None
        self._over = threading.Event()
        self._broken = False
        self._thread: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        if not self._broken:
            self._told.append(event)

    def begin(self, run_id: str, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        """`inputs`: masked."""
        self._thread = threading.Thread(
            target=self._work, args=(run_id, dict(inputs), dict(options)), name="flowlang-recorder", daemon=True
        )
        self._thread.start()

    def close(self, result: RunResult | None) -> None:
        """Write what is left, and how the run ended. None: nobody knows."""
        if self._thread is None:
            return
        self._result = result
        self._over.set()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._trouble(f"the store did not answer within {PATIENCE:g} s")

    # ------------------------------------------------------------ the thread

    def _work(self, run_id: str, inputs: dict[str, Any], options: dict[str, Any]) -> None:
        try:
            asyncio.run(self._record(run_id, inputs, options))
        except (StoreError, OSError) as error:
            self._trouble(str(error))

    def _trouble(self, reason: str) -> None:
        if not self._broken:
            self._broken = True
            self._told.clear()
            self._warn(f"the run is not recorded, or not to its end: {reason}; the run itself is not affected")

    async def _record(self, run_id: str, inputs: dict[str, Any], options: dict[str, Any]) -> None:
        async with await open_store(self._url, self._env) as store:
            executor = Executor(store)
            await executor.open()
            try:
                run = await store.add(
                    self._flow, _kept(inputs), options, run_id=run_id, owner=executor.id, queue=QUEUE, durable=False
                )
                if self._added is not None:
                    self._added(run_id, store.url)
                await self._events(store, run)
                if self._result is not None:
                    await _finish(store, run, self._result)
            finally:
                await executor.close()

    async def _events(self, store: Store, run: StoredRun) -> None:
        """Write them each second, until the run is over."""
        seq, over = 0, False
        while not over:
            over = await asyncio.to_thread(self._over.wait, PERIOD)
            events = [self._told.popleft() for _ in range(len(self._told))]
            if not events:
                continue
            await store.database.execute(
                "INSERT INTO flowlang_events (run_id, seq, lines) VALUES (:run, :seq, :lines)",
                run=run.id, seq=seq, lines=chunk(events),
            )  # fmt: skip
            seq += 1
            await store.database.notify(f"run:{run.id}")


async def _finish(store: Store, run: StoredRun, result: RunResult) -> None:
    failure = result.failure
    if failure is not None and result.masker is not None:
        failure = result.masker.value(failure)
    await store.finish(
        run, result.status, outputs=_kept(result.shown_outputs()), error=failure, reason=result.to_record()["reason"]
    )


def _kept(values: Mapping[str, Any]) -> str:
    """Values as the store keeps them; those that it cannot keep as their text."""
    try:
        return encode(dict(values))
    except Unstorable:
        return encode({name: _text(value) for name, value in values.items()})


def _text(value: Any) -> Any:
    try:
        encode(value)
    except Unstorable:
        return str(value)
    return value
