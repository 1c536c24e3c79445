"""`flowlang check`: findings for people, programs, code scanners and workflow logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Done

Call = Callable[..., Done]
WARNED = (
    "flow: w\nplugins: {}\ninputs:\n  - {name: n, type: integer, required: true, default: 5}\nsteps:\n"
    '  - log: "${inputs.n}"\n'
)


@pytest.fixture
def files(folder: Path) -> Path:
    (folder / "good.yaml").write_text("flow: g\nsteps:\n  - log: hi\n")
    (folder / "bad.yaml").write_text("flow: b\nstep:\n  - log: hi\n")
    (folder / "worse.yaml").write_text("flow: w\nsteps:\n  - lgo: hi\n  - log: ${nope}\n")
    return folder


def test_all_findings_of_all_files_in_order_with_a_summary(cli: Call, files: Path) -> None:
    done = cli("check", "worse.yaml", "good.yaml", "bad.yaml", "bad.yaml")
    assert done.code == 2
    assert done.err == ""
    places = [line.split("--> ")[1] for line in done.out.splitlines() if "--> " in line]
    assert places == sorted(places)
    assert "worse.yaml:3:5" in places
    assert "worse.yaml:4:12" in places
    assert "did you mean `steps`?" in done.out
    assert done.out.splitlines()[-1] == f"{len(places)} errors in 3 files"


def test_a_good_file_says_so(cli: Call, files: Path) -> None:
    assert cli("check", "good.yaml") == Done(0, "no findings in 1 file\n", "")


def test_a_hint_is_told_and_never_counts(cli: Call, folder: Path) -> None:
    """What nothing uses is named by the check, which passes, strict or not; a run does not speak of it."""
    (folder / "h.yaml").write_text("flow: h\ninputs:\n  - {name: n, type: integer, default: 5}\nsteps:\n  - log: hi\n")
    for options in ([], ["--strict"]):
        done = cli("check", *options, "h.yaml")
        assert (done.code, done.out.splitlines()[-1]) == (0, "1 hint in 1 file")
        assert done.out.startswith("hint[unused-input]: input `n` is never read\n  --> h.yaml:3:12\n")
    assert "hint" not in "".join(map(str, cli("run", "h.yaml")))


def test_a_warning_is_an_error_only_when_strict(cli: Call, folder: Path) -> None:
    (folder / "w.yaml").write_text(WARNED)
    done = cli("check", "w.yaml")
    assert (done.code, done.out.splitlines()[-1]) == (0, "1 warning in 1 file"), done.out
    done = cli("check", "--strict", "w.yaml")
    assert (done.code, done.out.splitlines()[-1]) == (2, "1 error in 1 file")


def test_json_is_one_document_of_records(cli: Call, files: Path) -> None:
    done = cli("check", "--format", "json", "bad.yaml", "worse.yaml")
    found = json.loads(done.out)
    keys = [
        "severity",
        "code",
        "message",
        "file",
        "line",
        "column",
        "end_line",
        "end_column",
        "notes",
        "suggestion",
        "fix",
    ]
    assert all(list(each) == keys for each in found)
    assert done.code == 2
    assert json.loads(cli("check", "--format", "json", "good.yaml").out) == []


def test_sarif_has_the_shape_that_scanners_read(cli: Call, files: Path) -> None:
    document = json.loads(cli("check", "--format", "sarif", "worse.yaml").out)
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = {each["id"] for each in run["tool"]["driver"]["rules"]}
    for result in run["results"]:
        assert result["ruleId"] in rules
        assert result["level"] in ("error", "warning", "note")
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "worse.yaml"
        assert place["region"]["startLine"] >= 1
    assert json.loads(cli("check", "--format", "sarif", "good.yaml").out)["runs"][0]["results"] == []


def test_github_has_one_line_for_each_finding(cli: Call, files: Path) -> None:
    lines = cli("check", "--format", "github", "worse.yaml").out.splitlines()
    assert lines
    assert all(line.startswith("::error file=worse.yaml,line=") for line in lines)
    assert "::" in lines[0].removeprefix("::")


def test_a_name_that_is_no_unicode_still_gives_json(cli: Call, folder: Path) -> None:
    """A file name with stray bytes, as the system hands it over."""
    (finding,) = json.loads(cli("check", "--format", "json", "odd\udcff.yaml").out)
    assert finding["file"] == "odd\udcff.yaml"
    assert "odd\\udcff.yaml:1:1" in cli("check", "odd\udcff.yaml").out
    assert json.loads(cli("run", "--json", "odd\udcff.yaml").out)["status"] == "invalid"


def test_of_a_folder_every_flow_and_every_test_is_checked_in_order(cli: Call, files: Path) -> None:
    """And nothing that is no flow, or lies where no sources lie."""
    (files / "parts").mkdir()
    (files / "parts" / "inner.yml").write_text("# a part\nsteps:\n  - log: ${nope}\n")
    (files / "good.test.yaml").write_text("tests:\n  - nme: typo\n")
    (files / "compose.yaml").write_text("services: {web: {image: x}}\n")
    (files / "notes.txt").write_text("flow: no\n")
    for hidden in (".git", "node_modules"):
        (files / hidden).mkdir()
        (files / hidden / "bad.yaml").write_text("flow: b\nstep: []\n")
    done = cli("check", ".", "good.yaml", "--format", "json")
    assert done.code == 2
    assert list(dict.fromkeys(each["file"] for each in json.loads(done.out))) == [
        "bad.yaml",
        "good.test.yaml",
        "parts/inner.yml",
        "worse.yaml",
    ]
    assert cli("check", ".").out.rstrip().endswith("in 5 files")


def test_a_folder_without_a_flow_is_refused(cli: Call, files: Path) -> None:
    (files / "empty").mkdir()
    done = cli("check", "empty", "good.yaml")
    assert (done.code, done.out) == (2, "")
    assert "there is no flow in the folder `empty`" in done.err
