"""`flowlang graph`: which form is written, and where to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Done

Call = Callable[..., Done]


@pytest.fixture
def flow(folder: Path) -> str:
    (folder / "flow.yaml").write_text("flow: f\nsteps:\n  - log: hello\n")
    return "flow.yaml"


def test_the_form_is_that_of_the_option_or_of_the_file_name(cli: Call, flow: str, folder: Path) -> None:
    assert cli("graph", flow).out.startswith("flowchart TD\n")
    assert cli("graph", flow, "--format", "svg").out.startswith("<svg ")
    done = cli("graph", flow, "-o", "out.svg")
    assert (done.code, done.out, done.err) == (0, "", "wrote out.svg\n")
    assert (folder / "out.svg").read_text("utf-8") == cli("graph", flow, "--format", "svg").out
    cli("graph", flow, "-o", "out.svg", "--format", "mermaid")
    assert (folder / "out.svg").read_text("utf-8").startswith("flowchart")


def test_a_flow_with_errors_is_not_drawn(cli: Call, folder: Path) -> None:
    (folder / "bad.yaml").write_text("flow: f\nstep: []\n")
    done = cli("graph", "bad.yaml")
    assert (done.code, done.out) == (2, "")
    assert "did you mean `steps`?" in done.err


def test_a_file_that_cannot_be_written_is_an_error(cli: Call, flow: str) -> None:
    done = cli("graph", flow, "-o", "no/such/folder.svg")
    assert done.code == 1
    assert done.err == "error: `no/such/folder.svg`: no such file or directory\n"


def test_an_ending_that_no_form_has_is_refused(cli: Call, flow: str, folder: Path) -> None:
    done = cli("graph", flow, "-o", "flow.png")
    assert (done.code, (folder / "flow.png").exists()) == (2, False)
    assert "error: no form has the ending `.png`: name OUT `.svg` or `.mmd`, or give `--format`" in done.err
    assert cli("graph", flow, "-o", "flow.png", "--format", "mermaid").code == 0
