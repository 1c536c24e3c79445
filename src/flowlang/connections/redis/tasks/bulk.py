"""Many values from records to Redis and back: a list or a stream of any length, in bounded groups."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from operator import itemgetter
from typing import Any, TypedDict

from flowlang.connections.redis.handle import Command, Handle
from flowlang.connections.redis.tasks.keys import milliseconds, scanned
from flowlang.connections.redis.values import Word, invalid, words
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.decorator import task
from flowlang.tasks.stream import Stream

_LARGEST = 100_000


class BatchSet(TypedDict):
    """`set_count`: values written. `batches`: how many groups it took."""

    set_count: int
    batches: int


@task(effect="write", idempotent=True)
async def batch_set(
    records: list[dict[str, Any]] | Stream,
    key_field: str = "key",
    value_field: str = "value",
    ex: float | None = None,
    batch_size: int = 1000,
    *,
    connection: Handle,
) -> BatchSet:
    """Write many values, each group of them at once. When one group fails, those before it have been written.

    Args:
        records: objects with a key and a value; a list or a stream
        key_field: where the key stands in a record
        value_field: where the value stands
        ex: seconds until they expire; null: they stay
        batch_size: records in one group
        connection: a link of the pool (injected)

    Returns:
        set_count: values written
        batches: how many groups it took

    Raises:
        FlowExecutionError: `validation` for a record without key or value, or with one that Redis cannot store, named

    Example:
        - redis_batch_set:
            id: prices
            connection: cache
            records: "${inputs.prices}"
            key_field: sku
            value_field: price
            ex: 86400
    """
    if not 1 <= batch_size <= _LARGEST:
        raise invalid(f"`batch_size` is {batch_size}: it must be 1 to {_LARGEST:,}")
    life = None if ex is None else milliseconds(ex, "`ex`")
    pick = itemgetter(key_field, value_field)
    count = batches = 0
    try:
        async with aclosing(_groups(records, batch_size)) as groups:
            async for group in groups:
                keys, values = _columns(connection, group, pick, count, (key_field, value_field))
                await _write(connection, keys, values, life)
                count += len(group)
                batches += 1
    except FlowExecutionError as error:
        error.add_note(f"{count} records before this group were written")
        raise
    return {"set_count": count, "batches": batches}


@task(effect="read", idempotent=True, stream="rows")
async def stream(
    match: str = "*", batch_size: int = 1000, *, connection: Handle
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """Read the plain values under a pattern of keys as a stream of records. Which keys come is said in `redis_scan`.

    Args:
        match: a pattern with `*`, `?` and `[abc]`; a backslash takes the next one literally
        batch_size: keys the server looks at in one go
        connection: a link of the pool (injected), in use until the stream ends

    Returns:
        rows: a stream of `{key, value}`

    Raises:
        FlowExecutionError: `validation` for a `batch_size` below 1

    Example:
        - redis_stream:
            id: prices
            connection: cache
            match: "price:*"
    """
    async with aclosing(scanned(connection, match, "string", batch_size)) as batches:
        async for found in batches:
            values = connection.read(await connection.call("MGET", *found))
            yield [
                {"key": connection.keys.plain(key), "value": value}
                for key, value in zip(found, values)
                if value is not None  # gone meanwhile
            ]


async def _groups(records: Any, size: int) -> AsyncGenerator[Sequence[Any], None]:
    if isinstance(records, Stream):
        async with aclosing(records.batches(size)) as batches:
            async for batch in batches:
                if batch:
                    yield batch
        return
    if not isinstance(records, (list, tuple)):
        raise invalid(f"`records` must be a list or a stream, not {type(records).__name__}")
    for start in range(0, len(records), size):
        yield records[start : start + size]


def _columns(
    connection: Handle, group: Sequence[Any], pick: Any, done: int, names: tuple[str, str]
) -> tuple[Sequence[Word], Sequence[Word]]:
    try:
        pairs = list(map(pick, group))
    except (KeyError, TypeError, IndexError):
        raise _without(group, done, names) from None
    keys, values = list(zip(*pairs))
    wires = connection.keys.wires(keys, f"the keys of the records from {done + 1} on")
    return wires, words(values, f"the value of record {{}}, counted from {done + 1}")


def _without(group: Sequence[Any], done: int, names: tuple[str, str]) -> FlowExecutionError:
    for number, record in enumerate(group, done + 1):
        if not isinstance(record, Mapping):
            return invalid(f"record {number} is {type(record).__name__}, not an object")
        for name in names:
            if name not in record:
                return invalid(f"record {number} has no `{name}`")
    return invalid("a record has no key or value")


async def _write(connection: Handle, keys: Sequence[Word], values: Sequence[Word], life: int | None) -> None:
    """One group: a single MSET, or a SET for each where they expire."""
    if life is None:
        flat: list[Word] = [""] * (2 * len(keys))
        flat[::2], flat[1::2] = keys, values
        await connection.call("MSET", *flat)
        return
    commands: list[Command] = [("SET", key, value, "PX", life) for key, value in zip(keys, values)]
    for answer in await connection.many(commands):
        if connection.is_refusal(answer):
            raise connection.refused(answer, ["SET"]) from answer


TASKS = {"redis_batch_set": batch_set, "redis_stream": stream}
