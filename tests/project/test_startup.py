"""Starting up touches nothing that is not needed yet. Modules are counted, not milliseconds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Drivers, and packages that cost tens of milliseconds.
HEAVY = {
    "_sqlite3",
    "asyncio",
    "asyncmy",
    "asyncpg",
    "concurrent.futures",
    "email",
    "h11",
    "httpcore2",
    "httpx2",
    "importlib.metadata",
    "cronsim",
    "jsonschema_rs",
    "msgspec",
    "multiprocessing",
    "opentelemetry",
    "packaging",
    "pymongo",
    "redis",
    "requests",
    "rich",
    "sqlite3",
    "ssl",
    "urllib.request",
    "yaml",
}

SCRIPT = """
import json, sys
before = set(sys.modules)
{code}
print(json.dumps(sorted(set(sys.modules) - before)))
"""

HELP = """
import contextlib, io
from flowlang.cli import main
with contextlib.redirect_stdout(io.StringIO()) as shown:
    try:
        main(["--help"])
    except SystemExit as leaving:
        assert not leaving.code, leaving.code
assert "Usage" in shown.getvalue()
"""


def loaded_by(code: str) -> set[str]:
    """The modules that `code` loads in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(code=code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import flowlang", set()),
        ("import flowlang.exceptions, flowlang.connections", set()),
        ("from flowlang.connections.base import ConnectionPlugin", set()),
        (HELP, set()),
    ],
    ids=["import flowlang", "import flowlang.connections", "the plugin base class", "flowlang --help"],
)
def test_loads_no_driver_and_nothing_heavy(code: str, allowed: set[str]) -> None:
    """`import flowlang` and `flowlang --help` load no driver, no YAML, no asyncio, no schema checker."""
    assert loaded_by(code) & (HEAVY - allowed) == set()


def test_listing_connections_imports_no_driver() -> None:
    """`flowlang connection list` names every plugin without importing what the plugins drive."""
    code = HELP.replace('["--help"]', '["connection", "list"]').replace('"Usage"', '"sqlite"')
    assert loaded_by(code) & {"sqlite3", "_sqlite3", "asyncpg", "asyncmy", "pymongo", "redis"} == set()


def test_the_public_names_are_there() -> None:
    """Everything in `flowlang.__all__` can be imported, and `dir` shows it before it was loaded."""
    code = "import flowlang\nassert set(flowlang.__all__) <= set(dir(flowlang))\nfrom flowlang import *"
    loaded_by(code)


def test_a_run_in_memory_loads_nothing_of_what_makes_runs_durable() -> None:
    text = "flow: a\\nsteps: [{log: hello}, {wait: 1ms}]\\n"
    loaded = loaded_by(f'import flowlang\nassert flowlang.run_sync(text="{text}").succeeded')
    kept = ("flowlang.durable", "flowlang.runs", "flowlang.history", "flowlang.workers")
    assert [name for name in loaded if name.startswith(kept)] == []


def test_to_list_runs_loads_no_engine() -> None:
    """What looks at a store is to answer at once."""
    loaded = loaded_by(
        HELP.replace('["--help"]', '["runs", "list", "--store", "sqlite:///:memory:"]')
        .replace("assert not leaving.code, leaving.code", "pass")
        .replace('assert "Usage" in shown.getvalue()', "")
    )
    assert "flowlang.history.listing" in loaded
    heavy = ("flowlang.engine", "flowlang.checking", "flowlang.expressions.lower", "rich", "asyncpg")
    assert [name for name in loaded if name.startswith(heavy)] == []
