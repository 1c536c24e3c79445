"""Keys: whether they are there, how long they last, and finding them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal, TypedDict

from flowlang.connections.redis.handle import Handle
from flowlang.connections.redis.values import Word, invalid
from flowlang.tasks.decorator import task

Kind = Literal["string", "list", "set", "zset", "hash", "stream"]


class Deleted(TypedDict):
    """`deleted_count`: keys that were there."""

    deleted_count: int


class Existing(TypedDict):
    """`count`: how many of the keys are there, `exists`: whether all of them are."""

    count: int
    exists: bool


class Success(TypedDict):
    """`success`: whether it was done."""

    success: bool


class TimeToLive(TypedDict):
    """`seconds`: null for a key that stays."""

    seconds: float | None
    exists: bool


@task(effect="write", idempotent=True)
async def delete(keys: str | bytes | list[str | bytes], *, connection: Handle) -> Deleted:
    """Delete keys.

    Args:
        keys: one key, or a list of them
        connection: a link of the pool (injected)

    Returns:
        deleted_count: keys that were there

    Raises:
        FlowExecutionError: `validation` for what is no key

    Example:
        - redis_delete:
            id: forget
            connection: cache
            keys: ["session:${inputs.user}", "cart:${inputs.user}"]
    """
    return {"deleted_count": await connection.call("DEL", *connection.keys.wires(keys))}


@task(effect="read", idempotent=True)
async def exists(keys: str | bytes | list[str | bytes], *, connection: Handle) -> Existing:
    """Whether keys are there.

    Args:
        keys: one key, or a list of them
        connection: a link of the pool (injected)

    Returns:
        count: how many of the keys are there; one named twice counts twice
        exists: whether all of them are

    Raises:
        FlowExecutionError: `validation` for what is no key

    Example:
        - redis_exists:
            id: known
            connection: cache
            keys: "session:${inputs.user}"
    """
    wanted = connection.keys.wires(keys)
    count = await connection.call("EXISTS", *wanted)
    return {"count": count, "exists": count == len(wanted)}


@task(effect="write", idempotent=True)
async def expire(key: str | bytes, seconds: float, *, connection: Handle) -> Success:
    """Let a key expire.

    Args:
        key: the key
        seconds: from now; fractions down to a millisecond
        connection: a link of the pool (injected)

    Returns:
        success: false when there is no such key

    Raises:
        FlowExecutionError: `validation` for a time that is not positive

    Example:
        - redis_expire:
            id: soon
            connection: cache
            key: "session:${inputs.user}"
            seconds: 3600
    """
    answer = await connection.call("PEXPIRE", connection.keys.wire(key), milliseconds(seconds, "`seconds`"))
    return {"success": answer == 1}


@task(effect="write", idempotent=True)
async def persist(key: str | bytes, *, connection: Handle) -> Success:
    """Let a key stay that would have expired.

    Args:
        key: the key
        connection: a link of the pool (injected)

    Returns:
        success: false when there is no such key, or it would have stayed anyway

    Raises:
        FlowExecutionError: `validation` for what is no key

    Example:
        - redis_persist:
            id: keep
            connection: cache
            key: "session:${inputs.user}"
    """
    return {"success": await connection.call("PERSIST", connection.keys.wire(key)) == 1}


@task(effect="read", idempotent=True)
async def ttl(key: str | bytes, *, connection: Handle) -> TimeToLive:
    """How long a key lasts.

    Args:
        key: the key
        connection: a link of the pool (injected)

    Returns:
        seconds: until it expires; null for a key that stays, or is not there
        exists: whether it is there

    Raises:
        FlowExecutionError: `validation` for what is no key

    Example:
        - redis_ttl:
            id: left
            connection: cache
            key: "session:${inputs.user}"
    """
    left = await connection.call("PTTL", connection.keys.wire(key))
    return {"seconds": left / 1000 if left >= 0 else None, "exists": left != -2}


@task(effect="read", idempotent=True, stream="keys")
async def scan(
    match: str = "*", kind: Kind | None = None, batch_size: int = 1000, *, connection: Handle
) -> AsyncGenerator[list[str | bytes], None]:
    """Find keys by a pattern, as a stream, without holding the server up.

    A key that is there all the while comes at least once; one that comes or goes meanwhile may or may not, and a key
    may come twice.

    Args:
        match: a pattern with `*`, `?` and `[abc]`; a backslash takes the next one literally
        kind: keys of this type only
        batch_size: keys the server looks at in one go
        connection: a link of the pool (injected), in use until the stream ends

    Returns:
        keys: a stream of keys

    Raises:
        FlowExecutionError: `validation` for a `batch_size` below 1

    Example:
        - redis_scan:
            id: sessions
            connection: cache
            match: "session:*"
    """
    async for found in scanned(connection, match, kind, batch_size):
        yield [connection.keys.plain(each) for each in found]


async def scanned(
    connection: Handle, match: str, kind: str | None, batch_size: int
) -> AsyncGenerator[list[bytes], None]:
    """The keys that match, as the server names them, in lists that are never empty."""
    if batch_size < 1:
        raise invalid(f"`batch_size` is {batch_size}: it must be 1 or more")
    options: list[Word] = ["MATCH", connection.keys.pattern(match), "COUNT", batch_size]
    if kind is not None:
        options += ["TYPE", kind]
    cursor = b"0"
    while True:
        cursor, found = await connection.call("SCAN", cursor, *options)
        if found:
            yield found
        if cursor == b"0":
            return


def milliseconds(seconds: float, what: str) -> int:
    """A time for the server. Raises FlowExecutionError (`validation`) for one that is not positive."""
    if not 0 < seconds < 10**12:
        raise invalid(f"{what} is {seconds:g}: it must be more than 0 seconds")
    return max(1, round(seconds * 1000))


TASKS = {
    "redis_delete": delete,
    "redis_exists": exists,
    "redis_expire": expire,
    "redis_persist": persist,
    "redis_ttl": ttl,
    "redis_scan": scan,
}
