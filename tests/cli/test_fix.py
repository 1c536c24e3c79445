"""`flowlang check --fix`: what it mends, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Done

Call = Callable[..., Done]
BROKEN = """\
flow: f
stpes:
  - log: hi
    retry: {max_atempts: 3, delay: 5 seconds, jitter: no}
timeout: 2 min
"""
MENDED = """\
flow: f
steps:
  - log: hi
    retry: {max_attempts: 3, delay: 5s, jitter: false}
timeout: 2m
"""


def test_safe_fixes_are_applied_until_nothing_is_left(cli: Call, folder: Path) -> None:
    """What only shows once something else is mended is mended, too."""
    for name in ("a.yaml", "b.yaml"):
        (folder / name).write_text(BROKEN)
    done = cli("check", "--fix", "a.yaml", "b.yaml")
    assert done.code == 0, done.out
    assert (folder / "a.yaml").read_text() == MENDED == (folder / "b.yaml").read_text()
    assert "fixed a.yaml:2:1: write `steps` [unknown-key]" in done.out
    assert done.out.endswith("no findings in 2 files\n")


def test_a_diff_writes_nothing(cli: Call, folder: Path) -> None:
    (folder / "a.yaml").write_text(BROKEN)
    done = cli("check", "--fix", "--diff", "a.yaml")
    assert done.code == 2
    assert "-stpes:\n" in done.out
    assert "+steps:\n" in done.out
    assert (folder / "a.yaml").read_text() == BROKEN


def test_guesses_are_applied_only_when_asked(cli: Call, folder: Path) -> None:
    """A name that somebody chose may be another one: which database to write to is not guessed."""
    text = (
        "flow: f\nconnections:\n  main: {type: sqlite, database: a.db}\n  spare: {type: sqlite, database: b.db}\n"
        "steps:\n  - sqlite_execute: {connection: mian, query: DELETE FROM t}\n"
    )
    (folder / "a.yaml").write_text(text)
    assert cli("check", "--fix", "a.yaml").code == 2
    assert (folder / "a.yaml").read_text() == text
    cli("check", "--fix", "--unsafe-fixes", "a.yaml")
    assert "connection: main" in (folder / "a.yaml").read_text()


def test_line_endings_and_marks_stay(cli: Call, folder: Path) -> None:
    (folder / "a.yaml").write_bytes(b"\xef\xbb\xbf" + BROKEN.replace("\n", "\r\n").encode())
    assert cli("check", "--fix", "a.yaml").code == 0
    assert (folder / "a.yaml").read_bytes() == b"\xef\xbb\xbf" + MENDED.replace("\n", "\r\n").encode()


def test_options_that_need_fix(cli: Call, folder: Path) -> None:
    assert cli("check", "--diff", "a.yaml").code == 2


def test_sarif_carries_the_fixes(cli: Call, folder: Path) -> None:
    (folder / "a.yaml").write_text("flow: f\nstpes:\n  - log: hi\n")
    result = json.loads(cli("check", "--format", "sarif", "a.yaml").out)["runs"][0]["results"][0]
    change = result["fixes"][0]["artifactChanges"][0]
    assert change["artifactLocation"] == {"uri": "a.yaml"}
    region = {"startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 6}
    assert change["replacements"] == [{"deletedRegion": region, "insertedContent": {"text": "steps"}}]
