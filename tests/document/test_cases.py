"""Broken flow files and what is said about them, as data.

Each `cases/NAME.yaml` has a `NAME.out` beside it: one finding a line, with its position, code and message, and
below it what is suggested, noted and mended. After a change that is meant, `FLOWLANG_UPDATE=1 pytest
tests/document/test_cases.py` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowlang.diagnostics import Diagnostic, has_errors
from flowlang.document.parse import parse_flow

HERE = Path(__file__).parent
CASES = sorted((HERE / "cases").glob("*.yaml"))
VALID = sorted((HERE / "valid").glob("*.yaml"))
UPDATE = os.environ.get("FLOWLANG_UPDATE") == "1"


def rendered(finding: Diagnostic) -> str:
    severity = "" if finding.severity == "error" else f"{finding.severity}: "
    lines = [f"{finding.span.start} {finding.code} {severity}{finding.message}"]
    if finding.suggestion:
        lines.append(f"    help: {finding.suggestion}")
    lines.extend(f"    note: {note}" for note in finding.notes)
    if finding.fix:
        edits = ", ".join(f"{each.span.start}-{each.span.end} {each.text!r}" for each in finding.fix.edits)
        lines.append(f"    fix: {finding.fix.title}: {edits}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_findings_of_a_broken_file(path: Path) -> None:
    """All problems of a broken file are found together, with these words and at these places."""
    _, findings = parse_flow(path.read_bytes(), path.name)
    text = "".join(map(rendered, findings))
    expected = path.with_suffix(".out")
    if UPDATE:
        expected.write_text(text, encoding="utf-8")
    assert findings
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_findings_lie_inside_the_file(path: Path) -> None:
    """Every finding starts at a character of the file, or just behind its last one, and ends after it starts."""
    text = path.read_bytes().decode("utf-8", "replace").removeprefix("\ufeff")
    lines = text.split("\n")
    for each in parse_flow(path.read_bytes(), path.name)[1]:
        start, end = each.span.start, each.span.end
        assert 1 <= start.line <= len(lines)
        assert 1 <= start.column <= len(lines[start.line - 1]) + 1
        assert start <= end


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_valid_file_has_no_finding(path: Path) -> None:
    """A file that uses the language as documented is read without a word."""
    flow, findings = parse_flow(path.read_bytes(), path.name)
    assert findings == []
    assert flow is not None
    assert flow.steps


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_fixes_apply(path: Path) -> None:
    """Applying a safe fix removes the finding it belongs to."""
    text = path.read_bytes().decode("utf-8", "replace").removeprefix("\ufeff")
    for each in parse_flow(path.read_bytes(), path.name)[1]:
        if each.fix is None or not each.fix.safe:
            continue
        lines = text.split("\n")
        for edit in sorted(each.fix.edits, key=lambda edit: edit.span.start, reverse=True):
            line = edit.span.start.line - 1
            assert edit.span.end.line - 1 == line
            row = lines[line]
            lines[line] = row[: edit.span.start.column - 1] + edit.text + row[edit.span.end.column - 1 :]
        again = parse_flow("\n".join(lines), path.name)[1]
        assert (each.code, each.span.start) not in [(one.code, one.span.start) for one in again]


def test_a_case_for_errors_exists() -> None:
    """The corpus is there: a wrong path must not make every test above pass unseen."""
    assert len(CASES) >= 45
    assert len(VALID) >= 3
    assert sum(has_errors(parse_flow(path.read_bytes(), path.name)[1]) for path in CASES) >= 40
