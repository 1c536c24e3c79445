"""A stream: rows that arrive in batches, once, for one consumer, never whole in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.table import Table, joined, objects, part

Batch = list[Any] | Table
OnClose = Callable[[BaseException | None], Awaitable[None]]


class Stream:
    """Rows on their way.

    `source` yields lists of rows, or tables. `on_close` runs exactly once: when the stream is exhausted, fails, or is
    closed; a stream from a service gives its lease back there.
    """

    __slots__ = ("_source", "_on_close", "_taken", "_closed", "count")

    def __init__(self, source: AsyncIterator[Batch], on_close: OnClose | None = None) -> None:
        self._source = source
        self._on_close = on_close
        self._taken = False
        self._closed = False
        self.count = 0  # rows handed out so far

    async def batches(self, size: int | None = None) -> AsyncGenerator[list[Any], None]:
        """The rows in lists: as they arrive, or regrouped to exactly `size` rows (the last may be shorter)."""
        tables = self.tables(size)
        try:
            async for batch in tables:
                yield objects(batch)
        finally:
            await tables.aclose()

    async def tables(self, size: int | None = None) -> AsyncGenerator[Batch, None]:
        """As `batches`, but rows that come as tables stay tables: for tasks that hand them on."""
        if self._taken or self._closed:
            taken, closed = "has already been read: a stream has one consumer", "is closed: its block has ended"
            raise FlowExecutionError(f"this stream {taken if self._taken else closed}", error_class="validation")
        self._taken = True
        error: BaseException | None = None
        grouped = None if size is None else regrouped(self._source, size)
        try:
            async for batch in self._source if grouped is None else grouped:
                self.count += len(batch)
                yield batch
        except GeneratorExit:
            raise
        except BaseException as raised:
            error = raised
            raise
        finally:
            if grouped is not None:
                await grouped.aclose()
            await self._finish(error)

    async def rows(self) -> AsyncGenerator[Any, None]:
        """The rows one by one."""
        batches = self.batches()
        try:
            async for batch in batches:
                for row in batch:
                    yield row
        finally:
            await batches.aclose()

    def through(self, pipe: Callable[[AsyncIterator[Batch]], AsyncIterator[Batch]]) -> None:
        """Let the rows pass `pipe` on their way, which is given what they come from."""
        self._source = pipe(self._source)

    async def aclose(self) -> None:
        """Give everything back. Closing twice does nothing."""
        await self._finish(None)

    async def _finish(self, error: BaseException | None) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            close = getattr(self._source, "aclose", None)
            if close is not None:
                await close()
        except BaseException as raised:
            error = error or raised
            raise
        finally:
            if self._on_close is not None:
                await self._on_close(error)

    def __repr__(self) -> str:
        return f"<stream, {self.count} rows read{', closed' if self._closed else ''}>"


async def regrouped(source: AsyncIterator[Batch], size: int) -> AsyncGenerator[Batch, None]:
    """The same rows in batches of exactly `size` (the last may be shorter)."""
    held: list[Batch] = []
    count = 0
    async for batch in source:
        if not held and len(batch) == size:
            yield batch
            continue
        held.append(batch)
        count += len(batch)
        if count < size:
            continue
        whole, start = joined(held), 0
        while count - start >= size:
            yield part(whole, start, start + size)
            start += size
        held = [part(whole, start, count)] if start < count else []
        count -= start
    if held:
        yield joined(held)
