"""The commands that may stand in a pipeline, and which of their arguments are keys.

What is not here cannot be sent: commands that change the session (SELECT, MULTI, WATCH, SUBSCRIBE), that wait
(BLPOP), that run code (EVAL) or that govern the server (CONFIG, FLUSHALL), and those whose keys no rule finds. So
a prefix holds for every key, and a link is as good as new after any of them.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from flowlang.connections.redis.values import invalid

_FIRST = """
APPEND BITCOUNT BITFIELD BITPOS DECR DECRBY DUMP EXPIRE EXPIREAT EXPIRETIME GEOADD GEODIST GEOHASH GEOPOS
GEOSEARCH GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL HEXISTS HGET HGETALL HINCRBY HINCRBYFLOAT HKEYS HLEN
HMGET HMSET HRANDFIELD HSCAN HSET HSETNX HSTRLEN HVALS INCR INCRBY INCRBYFLOAT LINDEX LINSERT LLEN LPOP LPOS
LPUSH LPUSHX LRANGE LREM LSET LTRIM PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PFADD PSETEX PTTL RPOP RPUSH RPUSHX
SADD SCARD SET SETBIT SETEX SETNX SETRANGE SISMEMBER SMEMBERS SMISMEMBER SPOP SRANDMEMBER SREM SSCAN STRLEN
TTL TYPE XACK XADD XDEL XLEN XRANGE XREVRANGE XTRIM ZADD ZCARD ZCOUNT ZINCRBY ZLEXCOUNT ZMSCORE ZPOPMAX
ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK
ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE
""".split()
_ALL = "DEL EXISTS MGET PFCOUNT PFMERGE SDIFF SDIFFSTORE SINTER SINTERSTORE SUNION SUNIONSTORE TOUCH UNLINK".split()
_EVERY_OTHER = ["MSET", "MSETNX"]
_TWO = "COPY GEOSEARCHSTORE LMOVE RENAME RENAMENX RPOPLPUSH SMOVE ZRANGESTORE".split()
_NONE = ["PING", "TIME"]
# name → how many keys from the first argument on (0: all), and the distance from one to the next
_RULES: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(_FIRST, (1, 1)),
    **dict.fromkeys(_TWO, (2, 1)),
    **dict.fromkeys(_ALL, (0, 1)),
    **dict.fromkeys(_EVERY_OTHER, (0, 2)),
    **dict.fromkeys(_NONE, (-1, 1)),
}


def keys_of(name: str, words: int, what: str) -> Container[int]:
    """The places of the keys in a command of so many `words`, its name included.

    Raises FlowExecutionError (`validation`), which calls the command `what`, for one that may not stand here.
    """
    rule = _RULES.get(name)
    if rule is None:
        raise invalid(f"{what} is `{name[:40]}`, which cannot stand in a pipeline: it may read and write keys only")
    count, distance = rule
    if count < 0:
        return ()
    places = range(1, words if count == 0 else min(words, 1 + count), distance)
    if not places:
        raise invalid(f"{what}: `{name}` names no key")
    return places
