"""The events of a run as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator

from flowlang.durable.records import StoredRun
from flowlang.durable.schema import ENDED
from flowlang.durable.store import Store
from flowlang.history.listing import INTERRUPTED, LOST, find, seen_state, state_now
from flowlang.history.told import Lives, Told, parsed

LOOK = 0.5  # seconds between two looks; events reach the store once a second
STOPPED = (*ENDED, INTERRUPTED, LOST, "needs_attention", "parked")
"""States in which nothing happens until somebody does something."""


async def followed(store: Store, start: str, *, follow: bool) -> AsyncIterator[Told]:
    """What the run has told, and with `follow` what it tells until it stops. Raises `StoreError`."""
    run = await find(store, start, shown=True, large=False)
    lives, after = Lives(), -1
    while True:
        # The state before the events: the end of a run is committed behind the last of its events.
        stopped = not follow or await state_now(store, run) in STOPPED
        for seq, chunk in await store.events(run.id, after):
            after = seq
            for each in lives.fresh(parsed(chunk, run.id)):
                yield each
        if stopped:
            return
        await store.database.wait([f"run:{run.id}"], LOOK)


async def settled(store: Store, start: str, *, large: bool = True) -> tuple[StoredRun, str]:
    """The run, `large` as of `find`, and its state after a look at its process. Raises `StoreError`."""
    run = await find(store, start, shown=True, large=large)
    return run, await seen_state(store, run)


__all__ = ["STOPPED", "followed", "settled"]
