"""Files down and up: whole or not at all, within bounds, and never whole in memory."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.http.server import Reply, Request, Server, as_json, until

Run = Callable[..., Any]
DATA = bytes(range(256)) * 10_000


def download(**more: Any) -> list[Any]:
    return [{"http_download": {"id": "d", "path": "/f", "file": "out.bin", **more}}]


def left(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


async def test_a_file_down(server: Server, run: Run, tmp_path: Path) -> None:
    """Its size and digest; a compressed one arrives as what it was."""
    digest = hashlib.sha256(DATA).hexdigest()
    for reply in (Reply(200, DATA), Reply(200, gzip.compress(DATA), {"Content-Encoding": "gzip"})):
        server.routes["/f"] = reply
        result = await run(
            server, download(sha256=digest.upper()), {"bytes": "d.bytes", "sha256": "d.sha256", "file": "d.file"}
        )
        assert result.outputs == {"bytes": len(DATA), "sha256": digest, "file": "out.bin"}
        assert (tmp_path / "out.bin").read_bytes() == DATA
        assert left(tmp_path) == {"out.bin"}


async def cut_short(request: Request) -> None:
    request.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + DATA)


async def endless(request: Request) -> None:
    request.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        request.writer.write(b"10000\r\n" + b"z" * 65536 + b"\r\n")
        await request.writer.drain()


@pytest.mark.parametrize(
    ("reply", "more", "kind"),
    [
        (Reply(404), {}, "not_found"),
        (cut_short, {}, "connection_lost"),
        (endless, {"max_bytes": 2_000_000}, "limit"),
        (Reply(200, DATA), {"max_bytes": 1000}, "limit"),
        (Reply(200, gzip.compress(b"\0" * 10_000_000), {"Content-Encoding": "gzip"}), {"max_bytes": 100_000}, "limit"),
        (Reply(200, DATA), {"sha256": "0" * 64}, "conflict"),
    ],
)
async def test_what_fails_leaves_no_file(
    server: Server, run: Run, tmp_path: Path, reply: Any, more: Any, kind: str
) -> None:
    """The file that was there stays as it was, and nothing lies beside it."""
    (tmp_path / "out.bin").write_text("before")
    server.routes["/f"] = reply
    result = await run(server, download(**more))
    assert result.failure.type == kind
    assert left(tmp_path) == {"out.bin"}
    assert (tmp_path / "out.bin").read_text() == "before"


async def test_a_cancelled_download_leaves_no_file(server: Server, run: Run, tmp_path: Path) -> None:
    """Neither a file nor a connection."""
    server.routes["/f"] = endless
    running = asyncio.ensure_future(run(server, download()))
    await until(lambda: bool(server.requests) and bool(left(tmp_path)))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert left(tmp_path) == set()
    await until(lambda: server.open == 0)


@pytest.mark.parametrize("file", ["../out.bin", "/etc/out.bin", "no/folder.bin", ""])
async def test_files_stay_under_their_root(server: Server, run: Run, file: str) -> None:
    """As the file tasks have it; nothing is asked of the service."""
    server.routes["/f"] = Reply(200, DATA)
    result = await run(server, download(file=file))
    assert result.failure.type in ("permission", "not_found", "validation")
    assert server.requests == []


async def test_a_file_up(server: Server, run: Run, tmp_path: Path) -> None:
    """With its size beforehand, its type by its name, its digest afterwards, and what the service says."""
    (tmp_path / "a.json").write_bytes(DATA)
    server.routes["/f"] = lambda request: as_json({"got": len(request.body)}, 201)
    steps = [{"http_upload": {"id": "u", "path": "/f", "file": "a.json"}}]
    outputs = {"bytes": "u.bytes", "sha256": "u.sha256", "status": "u.status", "body": "u.body"}
    result = await run(server, steps, outputs)
    digest = hashlib.sha256(DATA).hexdigest()
    assert result.outputs == {"bytes": len(DATA), "sha256": digest, "status": 201, "body": {"got": len(DATA)}}
    sent = server.requests[0]
    assert (sent.method, sent.headers["content-type"]) == ("PUT", "application/json")
    assert (sent.headers["content-length"], sent.body) == (str(len(DATA)), DATA)


async def test_an_upload_is_sent_again_with_a_new_token(server: Server, run: Run, tmp_path: Path) -> None:
    """The file is read afresh."""
    (tmp_path / "a.bin").write_bytes(DATA)
    tokens = iter(["first-token", "second-token"])
    server.routes["/token"] = lambda _: as_json({"access_token": next(tokens), "token_type": "bearer"})
    server.routes["/f"] = lambda each: Reply(204 if each.headers["authorization"] == "Bearer second-token" else 401)
    auth = {
        "type": "oauth2_client_credentials",
        "token_url": f"{server.url}/token",
        "client_id": "c",
        "client_secret": "s3cret",
    }
    result = await run(
        server, [{"http_upload": {"id": "u", "path": "/f", "file": "a.bin"}}], {"n": "u.sha256"}, auth=auth
    )
    assert result.outputs == {"n": hashlib.sha256(DATA).hexdigest()}
    assert [len(each.body) for each in server.requests if each.path == "/f"] == [len(DATA)] * 2


async def test_a_file_that_is_not_there(server: Server, run: Run) -> None:
    """`not_found`, and nothing is sent."""
    result = await run(server, [{"http_upload": {"path": "/f", "file": "gone.bin"}}])
    assert result.failure.type == "not_found"
    assert server.accepted == 0


async def test_an_early_refusal_of_an_upload(server: Server, run: Run, tmp_path: Path) -> None:
    """A service that answers before it has read everything is heard."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        while await reader.read(65536):
            pass
        writer.close()

    (tmp_path / "a.bin").write_bytes(DATA)
    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        result = await run(url, [{"http_upload": {"path": "/f", "file": "a.bin"}}])
        assert result.failure.type == "limit"
    finally:
        listener.close()
        await listener.wait_closed()
