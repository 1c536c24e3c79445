"""`flowlang test`, told by data: files, arguments, what is printed, the exit code; and the same through pytest."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.cli.conftest import Done, environment
from tests.testing.support import cases, timeless, write

CASES = [pytest.param(case, id=name) for name, case in cases()]
PLUGIN = "flowlang.testing.pytest_plugin"
# What the surrounding session has, and the inner one must not: workers, orders, its own entry point.
WITHOUT = ["no:xdist", "no:randomly", "no:asyncio", "no:flowlang", "no:cacheprovider", "no:hypothesispytest"]


@pytest.mark.parametrize("case", CASES)
def test_the_command(case: dict[str, Any], folder: Path, cli: Callable[..., Done]) -> None:
    """What is printed is what the case shows, apart from how long it really took."""
    write(case, folder)
    done = cli("test", *case.get("args", []))
    assert timeless(done.err).strip() == case["err"].strip()
    assert timeless(done.out).strip() == case["out"].strip()
    assert done.code == case["code"]


@pytest.fixture(scope="session")  # the tests run in any order, between those of other modules
def by_pytest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """What pytest makes of the cases, each in a folder of its own: by folder, the kind and text of each result."""
    root = tmp_path_factory.mktemp("cases")
    for number, (_, case) in enumerate(cases()):
        write(case, root / str(number))
    options = ["-p", PLUGIN, *(word for each in WITHOUT for word in ("-p", each))]
    command = [sys.executable, "-m", "pytest", "--continue-on-collection-errors", "--junit-xml=report.xml", *options]
    subprocess.run(command, cwd=root, env=environment(), capture_output=True, check=False, timeout=100)
    found: dict[str, list[tuple[str, str]]] = {}
    for each in ElementTree.parse(root / "report.xml").iter("testcase"):
        problem = next(iter(each), None)
        kind, text = (problem.tag, problem.text or "") if problem is not None else ("passed", "")
        folder = (each.get("classname") or each.get("name") or "").split(".")[0]
        found.setdefault(folder.split("/")[0], []).append((kind, text))
    return found


@pytest.mark.parametrize("number", [n for n, each in enumerate(CASES) if "-k" not in each.values[0].get("args", [])])
def test_pytest_says_the_same(number: int, by_pytest: dict[str, list[tuple[str, str]]]) -> None:
    """As many tests pass and fail in pytest, and each failure shows the same text."""
    case: dict[str, Any] = CASES[number].values[0]  # type: ignore[assignment]
    results = by_pytest[str(number)]
    for kind, word in (("passed", "passed"), ("failure", "failed")):
        counted = re.search(rf"(\d+) {word}", case["out"])
        assert sum(each == kind for each, _ in results) == (int(counted[1]) if counted else 0)
    shown = "\n".join(text for _, text in results)
    for line in re.findall(r"^error\[.*$", case["err"], re.MULTILINE):
        assert line in shown or "a test file is an object" in line  # others may call their files the same
