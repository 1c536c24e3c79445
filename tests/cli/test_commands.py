"""The command line as a whole: help, mistyped commands, completion, version, doctor."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Done

import flowlang
from flowlang.cli.commands import COMMANDS, LazyGroup, root
from flowlang.cli.connection import connection

Call = Callable[..., Done]


def test_help_lists_every_command_under_a_heading_with_examples(cli: Call) -> None:
    out = cli("--help").out
    for name, entry in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(entry.help)}$", out, re.MULTILINE)
    for heading in ("Flows:", "Services:", "Installation:", "Examples:"):
        assert f"\n{heading}\n" in out


@pytest.mark.parametrize("group", [root, connection], ids=["root", "connection"])
def test_every_command_can_be_loaded_and_has_help(cli: Call, group: LazyGroup) -> None:
    lead = [] if group is root else ["connection"]
    for name in group.entries:
        done = cli(*lead, name, "--help")
        assert done.code == 0
        assert done.out.startswith("Usage: flowlang ")


@pytest.mark.parametrize(("wrong", "meant"), [("chekc", "check"), ("conection", "connection"), ("verison", "version")])
def test_a_mistyped_command_is_corrected(cli: Call, wrong: str, meant: str) -> None:
    done = cli(wrong)
    assert (done.code, done.out) == (2, "")
    assert f"did you mean `{meant}`?" in done.err


def test_no_command_shows_the_help(cli: Call) -> None:
    done = cli()
    assert done.code == 2
    assert "Usage:" in done.err


def test_versions(cli: Call) -> None:
    assert cli("--version").out == cli("version").out == f"flowlang {flowlang.__version__}\n"
    record = json.loads(cli("version", "--json").out)
    assert record["flowlang"] == flowlang.__version__
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(cli: Call, shell: str) -> None:
    done = cli("completion", shell)
    assert done.code == 0
    assert "_FLOWLANG_COMPLETE" in done.out
    assert cli("completion", "tcsh").code == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [("flowlang co", "connection"), ("flowlang connection in", "install"), ("flowlang connection info sq", "sqlite"),
     ("flowlang explain unknown-k", "unknown-key")],
)  # fmt: skip
def test_completion_knows_commands_types_and_topics(process: Call, words: str, expected: str) -> None:
    env = {"_FLOWLANG_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    assert f"plain,{expected}" in process(env=env).out.splitlines()


def test_doctor_finds_all_well_here(cli: Call, folder: Path) -> None:
    done = cli("doctor")
    assert done.code == 0, done.out
    record = json.loads(cli("doctor", "--json").out)
    assert record["ok"]
    assert {each["state"] for each in record["checks"]} <= {"ok", "warning"}


def test_doctor_says_what_is_broken(cli: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWLANG_SECRETS_DIR", "nowhere")
    done = cli("doctor")
    assert done.code == 1
    assert re.search(r"^broken +FLOWLANG_SECRETS_DIR +names no folder$", done.out, re.MULTILINE)


def test_a_defect_is_told_without_a_traceback(cli: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret value 12345")

    monkeypatch.setattr("flowlang.cli.version.out", broken)
    done = cli("version")
    assert done.code == 70
    assert done.err.startswith("error[internal]: ZeroDivisionError at test_commands.py:")
    assert "12345" not in done.err
