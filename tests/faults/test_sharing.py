"""Runs that share a pool, on the real services: counted at the server, and blind to what each other left behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

import flowlang

from .conftest import FAULT, RETRIED, Place
from .services import SERVICES

SIZE, RUNS = 4, 100


async def test_a_hundred_runs_at_once_have_one_pool(place: Place) -> None:
    """Threat 30: the bound holds for all of them together, and what follows opens nothing more."""
    bound = SIZE + place.service.watchers
    service = {"type": place.service.kind, **place.config, place.service.pool_key: SIZE}
    text = json.dumps({"flow": "read", "connections": {"service": service}, "steps": [place.service.read]})
    flow = flowlang.load(text=text)
    before, count = place.proxy.accepted, place.service.links
    async with flowlang.Pools() as pools:
        results = await asyncio.gather(*(flowlang.run(flow, pools=pools) for _ in range(RUNS)))
        results += [await flowlang.run(flow, pools=pools) for _ in range(10)]
        assert 0 < place.proxy.accepted - before <= bound
        assert 0 < (place.proxy.links if count is None else await count(place.direct)) <= bound
    assert [each.failure for each in results if not each.succeeded] == []


async def test_a_run_that_fails_or_is_cancelled_leaves_the_others_alone(place: Place) -> None:
    size = {place.service.pool_key: SIZE}

    async def dies() -> None:
        raise LookupError

    async with flowlang.Pools() as pools:
        async with asyncio.timeout(60):
            doomed = [
                asyncio.ensure_future(
                    place.run(place.service.read, FAULT, fault=[asyncio.Event().wait], pools=pools, **size)
                )
                for _ in range(5)
            ]
            failing = [place.run(place.service.read, FAULT, fault=[dies], pools=pools, **size) for _ in range(5)]
            well = [place.run(*[place.service.read] * 3, pools=pools, **size) for _ in range(20)]
            ended = asyncio.gather(*failing, *well)
            await asyncio.sleep(0)
            for each in doomed:
                each.cancel()
            results = await ended
        await asyncio.wait(doomed)
        assert [each.status for each in results] == ["failed"] * 5 + ["succeeded"] * 20
        await place.ok(place.service.read, pools=pools, **size)


async def test_links_that_broke_between_two_runs_are_not_handed_on(place: Place) -> None:
    async with flowlang.Pools() as pools:
        read = {**place.service.read, **RETRIED}
        for _ in range(2):
            await place.ok(read, read, pools=pools)
            await place.proxy.sever()
        await place.ok(read, pools=pools)


async def test_a_service_that_is_away_is_told_to_all_and_found_again(place: Place) -> None:
    place.proxy.refuse = True
    alone = await place.failed(place.service.read)
    async with flowlang.Pools() as pools:
        results = await asyncio.gather(*(place.run(place.service.read, pools=pools) for _ in range(20)))
        failures = [(each.failure.type, each.failure.retryable) for each in results if each.failure is not None]
        assert failures == [(alone.type, True)] * 20
        place.proxy.heal()
        await place.ok(place.service.read, pools=pools)


# ---------------------------------------------------------------- what a run leaves in its session


@dataclass(frozen=True)
class Leaving:
    """`prepare`: steps once. `leave`: what a run does to its session, step by step, each in a run of its own. `shows`:
    a step whose output is the state of a session, and `at`, where it stands."""

    kind: str
    leave: Sequence[Mapping[str, Any]]
    shows: Mapping[str, Any]
    at: str
    prepare: Sequence[Mapping[str, Any]] = ()


@flowlang.task(effect="write")
async def redis_say(words: list[Any], connection: Any) -> dict[str, Any]:
    """Whatever a user's own task may say."""
    return {"answer": str(await connection.call(*words))}


@flowlang.task(effect="write")
async def mongo_begin(connection: Any) -> None:
    """Begin a session and forget about it."""
    connection.session = connection.database.client.start_session()


@flowlang.task(effect="read")
async def mongo_session(connection: Any) -> dict[str, Any]:
    return {"there": connection.session is not None}


@flowlang.task(effect="write")
async def sql_begin(connection: Any) -> None:
    """Begin a transaction and forget about it."""
    await connection.begin()


@flowlang.task(effect="write")
async def pg_tinker(connection: Any) -> None:
    """What is no statement: a listener and a codec, kept by the driver."""
    await connection.driver.add_listener("heard", print)
    await connection.driver.set_type_codec("int8", schema="pg_catalog", encoder=str, decoder=lambda _: -1)


def _pg(*statements: str) -> list[dict[str, Any]]:
    return [{"pg_execute": {"query": each}} for each in statements]


def _mysql(*statements: str) -> list[dict[str, Any]]:
    return [{"mysql_execute": {"query": each}} for each in statements]


