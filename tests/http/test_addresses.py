"""Where a connection may lead: the public internet, and inside only when the flow says so (threats 15)."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.http.server import Reply, Server, as_json

from flowlang.connections.http.addresses import is_public
from flowlang.connections.http.network import Backend

Run = Callable[..., Any]
GET = [{"http_get": {"id": "a", "path": "/x"}}]


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses(address: str) -> None:
    """What may be reached."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    "127.0.0.1 127.9.9.9 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200 "
    "192.0.0.192 168.63.129.16 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255 192.0.2.1 "
    "::1 :: fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 ff02::1 fec0::1 2001:db8::1 100::1 "
    "::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 "
    "2002:7f00:1:: 2002:a9fe:a9fe:: 2001:0:7f00:1:: nonsense".split(),
)
def test_addresses_that_are_not_public(address: str) -> None:
    """Loopback, private, link-local, metadata, reserved, and each of them inside another form."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "host",
    "127.0.0.1 127.1 0x7f000001 0x7f.0.0.1 017700000001 2130706433 0 localhost LOCALHOST localhost. a.localhost "
    "169.254.169.254 metadata.google.internal printer.local [::1] [::ffff:127.0.0.1] [::ffff:a9fe:a9fe] "
    "10.0.0.1".split(),
)
async def test_a_base_that_leads_inside_is_refused_before_the_run(host: str, run: Run) -> None:
    """In every spelling; the finding names the way to allow it."""
    result = await run(f"http://{host}:9", GET, allow_private=False)
    assert result.status == "invalid"
    assert "`allow_private: true`" in result.findings[0].message


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Name → the answers of successive lookups, each a list of addresses. Other names are looked up as ever."""
    answers: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def lookup(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host not in answers:
            return real(host, port, *args, **options)
        found = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [each for address in found for each in real(address, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return answers


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.7", "169.254.169.254"])
async def test_a_name_that_leads_inside(server: Server, run: Run, names: Any, address: str) -> None:
    """Looked up, judged, refused: nothing is connected. The class is `permission`, and no retry helps."""
    names["service.example"] = [[address]]
    result = await run(f"http://service.example:{server.port}", GET, allow_private=False)
    assert (result.failure.type, result.failure.retryable) == ("permission", False)
    assert "`allow_private: true`" in result.failure.detail
    assert "service.example" in result.failure.detail
    assert server.accepted == 0


async def test_the_address_that_was_judged_is_the_one_connected_to(
    server: Server, run: Run, names: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers with a public address first and with a private one the next time: it is asked once, and the
    connection goes to the first answer. For this test the documentation's range counts as public."""
    names["rebind.example"] = [["203.0.113.7"], ["127.0.0.1"]]
    monkeypatch.setattr("flowlang.connections.http.network.is_public", lambda text: text == "203.0.113.7")
    result = await run(f"http://rebind.example:{server.port}", GET, allow_private=False, timeout=0.3)
    assert result.failure.type in ("timeout", "connect"), "nobody answers there"
    assert server.accepted == 0
    assert len(names["rebind.example"]) == 1, "it was looked up exactly once"


async def test_of_several_addresses_only_the_public_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mixed answer cannot smuggle one in."""
    found = [(socket.AF_INET, 1, 6, "", (each, 80)) for each in ("10.0.0.1", "8.8.8.8", "127.0.0.1")]
    assert [address[0] for _, address in Backend(allow_private=False)._allowed("x", found)] == ["8.8.8.8"]
    assert len(Backend(allow_private=True)._allowed("x", found)) == 3


async def test_the_next_address_is_tried(server: Server, run: Run, names: Any) -> None:
    """The first one refuses; the second is the service."""
    server.routes["/x"] = as_json(1)
    names["two.example"] = [["127.0.0.2", "127.0.0.1"]]
    assert (await run(f"http://two.example:{server.port}", GET)).succeeded
    assert server.requests[0].headers["host"] == f"two.example:{server.port}"


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:{port}/inside", "http://0x7f.1:{port}/inside", "//2130706433:{port}/inside"]
)
async def test_a_redirect_inside_is_refused(
    serve: Any, run: Run, names: Any, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place of a redirect is judged like the first. Here the first service counts as public, and nothing else."""
    outside, inside = serve(), serve()
    inside.routes[""] = as_json("secret")
    outside.routes["/x"] = Reply(302, b"", {"Location": target.format(port=inside.port)})
    names["outside.example"] = [["127.0.0.9"]]
    judged: list[str] = []

    def public(text: str) -> bool:
        judged.append(text)
        return text == "127.0.0.9"

    monkeypatch.setattr("flowlang.connections.http.network.is_public", public)
    monkeypatch.setattr("flowlang.connections.http.network._connected", _as_if(outside.port, "127.0.0.9", "127.0.0.1"))
    result = await run(f"http://outside.example:{outside.port}", GET, allow_private=False)
    assert len(outside.requests) == 1
    assert result.failure.type == "permission"
    assert "127.0.0.1" in judged
    assert inside.accepted == 0


def _as_if(port: int, public: str, real: str) -> Any:
    """Connections to `public` go to `real`: the machine of a test has no public address."""
    from flowlang.connections.http.network import _connected

    async def connected(loop: Any, family: int, address: Any) -> Any:
        assert address == (public, port)
        return await _connected(loop, family, (real, port))

    return connected


async def test_a_proxy_needs_the_permission(run: Run) -> None:
    """Behind a proxy nobody here knows where the connection goes."""
    result = await run("https://api.example.com", GET, allow_private=False, proxy="http://proxy.example.com:3128")
    assert result.status == "invalid"
    assert "`allow_private: true`" in result.findings[0].message


async def test_requests_go_through_the_proxy(serve: Any, run: Run, authority: Any) -> None:
    """In the clear as a whole URL; its credentials reach the proxy and stay out of errors."""
    proxy = serve()
    proxy.routes[""] = lambda request: as_json(request.headers.get("proxy-authorization"))
    result = await run(
        "http://behind.example", GET, {"b": "a.body"}, proxy=f"http://user:pa%40ss-word@127.0.0.1:{proxy.port}"
    )
    assert proxy.requests[0].target == "http://behind.example/x"
    assert result.outputs["b"].startswith("Basic ")
    proxy.routes[""] = Reply(407)
    result = await run("https://behind.example", GET, proxy=f"http://user:pa%40ss-word@127.0.0.1:{proxy.port}")
    assert result.failure.type == "auth"
    assert "ss-word" not in str(result.failure)


CLIMBING = r"/a/../b ../x /a/.. /./x /a/%2e%2e/b /a/.%2E/b /a/..%2fb /a/%252e%252e/b /a/..;/b /a\..\b".split()
ELSEWHERE = ["http://evil.example/", "https://evil.example", "//evil.example/x", "\\\\evil.example"]


@pytest.mark.parametrize("path", [*CLIMBING, *ELSEWHERE, "/a#b", "/a\r\nX: y", "/a\0"])
async def test_a_path_cannot_leave_its_base(server: Server, run: Run, path: str) -> None:
    """Not by a URL, not by climbing, in no spelling. Nothing is sent."""
    result = await run(server.url + "/v1", [{"http_get": {"path": "${inputs.p}"}}], inputs={"p": path})
    assert result.failure.type == "validation"
    assert server.accepted == 0


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("7", "/v1/u/7/x"),
        ("a/b", "/v1/u/a%2Fb/x"),
        ("a?admin=1", "/v1/u/a%3Fadmin%3D1/x"),
        ("a#b", "/v1/u/a%23b/x"),
        ("ü %", "/v1/u/%C3%BC%20%25/x"),
        ("@evil.example", "/v1/u/%40evil.example/x"),
        ("a:b", "/v1/u/a%3Ab/x"),
        ("a\r\nb", "/v1/u/a%0D%0Ab/x"),
    ],
)
async def test_a_value_in_a_path_is_one_segment(server: Server, run: Run, value: str, target: str) -> None:
    """Whatever it holds, it is encoded by the engine and names nothing else."""
    server.routes[""] = as_json(1)
    steps = [{"http_get": {"path": "/u/${inputs.p}/x"}}]
    result = await run(server.url + "/v1", steps, inputs={"p": value})
    assert result.succeeded, result.failure
    assert server.requests[0].target == target


@pytest.mark.parametrize("value", ["", "..", ".", "../admin", "a/../../admin"])
async def test_a_value_that_would_name_something_else_is_refused(server: Server, run: Run, value: str) -> None:
    """An empty id must not delete the whole collection, and `..` nothing above it."""
    server.routes[""] = as_json(1)
    result = await run(server, [{"http_delete": {"path": "/u/${inputs.p}"}}], inputs={"p": value})
    assert result.failure.type == "validation"
    assert server.requests == []
