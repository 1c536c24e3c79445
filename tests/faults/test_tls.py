"""Secured links to real servers: which certificates hold, what is said of those that do not, and at which stage."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.servers.fixtures import own_server, require
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import Postgres
from tests.servers.process import Server, free_port
from tests.servers.redis import Redis

import flowlang
from flowlang.cli import main

AUTHORITY = trustme.CA()
SERVERS = AUTHORITY.issue_cert("localhost")


def certificates(server: Server) -> tuple[str, str, str]:
    """Certificate, key and authority, as files of the server's account."""
    names = [str(server.folder / name) for name in ("server.pem", "server.key", "ca.pem")]
    for blob, name in zip((SERVERS.cert_chain_pems[0], SERVERS.private_key_pem, AUTHORITY.cert_pem), names):
        blob.write_to_path(name)
        os.chmod(name, 0o600)
        if (user := server.user()) is not None:
            shutil.chown(name, user)
    return names[0], names[1], names[2]


class SecuredPostgres(Postgres):
    def command(self) -> Sequence[str]:
        cert, key, _ = certificates(self)
        return [*super().command(), "--ssl=on", f"--ssl_cert_file={cert}", f"--ssl_key_file={key}"]


class SecuredMariaDB(MariaDB):
    def command(self) -> Sequence[str]:
        cert, key, authority = certificates(self)
        return [*super().command(), f"--ssl-cert={cert}", f"--ssl-key={key}", f"--ssl-ca={authority}"]


class SecuredRedis(Redis):
    secured = 0

    def command(self) -> Sequence[str]:
        cert, key, authority = certificates(self)
        self.secured = self.secured or free_port()
        files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", authority]
        return [*super().command(), "--tls-port", str(self.secured), *files, "--tls-auth-clients", "no"]


KINDS: dict[str, type[Server]] = {"postgres": SecuredPostgres, "mysql": SecuredMariaDB, "redis": SecuredRedis}
READS = {
    "postgres": {"pg_query": {"query": "SELECT 1"}},
    "mysql": {"mysql_query": {"query": "SELECT 1"}},
    "redis": {"redis_get": {"key": "k"}},
}


def config_of(server: Server, host: str, trust: str) -> dict[str, str]:
    """A connection to the server by `host`, which has to prove that it is it, to whoever trusts `trust`."""
    if isinstance(server, SecuredRedis):
        return {"url": f"rediss://{host}:{server.secured}/0", "tls_ca_file": trust}
    url = server.url.replace("127.0.0.1", host)
    mode = {"ssl": "verify-full"} if server.kind == "postgres" else {"ssl_mode": "verify_identity"}
    return {"url": url, **mode, "ssl_ca": trust}


@pytest.fixture(params=KINDS)
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    require(request.param)
    yield from own_server(KINDS[request.param], tmp_path)


def test_whom_a_secured_link_trusts(secured: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Threat 34: the right server, one of another name, of an unknown authority, and a file that is not there: by a
    flow, whose failures no retry mends, and by `flowlang connection test`, which names the setting."""
    known, unknown = tmp_path / "known.pem", tmp_path / "unknown.pem"
    AUTHORITY.cert_pem.write_to_path(known)
    trustme.CA().cert_pem.write_to_path(unknown)
    trust = "tls_ca_file" if secured.kind == "redis" else "ssl_ca"
    cases: list[tuple[str, Path, str | None, str | None, str]] = [
        ("localhost", known, None, None, ""),
        ("127.0.0.1", known, "connect", "url", "is not for `127.0.0.1`"),
        ("localhost", unknown, "connect", trust, "not trusted"),
        ("localhost", tmp_path / "missing.pem", "config", trust, "cannot be read"),
    ]
    for host, file, error_class, field, words in cases:
        config = config_of(secured, host, str(file))
        flow = {"flow": "f", "connections": {"s": {"type": secured.kind, **config}}, "steps": [READS[secured.kind]]}
        result = flowlang.run_sync(text=json.dumps(flow))
        failure = result.failure
        assert (failure and failure.type) == error_class, (result.failure, result.findings)
        assert failure is None or not failure.retryable, failure
        stage = stages(secured.kind, config, capsys)["tls"]
        assert (stage["status"], stage.get("field")) == ("failed" if field else "ok", field), stage
        assert words in stage.get("reason", ""), stage


def stages(kind: str, config: dict[str, str], capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    settings = [word for key, value in config.items() for word in ("--set", f"{key}={value}")]
    with pytest.raises(SystemExit):
        main(["connection", "test", "--type", kind, *settings, "--json"])
    return {each["name"]: each for each in json.loads(capsys.readouterr().out)["stages"]}
