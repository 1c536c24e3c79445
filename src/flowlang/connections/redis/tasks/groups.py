"""Groups: the entries of a stream shared out among consumers, each to be acknowledged by the one that got it."""

from __future__ import annotations

from typing import TypedDict

from flowlang.connections.redis.handle import Handle
from flowlang.connections.redis.tasks.keys import milliseconds
from flowlang.connections.redis.tasks.streams import Entries, block_of, count_of, entries_of
from flowlang.connections.redis.values import Word, word
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.decorator import task


class Created(TypedDict):
    """`created`: false when the group was there already."""

    created: bool


class Acknowledged(TypedDict):
    """`acked_count`: those that were waiting to be acknowledged."""

    acked_count: int


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
    command += [*count_of(count), *block_of(timeout)]
    command += ["STREAMS", connection.keys.wire(key), "0" if pending else ">"]
    found = await connection.call(*command, wait=timeout or 0.0)
    return entries_of(connection, found[0][1] if found else [])


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
    command += [word(consumer, "`consumer`"), milliseconds(min_idle, "`min_idle`"), "0-0", *count_of(count)]
    found = await connection.call(*command)
    return entries_of(connection, [each for each in found[1] if each is not None and each[1] is not None])


TASKS = {
    "redis_xgroup_create": xgroup_create,
    "redis_xreadgroup": xreadgroup,
    "redis_xack": xack,
    "redis_xautoclaim": xautoclaim,
}
