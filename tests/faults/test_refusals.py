"""What a server refuses while others use it too: the class, and whether another attempt may help."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.servers.process import Server

import flowlang
from flowlang.exceptions import Failure

from .services import mysql_value, postgres_value

OTHER: dict[str, Any] = {"fault": {}}
PREFIX = {"postgres": "pg", "mysql": "mysql", "sqlite": "sqlite"}
ROW = "UPDATE r SET v = v + 1 WHERE id = {}"
TRANSIENT = ("conflict", True)
Run = Callable[[str], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """`others`: what another session has done, its transaction open. `steps`: statements of the flow's transaction; at
    `OTHER` the other session does `meanwhile`, the last of which waits for the flow when it is `stuck`."""

    fault: str
    kind: str
    expected: tuple[str, bool]
    steps: Sequence[Any]
    others: Sequence[str] = ()
    meanwhile: Sequence[str] = ()
    stuck: bool = False
    config: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case(
        "deadlock", "postgres", TRANSIENT,
        ["SET LOCAL deadlock_timeout = '20ms'", ROW.format(2), OTHER, ROW.format(1)],
        ["SET LOCAL deadlock_timeout = '60s'", ROW.format(1)], [ROW.format(2)], stuck=True,
    ),
    Case(
        "deadlock", "mysql", TRANSIENT,  # the victim is who has changed fewer rows
        [ROW.format(2), OTHER, ROW.format(1)],
        [ROW.format(1), ROW.format(3), ROW.format(4)], [ROW.format(2)], stuck=True,
    ),
    Case(
        "serialization failure", "postgres", TRANSIENT,
        ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "UPDATE r SET v = 0 WHERE id = 3", OTHER, ROW.format(1)],
        [], [ROW.format(1), "COMMIT"],
    ),
    Case("lock wait", "postgres", TRANSIENT, ["SET LOCAL lock_timeout = '50ms'", ROW.format(1)], [ROW.format(1)]),
    Case("lock wait", "mysql", TRANSIENT, ["SET innodb_lock_wait_timeout = 1", ROW.format(1)], [ROW.format(1)]),
    Case("lock wait", "sqlite", TRANSIENT, [ROW.format(1)], [ROW.format(1)], config={"timeout": 0.05}),
    Case("read-only", "postgres", ("permission", False), ["SET TRANSACTION READ ONLY", ROW.format(1)]),
    Case("read-only", "sqlite", ("permission", False), [ROW.format(1)], config={"read_only": True}),
    Case("statement limit", "postgres", ("timeout", True), ["SET LOCAL statement_timeout = 50", "SELECT pg_sleep(9)"]),
    Case("statement limit", "mysql", ("timeout", True),
         ["SET STATEMENT max_statement_time = 0.1 FOR SELECT SLEEP(9)"]),
]  # fmt: skip
FILL = ["CREATE TABLE r (id INTEGER PRIMARY KEY, v INTEGER)", "INSERT INTO r VALUES (1, 0), (2, 0), (3, 0), (4, 0)"]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return str(tmp_path / "r.db")


@pytest.fixture
def url(case: Case, request: pytest.FixtureRequest) -> str:
    """The URL of an empty place on the server of a case."""
    return str(request.getfixturevalue(f"{case.kind}_url"))


@pytest.mark.parametrize("case", CASES, ids=lambda each: f"{each.kind} {each.fault}")
async def test_what_others_do_has_its_class(case: Case, url: str, record_property: Any) -> None:
    """Threat 36."""
    async with session(case.kind, url) as other:
        for statement in FILL:
            await other(statement)
        await other("BEGIN")
        for statement in case.others:
            await other(statement)
        waiting: list[asyncio.Task[Any]] = []

        async def meanwhile() -> None:
            for statement in case.meanwhile:
                task = asyncio.ensure_future(other(statement))
                waiting.append(task)
                if not case.stuck:
                    await task
            while case.stuck and not await _is_stuck(case.kind, url):  # noqa: ASYNC110 - the server does not tell
                await asyncio.sleep(0.02)

        steps = [each if each is OTHER else {f"{PREFIX[case.kind]}_execute": {"query": each}} for each in case.steps]
        config = {"database": url} if case.kind == "sqlite" else {"url": url}
        failure = await failed(case.kind, config | case.config, [{"transaction": "service", "do": steps}], meanwhile)
        await asyncio.gather(*waiting)
        await other("ROLLBACK")
    record_property(
        "fault", f"{case.fault}|{case.kind}|{failure.type} ({'retryable' if failure.retryable else 'final'})"
    )
    assert (failure.type, failure.retryable) == case.expected, failure
    assert not failure.outcome_unknown or failure.type == "timeout"


async def failed(kind: str, config: dict[str, Any], steps: list[Any], fault: Any = None) -> Failure:
    @flowlang.task(name="fault", effect="none")
    async def happens() -> None:
        await fault()

    flow = {"flow": "refusals", "connections": {"service": {"type": kind, **config}}, "steps": steps}
    async with asyncio.timeout(60):
        result = await flowlang.run(text=json.dumps(flow), tasks=[happens])
    assert result.failure is not None, (result.status, result.findings)
    return result.failure


async def _is_stuck(kind: str, url: str) -> bool:
    if kind == "postgres":
        return bool(await postgres_value(url, "SELECT count(*) FROM pg_locks WHERE NOT granted"))
    query = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    return bool(await mysql_value(url, query))


@asynccontextmanager
async def session(kind: str, url: str) -> AsyncIterator[Run]:
    """Somebody else's session, by the driver alone."""
    if kind == "postgres":
        import asyncpg

        driver = await asyncpg.connect(url)
        try:
            yield driver.execute
        finally:
            await driver.close()
    elif kind == "mysql":
        import asyncmy

        at = urlsplit(url)
        link = await asyncmy.connect(
            host=at.hostname, port=at.port, user=at.username, password=at.password, db=at.path[1:], autocommit=True
        )
        try:
            yield link.query
        finally:
            await link.ensure_closed()
    else:
        base = sqlite3.connect(url, isolation_level=None)

        async def run(statement: str) -> None:
            base.execute(statement)

        try:
            yield run
        finally:
            base.close()


