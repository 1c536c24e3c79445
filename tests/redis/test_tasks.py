"""What the tasks do on a real Redis."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import flowlang
from flowlang.connections import plugin_registry
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.stream import Stream
from flowlang.tasks.values import Sql

TASKS = plugin_registry.tasks("redis")


@pytest.mark.parametrize("name", sorted(TASKS))
def test_each_task_is_fully_specified(name: str) -> None:
    """Parameters and outputs described, effect stated, an example that names this very task and passes the check."""
    spec = TASKS[name]
    assert spec.summary
    assert spec.injects == {"connection"}
    assert spec.effect in ("read", "write")
    assert spec.idempotent is not None
    assert set(spec.returns) == set(spec.outputs or ())
    assert all(each.description for each in spec.parameters)
    assert spec.example is not None
    assert spec.example.startswith(f"- {name}:")
    names = ("user", "session", "page", "name", "email", "article", "job", "tag", "now", "player", "order", "last")
    names += ("worker", "ids", "token", "event", "prices")
    kinds = {"ids": "array, items: {type: string}", "prices": "array, items: {type: object}", "now": "number"}
    inputs = "".join(f"  - {{name: {each}, type: {kinds.get(each, 'string')}, required: true}}\n" for each in names)
    steps = "".join(f"  {line}\n" for line in spec.example.splitlines())
    text = (
        f"flow: f\nconnections:\n  cache: {{type: redis, url: 'redis://localhost'}}\ninputs:\n{inputs}steps:\n{steps}"
    )
    found = flowlang.check(text=text)
    assert [str(each.message) for each in found.findings if each.severity == "error"] == []


async def test_writing_and_reading_a_value(cache: Any) -> None:
    """With its conditions and its time to live."""
    assert await cache.run("redis_get", key="k") == {"value": None, "exists": False}
    assert await cache.run("redis_set", key="k", value="a", when="present") == {"success": False}
    assert await cache.run("redis_set", key="k", value="a", ex=100) == {"success": True}
    assert await cache.run("redis_set", key="k", value="b", when="absent") == {"success": False}
    assert await cache.run("redis_set", key="k", value="b", keep_ttl=True) == {"success": True}
    left = await cache.run("redis_ttl", key="k")
    assert 0 < left["seconds"] <= 100
    assert await cache.run("redis_persist", key="k") == {"success": True}
    assert await cache.run("redis_ttl", key="k") == {"seconds": None, "exists": True}
    assert await cache.run("redis_expire", key="k", seconds=0.5) == {"success": True}
    assert await cache.run("redis_expire", key="none", seconds=5) == {"success": False}
    assert await cache.run("redis_ttl", key="none") == {"seconds": None, "exists": False}
    assert await cache.run("redis_get", key="k") == {"value": "b", "exists": True}


async def test_keys_are_counted(cache: Any) -> None:
    """One or several."""
    await cache.run("redis_mset", values={"a": 1, "b": 2})
    assert await cache.run("redis_exists", keys=["a", "b", "c"]) == {"count": 2, "exists": False}
    assert await cache.run("redis_mget", keys=["b", "c", "a"]) == {"values": ["2", None, "1"], "found": 2}
    assert await cache.run("redis_delete", keys=["a", "c"]) == {"deleted_count": 1}


async def test_counters(cache: Any) -> None:
    """Whole numbers and fractions."""
    assert await cache.run("redis_incr", key="n") == {"value": 1}
    assert await cache.run("redis_incr", key="n", amount=-3) == {"value": -2}
    assert await cache.run("redis_incr", key="n", amount=0.5) == {"value": -1.5}
    assert await cache.run("redis_hincrby", key="h", field="f", amount=4) == {"value": 4}
    assert await cache.run("redis_hincrby", key="h", field="f", amount=0.25) == {"value": 4.25}


async def test_hashes(cache: Any) -> None:
    """Fields come and go."""
    assert await cache.run("redis_hset", key="h", mapping={"a": 1, "b": "x"}) == {"fields_set": 2}
    assert await cache.run("redis_hset", key="h", mapping={"a": 2, "c": [1]}) == {"fields_set": 1}
    assert await cache.run("redis_hget", key="h", field="a") == {"value": "2", "exists": True}
    assert await cache.run("redis_hdel", key="h", fields=["b", "z"]) == {"deleted_count": 1}
    assert await cache.run("redis_hgetall", key="h") == {"hash": {"a": "2", "c": "[1]"}}
    assert await cache.run("redis_hgetall", key="none") == {"hash": {}}


async def test_lists(cache: Any) -> None:
    """Both ends, several at once."""
    assert await cache.run("redis_rpush", key="l", values=["a", "b", "c"]) == {"length": 3}
    assert await cache.run("redis_lpush", key="l", values="z") == {"length": 4}
    assert await cache.run("redis_lrange", key="l", start=1, stop=-2) == {"values": ["a", "b"], "count": 2}
    assert await cache.run("redis_lpop", key="l") == {"value": "z", "values": ["z"], "count": 1}
    assert await cache.run("redis_rpop", key="l", count=9) == {"value": "c", "values": ["c", "b", "a"], "count": 3}
    assert await cache.run("redis_lpop", key="l") == {"value": None, "values": [], "count": 0}
    assert await cache.run("redis_llen", key="l") == {"length": 0}


async def test_waiting_for_an_item(opened: Any) -> None:
    """Longer than the time of one command; nothing comes, or something does."""
    cache = await opened(socket_timeout=0.2, key_prefix="p:")
    nothing = await cache.run("redis_brpop", keys=["l"], timeout=0.3)
    assert nothing == {"key": None, "value": None, "found": False}
    waiting = asyncio.create_task(cache.run("redis_blpop", keys=["l", "m"], timeout=60))
    await cache.run("redis_rpush", key="m", values=["x"])
    assert await waiting == {"key": "m", "value": "x", "found": True}


async def test_sets(cache: Any) -> None:
    """Members, each once."""
    assert await cache.run("redis_sadd", key="s", members=["a", "b", "a"]) == {"added_count": 2}
    assert await cache.run("redis_sismember", key="s", member="a") == {"exists": True}
    assert await cache.run("redis_srem", key="s", members="a") == {"removed_count": 1}
    assert await cache.run("redis_smembers", key="s") == {"members": ["b"], "count": 1}
    assert await cache.run("redis_scard", key="s") == {"count": 1}


async def test_sorted_sets(cache: Any) -> None:
    """By place and by score."""
    assert await cache.run("redis_zadd", key="z", scores={"a": 1, "b": 2.5, "c": float("inf")}) == {"added_count": 3}
    top = await cache.run("redis_zrange", key="z", stop=1, reverse=True)
    assert top == {"members": [{"member": "c", "score": float("inf")}, {"member": "b", "score": 2.5}], "count": 2}
    low = await cache.run("redis_zrangebyscore", key="z", highest=2.5, limit=1)
    assert low["members"] == [{"member": "a", "score": 1}]
    assert await cache.run("redis_zincrby", key="z", member="a", amount=2) == {"score": 3, "exists": True}
    assert await cache.run("redis_zscore", key="z", member="q") == {"score": None, "exists": False}
    assert await cache.run("redis_zrem", key="z", members=["a", "q"]) == {"removed_count": 1}
    assert await cache.run("redis_zcard", key="z") == {"count": 2}
    with pytest.raises(FlowExecutionError, match="score of `a`"):
        await cache.run("redis_zadd", key="z", scores={"a": "high"})


async def test_streams_and_their_groups(cache: Any) -> None:
    """Each entry goes to one consumer, until it is acknowledged; another may take it over."""
    assert await cache.run("redis_xgroup_create", key="x", group="g") == {"created": True}
    assert await cache.run("redis_xgroup_create", key="x", group="g") == {"created": False}
    ids = [(await cache.run("redis_xadd", key="x", fields={"n": n}))["id"] for n in range(3)]
    found = await cache.run("redis_xrange", key="x", count=2)
    assert [each["fields"] for each in found["entries"]] == [{"n": "0"}, {"n": "1"}]
    assert (await cache.run("redis_xread", key="x", after=found["last_id"]))["last_id"] == ids[2]
    nothing = {"entries": [], "count": 0, "last_id": None}
    assert await cache.run("redis_xread", key="x", after="$", timeout=0.01) == nothing
    took = await cache.run("redis_xreadgroup", key="x", group="g", consumer="a", count=2)
    assert [each["id"] for each in took["entries"]] == ids[:2]
    other = await cache.run("redis_xreadgroup", key="x", group="g", consumer="b")
    assert [each["id"] for each in other["entries"]] == ids[2:]
    assert await cache.run("redis_xack", key="x", group="g", ids=ids[0]) == {"acked_count": 1}
    again = await cache.run("redis_xreadgroup", key="x", group="g", consumer="a", pending=True)
    assert [each["id"] for each in again["entries"]] == ids[1:2]
    with pytest.raises(FlowExecutionError, match="NOGROUP") as caught:
        await cache.run("redis_xreadgroup", key="x", group="h", consumer="a")
    assert caught.value.error_class == "not_found"
    assert await cache.run("redis_xlen", key="x") == {"length": 3}


async def test_a_pipeline_runs_together(opened: Any, server: Any) -> None:
    """Isolated or not, keys with the prefix, and each answer in its place."""
    cache = await opened(key_prefix="p:")
    for atomic in (True, False):
        await server.flushdb()
        commands = [["set", "a", [1]], ["INCRBY", "n", 2], ["MSET", "b", 1, "c", 2], ["DEL", "b", "q"], ["GET", "a"]]
        done = await cache.run("redis_pipeline", commands=commands, atomic=atomic)
        assert done == {"results": ["OK", 2, "OK", 1, "[1]"], "count": 5}
        assert sorted(await server.keys()) == [b"p:a", b"p:c", b"p:n"]


@pytest.mark.parametrize(
    "command",
    [["SELECT", 1], ["FLUSHALL"], ["MULTI"], ["WATCH", "k"], ["SUBSCRIBE", "c"], ["EVAL", "return 1", 0],
     ["CONFIG", "GET"], ["BLPOP", "k", 0], ["SORT", "k"], ["GET"], ["GET", ""], ["get k"], [], "GET k", [1]],
    ids=str,
)  # fmt: skip
async def test_what_may_not_stand_in_a_pipeline_is_refused(cache: Any, server: Any, command: Any) -> None:
    """By its number, and nothing is sent."""
    with pytest.raises(FlowExecutionError, match="item 2 of `commands`") as caught:
        await cache.run("redis_pipeline", commands=[["SET", "k", "v"], command])
    assert caught.value.error_class == "validation"
    assert await server.dbsize() == 0


async def test_a_pipeline_that_fails_says_what_was_done(cache: Any, server: Any) -> None:
    """A command the server does not take keeps all from being run; one that fails while it runs does not."""
    await cache.run("redis_rpush", key="l", values="x")
    with pytest.raises(FlowExecutionError, match="SET") as caught:
        await cache.run("redis_pipeline", commands=[["SET", "a", 1], ["SET", "b"]])
    assert "nothing was done" in caught.value.__notes__[-1]
    with pytest.raises(FlowExecutionError, match="WRONGTYPE") as caught:
        await cache.run("redis_pipeline", commands=[["SET", "c", 1], ["INCR", "l"], ["SET", "d", 1]])
    assert "command 2 of 3" in caught.value.__notes__[-1]
    assert sorted(await server.keys()) == [b"c", b"d", b"l"]


async def test_a_lock_has_one_holder(cache: Any, server: Any) -> None:
    """Who does not hold it cannot give it back, nor keep it longer."""
    mine = await cache.run("redis_lock", key="l", ttl=60)
    assert mine["acquired"]
    assert await cache.run("redis_lock", key="l", wait=0.02) == {"token": None, "acquired": False}
    assert await cache.run("redis_unlock", key="l", token="other") == {"released": False}
    assert await cache.run("redis_lock_extend", key="l", token="other", ttl=1) == {"extended": False}
    assert await cache.run("redis_lock_extend", key="l", token=mine["token"], ttl=600) == {"extended": True}
    assert await server.ttl("l") > 60
    waiting = asyncio.create_task(cache.run("redis_lock", key="l", wait=60))
    assert await cache.run("redis_unlock", key="l", token=mine["token"]) == {"released": True}
    assert (await waiting)["acquired"]


async def test_a_script_is_never_made_from_data(opened: Any) -> None:
    """Its arguments are."""
    cache = await opened(key_prefix="p:")
    script = "return {KEYS[1], ARGV[1]}"
    assert await cache.run("redis_eval", script=script, keys=["k"], args=["x'; "]) == {"result": ["p:k", "x'; "]}
    with pytest.raises(FlowExecutionError, match="expression"):
        await cache.run("redis_eval", script=Sql(("return ", ""), ("1",)))
    text = """
