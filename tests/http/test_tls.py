"""Secured connections: whom they trust, and what is said when they cannot."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from tests.http.conftest import Authority
from tests.http.server import Reply, Server, as_json

Run = Callable[..., Any]
GET = [{"http_get": {"id": "a", "path": "/x"}}]


async def test_an_authority_of_ones_own(serve: Any, run: Run, authority: Authority) -> None:
    """`verify` names its file; the name of the host is in the handshake and in `Host`."""
    server: Server = serve(authority.context("localhost"))
    server.routes["/x"] = as_json(1)
    result = await run(f"https://localhost:{server.port}", GET, {"body": "a.body"}, verify=authority.file)
    assert result.outputs == {"body": 1}, result.failure
    assert server.names == ["localhost"]
    assert server.requests[0].headers["host"] == f"localhost:{server.port}"


@pytest.mark.parametrize("what", ["unknown", "other name", "expired"])
async def test_a_certificate_that_does_not_hold(serve: Any, run: Run, authority: Authority, what: str) -> None:
    """`connect`, no retry helps, and it says what is wrong."""
    past = datetime.datetime(2020, 1, 1)  # noqa: DTZ001 - the library wants it without a zone
    context = {
        "unknown": lambda: authority.context("localhost"),
        "other name": lambda: authority.context("elsewhere.example"),
        "expired": lambda: authority.context("localhost", not_before=past, not_after=past + datetime.timedelta(1)),
    }[what]()
    server: Server = serve(context)
    trust = {} if what == "unknown" else {"verify": authority.file}
    result = await run(f"https://localhost:{server.port}", GET, **trust)
    assert (result.failure.type, result.failure.retryable) == ("connect", False)
    words = {"unknown": "certificate", "other name": "not valid for 'localhost'", "expired": "expired"}
    assert words[what] in result.failure.detail
    assert server.requests == []


async def test_verify_may_be_off(serve: Any, run: Run, authority: Authority) -> None:
    """When it is asked for in so many words."""
    server: Server = serve(authority.context("elsewhere.example"))
    server.routes["/x"] = as_json(1)
    assert (await run(f"https://localhost:{server.port}", GET, verify=False)).succeeded


async def test_a_certificate_of_the_client(serve: Any, run: Run, authority: Authority, tmp_path: Any) -> None:
    """Shown to a service that asks for one; without it the service refuses."""
    context = authority.context("localhost")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    server: Server = serve(context)
    server.routes["/x"] = as_json(1)
    mine = authority.ca.issue_cert("client@example.com")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    mine.cert_chain_pems[0].write_to_path(cert)
    mine.private_key_pem.write_to_path(key)
    url = f"https://localhost:{server.port}"
    verify = {"ca_file": authority.file, "cert_file": str(cert), "key_file": str(key)}
    assert (await run(url, GET, verify=verify)).succeeded
    result = await run(url, GET, verify=authority.file)
    assert result.failure.type in ("connect", "connection_lost")


@pytest.mark.parametrize("verify", ["missing.pem", {"cert_file": "missing.pem"}, {"ca_file": "/dev/null"}])
async def test_files_that_are_none(run: Run, verify: Any) -> None:
    """`config`, before anything is asked of the service."""
    result = await run("https://localhost:9", GET, verify=verify)
    assert result.failure.type == "config"
    assert "`verify`" in result.failure.detail


async def test_https_is_not_left_for_http(serve: Any, run: Run, authority: Authority) -> None:
    """Not even to the same host."""
    plain: Server = serve()
    server: Server = serve(authority.context("localhost"))
    server.routes["/x"] = Reply(302, b"", {"Location": f"http://localhost:{plain.port}/"})
    result = await run(f"https://localhost:{server.port}", GET, verify=authority.file)
    assert result.failure.type == "permission"
    assert plain.accepted == 0


async def test_plain_http_is_no_tls(server: Server, run: Run) -> None:
    """https asked of a service that speaks http."""
    result = await run(f"https://localhost:{server.port}", GET, verify=False, timeout=5)
    assert result.failure.type == "connect"


async def test_a_handshake_that_stalls(run: Run) -> None:
    """A service that takes the connection and says nothing."""
    import asyncio

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        while await reader.read(1000):
            pass
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        port = listener.sockets[0].getsockname()[1]
        result = await run(f"https://localhost:{port}", GET, timeout={"connect": 0.3, "total": 30})
        assert (result.failure.type, result.failure.outcome_unknown) == ("timeout", False)
    finally:
        listener.close()
        await listener.wait_closed()


async def test_large_replies_over_tls(serve: Any, run: Run, authority: Authority) -> None:
    """Several megabytes both ways."""
    server: Server = serve(authority.context("localhost"))
    server.routes["/x"] = lambda request: Reply(200, request.body, {"Content-Type": "application/octet-stream"})
    steps = [{"http_post": {"id": "a", "path": "/x", "body": "${inputs.text}"}}]
    url, inputs = f"https://localhost:{server.port}", {"text": "ü" * 2_000_000}
    result = await run(url, steps, {"n": "len(a.body)"}, verify=authority.file, inputs=inputs)
    assert result.outputs == {"n": 4_000_000}, result.failure


async def test_tls_through_a_proxy(serve: Any, run: Run, authority: Authority) -> None:
    """CONNECT, then the handshake with the service itself."""
    server: Server = serve(authority.context("localhost"))
    server.routes["/x"] = as_json(1)
    proxy: Server = serve()

    async def tunnel(request: Any) -> None:
        import asyncio

        host, _, port = request.target.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        request.writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
            target.close()

        await asyncio.gather(pump(request.reader, writer), pump(reader, request.writer), return_exceptions=True)

    proxy.routes[""] = tunnel
    url = f"https://localhost:{server.port}"
    result = await run(url, GET, {"b": "a.body"}, verify=authority.file, proxy=proxy.url)
    assert result.outputs == {"b": 1}, result.failure
    assert proxy.requests[0].method == "CONNECT"
    assert server.names == ["localhost"]
