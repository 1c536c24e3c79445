"""A server for each test, certificates of our own, and flows that are run against it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.http.server import Server

import flowlang
from flowlang.connections import _direct


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers; all of them are stopped after the test."""
    started: list[Server] = []

    def start(tls: ssl.SSLContext | None = None) -> Server:
        started.append(Server(tls).start())
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve()


@dataclass
class Authority:
    """A certificate authority of our own. `file` is what a client trusts."""

    ca: trustme.CA
    file: str

    def context(self, *names: str, **options: Any) -> ssl.SSLContext:
        """What a server shows that is called `names`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names, **options).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return Authority(ca, str(path))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Runs steps on a connection `api` and gives the result; `outputs` are expressions, `config` the connection's."""

    async def run_(
        server: Server | str, steps: list[dict[str, Any]], outputs: dict[str, str] | None = None, **config: Any
    ) -> Any:
        inputs = config.pop("inputs", {})
        kinds = {str: "string", int: "integer", dict: "object", list: "array"}
        secrets = config.pop("secrets", None)
        base = server if isinstance(server, str) else server.url
        flow = {
            "flow": "f",
            "inputs": [{"name": name, "type": kinds[type(value)], "required": True} for name, value in inputs.items()],
            "connections": {"api": {"type": "http", "base_url": base, "allow_private": True, **config}},
            "steps": steps,
            "outputs": [{"name": name, "value": f"${{{each}}}"} for name, each in (outputs or {}).items()],
        }
        options = {"secrets": secrets} if secrets else {}
        return await flowlang.run(None, inputs, text=json.dumps(flow), files_root=tmp_path, **options)

    return run_


@pytest.fixture
def opened() -> Callable[..., Any]:
    """A connection used without a flow."""

    def open_(server: Server | str, **config: Any) -> Any:
        base = server if isinstance(server, str) else server.url
        return _direct.opened("http", {"base_url": base, "allow_private": True, **config})

    return open_