flow: f
connections: {cache: {type: redis, url: "redis://127.0.0.1:1"}}
inputs: [{name: code, type: string}]
steps:
  - redis_eval: {id: e, connection: cache, script: "${inputs.code}"}
"""
    assert "comes from data" in flowlang.check(text=text).findings[0].message


async def test_publish_reaches_who_listens(cache: Any, server: Any) -> None:
    """And tells how many."""
    assert await cache.run("redis_publish", channel="c", message="x") == {"receivers": 0}
    async with server.pubsub() as listener:
        await listener.subscribe("c")
        await listener.get_message(timeout=5)
        assert await cache.run("redis_publish", channel="c", message={"a": 1}) == {"receivers": 1}
        assert (await listener.get_message(timeout=5))["data"] == b'{"a": 1}'


@pytest.mark.parametrize("prefix", ["", "p:"])
@pytest.mark.parametrize("ex", [None, 100])
async def test_many_records_go_in_and_come_back(opened: Any, server: Any, prefix: str, ex: float | None) -> None:
    """From a list and from a stream, in groups."""
    cache = await opened(key_prefix=prefix)
    records = [{"sku": f"k{n}", "price": n if n % 2 else f"ü{n}"} for n in range(2500)]
    names = {"key_field": "sku", "value_field": "price", "ex": ex}
    assert await cache.run("redis_batch_set", records=records, **names) == {"set_count": 2500, "batches": 3}

    async def source() -> Any:
        for start in range(0, 2500, 700):
            yield [{"sku": each["sku"] + "s", "price": each["price"]} for each in records[start : start + 700]]

    done = await cache.run("redis_batch_set", records=Stream(source()), **names, batch_size=1000)
    assert done == {"set_count": 2500, "batches": 3}
    rows = [row async for batch in cache.stream("redis_stream", match="k*") for row in batch]
    expected = {each["sku"] + end: str(each["price"]) for each in records for end in ("", "s")}
    assert {row["key"]: row["value"] for row in rows} == expected
    assert (await server.ttl(f"{prefix}k1") > 0) is (ex is not None)


@pytest.mark.parametrize(
    ("record", "message"),
    [({"key": "a"}, "record 3 has no `value`"), ({"key": "a", "value": None}, "null"),
     ({"key": "", "value": 1}, "empty"), ({"key": 7, "value": 1}, "a key is text"), ("text", "record 3 is str")],
    ids=["missing", "null", "empty", "number", "text"],
)  # fmt: skip
async def test_a_record_that_cannot_be_written_is_named(cache: Any, server: Any, record: Any, message: str) -> None:
    """And its group is not sent."""
    records = [{"key": "x", "value": 1}, {"key": "y", "value": 2}, record]
    with pytest.raises(FlowExecutionError, match=message) as caught:
        await cache.run("redis_batch_set", records=records)
    assert caught.value.error_class == "validation"
    assert await server.dbsize() == 0


async def test_the_example_runs_on_an_empty_server(redis_url: str, tmp_path: Any) -> None:
    """As `connection example` writes it."""
    path = plugin_registry.get("redis").scaffold_example_flow(str(tmp_path), "store")
    result = await flowlang.run(path, env={"REDIS_URL": redis_url})
    assert result.status == "succeeded", result.failure or result.findings
    assert result.outputs == {"visits": 1, "last": "Ada", "visitor": {"name": "Ada", "city": "London"}}
