"""Broken flows and what the check says of them, as data.

Each `cases/CODE/NAME.yaml` has a `NAME.out` beside it: its findings as people read them, snippet and carets included.
What a flow reaches (subflows, task files, statements) lies in a folder below. After a change that is meant,
`FLOWLANG_UPDATE=1 pytest tests/checking/test_cases.py` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.checking.plugins import registry

import flowlang
from flowlang.checking.checker import Checked
from flowlang.diagnostics import CODES, render

HERE = Path(__file__).parent
CASES = sorted((HERE / "cases").glob("*/*.yaml"))
UPDATE = os.environ.get("FLOWLANG_UPDATE") == "1"  # read at import: the tests run without it
REGISTRY = registry()


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def checked(path: Path, monkeypatch: pytest.MonkeyPatch) -> Checked:
    """The flow as somebody in its folder checks it."""
    monkeypatch.chdir(path.parent)
    return flowlang.check(path.name, registry=REGISTRY)


@pytest.mark.parametrize("path", CASES, ids=name)
def test_findings_of_a_broken_flow(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is wrong with a flow is told in one go: with these words, at these places, and nothing besides. (Of
    what is only unused the hints are compared.)"""
    found = checked(path, monkeypatch)
    told = found.hints if path.parent.name.startswith("unused-") else found.findings
    text = "\n\n".join(render(each, found.sources.get(each.span.file)) for each in told) + "\n"
    expected = path.with_suffix(".out")
    if UPDATE:
        expected.write_text(text, encoding="utf-8")
    assert told
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [each for each in CASES if each.parent.name in CODES], ids=name)
def test_a_case_has_the_finding_that_its_folder_names(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a case is the code of a finding that it has."""
    found = checked(path, monkeypatch)
    assert path.parent.name in {each.code for each in (*found.findings, *found.hints)}


@pytest.mark.parametrize("path", CASES, ids=name)
def test_a_flow_with_errors_has_no_plan(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what has no error can be run; every code is one that `flowlang explain` knows."""
    found = checked(path, monkeypatch)
    assert (found.plan is None) is any(each.severity == "error" for each in found.findings)
    assert all(each.code in CODES for each in found.findings)


# The examples that messages are modelled on: where the finding stands in the fragment that the design shows, and by
# how many lines and columns the fragment is moved here to be part of a flow.
POSITIONS = {
    "bad-indentation": (4, 6, 0, 0),
    "duplicate-key": (3, 3, 0, 0),
    "comment-in-expression": (1, 22, 2, 4),
    "boolean-word": (1, 9, 3, 6),
    "unknown-key": (2, 1, 0, 0),
    "unknown-task": (2, 5, 0, 0),
    "missing-parameter": (2, 5, 0, 0),
    "wrong-type": (4, 27, 0, 0),
    "hyphen-in-id": (3, 9, 0, 0),
    "unknown-step": (2, 25, 0, 0),
    "may-be-skipped": (8, 20, 0, 0),
    "mistyped-root": (1, 11, 2, 4),
    "method": (1, 19, 2, 4),
    "env-in-outputs": (2, 25, 0, 0),
    "wrong-connection": (2, 35, 0, 4),  # `sqlite_query` is 4 characters longer than `pg_query`
    "missing-driver": (3, 11, 0, 0),
    "duration": (3, 10, 2, 4),
    "unused-default": (5, 5, 0, 0),
    "table-name": (1, 23, 2, 6),
}


@pytest.mark.parametrize("case", sorted(POSITIONS))
def test_position_of_the_finding_in_the_design(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these mistakes is one finding, and stands exactly where the design says."""
    found = checked(HERE / "cases/design" / f"{case}.yaml", monkeypatch)
    line, column, lines, columns = POSITIONS[case]
    assert [str(each.span.start) for each in found.findings] == [f"{line + lines}:{column + columns}"]


def test_the_corpus_is_there() -> None:
    """A wrong path must not make every test above pass unseen."""
    assert len(CASES) >= 100
    assert len({path.parent.name for path in CASES}) >= 35
