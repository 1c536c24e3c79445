"""Stores, open for as long as they are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flowlang.durable.store import Store, open_store


@asynccontextmanager
async def opened(store: Store | str | None) -> AsyncIterator[Store]:
    """`store` itself, or the one at that address, closed at the end. Raises `StoreError`."""
    if isinstance(store, Store):
        yield store
        return
    async with await open_store(store) as own:
        yield own
