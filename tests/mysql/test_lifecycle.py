"""How sessions open, are bounded, reset, cancelled and lost, and what hostile servers get."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.servers.process import Server

from flowlang.connections.errors import classify
from flowlang.connections.mysql.provider import MySQLPlugin
from flowlang.exceptions import ConnectionError, FlowExecutionError

from .conftest import Database, Watcher

PARTS = {"host": "h", "user": "u", "password": "p", "database": "d"}


async def until(condition: Callable[[], Any]) -> None:
    """Ask until something is so."""
    while not await condition():  # noqa: ASYNC110 - the server's state, which no event tells
        await asyncio.sleep(0.01)


# ── config ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "`host` is missing"),
        (PARTS | {"url": "mysql://u:p@h/d"}, "beside `url`"),
        ({"url": "mysql://u:p@h/d?local_infile=1"}, "`local_infile`"),
        ({"url": "mysql://u:p@h/d?allow_local_infile=true"}, "`allow_local_infile`"),
        ({"url": "mysql://u:p@h/d?unix_socket=/x"}, "`unix_socket`"),
        ({"url": "mysql://u:p@h/d?charset=gbk"}, "`charset`"),
        ({"url": "mysql://u:p@h"}, "no database"),
        ({"url": "postgres://u:p@h/d"}, "mysql://"),
        ({"url": "mysql://u:p@h:x/d"}, "port"),
        (PARTS | {"charset": "gbk"}, "charset"),
        (PARTS | {"min_pool_size": 5, "pool_size": 2}, "min_pool_size"),
        (PARTS | {"ssl_key": "k"}, "ssl_cert"),
    ],
)
def test_config_that_makes_no_sense_is_refused(config: dict[str, Any], message: str) -> None:
    """Before anything is opened, with the field named and no secret told."""
    valid, reason = MySQLPlugin().validate_config(config)
    assert not valid
    assert message in (reason or "")


def test_a_url_says_the_same_as_its_parts() -> None:
    """Percent-encoded characters included."""
    from flowlang.connections.mysql.config import settings

    parts = {"host": "h", "port": 3307, "user": "a@b", "password": "p/ü:%", "database": "d", "ssl_mode": "required"}
    url = "mysql://a%40b:p%2F%C3%BC%3A%25@h:3307/d?ssl_mode=required"
    assert settings({"url": url}) == settings(parts)
    assert "p/ü" not in repr(settings(parts))


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_is_as_new_for_the_next_step(opened: Any) -> None:
    """Variables, modes, temporary tables, the database, locks, transactions: gone; a clean one is kept as it is."""
    db: Database = await opened(pool_size=1)
    query = "SELECT @a, @@autocommit, @@time_zone, @@sql_mode, @@sql_select_limit, database(), is_used_lock('l')"
    before = await db.rows(query)
    number = await db.rows("SELECT connection_id() AS id")
    for text in (
        "SET @a = 1",
        "SET autocommit = 0",
        "SET time_zone = '+05:00'",
        "SET sql_mode = ''",
        "CREATE TEMPORARY TABLE tmp (a INT)",
        "USE mysql",
        "DO get_lock('l', 0)",
    ):
        await db.call("execute", query=text)
        assert await db.rows(query) == before, text
    with pytest.raises(FlowExecutionError) as caught:
        await db.rows("SELECT * FROM tmp")
    assert caught.value.error_class == "not_found"
    assert await db.rows("SELECT connection_id() AS id") == number


async def test_the_pool_is_bounded_and_fair(opened: Any, watcher: Watcher) -> None:
    """Fifty branches on one session wait their turn; the server never sees more than one."""
    db: Database = await opened(pool_size=1)
    name = (await db.rows("SELECT database() AS d"))[0]["d"]
    order: list[int] = []

    async def branch(number: int) -> None:
        await db.rows("SELECT sleep(0.001)")
        order.append(number)

    waiting = [asyncio.create_task(branch(number)) for number in range(50)]
    seen = await watcher.sessions(name)
    await asyncio.gather(*waiting)
    assert len(seen) == 1
    assert order == sorted(order)


async def test_a_cancelled_statement_is_gone_at_the_server(opened: Any, watcher: Watcher) -> None:
    """Killed, its session with it; the pool goes on."""
    db: Database = await opened(pool_size=1)
    step = asyncio.create_task(db.rows("SELECT sleep(100) AS cancelled_one"))
    await until(lambda: watcher.running("cancelled_one"))
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step

    async def gone() -> bool:
        return not await watcher.running("cancelled_one")

    await asyncio.wait_for(until(gone), 10)
    assert await db.rows("SELECT 1 AS a") == [{"a": 1}]


async def test_a_cancelled_transaction_is_undone(db: Database, watcher: Watcher) -> None:
    """With the session that held it."""
    queries = [{"query": "INSERT INTO t VALUES (1, 'x')"}, {"query": "SELECT sleep(100) AS in_transaction"}]
    step = asyncio.create_task(db.call("transaction", queries=queries))
    await until(lambda: watcher.running("in_transaction"))
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert await db.rows("SELECT * FROM t FOR UPDATE") == []


@pytest.mark.parametrize("inside", [False, True])
async def test_a_stream_may_end_early(db: Database, inside: bool) -> None:
    """Its statement is stopped; in a transaction the session and what was written in it live on."""
    numbers = "SELECT a.seq AS n, repeat('x', 100) AS x FROM seq_1_to_1000 a, seq_1_to_1000 b"
    handle = await db.plugin.get_connection()
    if inside:
        async with db.plugin.transaction(handle):
            await db.tasks["mysql_execute"](query="INSERT INTO t VALUES (1, 'kept')", connection=handle)
            source = db.tasks["mysql_stream"](query=numbers, connection=handle)
            assert len(await anext(source)) == 1000
            await source.aclose()
    else:
        source = db.tasks["mysql_stream"](query=numbers, connection=handle)
        assert len(await anext(source)) == 1000
        await source.aclose()
    await db.plugin.release_connection(handle)
    assert await db.rows("SELECT v FROM t") == ([{"v": "kept"}] if inside else [])


# ── transactions ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_savepoints_undo_only_their_own(db: Database) -> None:
    """A transaction inside another one."""
    async with db.lease() as handle, db.plugin.transaction(handle):
        await db.tasks["mysql_execute"](query="INSERT INTO t VALUES (1, 'a')", connection=handle)
        with contextlib.suppress(RuntimeError):
            async with db.plugin.transaction(handle):
                await db.tasks["mysql_execute"](query="INSERT INTO t VALUES (2, 'b')", connection=handle)
                raise RuntimeError
        await db.tasks["mysql_batch_insert"](table="t", records=[{"id": 3, "v": "c"}], connection=handle)
    assert [row["id"] for row in await db.rows("SELECT id FROM t ORDER BY id")] == [1, 3]


@pytest.mark.parametrize(
    "text", ["CREATE TABLE u (a INT)", "TRUNCATE t", "ALTER TABLE t ADD c INT", "LOCK TABLE t READ"]
)
async def test_definitions_are_refused_in_a_transaction(db: Database, text: str) -> None:
    """They would commit it."""
    queries = [{"query": "INSERT INTO t VALUES (1, 'x')"}, {"query": text}]
    with pytest.raises(FlowExecutionError, match="commit"):
        await db.call("transaction", queries=queries)
    assert await db.rows("SELECT * FROM t") == []


async def test_a_deadlock_ends_the_whole_transaction(db: Database) -> None:
    """Its victim is told, as a conflict to be retried, and what follows in it is refused."""
    await db.call("execute", query="INSERT INTO t VALUES (1, '0'), (2, '0')")
    ready = [asyncio.Event(), asyncio.Event()]
    victims: list[FlowExecutionError] = []

    async def one(me: int) -> None:
        execute = db.tasks["mysql_execute"]
        async with db.lease() as handle:
            try:
                async with db.plugin.transaction(handle):
                    await execute(query="UPDATE t SET v = '1' WHERE id = %s", params=[me + 1], connection=handle)
                    ready[me].set()
                    await ready[1 - me].wait()
                    try:
                        await execute(query="UPDATE t SET v = '2' WHERE id = %s", params=[2 - me], connection=handle)
                    except FlowExecutionError as error:
                        victims.append(error)
                    await execute(query="UPDATE t SET v = v", connection=handle)
            except FlowExecutionError as error:
                victims.append(error)

    await asyncio.wait_for(asyncio.gather(one(0), one(1)), 60)
    assert [(each.error_class, each.retryable) for each in victims] == [("conflict", True), ("conflict", None)]
    assert "rolled the transaction back" in str(victims[1])


@pytest.mark.parametrize(
    ("setup", "text", "name", "retryable"),
    [
        (None, "SELECT * FROM nope", "not_found", False),
        (None, "SELECT nope", "not_found", False),
        (None, "SELEC", "validation", False),
        ("INSERT INTO t VALUES (1, 'x')", "INSERT INTO t VALUES (1, 'x')", "conflict", False),
        ("CREATE TABLE n (a VARCHAR(2) NOT NULL, b TINYINT)", "INSERT INTO n VALUES (NULL, 1)", "conflict", False),
        ("CREATE TABLE n (a VARCHAR(2), b TINYINT)", "INSERT INTO n VALUES ('abc', 1)", "validation", False),
        ("CREATE TABLE n (a VARCHAR(2), b TINYINT)", "INSERT INTO n VALUES ('a', 300)", "validation", False),
        (
            "CREATE TABLE c (a INT, FOREIGN KEY (a) REFERENCES t (id))",
            "INSERT INTO c VALUES (9)",
            "conflict",
            False,
        ),
        (
            None,
            "SET STATEMENT max_statement_time = 0.01 FOR SELECT sleep(5), count(*) FROM seq_1_to_10000000",
            "timeout",
            True,
        ),
    ],
)
async def test_errors_have_their_class(db: Database, setup: str | None, text: str, name: str, retryable: bool) -> None:
    """By the server's number; the session goes on."""
    if setup:
        await db.call("execute", query=setup)
    async with db.lease() as handle:
        with pytest.raises(FlowExecutionError) as caught:
            await db.tasks["mysql_execute"](query=text, connection=handle)
        assert (caught.value.error_class, caught.value.retryable) == (name, retryable)
        assert (await db.tasks["mysql_query"](query="SELECT 1 AS a", connection=handle))["rows"] == [{"a": 1}]


