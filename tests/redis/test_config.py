"""What a connection to Redis may be configured with, and what opens."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.servers.process import Server, free_port

from flowlang.connections import plugin_registry
from flowlang.connections.errors import classify
from flowlang.connections.redis.address import settings_of
from flowlang.connections.redis.provider import RedisPlugin
from flowlang.exceptions import ConnectionError

URL = "redis://localhost/0"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": "localhost:6379"}, "redis://"),
        ({"url": "http://localhost"}, "redis://"),
        ({"url": "redis://"}, "no server"),
        ({"url": "redis:///0"}, "no server"),
        ({"url": "redis://localhost:port/0"}, "malformed"),
        ({"url": "redis://localhost:99999/0"}, "malformed"),
        ({"url": "redis://localhost/x"}, "number of a database"),
        ({"url": "redis://localhost/0/1"}, "number of a database"),
        ({"url": "redis://localhost/-1"}, "number of a database"),
        ({"url": "rediss://localhost?ssl_cert_reqs=none"}, "`ssl_cert_reqs`"),
        ({"url": "redis://localhost?socket_timeout=0"}, "`socket_timeout`"),
        ({"url": "redis://localhost#x"}, "`#`"),
        ({"url": "redis://ada@localhost"}, "password"),
        ({"url": "redis://:x@localhost", "password": "y"}, "`password` stands in `url` too"),
        ({"url": "redis://localhost/1", "database": 2}, "keep one"),
        ({"url": "unix://run/redis.sock"}, "absolute path"),
        ({"url": "unix://"}, "absolute path"),
        ({"url": URL, "tls_verify": False}, "`tls_verify` needs TLS"),
        ({"url": URL, "tls_ca_file": "ca.pem"}, "`tls_ca_file` needs TLS"),
        ({"url": "rediss://localhost", "tls_key_file": "a"}, "tls_cert_file"),
        ({"url": URL, "max_connections": 0}, "max_connections"),
        ({"url": URL, "socket_timeout": 0}, "socket_timeout"),
        ({"url": URL, "decode_responses": "maybe"}, "decode_responses"),
        ({"url": URL, "db": 1}, "db"),
        ({"url": URL, "key_prefix": "\ud800"}, "Unicode"),
    ],
)
def test_config_that_makes_no_sense_is_refused(config: dict[str, Any], message: str) -> None:
    """Before anything is opened, with the field named, and without showing the url."""
    valid, reason = RedisPlugin().validate_config(config)
    assert not valid
    assert message in (reason or "")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache", ("cache", 6379, None, 0, None, None)),
        ("redis://cache:7000/3", ("cache", 7000, None, 3, None, None)),
        ("redis://:p%40ss@cache/", ("cache", 6379, None, 0, None, "p@ss")),
        ("redis://ada:s%3Fx@[::1]:6380/1", ("::1", 6380, None, 1, "ada", "s?x")),
        ("unix:///run/redis%20a.sock", ("localhost", 6379, "/run/redis a.sock", 0, None, None)),
    ],
)
def test_the_url_means_what_it_says(url: str, expected: tuple[Any, ...]) -> None:
    """Server, account and database, percent-decoded."""
    found = settings_of({"url": url})
    assert (found.host, found.port, found.socket, found.database, found.username, found.password) == expected
    assert not found.tls


def test_tls_checks_the_server_unless_it_is_told_not_to() -> None:
    """Only a key of its own turns the check off."""
    assert settings_of({"url": "rediss://cache"}).verify
    assert not settings_of({"url": "rediss://cache", "tls_verify": False}).verify


async def test_a_database_of_its_own(opened: Any, redis_url: str, server: Any) -> None:
    """By the url or by the key `database`."""
    parts = urlsplit(redis_url)
    other = await opened(url=parts._replace(path="").geturl(), database=int(parts.path.strip("/")))
    await other.run("redis_set", key="k", value="v")
    assert await server.get("k") == b"v"


async def test_nobody_listens() -> None:
    """Class connect, worth a retry; the server is named."""
    plugin, port = RedisPlugin(), free_port()
    with pytest.raises(ConnectionError, match=str(port)) as caught:
        await plugin.connect({"url": f"redis://127.0.0.1:{port}"})
    await plugin.disconnect()
    verdict = classify(caught.value, plugin, "connect")
    assert (verdict.error_class, verdict.retryable) == ("connect", True)


@pytest.mark.parametrize(
    ("rest", "error_class", "retryable", "message"),
    [
        ({"password": "wrong-one"}, "auth", False, "NOAUTH|WRONGPASS"),
        ({"database": 100}, "config", False, "DB index"),
    ],
)
async def test_a_server_that_does_not_let_us_in(
    redis_url: str, rest: dict[str, Any], error_class: str, retryable: bool, message: str
) -> None:
    """The class says who has to act; the password is not in the message."""
    plugin = RedisPlugin()
    with pytest.raises(ConnectionError, match=message) as caught:
        await plugin.connect({"url": urlsplit(redis_url)._replace(path="").geturl(), **rest})
    await plugin.disconnect()
    verdict = classify(caught.value, plugin, "connect")
    assert (verdict.error_class, verdict.retryable) == (error_class, retryable)
    assert "wrong-one" not in str(caught.value)


async def test_no_room_for_another_client(own_redis: Server) -> None:
    """`maxclients`: unavailable, worth a retry."""
    import redis.asyncio

    admin = redis.asyncio.from_url(own_redis.url, protocol=2)
    await admin.config_set("maxclients", 1)
    plugin = RedisPlugin()
    with pytest.raises(ConnectionError, match="max number of clients") as caught:
        await plugin.connect({"url": own_redis.url})
    await plugin.disconnect()
    await admin.aclose()
    verdict = classify(caught.value, plugin, "connect")
    assert (verdict.error_class, verdict.retryable) == ("unavailable", True)


def test_it_is_registered_under_its_name() -> None:
    """As the guide says; without a driver in memory."""
    assert isinstance(plugin_registry.get("redis"), RedisPlugin)