# ---------------------------------------------------------------- not let in


@pytest.fixture
async def narrow_postgres(postgres_url: str) -> AsyncIterator[str]:
    """The same database for a role that may have one session, and has it."""
    import asyncpg

    role = f"narrow_{urlsplit(postgres_url).path[1:]}"
    await postgres_value(postgres_url, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    url = urlsplit(postgres_url)
    own = url._replace(netloc=f"{role}@{url.hostname}:{url.port}").geturl()
    driver = await asyncpg.connect(own)
    yield own
    await driver.close()
    await postgres_value(postgres_url, f"DROP ROLE {role}")


@pytest.fixture
async def narrow_mysql(mysql_url: str) -> AsyncIterator[str]:
    """The same database for an account that may have one session, and has it."""
    at = urlsplit(mysql_url)
    name = f"n_{at.path[1:]}"
    await mysql_value(mysql_url, f"CREATE USER {name}@'%' IDENTIFIED BY 'pw' WITH MAX_USER_CONNECTIONS 1")
    await mysql_value(mysql_url, f"GRANT ALL ON {at.path[1:]}.* TO {name}@'%'")
    own = at._replace(netloc=f"{name}:pw@{at.hostname}:{at.port}").geturl()
    async with session("mysql", own):
        yield own
    await mysql_value(mysql_url, f"DROP USER {name}@'%'")


@pytest.fixture
def narrow(kind: str, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"narrow_{kind}"))


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
async def test_too_many_connections(kind: str, narrow: str, record_property: Any) -> None:
    """Threat 36: the service is there and takes no more; a retry may help."""
    failure = await failed(kind, {"url": narrow}, [{f"{PREFIX[kind]}_query": {"query": "SELECT 1"}}])
    record_property("fault", f"too many connections|{kind}|{failure.type} (retryable)")
    assert (failure.type in ("connect", "unavailable"), failure.retryable) == (True, True), failure


