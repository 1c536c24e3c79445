"""Sorted sets: members in the order of a score."""

from __future__ import annotations

from typing import Any, TypedDict

from flowlang.connections.redis.handle import Handle
from flowlang.connections.redis.tasks.lists import many
from flowlang.connections.redis.tasks.sets import Added, Removed, Size
from flowlang.connections.redis.values import Word, invalid, number, word
from flowlang.tasks.decorator import task


class Scored(TypedDict):
    """A member and its score."""

    member: Any
    score: float


class Range(TypedDict):
    """`members`: `{member, score}`, in order."""

    members: list[Scored]
    count: int


class Score(TypedDict):
    """`score`: null when it is no member."""

    score: float | None
    exists: bool


@task(effect="write", idempotent=True)
async def zadd(key: str | bytes, scores: dict[str, float], *, connection: Handle) -> Added:
    """Add members with their scores, or give them new ones.

    Args:
        key: the key
        scores: member → score
        connection: a link of the pool (injected)

    Returns:
        added_count: those that were not there before

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a sorted set

    Example:
        - redis_zadd:
            id: scored
            connection: cache
            key: board
            scores: {ada: 10, grace: 12}
    """
    if not scores:
        raise invalid("`scores` is empty: there is nothing to write")
    flat: list[Word] = []
    for member, score in scores.items():
        flat += [_score(score, member), word(member, "a member")]
    return {"added_count": await connection.call("ZADD", connection.keys.wire(key), *flat)}


@task(effect="read", idempotent=True)
async def zrange(
    key: str | bytes, start: int = 0, stop: int = -1, reverse: bool = False, *, connection: Handle
) -> Range:
    """Read members by their place.

    Args:
        key: the key
        start: the first place, counted from 0; a negative number counts from the end
        stop: the last place, which is included
        reverse: from the highest score down
        connection: a link of the pool (injected)

    Returns:
        members: `{member, score}`, in order
        count: how many

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a sorted set

    Example:
        - redis_zrange:
            id: best
            connection: cache
            key: board
            stop: 9
            reverse: true
    """
    command: list[Word] = ["ZREVRANGE" if reverse else "ZRANGE", connection.keys.wire(key), start, stop, "WITHSCORES"]
    return _range(connection, await connection.call(*command))


@task(effect="read", idempotent=True)
async def zrangebyscore(
    key: str | bytes,
    lowest: float | None = None,
    highest: float | None = None,
    limit: int | None = None,
    *,
    connection: Handle,
) -> Range:
    """Read members by their score, the lowest first.

    Args:
        key: the key
        lowest: the lowest score, which is included; null: from the first
        highest: the highest score, which is included; null: to the last
        limit: at most so many
        connection: a link of the pool (injected)

    Returns:
        members: `{member, score}`, in order
        count: how many

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a sorted set

    Example:
        - redis_zrangebyscore:
            id: due
            connection: cache
            key: reminders
            highest: "${inputs.now}"
            limit: 100
    """
    bounds: list[Word] = ["-inf" if lowest is None else _score(lowest, "lowest")]
    bounds.append("+inf" if highest is None else _score(highest, "highest"))
    if limit is not None and limit < 0:
        raise invalid(f"`limit` is {limit}: it must be 0 or more")
    options: list[Word] = ["WITHSCORES"]
    if limit is not None:
        options += ["LIMIT", 0, limit]
    found = await connection.call("ZRANGEBYSCORE", connection.keys.wire(key), *bounds, *options)
    return _range(connection, found)


@task(effect="write", idempotent=True)
async def zrem(key: str | bytes, members: Any, *, connection: Handle) -> Removed:
    """Remove members.

    Args:
        key: the key
        members: one member, or a list of them
        connection: a link of the pool (injected)

    Returns:
        removed_count: those that were there

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a sorted set

    Example:
        - redis_zrem:
            id: gone
            connection: cache
            key: board
            members: ada
    """
    return {"removed_count": await connection.call("ZREM", connection.keys.wire(key), *many(members, "`members`"))}


@task(effect="write", idempotent=False)
async def zincrby(key: str | bytes, member: Any, amount: float = 1, *, connection: Handle) -> Score:
    """Add to the score of a member, which begins at 0.

    Args:
        key: the key
        member: the member
        amount: what to add; a negative number takes away
        connection: a link of the pool (injected)

    Returns:
        score: after the change
        exists: always true

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a sorted set

    Example:
        - redis_zincrby:
            id: point
            connection: cache
            key: board
            member: "${inputs.player}"
    """
    wire, name = connection.keys.wire(key), word(member, "`member`")
    return {"score": number(await connection.call("ZINCRBY", wire, _score(amount, "amount"), name)), "exists": True}


@task(effect="read", idempotent=True)
async def zscore(key: str | bytes, member: Any, *, connection: Handle) -> Score:
    """Read the score of a member.

    Args:
        key: the key
        member: the member
        connection: a link of the pool (injected)

    Returns:
        score: null when it is no member
        exists: whether it is one

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a sorted set

    Example:
        - redis_zscore:
            id: points
            connection: cache
            key: board
            member: "${inputs.player}"
    """
    found = await connection.call("ZSCORE", connection.keys.wire(key), word(member, "`member`"))
    return {"score": None if found is None else number(found), "exists": found is not None}


@task(effect="read", idempotent=True)
async def zcard(key: str | bytes, *, connection: Handle) -> Size:
    """How many members there are.

    Args:
        key: the key
        connection: a link of the pool (injected)

    Returns:
        count: how many; 0 when there is no such sorted set

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a sorted set

    Example:
        - redis_zcard:
            id: players
            connection: cache
            key: board
    """
    return {"count": await connection.call("ZCARD", connection.keys.wire(key))}


def _score(score: Any, of: str) -> Word:
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        raise invalid(f"the score of `{of}` is of type {type(score).__name__}; it must be a number")
    return word(score, f"the score of `{of}`")


def _range(connection: Handle, flat: list[Any]) -> Range:
    members = connection.read(flat[::2])
    found: list[Scored] = [{"member": member, "score": number(score)} for member, score in zip(members, flat[1::2])]
    return {"members": found, "count": len(found)}


TASKS = {
    "redis_zadd": zadd,
    "redis_zrange": zrange,
    "redis_zrangebyscore": zrangebyscore,
    "redis_zrem": zrem,
    "redis_zincrby": zincrby,
    "redis_zscore": zscore,
    "redis_zcard": zcard,
}
