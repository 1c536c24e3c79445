"""Records written to a table, a list or a stream of them, in one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import TypeVar

from flowlang.connections._sql.records import Records, check_batch_size, columns_of, invalid
from flowlang.tasks.stream import Stream
from flowlang.tasks.table import Table

Job = TypeVar("Job")
Transaction = AbstractAsyncContextManager[None]
Plan = Callable[[tuple[str, ...]], Job]
"""What is to be done with records of these columns."""
Write = Callable[[Job, Records, int], Awaitable[int]]
"""Does it for some records, the first of which has this number. Returns the rows written."""


async def written(
    transaction: Transaction,
    records: Records | Stream,
    batch_size: int,
    plan: Plan[Job],
    write: Write[Job],
    alone: Callable[[Job, int], bool] | None = None,
) -> tuple[int, int]:
    """Write records, unless there are none. Returns the rows written and the batches it took.

    `alone` says of a job and a number of records whether one call of `write` needs no transaction around it."""
    check_batch_size(batch_size)
    if isinstance(records, Stream):
        async with aclosing(records.tables(batch_size)) as batches:
            return await _each_batch(transaction, batches, plan, write)
    if not isinstance(records, (list, tuple, Table)):
        raise invalid(f"the records must be a list or a stream, not {type(records).__name__}")
    if not records:
        return 0, 0
    job = plan(columns_of(records))
    async with nullcontext() if alone is not None and alone(job, len(records)) else transaction:
        count = await write(job, records if isinstance(records, Table) else list(records), 1)
    return count, -(-len(records) // batch_size)


async def _each_batch(
    transaction: Transaction, batches: AsyncIterator[Records], plan: Plan[Job], write: Write[Job]
) -> tuple[int, int]:
    begun = [batch async for batch in _first(batches)]
    if not begun:
        return 0, 0
    job, count, number, first = plan(columns_of(begun[0])), 0, 0, 1
    async with transaction:
        async for batch in _again(begun, batches):
            count += await write(job, batch, first)
            first += len(batch)
            number += 1
    return count, number


async def _first(batches: AsyncIterator[Records]) -> AsyncIterator[Records]:
    """The first batch that holds something, if there is one."""
    async for batch in batches:
        if batch:
            yield batch
            return


async def _again(begun: list[Records], batches: AsyncIterator[Records]) -> AsyncIterator[Records]:
    for batch in begun:
        yield batch
    async for batch in batches:
        if batch:
            yield batch
