"""Servers that are none, or mean ill: what they say has its class in time, costs no memory, and tells no secret."""

from __future__ import annotations

import asyncio
import random
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from struct import pack
from typing import Any
from urllib.parse import urlsplit

import pytest

from flowlang.exceptions import Failure

from .conftest import FAULT, Place, Seen, Service, behind
from .proxy import Proxy

pytestmark = pytest.mark.skipif(
    "not __import__('os').path.isdir('/proc/self/fd')", reason="descriptors are counted in /proc"
)
CANARY = "canary-7c1e55"
SOON: dict[str, Any] = {"timeout": "1s"}
NOISE = random.Random(7).randbytes(4096)
WORDS = {
    "noise": NOISE,
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "a web server": b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\noops",
    "a shell": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a mail server": b"220 mail.example ESMTP\r\n",
    "a Redis": b"-ERR unknown command\r\n",
    "a MySQL": b"\x4a\x00\x00\x00\x0a8.0.36\0" + NOISE[:60],
    "an alarm of TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "a PostgreSQL": b"E\0\0\0\x1fSFATAL\0C08P01\0Mno such\0\0R\0\0\0\x08\0\0\0\0",
    "one zero": b"\0",
}
BROKEN = ("connect", "connection_lost", "timeout")
ANSWERED = {  # what is a real answer of that very service has the class of that answer
    ("http", "a web server"): "validation",
    ("redis", "a Redis"): "validation",
}


def judged(service: Service, what: str, failure: Failure | None) -> None:
    assert failure is not None, what
    expected = ANSWERED.get((service.kind, what))
    assert failure.type in (("timeout", expected) if expected else BROKEN), (what, failure)
    # Who answers the question for TLS with anything but yes or no speaks no PostgreSQL, now and in a second.
    final = failure.type == expected or "rejected SSL upgrade" in failure.detail
    assert failure.retryable is not final, (what, failure)
    told = f"{failure.detail} {failure.cause}"
    assert CANARY not in told
    assert "flow-secret" not in told
    assert failure.detail.count(" ") >= 2, f"{failure.detail!r} says nothing to anybody"


def with_a_secret(service: Service, proxy: Proxy) -> dict[str, Any]:
    """A config that leads to the proxy alone, with an account."""
    at = f"127.0.0.1:{proxy.port}"
    if service.kind == "http":
        auth = {"type": "basic", "username": "u", "password": CANARY}
        return {"base_url": f"http://{at}", "allow_private": True, "auth": auth}
    if service.kind == "mongodb":
        return {"url": f"mongodb://u:{CANARY}@{at}/", "database": "d", "server_selection_timeout_ms": 1000}
    scheme = {"postgres": "postgresql", "mysql": "mysql", "redis": "redis"}[service.kind]
    return {"url": f"{scheme}://u:{CANARY}@{at}/{'0' if service.kind == 'redis' else 'd'}"}


