"""Streams: entries in the order they came, read by anyone or shared out among the consumers of a group."""

from __future__ import annotations

from typing import Any, TypedDict

from flowlang.connections.redis.handle import Handle
from flowlang.connections.redis.tasks.keys import milliseconds
from flowlang.connections.redis.values import Word, field_name, invalid, word
from flowlang.exceptions import FlowExecutionError
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


class Created(TypedDict):
    """`created`: false when the group was there already."""

    created: bool


class Acknowledged(TypedDict):
    """`acked_count`: those that were waiting to be acknowledged."""

    acked_count: int


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
    return _entries(connection, await connection.call(*command, *_count(count)))


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
    command: list[Word] = ["XREAD", *_count(count), *_block(timeout)]
    command += ["STREAMS", connection.keys.wire(key), word(after, "`after`")]
    found = await connection.call(*command, wait=timeout or 0.0)
    return _entries(connection, found[0][1] if found else [])


@task(effect="write", idempotent=True)
async def xgroup_create(key: str | bytes, group: str, start: str = "0", *, connection: Handle) -> Created:
    """Make a group of consumers, and the stream if there is none.

    Args:
        key: the key
        group: its name
        start: the id after which the group begins; `0`: with the first entry; `$`: with what comes from now on
        connection: a link of the pool (injected)

    Returns:
        created: false when the group was there already

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a stream

    Example:
        - redis_xgroup_create:
            id: group
            connection: cache
            key: orders
            group: billing
    """
    command: list[Word] = [
        "XGROUP",
        "CREATE",
        connection.keys.wire(key),
        word(group, "`group`"),
        word(start, "`start`"),
    ]
    try:
        await connection.call(*command, "MKSTREAM")
    except FlowExecutionError as error:
        if error.error_class == "conflict":
            return {"created": False}
        raise
    return {"created": True}


@task(effect="write", idempotent=False)
async def xreadgroup(
    key: str | bytes,
    group: str,
    consumer: str,
    count: int | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - the server waits
    pending: bool = False,
    *,
    connection: Handle,
) -> Entries:
    """Take entries for one consumer of a group; each goes to one consumer only, until it is acknowledged.

    Args:
        key: the key
        group: its name
        consumer: the name of the one who takes them
        count: at most so many
        timeout: seconds to wait for an entry; null: not at all
        pending: read again what this consumer took and has not acknowledged, instead of new entries
        connection: a link of the pool (injected)

    Returns:
        entries: `{id, fields}`, in order
        count: how many
        last_id: the id of the last one, null when there is none

    Raises:
        FlowExecutionError: `not_found` when there is no such group

    Example:
        - redis_xreadgroup:
            id: work
            connection: cache
            key: orders
            group: billing
            consumer: "${inputs.worker}"
            count: 10
    """
    command: list[Word] = ["XREADGROUP", "GROUP", word(group, "`group`"), word(consumer, "`consumer`")]
    command += [*_count(count), *_block(timeout)]
    command += ["STREAMS", connection.keys.wire(key), "0" if pending else ">"]
    found = await connection.call(*command, wait=timeout or 0.0)
    return _entries(connection, found[0][1] if found else [])


@task(effect="write", idempotent=True)
async def xack(key: str | bytes, group: str, ids: str | list[str], *, connection: Handle) -> Acknowledged:
    """Tell that entries were handled.

    Args:
        key: the key
        group: its name
        ids: the id of one entry, or a list of them
        connection: a link of the pool (injected)

    Returns:
        acked_count: those that were waiting for it

    Raises:
        FlowExecutionError: `validation` for what is no id

    Example:
        - redis_xack:
            id: done
            connection: cache
            key: orders
            group: billing
            ids: "${inputs.ids}"
    """
    wanted = [ids] if isinstance(ids, str) else list(ids)
    if not wanted:
        return {"acked_count": 0}
    command: list[Word] = ["XACK", connection.keys.wire(key), word(group, "`group`")]
    return {"acked_count": await connection.call(*command, *(word(each, "an id") for each in wanted))}


@task(effect="write", idempotent=False)
async def xautoclaim(
    key: str | bytes, group: str, consumer: str, min_idle: float, count: int = 100, *, connection: Handle
) -> Entries:
    """Take over entries that another consumer took and never acknowledged.

    Args:
        key: the key
        group: its name
        consumer: the name of the one who takes them over
        min_idle: seconds since they were taken
        count: at most so many
        connection: a link of the pool (injected)

    Returns:
        entries: `{id, fields}`, in order
        count: how many
        last_id: the id of the last one, null when there is none

    Raises:
        FlowExecutionError: `not_found` when there is no such group

    Example:
        - redis_xautoclaim:
            id: orphans
            connection: cache
            key: orders
            group: billing
            consumer: "${inputs.worker}"
            min_idle: 60
    """
    command: list[Word] = ["XAUTOCLAIM", connection.keys.wire(key), word(group, "`group`")]
    command += [word(consumer, "`consumer`"), milliseconds(min_idle, "`min_idle`"), "0-0", *_count(count)]
    found = await connection.call(*command)
    return _entries(connection, [each for each in found[1] if each is not None and each[1] is not None])


def _count(count: int | None) -> list[Word]:
    if count is not None and count < 1:
        raise invalid(f"`count` is {count}: it must be 1 or more")
    return [] if count is None else ["COUNT", count]


def _block(timeout: float | None) -> list[Word]:
    return [] if timeout is None else ["BLOCK", milliseconds(timeout, "`timeout`")]


def _entries(connection: Handle, found: list[Any]) -> Entries:
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
    "redis_xgroup_create": xgroup_create,
    "redis_xreadgroup": xreadgroup,
    "redis_xack": xack,
    "redis_xautoclaim": xautoclaim,
}
