"""`flowlang plugin …`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Done

PLUGIN = '''
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from flowlang.connections.typed import Ge, TypedPlugin


@dataclass(frozen=True)
class Config:
    size: Annotated[int, "How many", Ge(1)] = 1


class PebblesPlugin(TypedPlugin[Config]):
    """A heap of pebbles"""

    name = "pebbles"
    version = "1.0.0"

    @asynccontextmanager
    async def open(self, config):
        yield list(range(config.size))
'''
TESTS = """
import pytest
from pebbles import PebblesPlugin

from flowlang.testing import PluginConformance


class TestPebbles(PluginConformance):
    plugin = PebblesPlugin
    capabilities = {"credentials": "anybody may look"}

    @pytest.fixture
    def config(self):
        return {"size": 3}


def test_that_is_none_of_the_kit():
    raise AssertionError
"""


SETTINGS = """
[tool.pytest.ini_options]
pythonpath = ["."]
asyncio_default_fixture_loop_scope = "function"
"""


@pytest.fixture
def package(folder: Path) -> Path:
    """A plugin with its tests, not installed."""
    for name, text in {
        "pebbles.py": PLUGIN,
        "test_pebbles.py": TESTS,
        "pyproject.toml": SETTINGS,
    }.items():
        (folder / name).write_text(text)
    return folder


def test_a_plugin_is_proven_by_its_tests(process: Callable[..., Done], package: Path) -> None:
    """Passed, waived with the reason, and the score; with `--set` the given settings count."""
    done = process("plugin", "test", "--group", "config", "--group", "concurrency", "--set", "size=2")
    assert done.code == 0, done
    assert "waived  config/url-equals-fields: it is configured in one way only" in done.out
    assert "pebbles: contract: " in done.out
    assert "pebbles: score " in done.out
    assert done.err == ""


def test_what_fails_is_told_and_counted(process: Callable[..., Done], package: Path) -> None:
    """As JSON every check is there; exit code 1."""
    (package / "pebbles.py").write_text(PLUGIN.replace('"1.0.0"', '"one"'))
    done = process("plugin", "test", str(package), "--group", "static", "--json")
    assert done.code == 1
    (told,) = json.loads(done.out)["plugins"]
    failed = [each["check"] for each in told["outcomes"] if each["status"] == "failed"]
    assert (told["ok"], failed) == (False, ["static/metadata-complete"])


def test_to_select_nothing_fails(process: Callable[..., Done], folder: Path) -> None:
    (folder / "pyproject.toml").write_text(SETTINGS)
    done = process("plugin", "test")
    assert done.code == 1
    assert "no check was selected" in done.err


def test_tests_that_cannot_be_read_are_told(process: Callable[..., Done], package: Path) -> None:
    (package / "pebbles.py").write_text("import no_such_module")
    done = process("plugin", "test")
    assert done.code == 1
    assert "no_such_module" in done.err


def test_an_unknown_group_is_refused(cli: Callable[..., Done], folder: Path) -> None:
    done = cli("plugin", "test", "--group", "secret")
    assert (done.code, "there are static, config" in done.err) == (2, True)
