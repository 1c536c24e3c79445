"""Locks: one holder at a time, for a time that always ends.

A lock is a key that holds the holder's token. Only who knows the token gives it back or keeps it longer: the
server compares and changes in one go. When the time is over the lock is free, whether its holder noticed or not:
let what must not happen twice check its own state, too.
"""

from __future__ import annotations

import asyncio
from typing import TypedDict

from flowlang.connections.redis.handle import Handle
from flowlang.connections.redis.tasks.keys import milliseconds
from flowlang.connections.redis.values import invalid, word
from flowlang.tasks.decorator import task

_UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_EXTEND = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.25  # seconds between two attempts


class Locked(TypedDict):
    """`token`: what unlocks it, null when somebody else holds it."""

    token: str | None
    acquired: bool


class Released(TypedDict):
    """`released`: false when the token holds the lock no more."""

    released: bool


class Extended(TypedDict):
    """`extended`: false when the token holds the lock no more."""

    extended: bool


@task(effect="write", idempotent=False)
async def lock(key: str | bytes, ttl: float = 30, wait: float = 0, *, connection: Handle) -> Locked:
    """Take a lock.

    Args:
        key: the key
        ttl: seconds until it is free again by itself
        wait: seconds to wait for it while somebody else holds it
        connection: a link of the pool (injected)

    Returns:
        token: what unlocks it, null when it was not to be had
        acquired: whether it was

    Raises:
        FlowExecutionError: `validation` for a time that is not positive

    Example:
        - redis_lock:
            id: mine
            connection: cache
            key: "lock:${inputs.order}"
            ttl: 60
            wait: 5
    """
    import secrets

    if wait < 0:
        raise invalid(f"`wait` is {wait:g}: it must be 0 or more")
    token, wire, life = secrets.token_hex(16), connection.keys.wire(key), milliseconds(ttl, "`ttl`")
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + wait, _FIRST_PAUSE
    while await connection.call("SET", wire, token, "NX", "PX", life) != b"OK":
        left = deadline - clock()
        if left <= 0:
            return {"token": None, "acquired": False}
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)
    return {"token": token, "acquired": True}


@task(effect="write", idempotent=True)
async def unlock(key: str | bytes, token: str, *, connection: Handle) -> Released:
    """Give a lock back, if it is still held with this token.

    Args:
        key: the key
        token: what `redis_lock` gave
        connection: a link of the pool (injected)

    Returns:
        released: false when the token holds the lock no more

    Raises:
        FlowExecutionError: `validation` for what is no key

    Example:
        - redis_unlock:
            id: free
            connection: cache
            key: "lock:${inputs.order}"
            token: "${inputs.token}"
    """
    answer = await connection.call("EVAL", _UNLOCK, 1, connection.keys.wire(key), word(token, "`token`"))
    return {"released": answer == 1}


@task(effect="write", idempotent=True)
async def lock_extend(key: str | bytes, token: str, ttl: float, *, connection: Handle) -> Extended:
    """Keep a lock for longer, if it is still held with this token.

    Args:
        key: the key
        token: what `redis_lock` gave
        ttl: seconds from now
        connection: a link of the pool (injected)

    Returns:
        extended: false when the token holds the lock no more

    Raises:
        FlowExecutionError: `validation` for a time that is not positive

    Example:
        - redis_lock_extend:
            id: longer
            connection: cache
            key: "lock:${inputs.order}"
            token: "${inputs.token}"
            ttl: 60
    """
    life = milliseconds(ttl, "`ttl`")
    answer = await connection.call("EVAL", _EXTEND, 1, connection.keys.wire(key), word(token, "`token`"), life)
    return {"extended": answer == 1}


TASKS = {"redis_lock": lock, "redis_unlock": unlock, "redis_lock_extend": lock_extend}
