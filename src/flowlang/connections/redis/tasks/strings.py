"""Strings: the plain values of Redis, one by one and many at once, and counters."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from flowlang.connections.redis.handle import Handle
from flowlang.connections.redis.tasks.keys import Success, milliseconds
from flowlang.connections.redis.values import invalid, number, word
from flowlang.tasks.decorator import task

_GROUP = 1000  # keys in one command, so that no command holds the server up for long


class Got(TypedDict):
    """`value`: null when there is none."""

    value: Any
    exists: bool


class GotMany(TypedDict):
    """`values`: in the order of the keys, null where there is none. `found`: how many there are."""

    values: list[Any]
    found: int


class SetMany(TypedDict):
    """`keys_set`: how many keys were written."""

    keys_set: int


class Counted(TypedDict):
    """`value`: after the change."""

    value: float


@task(effect="read", idempotent=True)
async def get(key: str | bytes, *, connection: Handle) -> Got:
    """Read a value.

    Args:
        key: the key
        connection: a link of the pool (injected)

    Returns:
        value: text, or bytes where it is no UTF-8; null when there is none
        exists: whether there is one

    Raises:
        FlowExecutionError: `validation` when the key holds no string but a list, a hash, …

    Example:
        - redis_get:
            id: session
            connection: cache
            key: "session:${inputs.user}"
    """
    value = await connection.call("GET", connection.keys.wire(key))
    return {"value": connection.read(value), "exists": value is not None}


@task(effect="write", idempotent=lambda given: given.get("when", "always") == "always")
async def set_value(
    key: str | bytes,
    value: Any,
    ex: float | None = None,
    when: Literal["always", "absent", "present"] = "always",
    keep_ttl: bool = False,
    *,
    connection: Handle,
) -> Success:
    """Write a value; what was there goes.

    It may be repeated safely, but not with a `when`: the second time that would tell of what the first has done.

    Args:
        key: the key
        value: text and bytes are stored as they are, anything else as its JSON text; null is refused
        ex: seconds until it expires; null: it stays
        when: whether to write at all: `absent` writes only where nothing is, `present` only where something is
        keep_ttl: leave the time that the key had to live
        connection: a link of the pool (injected)

    Returns:
        success: false when `when` forbade it

    Raises:
        FlowExecutionError: `validation` for a value that Redis cannot store

    Example:
        - redis_set:
            id: remember
            connection: cache
            key: "session:${inputs.user}"
            value: "${inputs.session}"
            ex: 3600
    """
    command = ["SET", connection.keys.wire(key), word(value, "`value`")]
    if ex is not None and keep_ttl:
        raise invalid("`ex` gives the key a time to live and `keep_ttl` leaves the one it has: keep one of them")
    if ex is not None:
        command += ["PX", milliseconds(ex, "`ex`")]
    if keep_ttl:
        command.append("KEEPTTL")
    if when not in _WHEN:
        raise invalid(f"`when` is {when!r}; it may be `always`, `absent` or `present`")
    command += _WHEN[when]
    return {"success": await connection.call(*command) == b"OK"}


_WHEN: dict[str, list[str]] = {"always": [], "absent": ["NX"], "present": ["XX"]}


@task(effect="read", idempotent=True)
async def mget(keys: list[str | bytes], *, connection: Handle) -> GotMany:
    """Read many values.

    Args:
        keys: any number of keys; read in groups of 1,000
        connection: a link of the pool (injected)

    Returns:
        values: in the order of the keys, null where there is none
        found: how many there are

    Raises:
        FlowExecutionError: `validation` for what is no key

    Example:
        - redis_mget:
            id: prices
            connection: cache
            keys: ["price:a", "price:b"]
    """
    wanted = connection.keys.wires(keys) if keys else []
    values: list[Any] = []
    for start in range(0, len(wanted), _GROUP):
        values += connection.read(await connection.call("MGET", *wanted[start : start + _GROUP]))
    return {"values": values, "found": len(values) - values.count(None)}


@task(effect="write", idempotent=True)
async def mset(values: dict[str, Any], *, connection: Handle) -> SetMany:
    """Write many values at once: all of them, or none. `redis_batch_set` takes more, and lets them expire.

    Args:
        values: key → value
        connection: a link of the pool (injected)

    Returns:
        keys_set: how many

    Raises:
        FlowExecutionError: `validation` for a value that Redis cannot store; nothing is written then

    Example:
        - redis_mset:
            id: prices
            connection: cache
            values: {"price:a": 10, "price:b": 12}
    """
    flat = [
        each
        for key, value in values.items()
        for each in (connection.keys.wire(key, f"the key `{key}`"), word(value, f"the value of `{key}`"))
    ]
    if flat:
        await connection.call("MSET", *flat)
    return {"keys_set": len(values)}


@task(effect="write", idempotent=False)
async def incr(key: str | bytes, amount: float = 1, *, connection: Handle) -> Counted:
    """Add to a counter, which begins at 0.

    Args:
        key: the key
        amount: what to add; a negative number takes away
        connection: a link of the pool (injected)

    Returns:
        value: after the change

    Raises:
        FlowExecutionError: `validation` when the key holds no number, or the sum leaves 64 bits

    Example:
        - redis_incr:
            id: visits
            connection: cache
            key: "visits:${inputs.page}"
    """
    wire = connection.keys.wire(key)
    if isinstance(amount, int):
        return {"value": await connection.call("INCRBY", wire, amount)}
    return {"value": number(await connection.call("INCRBYFLOAT", wire, word(amount, "`amount`")))}


TASKS = {
    "redis_get": get,
    "redis_set": set_value,
    "redis_mget": mget,
    "redis_mset": mset,
    "redis_incr": incr,
}
