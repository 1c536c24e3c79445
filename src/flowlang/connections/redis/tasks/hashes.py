"""Hashes: objects of fields under one key."""

from __future__ import annotations

from typing import Any, TypedDict

from flowlang.connections.redis.handle import Handle
from flowlang.connections.redis.tasks.keys import Deleted
from flowlang.connections.redis.tasks.strings import Counted, Got
from flowlang.connections.redis.values import field_name, invalid, number, word
from flowlang.tasks.decorator import task


class Hash(TypedDict):
    """`hash`: field → value; empty when there is no such key."""

    hash: dict[str, Any]


class FieldsSet(TypedDict):
    """`fields_set`: fields that were not there before."""

    fields_set: int


@task(effect="read", idempotent=True)
async def hgetall(key: str | bytes, *, connection: Handle) -> Hash:
    """Read all fields of a hash.

    Args:
        key: the key
        connection: a link of the pool (injected)

    Returns:
        hash: field → value; empty when there is no such key

    Raises:
        FlowExecutionError: `validation` when the key holds no hash, or a field's name is no UTF-8

    Example:
        - redis_hgetall:
            id: profile
            connection: cache
            key: "user:${inputs.user}"
    """
    flat = await connection.call("HGETALL", connection.keys.wire(key))
    return {"hash": dict(zip(map(field_name, flat[::2]), connection.read(flat[1::2])))}


@task(effect="read", idempotent=True)
async def hget(key: str | bytes, field: str, *, connection: Handle) -> Got:
    """Read one field of a hash.

    Args:
        key: the key
        field: its name
        connection: a link of the pool (injected)

    Returns:
        value: null when there is none
        exists: whether there is one

    Raises:
        FlowExecutionError: `validation` when the key holds no hash

    Example:
        - redis_hget:
            id: mail
            connection: cache
            key: "user:${inputs.user}"
            field: email
    """
    value = await connection.call("HGET", connection.keys.wire(key), word(field, "`field`"))
    return {"value": connection.read(value), "exists": value is not None}


@task(effect="write", idempotent=True)
async def hset(key: str | bytes, mapping: dict[str, Any], *, connection: Handle) -> FieldsSet:
    """Write fields of a hash; the others stay.

    Args:
        key: the key
        mapping: field → value
        connection: a link of the pool (injected)

    Returns:
        fields_set: fields that were not there before

    Raises:
        FlowExecutionError: `validation` for a value that Redis cannot store, or when the key holds no hash

    Example:
        - redis_hset:
            id: profile
            connection: cache
            key: "user:${inputs.user}"
            mapping:
              name: "${inputs.name}"
              email: "${inputs.email}"
    """
    if not mapping:
        raise invalid("`mapping` is empty: name at least one field")
    flat = [
        each
        for name, value in mapping.items()
        for each in (word(name, "a field's name"), word(value, f"the value of `{name}`"))
    ]
    return {"fields_set": await connection.call("HSET", connection.keys.wire(key), *flat)}


@task(effect="write", idempotent=True)
async def hdel(key: str | bytes, fields: str | list[str], *, connection: Handle) -> Deleted:
    """Delete fields of a hash.

    Args:
        key: the key
        fields: one name, or a list of them
        connection: a link of the pool (injected)

    Returns:
        deleted_count: fields that were there

    Raises:
        FlowExecutionError: `validation` when the key holds no hash

    Example:
        - redis_hdel:
            id: forget
            connection: cache
            key: "user:${inputs.user}"
            fields: [email]
    """
    names = [fields] if isinstance(fields, str) else list(fields)
    if not names:
        raise invalid("`fields` is empty: name at least one field")
    wires = [word(each, "a field's name") for each in names]
    return {"deleted_count": await connection.call("HDEL", connection.keys.wire(key), *wires)}


@task(effect="write", idempotent=False)
async def hincrby(key: str | bytes, field: str, amount: float = 1, *, connection: Handle) -> Counted:
    """Add to a field that counts, which begins at 0.

    Args:
        key: the key
        field: its name
        amount: what to add; a negative number takes away
        connection: a link of the pool (injected)

    Returns:
        value: after the change

    Raises:
        FlowExecutionError: `validation` when the field holds no number

    Example:
        - redis_hincrby:
            id: stock
            connection: cache
            key: stock
            field: "${inputs.article}"
            amount: -1
    """
    wire, name = connection.keys.wire(key), word(field, "`field`")
    if isinstance(amount, int):
        return {"value": await connection.call("HINCRBY", wire, name, amount)}
    return {"value": number(await connection.call("HINCRBYFLOAT", wire, name, word(amount, "`amount`")))}


TASKS = {
    "redis_hgetall": hgetall,
    "redis_hget": hget,
    "redis_hset": hset,
    "redis_hdel": hdel,
    "redis_hincrby": hincrby,
}
