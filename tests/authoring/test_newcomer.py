"""A plugin of each kind, begun by `flowlang plugin new` and not touched, works as a wheel in a fresh environment."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.authoring.newcomer import ROOT, TOOLS, done, double, installed, only_tests

from flowlang.authoring.new import KINDS

# What the example of a kind reads from the environment, of a double that runs.
VARIABLES: Mapping[str, Callable[[Any, Any], dict[str, str]]] = {
    "client": lambda module, service: {
        "STOCK_HOST": "127.0.0.1",
        "STOCK_PORT": str(service.port),
        "STOCK_TOKEN": module.TOKEN,
    },
    "http": lambda module, service: {
        "STOCK_BASE_URL": service.url,
        "STOCK_TOKEN": module.TOKEN,
        "STOCK_ALLOW_PRIVATE": "true",
    },
    "sql": lambda module, service: {"STOCK_DATABASE": service.database},
}
LONG = pytest.mark.long  # one kind shows that the package works; `make long` shows the others


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", [pytest.param(each, marks=LONG if each != "client" else ()) for each in KINDS])
def test_a_new_package_works_as_it_is(kind: str, tmp_path: Path) -> None:
    """Clean by ruff, mypy and `plugin check`; its example runs; its own tests pass; `plugin test` finds it proven."""
    done(sys.executable, "-m", "flowlang", "plugin", "new", "stock", "--kind", kind, cwd=tmp_path)
    package = tmp_path / "flowlang-stock"
    done(TOOLS / "ruff", "check", "--no-cache", ".", cwd=package)
    done(TOOLS / "ruff", "format", "--no-cache", "--check", ".", cwd=package)
    done(TOOLS / "mypy", "--cache-dir", ROOT / ".mypy_cache/newcomer", cwd=package)

    found = done(sys.executable, "-m", "flowlang", "plugin", "check", "--strict", cwd=package)
    assert "stock: no errors, no warnings" in found
    assert "is current" in done(sys.executable, "-m", "flowlang", "plugin", "docs", "--check", cwd=package)

    env = installed(package, tmp_path)
    listed = env.flowlang("connection", "list", cwd=tmp_path)
    assert re.search(r"^stock +0\.1\.0 .*flowlang-stock 0\.1\.0", listed, re.MULTILINE), listed
    env.flowlang("connection", "example", "stock", "-o", "flows", cwd=tmp_path)
    module = double(package)
    with module.serving() as service:
        ran = env.flowlang("run", "flows/stock_example.yaml", cwd=tmp_path, **VARIABLES[kind](module, service))
    assert "succeeded" in ran

    alone = only_tests(package, tmp_path)
    own = ("-q", "-p", "no:cacheprovider", "tests/test_stock.py")
    assert re.search(r"^\d+ passed", done(env.python, "-m", "pytest", *own, cwd=alone), re.MULTILINE)
    proven = env.flowlang("plugin", "test", cwd=alone)
    assert "failed  " not in proven
    assert "stock: score 100%" in proven
    assert "static/entry-point" not in proven, "what needs an installed package is proven of the wheel"