async def test_whoever_greets(service: Service, direct: str, seen: Seen) -> None:
    """Threat 13: another protocol, or noise, in place of the greeting and of each part of the handshake."""
    parts = urlsplit(direct)
    await service.prepare(direct)
    async with behind(service, direct) as place:
        place.proxy.pieces.clear()
        await place.ok(service.read)
        length = sum(place.proxy.pieces)

        async def greets(what: str, said: bytes) -> None:
            async with Proxy(parts.hostname or "", parts.port or 0) as proxy:
                proxy.lie(said)
                config = with_a_secret(service, proxy)
                result = await Place(service, proxy, direct).run(service.read | SOON, connect_timeout="1s", **config)
                judged(service, what, result.failure)
                seen(f"greeted by {what}", result.failure)  # type: ignore[arg-type]

        async def garbles(after: int) -> None:
            async with Proxy(parts.hostname or "", parts.port or 0) as proxy:
                proxy.lie(NOISE, after)
                result = await Place(service, proxy, direct).run(service.read | SOON, connect_timeout="1s")
                if result.failure is not None:  # else it was the farewell
                    judged(service, f"noise after {after} bytes", result.failure)

        async with asyncio.TaskGroup() as all_at_once:
            for what, said in WORDS.items():
                all_at_once.create_task(greets(what, said))
            for after in range(1, length, max(length // 16, 1)):
                all_at_once.create_task(garbles(after))


async def test_whatever_answers(service: Service, direct: str, seen: Seen) -> None:
    """Threat 13: the same in place of an answer, on a link that was good."""
    parts = urlsplit(direct)
    await service.prepare(direct)
    async with behind(service, direct):

        async def answers(what: str, said: bytes) -> None:
            async with Proxy(parts.hostname or "", parts.port or 0) as proxy:
                place = Place(service, proxy, direct)
                failure = await place.failed(service.read, FAULT, service.read | SOON, fault=[lambda: proxy.lie(said)])
                judged(service, what, failure)
                seen(f"answered by {what}", failure)

        async with asyncio.TaskGroup() as all_at_once:
            for what, said in WORDS.items():
                all_at_once.create_task(answers(what, said))


def frame(kind: bytes, body: bytes) -> bytes:
    """A message of PostgreSQL's protocol."""
    return kind + pack("!i", len(body) + 4) + body


def packet(number: int, body: bytes) -> bytes:
    """A packet of MySQL's protocol."""
    return pack("<I", len(body))[:3] + bytes([number]) + body


def row(*fields: tuple[int, bytes]) -> bytes:
    """PostgreSQL's answer to a statement it has prepared: one row of fields, each with the length it claims."""
    body = pack("!h", len(fields)) + b"".join(pack("!i", length) + text for length, text in fields)
    return frame(b"2", b"") + frame(b"D", body) + frame(b"C", b"SELECT 1\0") + frame(b"Z", b"I")


def table(value: bytes, columns: int = 1) -> bytes:
    """MySQL's answer of one row with a column of integers."""
    column = b"\3def\0\0\0\1n\0\x0c\x3f\0\x15\0\0\0\x08\x81\0\0\0\0"
    end = b"\xfe\0\0\2\0"
    return packet(1, bytes([columns])) + packet(2, column) + packet(3, value) + packet(4, end)


BOUNDLESS: Mapping[str, Mapping[str, bytes]] = {
    "postgres": {
        "a frame of 2 GiB": b"D\x7f\xff\xff\xff\0\1",
        "a frame of 1 GiB": b"D\x40\0\0\0\0\1",
        "a negative frame": b"D\xff\xff\xff\x9c" + b"x" * 200,
        "a frame of nothing": b"D\0\0\0\0" * 100,
        "a frame of type zero": frame(b"\0", b"x"),
        "more columns than there are": row((8, b"\0" * 7 + b"\1"), (8, b"\0" * 8)),
        "no column": row(),
        "a number of two bytes": row((2, b"\0\1")),
        "a field longer than its frame": row((1 << 30, b"\0" * 8)),
        "a field of negative length": row((-7, b"\0" * 8)),
    },
    "mysql": {
        "a packet of 16 MiB": b"\xff\xff\xff\x01x",
        "more columns than there are": table(b"\1\x31", 9),
        "65,535 columns": packet(1, b"\xfc\xff\xff"),
        "columns without number": packet(1, b"\xfe" + b"\xff" * 7 + b"\x7f"),
        "a field longer than its packet": table(b"\xfd\xff\xff\xffx"),
        "a number that is none": table(b"\3abc"),
        "a file": packet(1, b"\xfb/etc/passwd"),
        "an empty packet": packet(1, b""),
    },
    "redis": {
        "a text of 2 GiB": b"$2147483647\r\nx",
        "a text of any length": b"$9223372036854775807\r\nx",
        "a list of 2**31 - 1": b"*2147483647\r\n",
        "a list of any length": b"*9223372036854775807\r\n",
        "a text of negative length": b"$-9\r\n",
        "lists in lists": b"*1\r\n" * 100_000,
        "a number without end": b":" + b"9" * 100_000 + b"\r\n",
    },
    "mongodb": {
        "a message of 2 GiB": pack("<iiii", 2**31 - 1, 1, 1, 2013),
        "a message of negative length": pack("<iiii", -5, 1, 1, 2013),
        "a compressed message": pack("<iiii", 64, 1, 1, 2012) + pack("<iib", 2013, 2**31 - 1, 2) + b"x" * 39,
    },
    "http": {
        "a body of 1 TiB": b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\nx",
        "a chunk of 1 TiB": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000\r\nx",
        "a chunk without number": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx",
        "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    },
}  # fmt: skip


FINAL = {"a file": "permission", "a body of 1 TiB": "limit"}


@pytest.fixture
def little_memory() -> Iterator[None]:
    """This process may take no more than half a gigabyte beside what it has."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 29), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


async def test_answers_that_are_out_of_all_bounds(
    service: Service, direct: str, seen: Seen, little_memory: None
) -> None:
    """Threat 13: lengths that no answer has, more columns than asked for, values of other types. What is only claimed
    is not allocated, and no such answer is taken for one."""
    parts = urlsplit(direct)
    await service.prepare(direct)
    async with behind(service, direct):

        async def answers(what: str, said: bytes) -> None:
            async with Proxy(parts.hostname or "", parts.port or 0) as proxy:
                place = Place(service, proxy, direct)
                result = await place.run(service.read, FAULT, service.read | SOON, fault=[lambda: proxy.lie(said)])
                assert result.failure is not None, (what, result.steps)
                failure = result.failure
                seen(f"answered by {what}", failure)
                final = FINAL.get(what)
                assert failure.type in ((final,) if final else BROKEN), (what, failure)
                assert failure.retryable is not bool(final), (what, failure)

        async with asyncio.TaskGroup() as all_at_once:
            for what, said in BOUNDLESS[service.kind].items():
                all_at_once.create_task(answers(what, said))


async def test_words_without_end(place: Place, seen: Seen, little_memory: None) -> None:
    """Threat 13: whoever never stops talking is not listened to for long."""
    read = place.service.read
    for fault in (lambda: place.proxy.lie(NOISE, endless=True), None):
        steps, faults = ([read, FAULT], [fault]) if fault else ([], [])
        failure = await place.failed(*steps, read | SOON, fault=faults, connect_timeout="1s")
        seen("endless noise", failure)
        assert failure.type in (*BROKEN, "limit"), failure
