"""Stores, open for as long as they are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flowlang.durable.opening import open_store
from flowlang.durable.store import Store


@asynccontextmanager
async def opened(store: Store | str | None, *, make: bool = True) -> AsyncIterator[Store]:
    """`store` itself, or the one at that address, closed at the end; a file that is not there yet is made, unless it is
    only to be looked into. Raises `StoreError`."""
    if isinstance(store, Store):
        yield store
        return
    async with await open_store(store, make=make) as own:
        yield own
