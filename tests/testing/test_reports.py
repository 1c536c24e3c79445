"""What other programs read of a test run: JUnit's XML, JSON, exit codes; the call from Python."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.cli.conftest import Done, environment
from tests.testing.support import in_pytest

import flowlang
from flowlang.testing import Outcome, run_tests

ROOT = Path(__file__).resolve().parents[2]
FLOW = """
flow: f
inputs:
  - {name: name, type: string, default: world}
steps:
  - set: {text: "Hello, ${inputs.name}"}
    id: greeting
outputs:
  - {name: text, value: "${greeting.text}"}
"""
TESTS = """
tests:
  - name: as it is
    expect: {outputs: {text: "Hello, world"}}
  - name: "not <so> \\a"
    inputs: {name: Ada}
    expect: {outputs: {text: "Hello, \\a"}}
  - name: never reached
"""


@pytest.fixture
def greeting(folder: Path) -> Path:
    """One test that passes, one that fails, one more, and a file that is invalid."""
    (folder / "flow.yaml").write_text(FLOW, "utf-8")
    (folder / "flow.test.yaml").write_text(TESTS, "utf-8")
    return folder


def test_junit_has_suites_and_cases_as_viewers_read_them(greeting: Path, cli: Callable[..., Done]) -> None:
    """Counts add up, a failure carries its text, and what XML cannot hold is replaced."""
    (greeting / "other.test.yaml").write_text("tests: 5\n", "utf-8")
    assert cli("test", "--junit", "report.xml").code == 2
    root = ElementTree.parse(greeting / "report.xml").getroot()
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == ("testsuites", "4", "1", "1")
    flow, other = root.findall("testsuite")
    assert [flow.get(key) for key in ("name", "tests", "failures", "errors", "skipped")] == [
        "flow.test.yaml", "3", "1", "0", "0",
    ]  # fmt: skip
    passed, failed, _ = flow.findall("testcase")
    assert (passed.get("classname"), passed.get("name"), passed.get("line")) == ("flow", "as it is", "3")
    assert len(passed) == 0
    assert failed.get("name") == "not <so> \ufffd"
    assert (failed[0].tag, failed[0].get("type")) == ("failure", "failure")
    assert "flow.test.yaml:7:30" in (failed[0].text or "")
    assert other.findall("testcase/error")[0].text


def test_json_is_one_object(greeting: Path, cli: Callable[..., Done]) -> None:
    """Nothing but the report on stdout, nothing at all on stderr."""
    done = cli("test", "--json", "--coverage", "-k", "as it")
    report = json.loads(done.out)
    assert done.err == ""
    assert (report["ok"], report["passed"], report["failed"], report["deselected"]) == (True, 1, 0, 2)
    assert report["coverage"]["percent"] == 100.0
    assert report["tests"][0] | {"took_ms": 0} == {
        "file": "flow.test.yaml",
        "line": 3,
        "name": "as it is",
        "flow": "flow.yaml",
        "passed": True,
        "status": "succeeded",
        "duration_ms": 0.0,
        "took_ms": 0,
        "problems": [],
        "error": None,
    }


def test_stop_at_the_first_failure(greeting: Path, cli: Callable[..., Done]) -> None:
    assert cli("test", "-x").out.startswith("1 passed, 1 failed in")


def test_a_path_that_is_not_there_is_a_wrong_call(folder: Path, cli: Callable[..., Done]) -> None:
    done = cli("test", "nowhere")
    assert done.code == 2
    assert "there is no file or folder `nowhere`" in done.err


def test_a_program_gets_outcomes(greeting: Path) -> None:
    """`run_tests` gives what it found, and tells of each test as soon as it is over."""
    told: list[Outcome] = []
    report = run_tests(greeting / "flow.test.yaml", on_outcome=told.append)
    assert not report.ok
    assert [each.name for each in report.failed] == ["not <so> \a"]
    assert told == report.outcomes


def test_tasks_and_plugins_of_a_program_can_be_handed_over(folder: Path) -> None:
    """As with `flowlang.run`."""

    @flowlang.task(effect="none")
    async def double(value: int) -> dict[str, int]:
        return {"value": value * 2}

    (folder / "flow.yaml").write_text(
        'flow: f\nsteps:\n  - double: {id: d, value: 4}\noutputs:\n  - {name: v, value: "${d.value}"}\n', "utf-8"
    )
    (folder / "flow.test.yaml").write_text("tests:\n  - name: one\n    expect: {outputs: {v: 8}}\n", "utf-8")
    assert run_tests(folder, tasks=[double]).ok


def test_the_examples_pass_their_tests() -> None:
    """Run where their readers run them: at the root of the project."""
    done = subprocess.run(
        [sys.executable, "-m", "flowlang", "test", "examples", "--fail-under", "90"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- pytest


def test_pytest_selects_and_runs_tests_of_flows(greeting: Path) -> None:
    """Beside tests in Python, by `-k` and by id; a file of somebody else's with the same ending is left alone."""
    (greeting / "other.test.yaml").write_text("prompts: [a]\n", "utf-8")
    assert "1 failed, 2 passed" in in_pytest(greeting)
    assert "1 passed" in in_pytest(greeting, "flow.test.yaml::as it is")
    assert "no tests collected" in in_pytest(greeting, "-o", "flowlang_tests=false", "--co")


def test_pytest_finds_the_plugin_by_itself_and_pays_nothing_for_it() -> None:
    """The entry point names the module, and importing that loads neither YAML nor the engine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (module,) = project["entry-points"]["pytest11"].values()
    code = f"import sys, pytest; before = set(sys.modules); import {module}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == ["flowlang", "flowlang.testing", module]
