"""Keys of Redis through flows, beside the same work with redis-py alone, on the server of the tests."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flowlang
from harness import BENCH, Figure, in_turn, run, seconds

sys.path.insert(0, str(BENCH.parent))  # the server of the tests

KEYS = 100_000
GROUP = 1000  # keys in one command, ours and by hand
REQUESTS = 1000
HEAD = """\
flow: keys
connections: {{cache: {{type: redis, url: "{url}"}}}}
inputs:
  - {{name: rows, type: array, default: []}}
  - {{name: keys, type: array, default: []}}
steps:
"""
STEP = '  - redis_get: {{id: s{n}, key: "small:{key}"}}\n'
LOOP = """\
  - for_each: "${{range({count})}}"
    as: n
    max_concurrency: {at_once}
    do:
      - redis_get: {{key: "small:${{n % 100}}"}}
"""
SET = '  - redis_batch_set: {records: "${inputs.rows}"}\n'
READ = '  - redis_mget: {keys: "${inputs.keys}"}\n'


@contextmanager
def service() -> Iterator[str]:
    """The server; gives its URL."""
    from tests.servers.redis import Redis

    with tempfile.TemporaryDirectory() as folder:
        server = Redis(Path(folder) / "server")
        Redis.require()
        server.start()
        try:
            yield server.url
        finally:
            server.remove()


def cache() -> list[Figure]:
    """One key after the other, in a loop, side by side, and many at once."""
    with service() as url:
        _filled(url)
        return [_steps(url), _loop(url, 1), _loop(url, 16), _set(url), _read(url)]


def _filled(url: str) -> None:
    from redis import Redis

    with Redis.from_url(url) as client:
        client.mset({f"small:{n}": f"value {n}" for n in range(100)})


async def _bare_get(url: str, at_once: int) -> None:
    """So many workers, each with a link of the driver's pool while a command lasts."""
    import asyncio

    from redis.asyncio import Redis

    numbers = iter(range(REQUESTS))
    async with Redis.from_url(url, decode_responses=True) as client:

        async def work() -> None:
            for number in numbers:
                await client.get(f"small:{number % 100}")

        await asyncio.gather(*(work() for _ in range(at_once)))


async def _bare_set(url: str, rows: list[dict[str, Any]]) -> None:
    from redis.asyncio import Redis

    async with Redis.from_url(url, decode_responses=True) as client:
        for start in range(0, len(rows), GROUP):
            await client.mset({row["key"]: row["value"] for row in rows[start : start + GROUP]})


async def _bare_read(url: str, keys: list[str]) -> list[str | None]:
    from redis.asyncio import Redis

    found: list[str | None] = []
    async with Redis.from_url(url, decode_responses=True) as client:
        for start in range(0, len(keys), GROUP):
            found += await client.mget(keys[start : start + GROUP])
    return found


def _steps(url: str) -> Figure:
    steps = "".join(STEP.format(n=n, key=n % 100) for n in range(REQUESTS))
    flow = flowlang.load(text=HEAD.format(url=url) + steps)
    measured = in_turn(7, lambda: _bare_get(url, 1), lambda: run(flow))
    how = f"{REQUESTS:,} steps with one `redis_get` each, one link; whole run / steps; 7 rounds"
    return _each("`redis_get` as a step, warm pool", measured.of(0), measured.of(1), measured.ratio(1), 1.3, how)


def _loop(url: str, at_once: int) -> Figure:
    flow = flowlang.load(text=HEAD.format(url=url) + LOOP.format(count=REQUESTS, at_once=at_once))
    measured = in_turn(7, lambda: _bare_get(url, at_once), lambda: run(flow))
    how = f"`for_each` over {REQUESTS:,} numbers, `max_concurrency: {at_once}`; whole run / reads; 7 rounds"
    what = "1,000 `redis_get` in `for_each`" if at_once == 1 else f"1,000 `redis_get`, {at_once} at once"
    target = 1.3 if at_once == 1 else 1.2
    return _each(what, measured.of(0), measured.of(1), measured.ratio(1), target, how)


def _each(what: str, floor: float, ours: float, ratio: float, target: float, how: str) -> Figure:
    alone = f"redis-py alone: {seconds(floor / REQUESTS)}"
    return Figure(what, alone, seconds(ours / REQUESTS), ratio, "×", target, how)


def _set(url: str) -> Figure:
    rows = [{"key": f"many:{n}", "value": f"customer {n}"} for n in range(KEYS)]
    flow = flowlang.load(text=HEAD.format(url=url) + SET)
    measured = in_turn(5, lambda: _bare_set(url, rows), lambda: run(flow, inputs={"rows": rows}))
    how = f"{KEYS:,} records from one list of objects, {GROUP:,} at a time; 5 rounds"
    floor = f"`MSET` with redis-py alone: {seconds(measured.of(0))}"
    return Figure("`redis_batch_set`", floor, seconds(measured.of(1)), measured.ratio(1), "×", 1.2, how)


def _read(url: str) -> Figure:
    keys = [f"many:{n}" for n in range(KEYS)]
    flow = flowlang.load(text=HEAD.format(url=url) + READ)
    measured = in_turn(5, lambda: _bare_read(url, keys), lambda: run(flow, inputs={"keys": keys}))
    how = f"{KEYS:,} keys from one list, {GROUP:,} at a time, to a list of texts; 5 rounds"
    floor = f"`MGET` with redis-py alone: {seconds(measured.of(0))}"
    return Figure("`redis_mget`", floor, seconds(measured.of(1)), measured.ratio(1), "×", 1.15, how)
