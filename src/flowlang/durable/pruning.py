"""Workers that remove what is old by themselves: once a minute one of them does it, whichever looks first.

What it deletes in one transaction is little, and it rests in between, so that runs under way hardly notice.
"""

from __future__ import annotations

import asyncio
import logging
import random

from flowlang.durable.database import Transaction
from flowlang.durable.retention import Retention, prune
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError

_LOG = logging.getLogger("flowlang.worker")
PERIOD = 60.0  # seconds between two times that a store is pruned
_REST = 0.1  # seconds between two transactions
_KEY = "pruned_at"


async def pruned_now_and_then(store: Store, bounds: Retention, folder: str | None = None) -> None:
    """Until cancelled. `folder`: where flows are laid out on this machine."""
    while True:
        await asyncio.sleep(PERIOD * random.uniform(0.1, 1.0))  # noqa: S311 - so that workers do not look in step
        try:
            if await elected(store):
                gone = await prune(store, bounds, folder=folder, rest=_REST)
                if gone.runs:
                    _LOG.info("%d runs that had ended were removed", gone.runs)
        except StoreError as error:
            _LOG.warning("%s; what is old is removed another time", error)


async def elected(store: Store) -> bool:
    """Whether it is this caller's turn: nobody else's in this period."""

    async def ask(tx: Transaction) -> bool:
        await tx.lock("flowlang pruning")
        rows = await tx.fetch(
            "SELECT 1 FROM flowlang_meta"
            " WHERE key = :key AND CAST(value AS DOUBLE PRECISION) > {now} - :period::float8",
            key=_KEY, period=PERIOD,
        )  # fmt: skip
        if rows:
            return False
        await tx.execute(
            "INSERT INTO flowlang_meta (key, value) VALUES (:key, CAST({now} AS TEXT))"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            key=_KEY,
        )
        return True

    return await store.database.transact(ask)
