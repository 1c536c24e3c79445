"""Sets: members without an order, each once."""

from __future__ import annotations

from typing import Any, TypedDict

from flowlang.connections.redis.handle import Handle
from flowlang.connections.redis.tasks.lists import many
from flowlang.connections.redis.values import word
from flowlang.tasks.decorator import task


class Added(TypedDict):
    """`added_count`: those that were not there before."""

    added_count: int


class Removed(TypedDict):
    """`removed_count`: those that were there."""

    removed_count: int


class Members(TypedDict):
    """`members`: in no order."""

    members: list[Any]
    count: int


class Member(TypedDict):
    """`exists`: whether it is a member."""

    exists: bool


class Size(TypedDict):
    """`count`: how many members."""

    count: int


@task(effect="write", idempotent=True)
async def sadd(key: str | bytes, members: Any, *, connection: Handle) -> Added:
    """Add members to a set.

    Args:
        key: the key
        members: one member, or a list of them
        connection: a link of the pool (injected)

    Returns:
        added_count: those that were not there before

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a set

    Example:
        - redis_sadd:
            id: tagged
            connection: cache
            key: "tags:${inputs.page}"
            members: [new, "${inputs.tag}"]
    """
    return {"added_count": await connection.call("SADD", connection.keys.wire(key), *many(members, "`members`"))}


@task(effect="write", idempotent=True)
async def srem(key: str | bytes, members: Any, *, connection: Handle) -> Removed:
    """Remove members from a set.

    Args:
        key: the key
        members: one member, or a list of them
        connection: a link of the pool (injected)

    Returns:
        removed_count: those that were there

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a set

    Example:
        - redis_srem:
            id: untagged
            connection: cache
            key: "tags:${inputs.page}"
            members: new
    """
    return {"removed_count": await connection.call("SREM", connection.keys.wire(key), *many(members, "`members`"))}


@task(effect="read", idempotent=True)
async def smembers(key: str | bytes, *, connection: Handle) -> Members:
    """Read all members of a set.

    Args:
        key: the key
        connection: a link of the pool (injected)

    Returns:
        members: in no order
        count: how many

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a set

    Example:
        - redis_smembers:
            id: tags
            connection: cache
            key: "tags:${inputs.page}"
    """
    members = connection.read(await connection.call("SMEMBERS", connection.keys.wire(key)))
    return {"members": members, "count": len(members)}


@task(effect="read", idempotent=True)
async def sismember(key: str | bytes, member: Any, *, connection: Handle) -> Member:
    """Whether something is a member of a set.

    Args:
        key: the key
        member: the member
        connection: a link of the pool (injected)

    Returns:
        exists: whether it is there

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a set

    Example:
        - redis_sismember:
            id: new
            connection: cache
            key: "tags:${inputs.page}"
            member: new
    """
    return {"exists": await connection.call("SISMEMBER", connection.keys.wire(key), word(member, "`member`")) == 1}


@task(effect="read", idempotent=True)
async def scard(key: str | bytes, *, connection: Handle) -> Size:
    """How many members a set has.

    Args:
        key: the key
        connection: a link of the pool (injected)

    Returns:
        count: how many; 0 when there is no such set

    Raises:
        FlowExecutionError: `validation` when the key holds something else than a set

    Example:
        - redis_scard:
            id: tags
            connection: cache
            key: "tags:${inputs.page}"
    """
    return {"count": await connection.call("SCARD", connection.keys.wire(key))}


TASKS = {
    "redis_sadd": sadd,
    "redis_srem": srem,
    "redis_smembers": smembers,
    "redis_sismember": sismember,
    "redis_scard": scard,
}
