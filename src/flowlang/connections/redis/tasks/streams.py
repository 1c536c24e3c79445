"""Streams: entries in the order they came, read by anyone."""

from __future__ import annotations

from typing import Any, TypedDict

from flowlang.connections.redis.handle import Handle
from flowlang.connections.redis.tasks.keys import milliseconds
from flowlang.connections.redis.values import Word, field_name, invalid, word
from flowlang.tasks.decorator import task


class Entry(TypedDict):
    """An entry of a stream: `fields` is an object."""

    id: str
    fields: dict[str, Any]


class Entries(TypedDict):
    """`entries`: `{id, fields}`, in order. `last_id`: the last one's, null when there is none."""

    entries: list[Entry]
    count: int
    last_id: str | None


class EntryId(TypedDict):
    """`id`: what the server called the new entry."""

    id: str


class StreamLength(TypedDict):
    """`length`: entries in the stream."""

    length: int


@task(effect="write", idempotent=False)
async def xadd(
    key: str | bytes, fields: dict[str, Any], max_length: int | None = None, *, connection: Handle
) -> EntryId:
    """Add an entry to a stream.

    Args:
        key: the key
        fields: field → value
        max_length: keep about so many entries and forget older ones; null: all
        connection: a link of the pool (injected)

    Returns:
        id: what the server called the entry

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a stream

    Example:
        - redis_xadd:
            id: logged
            connection: cache
            key: orders
            fields: {order: "${inputs.order}", state: paid}
    """
    if not fields:
        raise invalid("`fields` is empty: an entry has at least one field")
    command: list[Word] = ["XADD", connection.keys.wire(key)]
    if max_length is not None:
        command += ["MAXLEN", "~", max_length]
    command.append("*")
    for name, value in fields.items():
        command += [word(name, "a field's name"), word(value, f"the value of `{name}`")]
    return {"id": (await connection.call(*command)).decode()}


@task(effect="read", idempotent=True)
async def xlen(key: str | bytes, *, connection: Handle) -> StreamLength:
    """How many entries a stream holds.

    Args:
        key: the key
        connection: a link of the pool (injected)

    Returns:
        length: how many; 0 when there is no such stream

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a stream

    Example:
        - redis_xlen:
            id: held
            connection: cache
            key: orders
    """
    return {"length": await connection.call("XLEN", connection.keys.wire(key))}


@task(effect="read", idempotent=True)
async def xrange(
    key: str | bytes, start: str = "-", end: str = "+", count: int | None = None, *, connection: Handle
) -> Entries:
    """Read entries between two ids.

    Args:
        key: the key
        start: the first id, which is included; `-`: the very first
        end: the last id, which is included; `+`: the very last
        count: at most so many
        connection: a link of the pool (injected)

    Returns:
        entries: `{id, fields}`, in order
        count: how many
        last_id: the id of the last one, null when there is none

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a stream

    Example:
        - redis_xrange:
            id: first
            connection: cache
            key: orders
            count: 10
    """
    command: list[Word] = ["XRANGE", connection.keys.wire(key), word(start, "`start`"), word(end, "`end`")]
    return entries_of(connection, await connection.call(*command, *count_of(count)))


@task(effect="read", idempotent=True)
async def xread(
    key: str | bytes,
    after: str = "0",
    count: int | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - the server waits
    *,
    connection: Handle,
) -> Entries:
    """Read the entries after an id, waiting for one if asked to.

    Args:
        key: the key
        after: the id before the first one wanted; `0`: from the beginning; `$`: only what comes from now on
        count: at most so many
        timeout: seconds to wait for an entry; null: not at all
        connection: a link of the pool (injected)

    Returns:
        entries: `{id, fields}`, in order
        count: how many
        last_id: the id of the last one, null when there is none

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a stream

    Example:
        - redis_xread:
            id: more
            connection: cache
            key: orders
            after: "${inputs.last}"
            timeout: 10
    """
    command: list[Word] = ["XREAD", *count_of(count), *block_of(timeout)]
    command += ["STREAMS", connection.keys.wire(key), word(after, "`after`")]
    found = await connection.call(*command, wait=timeout or 0.0)
    return entries_of(connection, found[0][1] if found else [])


def count_of(count: int | None) -> list[Word]:
    """`COUNT n`, when there is one."""
    if count is not None and count < 1:
        raise invalid(f"`count` is {count}: it must be 1 or more")
    return [] if count is None else ["COUNT", count]


def block_of(timeout: float | None) -> list[Word]:
    """`BLOCK ms`, when it waits."""
    return [] if timeout is None else ["BLOCK", milliseconds(timeout, "`timeout`")]


def entries_of(connection: Handle, found: list[Any]) -> Entries:
    """The entries of an answer."""
    entries: list[Entry] = [
        {"id": name.decode(), "fields": dict(zip(map(field_name, flat[::2]), connection.read(flat[1::2])))}
        for name, flat in found
        if flat is not None  # taken, and deleted since
    ]
    return {"entries": entries, "count": len(entries), "last_id": entries[-1]["id"] if entries else None}


TASKS = {
    "redis_xadd": xadd,
    "redis_xlen": xlen,
    "redis_xrange": xrange,
    "redis_xread": xread,
}
