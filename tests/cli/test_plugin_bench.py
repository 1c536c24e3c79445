"""`flowlang plugin bench` and `plugin list`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Done

PLUGIN = '''
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from flowlang.connections.typed import TypedPlugin, task

KEPT = []


@dataclass(frozen=True)
class Config:
    leaks: Annotated[bool, "Whether a socket stays open after each use"] = False


class PebblesPlugin(TypedPlugin[Config]):
    """A heap of pebbles"""

    name = "pebbles"
    version = "1.0.0"

    @asynccontextmanager
    async def open(self, config):
        if config.leaks:
            KEPT.append(socket.socket())
        yield []

    @task(effect="read")
    async def find(self, color: Annotated[str, "Of which colour"]) -> None:
        """Find stones.

        Example:
            - pebbles_find: {id: found, color: red}
        """
'''
TESTS = """
import pytest
from pebbles import PebblesPlugin

from flowlang.testing import PluginConformance


class TestPebbles(PluginConformance):
    plugin = PebblesPlugin

    @pytest.fixture
    def config(self):
        return {}
"""
SETTINGS = '[tool.pytest.ini_options]\npythonpath = ["."]\nasyncio_default_fixture_loop_scope = "function"\n'


@pytest.fixture
def package(folder: Path) -> Path:
    for name, text in {"pebbles.py": PLUGIN, "test_pebbles.py": TESTS, "pyproject.toml": SETTINGS}.items():
        (folder / name).write_text(text)
    return folder


def test_costs_and_leavings_are_shown(process: Callable[..., Done], package: Path) -> None:
    done = process("plugin", "bench", "--soak", "40", "--json")
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)["plugins"]
    assert found["plugin"] == "pebbles"
    assert found["operation"] == "pebbles_find"
    assert found["left"] == []
    assert found["lease"] > 0
    assert found["call"] > 0


def test_what_leaks_is_told(process: Callable[..., Done], package: Path) -> None:
    done = process("plugin", "bench", "--soak", "40", "--set", "leaks=true")
    assert done.code == 1
    assert "open socket" in done.out
    assert "after 40 operations:" in done.out


def test_nothing_to_measure_is_refused(process: Callable[..., Done], package: Path) -> None:
    (package / "test_pebbles.py").write_text("")
    done = process("plugin", "bench")
    assert done.code == 2
    assert "nothing was measured" in done.err


def test_each_plugin_is_listed_with_its_package(cli: Callable[..., Done]) -> None:
    found = {each["type"]: each for each in json.loads(cli("plugin", "list", "--json").out)}
    assert found["sqlite"]["source"] == "built-in"
    assert found["sqlite"]["class"] == "flowlang.connections.sqlite.provider:SQLitePlugin"
    assert found["sqlite"]["missing"] == []
    assert found["sqlite"]["file"].endswith("provider.py")


def test_a_broken_plugin_is_listed_with_its_reason(process: Callable[..., Done], folder: Path) -> None:
    info = folder / "site/flowlang_pebbles-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flowlang-pebbles\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[flowlang.connections]\npebbles = no_such_module:Plugin\n")
    done = process("plugin", "list", env={"PYTHONPATH": str(folder / "site")})
    assert done.code == 1
    assert "1 plugin cannot be used:\n  pebbles (flowlang-pebbles 1.0, pebbles = no_such_module:Plugin)" in done.out
    assert "no_such_module" in done.out
