"""What the authors of the built-in plugins state for the kit: calls, what each is without and why, an account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from tests.conformance.notes import TOKEN

from flowlang.connections import ConnectionPlugin, plugin_registry
from flowlang.testing import VALUE, Call, Operations, call

PASSWORD = "pa/ss:w@rd%25-it"
NO_UNAVAILABLE = "the server answers so only while it starts, stops or runs out of connections"
NO_RATE = "the server asks nobody to slow down"


@dataclass(frozen=True)
class Stated:
    """All that is stated about one built-in plugin. `configured` makes a config of the URL of a place."""

    name: str
    operations: Operations
    capabilities: Mapping[str, str]
    configured: Callable[[str], dict[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plugin(self) -> type[ConnectionPlugin]:
        return type(plugin_registry.get(self.name))


# ---------------------------------------------------------------- SQL


def sql(
    prefix: str, text: str, *, fill: Callable[[int], list[Any]], put: str, fails: Mapping[str, str], **more: Any
) -> Operations:
    """What the SQL services have in common, with a table `it` of an `id` and a text `v` of type `text`."""

    def query(words: str) -> Call:
        return call(f"{prefix}_query", query=words)

    def insert(number: int, value: Any) -> Call:
        return call(
            f"{prefix}_batch_insert", table="it", records=[{"id": number, "v": value}],
            on_conflict="update", key_fields=["id"],
        )  # fmt: skip

    return Operations(
        prepare=(
            call(
                f"{prefix}_execute", query=f"CREATE TABLE IF NOT EXISTS it (id INTEGER PRIMARY KEY, v {text} NOT NULL)"
            ),
            insert(1, "one"),
        ),
        read=query("SELECT v FROM it WHERE id = 1"),
        write=call(f"{prefix}_execute", query="UPDATE it SET v = 'two' WHERE id = 1"),
        state=query("SELECT * FROM it ORDER BY id"),
        repeat=call(f"{prefix}_batch_update", table="it", updates=[{"id": 1, "v": "three"}]),
        stream=call(f"{prefix}_stream", query="SELECT * FROM it"),
        fill=lambda count: call(f"{prefix}_transaction", queries=[{"query": "DELETE FROM it"}, *fill(count)]),
        put=call(f"{prefix}_execute", query=put, params=[VALUE]),
        get=query("SELECT v FROM it WHERE id = 2"),
        bad_batch=call(f"{prefix}_batch_insert", table="it", records=[{"id": 7, "v": "x"}, {"id": 8}]),
        bad_item="record 2",
        fails={
            "not_found": query("SELECT * FROM no_such_table"),
            "conflict": call(f"{prefix}_execute", query="INSERT INTO it VALUES (1, 'again')"),
            "validation": query("SELEC 1"),
            **{name: query(words) for name, words in fails.items()},
        },
        **{name: query(words) for name, words in more.items()},
    )


SQLITE = Stated(
    "sqlite",
    sql(
        "sqlite",
        "TEXT",
        fill=lambda count: [
            {
                "query": "INSERT INTO it WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                "SELECT i, 'twenty characters ' || i FROM n",
                "params": [count],
            }
        ],
        put="INSERT OR REPLACE INTO it VALUES (2, ?)",
        fails={},
        slow="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000000) SELECT max(i) FROM n",
        dirty="CREATE TEMP TABLE scratch (v TEXT)",
        session="SELECT count(*) AS n FROM sqlite_temp_master",
    ),
    {
        "network": "it is a library, not a server",
        "credentials": "a file has none; the rights of its folder protect it",
        "tls": "there is no link to encrypt",
        "slow": "nobody but the process itself could look at what is running",
        "permission": "the rights are those of the file, met when it is opened",
        "rate_limited": NO_RATE,
        "unavailable": "it has no server that could be away",
    },
    lambda path: {"database": path},
    {"wrong_config": {"database": "/no-such-folder/x.db"}},
)

POSTGRES = Stated(
    "postgres",
    sql(
        "pg",
        "TEXT",
        fill=lambda count: [
            {
                "query": "INSERT INTO it SELECT i, 'twenty characters ' || i FROM generate_series(1, $1::integer) i",
                "params": [count],
            }
        ],
        put="INSERT INTO it VALUES (2, $1) ON CONFLICT (id) DO UPDATE SET v = excluded.v",
        fails={"permission": "SELECT * FROM pg_authid"},
        slow="SELECT pg_sleep(5)::text AS slept",
        running="SELECT count(*) AS n FROM pg_stat_activity "
        "WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active' AND datname = current_database()",
        dirty="SELECT set_config('application_name', 'somebody else', false) AS n",
        session="SELECT current_setting('application_name') AS n",
    ),
    {"unavailable": NO_UNAVAILABLE, "rate_limited": NO_RATE},
    lambda url: {"url": url},
    {"tls_config": {"ssl": "require"}},
)

MYSQL = Stated(
    "mysql",
    sql(
        "mysql",
        "LONGTEXT",
        fill=lambda count: [
            {"query": f"INSERT INTO it SELECT seq, CONCAT('twenty characters ', seq) FROM seq_1_to_{count}"}
        ],
        put="REPLACE INTO it VALUES (2, %s)",
        fails={"permission": "SELECT * FROM mysql.global_priv"},
        slow="SELECT SLEEP(5) AS slept",
        running="SELECT COUNT(*) AS n FROM information_schema.processlist "
        "WHERE LEFT(info, 12) = 'SELECT SLEEP' AND db = DATABASE()",
        dirty="SELECT @x := 1 AS n",
        session="SELECT @x AS n",
    ),
    {"unavailable": NO_UNAVAILABLE, "rate_limited": NO_RATE},
    lambda url: {"url": url},
    {"tls_config": {"ssl_mode": "required"}},
)


# ---------------------------------------------------------------- the others

REDIS = Stated(
    "redis",
    Operations(
        prepare=(call("redis_set", key="it", value="one"),),
        read=call("redis_get", key="it"),
        write=call("redis_set", key="farewell", value="so long"),
        state=call("redis_mget", keys=["it", "farewell", "a", "b"]),
        repeat=call("redis_mset", values={"a": "1", "b": "2"}),
        stream=call("redis_scan", match="item:*"),
        fill=lambda count: call("redis_mset", values={f"item:{n:07}": "x" for n in range(count)}),
        put=call("redis_set", key="kept", value=VALUE),
        get=call("redis_get", key="kept"),
        bad_batch=call("redis_mset", values={"fine": "1", "broken": {"deep": {"deeper": object()}}}),
        bad_item="broken",
        fails={
            "permission": call("redis_ttl", key="it"),
            "validation": call("redis_hgetall", key="it"),
        },
    ),
    {
        "sessions": "no task leaves anything in the session of its link",
        "slow": "no command of its tasks takes long, and the server cannot cancel one",
        "not_found": "what is not there is a value of its own in Redis, not a failure",
        "conflict": "the server knows conflicts of streams and scripts only, which no task makes",
        "unavailable": NO_UNAVAILABLE,
        "rate_limited": NO_RATE,
    },
    lambda url: {"url": url},
    {"tls_config": lambda subject: {"url": subject.config["url"].replace("redis:", "rediss:")}},
)

MONGODB = Stated(
    "mongodb",
    Operations(
        prepare=(call("mongo_replace", collection="it", filter={"_id": 1}, document={"v": "one"}, upsert=True),),
        read=call("mongo_find_one", collection="it", filter={"_id": 1}),
        write=call("mongo_update", collection="it", filter={"_id": 1}, update={"$set": {"v": "two"}}),
        state=call("mongo_find", collection="it", sort={"_id": 1}),
        repeat=call("mongo_replace", collection="it", filter={"_id": 3}, document={"v": "three"}, upsert=True),
        stream=call("mongo_stream", collection="many"),
        fill=lambda count: call(
            "mongo_batch_insert", collection="many", documents=[{"v": "twenty characters"} for _ in range(count)]
        ),
        put=call("mongo_replace", collection="it", filter={"_id": 2}, document={"v": VALUE}, upsert=True),
        get=call("mongo_find_one", collection="it", filter={"_id": 2}),
        bad_batch=call("mongo_batch_insert", collection="it", documents=[{"_id": 8}, {"_id": 1}]),
        bad_item="2",
        fails={
            "conflict": call("mongo_insert", collection="it", documents=[{"_id": 1}]),
            "validation": call("mongo_find", collection="it", filter={"v": {"$nosuch": 1}}),
        },
    ),
    {
        "credentials": "the servers that the tests run against ask for none",
        "clean_failure": "PyMongo 4.20 leaves a socket to the loop when it is closed while a monitor connects",
        "sessions": "no task leaves anything in the session of its link",
        "slow": "the servers that the tests run against cannot be made to take long",
        "permission": "the servers that the tests run against have no accounts",
        "not_found": "what is not there is empty in MongoDB, not a failure",
        "unavailable": NO_UNAVAILABLE,
        "rate_limited": NO_RATE,
    },
    lambda url: {
        "url": urlsplit(url)._replace(path="/").geturl(),
        "database": urlsplit(url).path.strip("/") or "conformance",
        "server_selection_timeout_ms": 2000,
    },
    {"side_links": 2, "tls_config": {"tls": True, "server_selection_timeout_ms": 1000}},
)

HTTP = Stated(
    "http",
    Operations(
        prepare=(call("http_put", path="/notes/it", json={"text": "one"}),),
        read=call("http_get", path="/notes/it"),
        write=call("http_put", path="/notes/farewell", json={"text": "so long"}),
        state=call("http_get", path="/notes"),
        repeat=call("http_put", path="/notes/again", json={"text": "the same"}),
        slow=call("http_get", path="/notes/slow"),
        running=call("http_get", path="/notes/running"),
        stream=call("http_paginate", path="/notes", items="data", next={"cursor": "next", "param": "after"}),
        fill=lambda count: call("http_post", path="/notes/fill", json={"count": count}),
        put=call("http_put", path="/notes/kept", json={"text": VALUE}),
        get=call("http_get", path="/notes/kept"),
        bad_batch=call("http_post", path="/notes/batch", json=[{"id": "a"}, {"text": "x"}]),
        bad_item="note 1",
        fails={
            "permission": call("http_get", path="/notes/fail/403"),
            "not_found": call("http_get", path="/notes/nothing"),
            "conflict": call("http_get", path="/notes/fail/409"),
            "validation": call("http_put", path="/notes/it", json={}),
            "rate_limited": call("http_get", path="/notes/fail/429"),
            "unavailable": call("http_get", path="/notes/fail/503"),
        },
    ),
    {"sessions": "requests have no session"},
    lambda url: {"base_url": url, "allow_private": True, "timeout": 20, "auth": {"type": "bearer", "token": TOKEN}},
    {"tls_config": lambda subject: {"base_url": subject.config["base_url"].replace("http:", "https:")}},
)

ALL = (SQLITE, POSTGRES, MYSQL, REDIS, MONGODB, HTTP)


# ---------------------------------------------------------------- accounts with a password and without every right


def with_account(url: str, user: str, password: str = PASSWORD) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}").geturl()


async def postgres_account(url: str) -> str:
    """`url` for an account that needs its password and owns this database only."""
    import asyncpg

    name = urlsplit(url).path.strip("/")
    admin = await asyncpg.connect(url)
    try:
        user = f"guarded_{name}"
        for words in ("guarded NOLOGIN", f"{user} LOGIN PASSWORD '{PASSWORD}' IN ROLE guarded"):
            try:
                await admin.execute(f"CREATE ROLE {words}")
            except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
                pass  # another test was first
        await admin.execute(f"ALTER SCHEMA public OWNER TO {user}")
    finally:
        await admin.close()
    return with_account(url, user)


async def mysql_account(url: str) -> str:
    """`url` for an account that has this database only."""
    import asyncmy

    parts = urlsplit(url)
    name = parts.path.strip("/")
    admin = await asyncmy.connect(
        host=parts.hostname, port=parts.port or 3306, user=parts.username, password=parts.password or ""
    )
    user = f"guarded_{name}"
    try:
        async with admin.cursor() as cursor:
            await cursor.execute(f"CREATE OR REPLACE USER '{user}'@'%%' IDENTIFIED BY %s", (PASSWORD,))
            await cursor.execute(f"GRANT ALL ON {name}.* TO '{user}'@'%'")
    finally:
        admin.close()
    return with_account(url, user)


async def redis_account(url: str) -> str:
    """`url` for an account that may do everything but ask how long a key lives."""
    import redis.asyncio

    user = f"guarded_{urlsplit(url).path.strip('/')}"
    client = redis.asyncio.from_url(url)
    try:
        await client.execute_command("ACL", "SETUSER", user, "on", f">{PASSWORD}", "~*", "&*", "+@all", "-ttl", "-pttl")
    finally:
        await client.aclose()
    return with_account(url, user)
