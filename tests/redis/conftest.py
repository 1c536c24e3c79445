"""Connections to a real Redis, opened as a run opens them, and the server as another client sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis.asyncio

from flowlang.connections import opened as opened_service

Open = Callable[..., Any]


@pytest.fixture
async def opened(redis_url: str) -> AsyncIterator[Open]:
    """Opens connections with any config; all of them are closed after the test."""
    async with AsyncExitStack() as stack:

        async def open_(**config: Any) -> Any:
            config.setdefault("url", redis_url)
            return await stack.enter_async_context(opened_service("redis", config))

        yield open_


@pytest.fixture
async def cache(opened: Open) -> Any:
    """A connection with the settings a user gets who gives the url only."""
    return await opened()


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[Any]:
    """Another client of the same database, answering in bytes."""
    client = redis.asyncio.from_url(redis_url, protocol=2)
    try:
        yield client
    finally:
        await client.aclose()
