"""Notifications: `pg_notify`, `pg_listen`, `pg_subscribe`."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

import flowlang
from flowlang.exceptions import FlowExecutionError

from .conftest import Database
from .test_sessions import until

LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' AND query = $1"
ASKED = "SELECT 1 AS here WHERE false"  # when the server has answered it, the session listens


async def listening(db: Database, query: str = ASKED) -> None:
    await until(lambda: db.value(LISTENING, query), wanted=True)


async def test_a_flow_waits_for_another(postgres_url: str) -> None:
    """Through the face a user has; objects are said as JSON."""

    def flow(step: str) -> str:
        return f"flow: f\nconnections: {{db: {{type: postgres, url: '{postgres_url}'}}}}\nsteps:\n  - {step}\n"

    listens = flow(f'pg_listen: {{id: it, channel: Orders, timeout: 20, unless: "{ASKED}"}}')
    heard = "[it.found, from_json(default(it.payload, 'null')), it.count, it.rows]"
    listens += f'outputs: [{{name: heard, value: "${{{heard}}}"}}]\n'
    waiting = asyncio.create_task(flowlang.run(text=listens))
    admin = await asyncpg.connect(postgres_url)
    await until(lambda: admin.fetchval(LISTENING, ASKED), wanted=True)
    await admin.close()
    said = await flowlang.run(text=flow("pg_notify: {channel: Orders, payload: {order: 7}}"))
    assert said.status == "succeeded", said.failure
    result = await waiting
    assert result.status == "succeeded", result.failure or result.findings
    assert result.outputs["heard"] == [True, {"order": 7}, 1, []]


async def test_nothing_is_missed_between_listening_and_waiting(opened: Any) -> None:
    """What comes while `unless` is asked is kept; rows of `unless` make waiting needless, with or without a message."""
    db = await opened(pool_size=1)
    said = "SELECT pg_notify('c', n::text)::text AS said FROM generate_series(1, 3) n OFFSET 3"
    heard = await db.call("listen", channel="c", unless=said, timeout=20)
    assert (heard["payloads"], heard["payload"], heard["count"]) == (["1", "2", "3"], "1", 3)
    there = await db.call("listen", channel="c", unless="SELECT $1::int AS n", params=[5], timeout=600)
    assert there == {"found": True, "payload": None, "payloads": [], "count": 0, "rows": [{"n": 5}]}
    nothing = await db.call("listen", channel="c", timeout=0.01)
    assert (nothing["found"], nothing["rows"]) == (False, [])
    assert await db.rows("SELECT pg_listening_channels() AS c") == []


async def test_a_subscription_keeps_what_comes_meanwhile(opened: Any) -> None:
    """While the consumer is busy; it ends after `limit`, or when nothing comes, and gives its session back."""
    db = await opened(pool_size=2)
    handle = await db.plugin.get_connection()
    stream = db.tasks["pg_subscribe"](channel="c", limit=5, timeout=20, connection=handle)
    first = asyncio.create_task(anext(stream))
    await listening(db, 'LISTEN "c"')
    while not first.done():  # the server answers before asyncpg has noted that we listen
        await db.call("notify", channel="c", payload="0")
        await asyncio.sleep(0.01)
    heard = list(await first)
    for number in range(1, 9):
        await db.call("notify", channel="c", payload=number)
    async for batch in stream:
        heard += batch
    assert len(heard) == 5
    later = [int(each["payload"]) for each in heard if each["payload"] != "0"]
    assert later == list(range(1, len(later) + 1))
    assert {each["channel"] for each in heard} == {"c"}
    await db.plugin.release_connection(handle)
    idle = db.tasks["pg_subscribe"](channel="c", timeout=0.01, connection=handle)
    assert [batch async for batch in idle] == []


async def test_cancelling_ends_the_wait(opened: Any) -> None:
    """And the session with it, so that nobody else hears what was meant for this step."""
    db = await opened(pool_size=2)
    handle = await db.plugin.get_connection()
    waiting = asyncio.create_task(
        db.tasks["pg_listen"](channel="c", unless=ASKED, timeout=600, connection=handle),
    )
    await listening(db)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await db.plugin.discard_connection(handle)
    assert handle.closed
    await until(lambda: db.value(LISTENING, ASKED), wanted=False)


async def test_a_session_that_ends_is_told(opened: Any) -> None:
    """At once, not when the time is up."""
    db = await opened(pool_size=2)
    handle = await db.plugin.get_connection()
    waiting = asyncio.create_task(
        db.tasks["pg_listen"](channel="c", unless=ASKED, timeout=600, connection=handle),
    )
    await listening(db)
    await db.rows(LISTENING.replace("count(*)", "pg_terminate_backend(pid)"), ASKED)
    with pytest.raises(FlowExecutionError) as caught:
        await asyncio.wait_for(waiting, 20)
    assert caught.value.error_class == "connection_lost"
    await db.plugin.discard_connection(handle)


async def test_in_a_transaction(db: Database) -> None:
    """What is said there comes when it commits, and not when it does not; listening there would hear nothing."""
    handle = await db.plugin.get_connection()
    async with db.plugin.transaction(handle):
        with pytest.raises(FlowExecutionError, match="in a transaction"):
            await db.tasks["pg_listen"](channel="c", connection=handle)
        await db.tasks["pg_notify"](channel="c", payload="kept", connection=handle)
        unheard = await db.call("listen", channel="c", timeout=0.05)
    await db.plugin.release_connection(handle)
    assert unheard["found"] is False


REFUSED = [
    ({"channel": ""}, "it needs a name"),
    ({"channel": "a\0b"}, "it needs a name"),
    ({"channel": "ü" * 32}, "64 bytes"),
    ({"channel": "c", "payload": "x" * 8000}, "payload string too long"),
]


async def test_what_is_refused(db: Database) -> None:
    """As a mistake of the flow's."""
    for arguments, why in REFUSED:
        with pytest.raises(FlowExecutionError, match=why) as caught:
            await db.call("notify", **arguments)
        assert caught.value.error_class == "validation"