async def test_a_wrong_password_and_a_missing_database(mysql_url: str) -> None:
    """Of their class, not retryable, without the password in the text."""
    from flowlang.connections.mysql.config import settings

    at = settings({"url": mysql_url})
    where = {"host": at.host, "port": at.port, "user": at.user, "ssl_mode": "disabled"}
    for config, name in (
        (where | {"password": "very-wrong", "database": at.database}, "auth"),
        (where | {"password": at.password, "database": "no_such"}, "config"),
        (where | {"password": at.password, "database": at.database, "ssl_mode": "required"}, "connect"),
    ):
        plugin = MySQLPlugin()
        with pytest.raises(ConnectionError) as caught:
            await plugin.connect(config)
        await plugin.disconnect()
        verdict = classify(caught.value, plugin, "connect")
        assert (verdict.error_class, verdict.retryable) == (name, False)
        assert str(config["password"]) not in str(caught.value)


async def test_a_restarted_server_is_found_again(own_mysql: Server) -> None:
    """A session that was killed is lost, as an error to be retried; the next one is fresh, and `ping` is honest."""
    plugin = MySQLPlugin()
    await plugin.connect({"url": own_mysql.url, "pool_size": 1})
    db = Database(plugin, own_mysql.url)
    handle = await plugin.get_connection()
    await plugin.ping(handle)
    await asyncio.to_thread(own_mysql.kill)
    with pytest.raises(FlowExecutionError) as caught:
        await plugin.ping(handle)
    assert (caught.value.error_class, caught.value.retryable) == ("connection_lost", True)
    await plugin.discard_connection(handle)
    with pytest.raises(ConnectionError) as refused:
        await plugin.get_connection()
    assert classify(refused.value, plugin, "connect").retryable
    await asyncio.to_thread(own_mysql.start)
    assert await db.rows("SELECT 1 AS a") == [{"a": 1}]
    await plugin.disconnect()