async def _redis(url: str, *words: Any) -> Any:
    """One command, from a link of its own."""
    import redis.asyncio

    async with redis.asyncio.from_url(url, protocol=2) as client:
        return await client.execute_command(*words)


async def _ended(steps: list[Any], url: str, mend: Any = None, **config: Any) -> flowlang.RunResult:
    """A run on Redis; the step `fault` mends what was wrong."""

    @flowlang.task(name="fault", effect="none")
    async def happens() -> None:
        await mend()

    service = {"type": "redis", "url": url, **config}
    flow = {"flow": "refusals", "connections": {"service": service}, "steps": steps}
    async with asyncio.timeout(60):
        return await flowlang.run(text=json.dumps(flow), tasks=[happens])


async def test_redis_takes_no_more_clients(own_redis: Server, record_property: Any) -> None:
    """Threat 36: refused while it opens and while its pool grows; when there is room again a retry gets through."""
    import redis.asyncio

    get = {"redis_get": {"key": "k"}}
    async with redis.asyncio.from_url(own_redis.url, protocol=2, single_connection_client=True) as other:
        await other.config_set("maxclients", 1)
        failure = (await _ended([get], own_redis.url)).failure
        assert failure is not None
        record_property("fault", f"too many connections|redis|{failure.type} (retryable)")
        assert (failure.type, failure.retryable, failure.outcome_unknown) == ("unavailable", True, False), failure
        assert "max number of clients" in failure.detail

        await other.config_set("maxclients", 2)  # one for us, which a stream of keys keeps
        loop = {"for_each": "${s.keys}", "do": [get]}
        steps = [{"redis_set": {"key": "k", "value": 1}}, {"redis_scan": {"id": "s"}}, loop]
        result = await _ended(steps, own_redis.url)
        assert result.failure is not None
        assert (result.failure.type, result.failure.retryable) == ("unavailable", True), result.failure

        async def room() -> None:
            await other.config_set("maxclients", 10)

        mended = {"try": [get], "catch": [{"do": [{"fault": {}}, get]}]}
        result = await _ended([steps[0], steps[1], {**loop, "do": [mended]}], own_redis.url, room)
        assert result.succeeded, result.failure


async def test_a_redis_that_is_a_replica_takes_no_writes(own_redis: Server, record_property: Any) -> None:
    """Threat 36: a failover leaves the connection on a replica. It reads, a write was not done, and may be repeated."""
    url = own_redis.url
    await _redis(url, "REPLICAOF", "127.0.0.1", 1)
    read, write = {"redis_get": {"key": "n"}}, {"redis_incr": {"key": "n"}}
    failure = (await _ended([read, write], url)).failure
    assert failure is not None
    record_property("fault", f"read-only|redis|{failure.type} (retryable)")
    assert (failure.type, failure.retryable, failure.outcome_unknown) == ("unavailable", True, False), failure
    assert any("connect to the primary" in each for each in failure.notes)

    pipeline = {"redis_pipeline": {"commands": [["INCR", "n"], ["INCR", "n"]]}}
    failure = (await _ended([pipeline], url)).failure
    assert failure is not None
    assert (failure.type, failure.retryable, failure.outcome_unknown) == ("unavailable", True, False), failure

    await _redis(url, "CONFIG", "SET", "replica-serve-stale-data", "no")
    failure = (await _ended([read], url)).failure
    assert failure is not None
    assert (failure.type, failure.retryable) == ("unavailable", True), failure

    async def promoted() -> None:
        await _redis(url, "REPLICAOF", "NO", "ONE")

    result = await _ended([{"try": [write], "catch": [{"do": [{"fault": {}}, write]}]}], url, promoted)
    assert result.succeeded, result.failure
    assert await _redis(url, "GET", "n") == b"1"
