"""Lists: queues and stacks under one key."""

from __future__ import annotations

from typing import Any, TypedDict

from flowlang.connections.redis.handle import Handle
from flowlang.connections.redis.values import Word, invalid, words
from flowlang.tasks.decorator import task


class Length(TypedDict):
    """`length`: items in the list now."""

    length: int


class Popped(TypedDict):
    """`value`: the first item taken, null when there was none. `values`: all that were taken."""

    value: Any
    values: list[Any]
    count: int


class Items(TypedDict):
    """`values`: the items, in order."""

    values: list[Any]
    count: int


class Awaited(TypedDict):
    """`key`: the list the item came from, null when none came in time."""

    key: Any
    value: Any
    found: bool


@task(effect="write", idempotent=False)
async def lpush(key: str | bytes, values: Any, *, connection: Handle) -> Length:
    """Put items at the front of a list.

    Args:
        key: the key
        values: one item, or a list of them, put there one after the other
        connection: a link of the pool (injected)

    Returns:
        length: items in the list now

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a list

    Example:
        - redis_lpush:
            id: queued
            connection: cache
            key: jobs
            values: "${inputs.job}"
    """
    return await _push(connection, "LPUSH", key, values)


@task(effect="write", idempotent=False)
async def rpush(key: str | bytes, values: Any, *, connection: Handle) -> Length:
    """Put items at the end of a list.

    Args:
        key: the key
        values: one item, or a list of them, put there one after the other
        connection: a link of the pool (injected)

    Returns:
        length: items in the list now

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a list

    Example:
        - redis_rpush:
            id: queued
            connection: cache
            key: jobs
            values: "${inputs.job}"
    """
    return await _push(connection, "RPUSH", key, values)


@task(effect="write", idempotent=False)
async def lpop(key: str | bytes, count: int = 1, *, connection: Handle) -> Popped:
    """Take items from the front of a list.

    Args:
        key: the key
        count: at most so many
        connection: a link of the pool (injected)

    Returns:
        value: the first one taken, null when there was none
        values: all that were taken
        count: how many

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a list

    Example:
        - redis_lpop:
            id: next
            connection: cache
            key: jobs
    """
    return await _pop(connection, "LPOP", key, count)


@task(effect="write", idempotent=False)
async def rpop(key: str | bytes, count: int = 1, *, connection: Handle) -> Popped:
    """Take items from the end of a list.

    Args:
        key: the key
        count: at most so many
        connection: a link of the pool (injected)

    Returns:
        value: the first one taken, null when there was none
        values: all that were taken
        count: how many

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a list

    Example:
        - redis_rpop:
            id: next
            connection: cache
            key: jobs
    """
    return await _pop(connection, "RPOP", key, count)


@task(effect="write", idempotent=False)
async def blpop(keys: str | bytes | list[str | bytes], timeout: float = 5, *, connection: Handle) -> Awaited:  # noqa: ASYNC109 - the server waits
    """Take an item from the front of a list, waiting until there is one.

    Args:
        keys: one list, or several, of which the first that has an item gives it
        timeout: seconds to wait; a step that is cancelled stops waiting at once
        connection: a link of the pool (injected)

    Returns:
        key: the list it came from, null when none came in time
        value: the item, null when none came in time
        found: whether one came

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a list

    Example:
        - redis_blpop:
            id: next
            connection: cache
            keys: jobs
            timeout: 30
    """
    return await _pop_waiting(connection, "BLPOP", keys, timeout)


@task(effect="write", idempotent=False)
async def brpop(keys: str | bytes | list[str | bytes], timeout: float = 5, *, connection: Handle) -> Awaited:  # noqa: ASYNC109 - the server waits
    """Take an item from the end of a list, waiting until there is one.

    Args:
        keys: one list, or several, of which the first that has an item gives it
        timeout: seconds to wait; a step that is cancelled stops waiting at once
        connection: a link of the pool (injected)

    Returns:
        key: the list it came from, null when none came in time
        value: the item, null when none came in time
        found: whether one came

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a list

    Example:
        - redis_brpop:
            id: next
            connection: cache
            keys: jobs
            timeout: 30
    """
    return await _pop_waiting(connection, "BRPOP", keys, timeout)


@task(effect="read", idempotent=True)
async def lrange(key: str | bytes, start: int = 0, stop: int = -1, *, connection: Handle) -> Items:
    """Read a part of a list.

    Args:
        key: the key
        start: the first item, counted from 0; a negative number counts from the end
        stop: the last item, which is included
        connection: a link of the pool (injected)

    Returns:
        values: the items, in order
        count: how many

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a list

    Example:
        - redis_lrange:
            id: latest
            connection: cache
            key: visits
            start: 0
            stop: 9
    """
    values = connection.read(await connection.call("LRANGE", connection.keys.wire(key), start, stop))
    return {"values": values, "count": len(values)}


@task(effect="read", idempotent=True)
async def llen(key: str | bytes, *, connection: Handle) -> Length:
    """How long a list is.

    Args:
        key: the key
        connection: a link of the pool (injected)

    Returns:
        length: items in the list; 0 when there is none

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a list

    Example:
        - redis_llen:
            id: waiting
            connection: cache
            key: jobs
    """
    return {"length": await connection.call("LLEN", connection.keys.wire(key))}


def many(values: Any, what: str) -> list[Word]:
    """One value, or a list of them, as Redis stores them; never none."""
    found = list(values) if isinstance(values, (list, tuple)) else [values]
    if not found:
        raise invalid(f"{what} is empty: there is nothing to write")
    return list(words(found, f"item {{}} of {what}"))


async def _push(connection: Handle, command: str, key: Any, values: Any) -> Length:
    return {"length": await connection.call(command, connection.keys.wire(key), *many(values, "`values`"))}


async def _pop(connection: Handle, command: str, key: Any, count: int) -> Popped:
    if count < 1:
        raise invalid(f"`count` is {count}: it must be 1 or more")
    taken = connection.read(await connection.call(command, connection.keys.wire(key), count)) or []
    return {"value": taken[0] if taken else None, "values": taken, "count": len(taken)}


async def _pop_waiting(connection: Handle, command: str, keys: Any, timeout: float) -> Awaited:  # noqa: ASYNC109 - the server waits
    if not 0 < timeout <= 86_400:
        raise invalid(f"`timeout` is {timeout:g}: it must be more than 0 and at most a day")
    found = await connection.call(command, *connection.keys.wires(keys), repr(float(timeout)), wait=timeout)
    if found is None:
        return {"key": None, "value": None, "found": False}
    return {"key": connection.keys.plain(found[0]), "value": connection.read(found[1]), "found": True}


TASKS = {
    "redis_lpush": lpush,
    "redis_rpush": rpush,
    "redis_lpop": lpop,
    "redis_rpop": rpop,
    "redis_blpop": blpop,
    "redis_brpop": brpop,
    "redis_lrange": lrange,
    "redis_llen": llen,
}