# ── hostile servers ─────────────────────────────────────────────────────────────────────────────────────────────


def packet(number: int, data: bytes) -> bytes:
    return struct.pack("<I", len(data))[:3] + bytes([number]) + data


GREETING = (
    b"\x0a8.0.36\0" + struct.pack("<I", 7) + b"saltsalt\0" + struct.pack("<H", 0xF7DF) + b"\x2d" + struct.pack("<H", 2)
    + struct.pack("<H", 0x0008) + b"\x15" + b"\0" * 10 + b"saltsaltsalt\0" + b"mysql_native_password\0"
)  # fmt: skip
OK = b"\x00\x00\x00\x02\x00\x00\x00"


@asynccontextmanager
async def rogue(*answers: bytes | None) -> AsyncIterator[tuple[dict[str, Any], list[bytes]]]:
    """A server that greets, and answers each packet with the next of `answers` (None: hangs up). Gives the config that
    leads to it, and what it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(packet(0, GREETING))
        try:
            for answer in answers:
                head = await reader.readexactly(4)
                heard.append(await reader.readexactly(int.from_bytes(head[:3], "little")))
                if answer is None:
                    break
                writer.write(packet(head[3] + 1, answer))
            else:
                heard.append(await reader.read())
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield {"host": "127.0.0.1", "port": port, "user": "u", "password": "very-secret", "database": "d"}, heard


async def refused(config: dict[str, Any]) -> BaseException:
    plugin = MySQLPlugin()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one, the caller looks at
        await plugin.connect(config | {"timeout": 5})
    await plugin.disconnect()
    return caught.value


async def test_a_server_that_asks_for_a_file_gets_none(tmp_path: Any) -> None:
    """LOCAL INFILE is not offered, and a request for a file all the same is refused."""
    secret = tmp_path / "secret"
    secret.write_text("contents of the file")
    async with rogue(OK, b"\xfb" + str(secret).encode()) as (config, heard):
        error = await refused(config)
        assert "file" in str(error)
    flags = int.from_bytes(heard[0][:4], "little")
    assert not flags & 0x80, "LOCAL FILES is not offered"
    assert not flags & 0x10000, "several statements in one text are off"
    assert not any(b"contents" in each for each in heard)


@pytest.mark.parametrize("name", [b"mysql_clear_password", b"dialog", b"mysql_old_password"])
async def test_a_password_is_not_told_to_whoever_asks(name: bytes) -> None:
    """A switch to a plugin that sends it in the clear is refused without a verified certificate."""
    async with rogue(b"\xfe" + name + b"\0" + b"x" * 20 + b"\0", OK) as (config, heard):
        error = await refused(config)
        assert "ssl_mode" in str(error)
    assert not any(b"very-secret" in each for each in heard)


async def test_tls_is_not_given_up_when_it_is_asked_for() -> None:
    """A server that offers none gets no login."""
    async with rogue(OK) as (config, heard):
        error = await refused(config | {"ssl_mode": "required"})
        assert "no TLS" in str(error)
    assert not any(heard)


@pytest.mark.parametrize("answers", [(None,), (OK, None), (OK, OK, None), (OK, OK, b"\x01"), (b"\xff",), (OK, b"")])
async def test_a_server_that_breaks_off_or_talks_nonsense_is_told(answers: tuple[Any, ...]) -> None:
    """In each state of opening; nothing stays open."""
    async with rogue(*answers) as (config, _):
        error = await refused(config)
        assert classify(error, MySQLPlugin(), "connect").error_class in ("connect", "connection_lost", "timeout")
