"""What a plugin needs, looked up as installed distributions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.connections.guide import laying

import flowlang
from flowlang.connections import ConnectionPlugin
from flowlang.connections.dependencies import advice, dependencies, look_up, missing, pip_line
from flowlang.exceptions import PluginError


@pytest.fixture
def installed(site: Path) -> Path:
    """`drv-client` 2.5 with the extras `fast` (satisfied) and `slow` (not), and `drv-speed` 1.1rc1."""
    extras = (
        'Provides-Extra: fast\nRequires-Dist: drv-speed>=1.1rc0; extra == "fast"\n'
        'Provides-Extra: slow\nRequires-Dist: drv-sloth>=9; extra == "slow"\nRequires-Dist: drv-unasked\n'
    )
    laying.metadata(site, "drv-client", "2.5", more=extras)
    laying.metadata(site, "drv-speed", "1.1rc1")
    laying.metadata(site, "drv-odd", "not-a-version")
    return site


@pytest.mark.parametrize(
    ("requirement", "version", "reason"),
    [
        ("drv-client", "2.5", ""),
        ("Drv_Client>=2,<3", "2.5", ""),
        ("drv-client>=3", "2.5", "2.5 is installed, >=3 is wanted"),
        ("drv-client[fast]>=2", "2.5", ""),
        ("drv-client[slow]", "2.5", "extra 'slow': drv-sloth: not installed"),
        ("drv-client[none]", "2.5", "drv-client has no extra 'none'"),
        ("drv-speed>=1.0", "1.1rc1", ""),
        ("drv-nothing>=1", None, "not installed"),
        ("drv-odd>=1", "not-a-version", "the installed version 'not-a-version' cannot be read"),
        ("drv client = 3", None, "not a PEP 508 requirement"),
    ],
)
def test_a_requirement_is_understood_whole(installed: Path, requirement: str, version: str | None, reason: str) -> None:
    found = look_up(requirement)
    assert found.installed == version
    assert found.satisfied is (reason == "")
    assert found.reason.startswith(reason)


def test_a_marker_that_does_not_hold_asks_for_nothing() -> None:
    found = look_up('drv-nothing>=1; python_version < "3"')
    assert (found.satisfied, found.reason) == (True, "not needed here")


def test_looking_up_imports_nothing(installed: Path) -> None:
    (installed / "drv_client.py").write_text("raise SystemExit('imported')")
    assert look_up("drv-client").satisfied
    assert "drv_client" not in sys.modules


def test_what_is_missing_becomes_one_line_for_a_shell(installed: Path) -> None:
    class Needy(ConnectionPlugin):
        name = "needy"

        def get_dependencies(self) -> list[str]:
            return ["drv-client>=2", "drv-nothing>=1.0,<2", 'drv-other[x]; python_version > "3"', "drv-nothing>=1.0,<2"]

    lacking = missing(Needy())
    assert [each.name for each in lacking] == ["drv-nothing", "drv-other"]
    assert advice(Needy()) == pip_line(lacking) == "pip install 'drv-nothing>=1.0,<2' 'drv-other[x]'"


def test_a_plugin_that_fails_to_say_is_named() -> None:
    class Failing(ConnectionPlugin):
        name = "failing"

        def get_dependencies(self) -> list[str]:
            raise RuntimeError("no idea")

    with pytest.raises(PluginError, match=r"plugin failing: get_dependencies\(\) failed: RuntimeError: no idea"):
        dependencies(Failing())


NOWHERE = "127.0.0.1:9"


@pytest.mark.parametrize(
    ("kind", "package", "too_old", "task"),
    [
        ("postgres", "asyncpg", "0.29.0", "pg_query: {connection: c, query: SELECT 1}"),
        ("mysql", "asyncmy", "0.2.12", "mysql_query: {connection: c, query: SELECT 1}"),
        ("mongodb", "pymongo", "4.12.1", "mongo_count: {connection: c, collection: t}"),
        ("redis", "redis", "4.5.3", "redis_get: {connection: c, key: k}"),
        ("http", "httpx2", "2.0.0", "http_get: {connection: c, path: /}"),
    ],
)
async def test_a_driver_that_is_too_old_is_refused_before_it_is_used(
    site: Path, kind: str, package: str, too_old: str, task: str
) -> None:
    """By its metadata alone; what to do stands beside it. Nothing is there to connect to, which nobody gets to see."""
    settings = {
        "postgres": f"url: 'postgresql://user:long-secret@{NOWHERE}/d'",
        "mysql": f"url: 'mysql://user:long-secret@{NOWHERE}/d'",
        "mongodb": f"url: 'mongodb://{NOWHERE}', database: d, server_selection_timeout_ms: 50",
        "redis": f"url: 'redis://{NOWHERE}'",
        "http": f"base_url: 'http://{NOWHERE}', allow_private: true",
    }
    laying.metadata(site, package, too_old)
    connection = f"{{type: {kind}, {settings[kind]}}}"
    result = await flowlang.run(text=f"flow: f\nconnections: {{c: {connection}}}\nsteps: [{task}]\n")
    assert result.status == "failed"
    told: Any = result.failure
    assert told.type == "config"
    assert f"plugin `{kind}` cannot use its driver (`{package}`: {too_old} is installed, >=" in told.detail
    assert f"pip install {package}" in told.detail.replace("'", "")