POSTGRES_SESSION = """\
SELECT current_setting('search_path') AS path, current_setting('transaction_read_only') AS read_only, 7::int8 AS seven,
  to_regclass('pg_temp.scratch') IS NULL AS no_table, now() = statement_timestamp() AS alone,
  (SELECT count(*)::text FROM pg_listening_channels()) AS channels,
  coalesce(current_setting('flow.sly', true), '') AS sly,
  (SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks,
  (SELECT count(*)::text FROM pg_cursors WHERE name = 'kept') AS cursors,
  (SELECT count(*)::text FROM pg_prepared_statements WHERE name = 'left_behind') AS prepared
"""
MYSQL_SESSION = """\
SELECT @left AS variable, @@session.time_zone AS zone, DATABASE() AS place, @@in_transaction AS inside, @sly AS sly,
  (SELECT COUNT(*) FROM writes WHERE n = 0) AS own, LAST_INSERT_ID() AS last, @@session.sql_mode AS mode,
  IS_USED_LOCK(CONCAT('left-', DATABASE())) = CONNECTION_ID() AS locked
"""
LEAVINGS = [
    Leaving(
        "postgres",
        [
            *_pg(
                "SET search_path = pg_catalog", "CREATE TEMP TABLE scratch AS SELECT 1", "LISTEN heard",
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "INSERT INTO numbered (v) VALUES (1)",
                "PREPARE left_behind AS SELECT 1", "DECLARE kept CURSOR WITH HOLD FOR SELECT 1",
            ),
            {"pg_query": {"query": "SELECT pg_advisory_lock(7)"}},
            {"pg_query": {"query": "SELECT v FROM sly"}},  # it makes a setting, which cannot be seen from outside
            {"sql_begin": {"connection": "service"}},
            {"pg_tinker": {"connection": "service"}},
        ],
        {"pg_query": {"query": POSTGRES_SESSION}},
        "rows",
        _pg(
            "CREATE TABLE numbered (id serial, v int)",
            "CREATE FUNCTION slyly() RETURNS int LANGUAGE sql AS "
            "$$ SELECT set_config('flow.sly', 'yes', false); SELECT 1 $$",
            "CREATE VIEW sly AS SELECT slyly() AS v",
        ),
    ),
    Leaving(
        "mysql",
        [
            *_mysql(
                "SET @left = 1", "SET time_zone = '+05:00'", "USE information_schema",
                "CREATE TEMPORARY TABLE writes (other INTEGER)", "INSERT INTO numbered (v) VALUES (5)",
                "SET SESSION sql_mode = ''",
            ),
            {"sql_begin": {"connection": "service"}},
            {"mysql_query": {"query": "SELECT GET_LOCK(CONCAT('left-', DATABASE()), 0) AS got"}},
        ],
        {"mysql_query": {"query": MYSQL_SESSION}},
        "rows",
        _mysql(
            "CREATE TABLE numbered (id INTEGER AUTO_INCREMENT PRIMARY KEY, v INTEGER)",
            "CREATE TRIGGER sly BEFORE INSERT ON numbered FOR EACH ROW SET @sly = 1",
        ),
    ),
    Leaving(
        "redis",
        [
            {"redis_say": {"connection": "service", "words": each}}
            for each in (["SELECT", 14], ["WATCH", "k"], ["MULTI"], ["CLIENT", "SETNAME", "other"], ["SUBSCRIBE", "x"],
                         ["HELLO", 2])
        ],
        {"redis_say": {"connection": "service", "words": ["GET", "k"]}},
        "answer",
        [{"redis_set": {"key": "k", "value": "own"}}],
    ),
    Leaving("mongodb", [{"mongo_begin": {"connection": "service"}}], {"mongo_session": {"connection": "service"}},
            "there"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "leaving"),
    [(each, leaving) for each in SERVICES for leaving in LEAVINGS if leaving.kind == each.kind],
    ids=lambda each: each.kind,
    indirect=["service"],
)
async def test_nothing_that_one_run_leaves_is_seen_by_the_next(place: Place, leaving: Leaving) -> None:
    """Threat 30: settings, transactions, temporary tables, locks, channels, databases; on one link for all runs."""
    size = {place.service.pool_key: 1}
    more: dict[str, Any] = {"tasks": [redis_say, mongo_begin, mongo_session, sql_begin, pg_tinker], **size}
    shows: dict[str, Any] = {name: {**given, "id": "shown"} for name, given in leaving.shows.items()}
    shown: dict[str, Any] = {"outputs": {"shown": f"${{shown.{leaving.at}}}"}, **more}
    if leaving.prepare:
        await place.ok(*leaving.prepare)
    fresh = (await place.ok(shows, **shown)).outputs
    for step in leaving.leave:
        async with flowlang.Pools() as pools:
            await place.ok(step, pools=pools, **more)
            after = (await place.ok(shows, pools=pools, **shown)).outputs
        assert after == fresh, step
