"""Sessions: what a step leaves behind, how many there are, what cancels them, and what their errors are called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from tests.servers.process import Server

import flowlang
from flowlang.connections.config import prepare
from flowlang.connections.postgres.provider import PostgresPlugin
from flowlang.connections.postgres.session import mark_of
from flowlang.exceptions import FlowExecutionError

from .conftest import Database

LEAVINGS = [
    "SET search_path TO nowhere",
    "SELECT set_config('search_path', 'nowhere', false)",
    "SELECT pg_catalog.set_config('work_mem', '1MB', false)",
    "SELECT hidden()",
    "INSERT INTO watched VALUES (1)",
    "SET ROLE nobody",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "CREATE TEMP TABLE left_over (a int)",
    "SELECT 1 AS a INTO TEMP left_over",
    "SELECT pg_advisory_lock(7)",
    "LISTEN news",
    "PREPARE mine AS SELECT 1",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
]
STATE = """SELECT current_setting('search_path') AS path, current_setting('work_mem') AS mem, current_user AS me,
  current_setting('default_transaction_read_only') AS ro, to_regclass('pg_temp.left_over')::text AS temp,
  (SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE locktype = 'advisory' AND datname = current_database()) AS locks,
  (SELECT count(*) FROM pg_listening_channels()) AS channels,
  (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS held,
  (SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine') AS mine"""


async def test_nothing_a_step_left_reaches_the_next(opened: Any) -> None:
    """Settings, also those that functions and triggers make, roles, temporary tables, locks, channels, statements."""
    db = await opened(pool_size=1)
    for query in (
        "CREATE FUNCTION hidden() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '2MB', false) $$",
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM hidden(); RETURN NEW; END $$",
        "CREATE TABLE watched (a int)",
        "CREATE TRIGGER w BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION noted()",
        "CREATE ROLE nobody",
    ):
        await db.call("execute", query=query)
    try:
        fresh = await db.rows(STATE)
        for query in LEAVINGS:
            await db.call("execute", query=query)
            assert await db.rows(STATE) == fresh, query
    finally:
        await db.call("execute", query="DROP ROLE nobody")


async def test_an_open_transaction_is_rolled_back(opened: Any) -> None:
    """Left by whoever used the driver itself."""
    db = await opened(pool_size=1)
    await db.call("execute", query="CREATE TABLE u (a int)")
    handle = await db.plugin.get_connection()
    await handle.driver.execute("BEGIN; INSERT INTO u VALUES (1)")
    await db.plugin.release_connection(handle)
    assert await db.value("SELECT count(*) FROM u") == 0


async def test_clean_reads_are_not_reset(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three statements come to the server, and not one more."""
    db = await opened(pool_size=1)
    handle = await db.plugin.get_connection()
    sent: list[str] = []
    handle._driver.add_query_logger(lambda record: sent.append(record.query))
    await db.plugin.release_connection(handle)
    for n in range(3):
        await db.rows("SELECT count(*), max(n) FROM generate_series(1, $1) n WHERE n IN (1, 2)", n)
    await asyncio.sleep(0)
    assert [each for each in sent if "RESET" in each] == []
    await db.rows("SELECT pg_advisory_lock_shared(1)")
    await asyncio.sleep(0)
    assert [each for each in sent if "RESET" in each] != []


@pytest.mark.parametrize(
    ("query", "mark"),
    [
        ("SELECT a, count(*) FROM t GROUP BY a HAVING max(b) > 1", "clean"),
        ("WITH x AS (SELECT 1) SELECT * FROM x JOIN y USING (id) WHERE a IN ($1, $2)", "clean"),
        ("select 'set_config(' || \"a\" from t -- f(", "clean"),
        ("SELECT mine(1)", "dirty"),
        ('SELECT "count"(1)', "dirty"),
        ("SELECT my.count(1)", "dirty"),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "dirty"),
        ("SELECT 1 INTO TEMP x", "dirty"),
        ("CALL p()", "dirty"),
        ("DO $$ BEGIN END $$", "dirty"),
        ("/* x */ SET a = 1", "dirty"),
        ("DISCARD ALL", "spent"),
        ("PREPARE a AS SELECT 1", "spent"),
    ],
)
def test_marks(query: str, mark: str) -> None:
    """What is taken for a change of the session."""
    assert mark_of(query) == mark


async def test_the_pool_is_bounded_and_fair(opened: Any) -> None:
    """Fifty tasks on two sessions: all are served in their order, counted at the server."""
    db = await opened(pool_size=2)
    order: list[int] = []

    async def one(number: int) -> int:
        count = await db.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        order.append(number)
        return count

    counts = await asyncio.gather(*map(one, range(50)))
    assert max(counts) <= 2
    last = [-1, -1]  # what each session served last: each gets the next in the order of their coming
    for number in order:
        behind = max((each for each in last if each < number), default=None)
        assert behind is not None, order
        last[last.index(behind)] = number


async def test_a_waiter_hears_that_the_pool_is_exhausted(postgres_url: str) -> None:
    """In a flow: within `acquire_timeout`, with what to do."""
    flow = flowlang.load(
        text=f"""flow: busy
connections: {{db: {{type: postgres, url: '{postgres_url}', pool_size: 1, acquire_timeout: 200ms}}}}
steps:
  - parallel:
      - pg_query: {{id: a, query: SELECT pg_sleep(2)}}
      - pg_query: {{id: b, query: SELECT pg_sleep(2)}}
"""
    )
    result = await flowlang.run(flow)
    assert result.failure is not None
    assert result.failure.type == "timeout"
    assert "the pool is exhausted" in " ".join(result.failure.notes)


BUSY = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(600)%' \
AND state = 'active' AND pid <> pg_backend_pid()"


async def until(asked: Callable[[], Awaitable[Any]], *, wanted: bool) -> None:
    """Ask the server until it answers as wanted."""
    async with asyncio.timeout(20):
        while bool(await asked()) is not wanted:  # noqa: ASYNC110 - what is waited for is at the server
            await asyncio.sleep(0.02)


async def gone(db: Database) -> None:
    """Wait until no such statement runs at the server."""
    await until(lambda: db.value(BUSY), wanted=False)


async def test_a_cancelled_statement_is_gone_at_the_server(db: Database) -> None:
    """Its session too, and the next statement gets another."""
    handle = await db.plugin.get_connection()
    task = asyncio.create_task(db.tasks["pg_query"](query="SELECT pg_sleep(600)", connection=handle))
    await until(lambda: db.value(BUSY), wanted=True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await db.plugin.discard_connection(handle)
    assert handle.closed
    await gone(db)


async def test_a_statement_has_a_deadline(opened: Any) -> None:
    """`timeout` ends it here and at the server."""
    db = await opened(timeout=0.3)
    with pytest.raises(FlowExecutionError) as caught:
        await db.rows("SELECT pg_sleep(600)")
    assert caught.value.error_class == "timeout"
    await gone(db)


async def test_a_broken_session_is_not_used_again(opened: Any) -> None:
    """Ended by the server between two steps: the next one gets another; inside a statement: `connection_lost`."""
    db = await opened(pool_size=1)
    pid = await db.value("SELECT pg_backend_pid()")
    admin = await asyncpg.connect(db.url)
    try:
        await admin.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        await until(lambda: admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid), wanted=False)
        await asyncio.sleep(0.05)
        again = await db.value("SELECT pg_backend_pid()")
        assert again != pid
        handle = await db.plugin.get_connection()
        task = asyncio.create_task(db.tasks["pg_query"](query="SELECT pg_sleep(600)", connection=handle))
        await until(lambda: admin.fetchval("SELECT pg_terminate_backend($1)", again), wanted=True)
        with pytest.raises(FlowExecutionError) as caught:
            await task
        assert caught.value.error_class == "connection_lost"
        await db.plugin.discard_connection(handle)
    finally:
        await admin.close()
    assert await db.value("SELECT 1") == 1


STATES = {
    "SELECT 1/0": "validation",
    "SELEC 1": "validation",
    "SELECT * FROM nothing": "not_found",
    "SELECT nope FROM t": "not_found",
    "SELECT nope()": "not_found",
    "CREATE TABLE t (a int)": "conflict",
    "INSERT INTO t VALUES (1, 'x'), (1, 'y')": "conflict",
    "INSERT INTO t VALUES (NULL, 'x')": "conflict",
    "SELECT 'x'::int": "validation",
    "DO $$ BEGIN RAISE 'no' USING ERRCODE = '40001'; END $$": "conflict+",
    "DO $$ BEGIN RAISE 'no' USING ERRCODE = '40P01'; END $$": "conflict+",
    "DO $$ BEGIN RAISE 'no' USING ERRCODE = '55P03'; END $$": "conflict+",
    "DO $$ BEGIN RAISE 'no' USING ERRCODE = '42501'; END $$": "permission",
    "DO $$ BEGIN RAISE 'no' USING ERRCODE = '25006'; END $$": "permission",
    "DO $$ BEGIN RAISE 'no' USING ERRCODE = '53300'; END $$": "unavailable+",
    "DO $$ BEGIN RAISE 'no' USING ERRCODE = '53100'; END $$": "limit",
    "DO $$ BEGIN RAISE 'no' USING ERRCODE = 'XX001'; END $$": "unavailable",
    "DO $$ BEGIN RAISE 'no'; END $$": "conflict",
}


async def test_errors_have_their_class(db: Database) -> None:
    """And say whether a retry may help (`+`)."""
    for query, expected in STATES.items():
        with pytest.raises(FlowExecutionError) as caught:
            await db.call("execute", query=query)
        told = f"{caught.value.error_class}{'+' if caught.value.retryable else ''}"
        assert told == expected, query


async def refusal(url: str, **config: Any) -> FlowExecutionError:
    plugin = PostgresPlugin()
    try:
        with pytest.raises(FlowExecutionError) as caught:
            await plugin.connect(prepare(plugin, {"url": url, **config}).config)
    finally:
        await plugin.disconnect()
    return caught.value


async def test_what_keeps_a_session_from_opening(postgres_url: str) -> None:
    """Each with its class: nobody there, no such database, no such role, no TLS."""
    base = postgres_url.rpartition("/")[0]
    closed = "postgresql://u:canary-secret@127.0.0.1:1/x"
    told = await refusal(closed)
    assert (told.error_class, "canary-secret" in str(told)) == ("connect", False)
    assert (await refusal(f"{base}/nowhere")).error_class == "not_found"
    assert (await refusal(postgres_url.replace("flow@", "stranger@"))).error_class == "auth"
    told = await refusal(postgres_url, ssl="require")
    assert (told.error_class, told.retryable) == ("connect", False)


async def test_a_transaction_that_failed_is_not_committed(postgres_url: str) -> None:
    """PostgreSQL answers ROLLBACK to its COMMIT, and calls that a success."""
    head = f"flow: t\nconnections: {{db: {{type: postgres, url: '{postgres_url}'}}}}\nsteps:\n"
    made = "  - pg_execute: {query: CREATE TABLE u (a int PRIMARY KEY)}\n"
    steps = """  - transaction: db
    do:
      - pg_execute: {query: INSERT INTO u VALUES (1)}
      - pg_execute: {query: INSERT INTO u VALUES (1), on_error: [{log: handled}]}
"""
    result = await flowlang.run(flowlang.load(text=head + made + steps))
    assert result.failure is not None
    assert (result.failure.type, "rolled it back" in result.failure.detail) == ("conflict", True)
    inner = "      - pg_transaction: {queries: [{query: INSERT INTO u VALUES (1)}], on_error: [{log: handled}]}\n"
    steps = steps.replace(steps.splitlines(keepends=True)[-1], inner)
    counted = (
        "  - pg_query: {id: n, query: SELECT count(*) AS n FROM u}\noutputs: [{name: n, value: '${n.rows[0].n}'}]\n"
    )
    result = await flowlang.run(flowlang.load(text=head + steps + counted))
    assert result.outputs == {"n": 1}


async def test_a_restarted_server_is_found_again(own_postgres: Server) -> None:
    """Between two steps; the pool opens new sessions."""
    plugin = PostgresPlugin()
    await plugin.connect(prepare(plugin, {"url": own_postgres.url, "pool_size": 2}).config)
    db = Database(plugin, own_postgres.url)
    try:
        assert await db.value("SELECT 1") == 1
        await asyncio.to_thread(own_postgres.kill)
        with pytest.raises((FlowExecutionError, ConnectionError)):
            await db.value("SELECT 1")
        await asyncio.to_thread(own_postgres.start)
        assert await db.value("SELECT 2") == 2
    finally:
        await plugin.disconnect()


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"url": "postgresql://u@h/d?sslmode=disable", "ssl": "verify-full"}, "weaker"),
        ({"url": "postgresql://u@h/d?service=x"}, "not supported"),
        ({"url": "postgresql://u@h/d?host=/tmp"}, "not supported"),
        ({"url": "postgresql://u@h/d?passfile=/x"}, "not supported"),
        ({"url": "postgresql://u@h/d?options=-csearch_path%3Dx"}, "not supported"),
        ({"url": "postgresql://u@%2Ftmp/d"}, "socket"),
        ({"url": "mysql://u@h/d"}, "postgresql://"),
        ({"url": "postgresql://h/d"}, "no user"),
        ({"url": "postgresql://u@h/d", "host": "other"}, "beside it"),
        ({"url": "postgresql://u:long-secret@h/d", "password": "other-secret"}, "give one"),
        ({"user": "u"}, "`host` is missing"),
        ({"user": "u", "host": "/tmp"}, "socket"),
        ({"user": "u", "host": "h", "min_pool_size": 11}, "larger than"),
        ({"user": "u", "host": "h", "ssl_ca": "x.pem"}, "verify"),
        ({"user": "u", "host": "h", "pool_size": 0}, "pool_size"),
    ],
)
def test_configs_that_are_refused(config: dict[str, Any], why: str) -> None:
    """Before any socket; what weakens the link or reaches elsewhere is named."""
    (problem,) = prepare(PostgresPlugin(), config).problems
    assert why in problem.message


def test_url_and_parts_mean_the_same() -> None:
    """Also with characters that a URL has to escape; a repr never has the password."""
    from flowlang.connections.postgres.config import settings_of

    plugin = PostgresPlugin()
    parts = {"host": "db", "port": 5433, "user": "a b", "password": "p@/:%", "database": "d?", "ssl": "require"}
    url = "postgresql://a%20b:p%40%2F%3A%25@db:5433/d%3F?sslmode=require"
    one = settings_of(prepare(plugin, parts).config)
    other = settings_of(prepare(plugin, {"url": url}).config)
    assert one == other
    assert "p@/:%" not in repr(one)


CLEAN = "CREATE TABLE {} (id int PRIMARY KEY, v text NOT NULL)"
WATCHED = (
    "CREATE TRIGGER w BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION noted()",
    "ALTER TABLE {} ADD CHECK (hidden() > 0)",
    "ALTER TABLE {} ADD extra int DEFAULT hidden()",
    "ALTER TABLE {} ADD nth int GENERATED BY DEFAULT AS IDENTITY",
    "CREATE INDEX ON {} ((hidden() + id))",
    "CREATE INDEX ON {} (id) WHERE hidden() > 0",
    "ALTER TABLE {} ALTER v TYPE odd USING v::odd",
)


async def test_copying_into_a_table_that_runs_nothing_leaves_nothing(opened: Any) -> None:
    """So it takes no reset, no BEGIN and no COMMIT. Where something of somebody's may run it does, or is not copied."""
    db = await opened(pool_size=1)
    await db.call("execute", query="CREATE FUNCTION hidden() RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT 1 $$")
    await db.call(
        "execute",
        query="CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    )
    await db.call("execute", query="CREATE DOMAIN odd AS text CHECK (hidden() > 0)")
    handle = await db.plugin.get_connection()
    sent: list[str] = []
    handle._driver.add_query_logger(lambda record: sent.append(record.query))
    await db.plugin.release_connection(handle)

    async def told(table: str, *more: str) -> list[str]:
        for query in (CLEAN.format(table), *(each.format(table) for each in more)):
            await db.call("execute", query=query)
        await asyncio.sleep(0)
        sent.clear()
        records = [{"id": n, "v": "x"} for n in range(120)]
        assert (await db.call("batch_insert", table=table, records=records))["inserted_count"] == 120
        await asyncio.sleep(0)
        return [each.split()[0] for each in sent]

    assert not {"BEGIN", "COMMIT", "SET"} & set(await told("c"))
    for number, change in enumerate(WATCHED):
        assert "SET" in await told(f"w{number}", change), change
