"""`flowlang fmt`: which files it goes over, what it writes, and what it tells."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Done

Call = Callable[..., Done]
LOOSE = "flow:   f\nsteps:\n- log:   'hi'   # comment\n"
NEAT = "flow: f\n\nsteps:\n  - log: hi # comment\n"


@pytest.fixture
def files(folder: Path) -> Path:
    (folder / "sub/.hidden").mkdir(parents=True)
    for name in ("loose.yaml", "sub/loose.yml", "sub/.hidden/loose.yaml"):
        (folder / name).write_text(LOOSE)
    (folder / "neat.yaml").write_text(NEAT)
    (folder / "compose.yaml").write_text("services:   {}\n")
    return folder


def test_a_folder_stands_for_the_flows_in_it(cli: Call, files: Path) -> None:
    """Other YAML files and hidden folders are left alone."""
    done = cli("fmt")
    assert done == Done(
        0, "formatted ./loose.yaml\nformatted ./sub/loose.yml\n2 files formatted, 1 file left as it is\n", ""
    )
    assert (files / "loose.yaml").read_text() == NEAT == (files / "sub/loose.yml").read_text()
    assert (files / "sub/.hidden/loose.yaml").read_text() == LOOSE
    assert (files / "compose.yaml").read_text() == "services:   {}\n"
    assert cli("fmt", "--check", ".", "loose.yaml").code == 0


def test_a_named_file_is_formatted_whatever_it_is(cli: Call, files: Path) -> None:
    assert cli("fmt", "compose.yaml").code == 0
    assert (files / "compose.yaml").read_text() == "services: {}\n"


def test_check_and_diff_write_nothing(cli: Call, files: Path) -> None:
    done = cli("fmt", "--check", "loose.yaml", "neat.yaml")
    assert done == Done(1, "1 file to format, 1 file left as it is\n", "loose.yaml would change\n")
    done = cli("fmt", "--diff", "loose.yaml", "neat.yaml")
    assert done.code == 0
    assert "-flow:   f\n+flow: f\n+\n" in done.out
    assert cli("fmt", "--check", "--diff", "loose.yaml").code == 1
    assert (files / "loose.yaml").read_text() == LOOSE


def test_stdin_goes_to_stdout(process: Call) -> None:
    assert process("fmt", "-", stdin=LOOSE.encode()) == Done(0, NEAT, "")
    assert process("fmt", "-", "--check", stdin=LOOSE.encode()).code == 1
    done = process("fmt", "-", stdin=b"a: [")
    assert (done.code, done.out) == (2, "")
    assert "<stdin>:" in done.err


def test_a_file_that_is_not_yaml_is_refused_and_the_others_are_formatted(cli: Call, files: Path) -> None:
    (files / "broken.yaml").write_text("flow: [\n")
    done = cli("fmt", "broken.yaml", "missing.yaml", "loose.yaml")
    assert done.code == 2
    assert "broken.yaml:" in done.err
    assert "missing.yaml" in done.err
    assert (files / "broken.yaml").read_text() == "flow: [\n"
    assert (files / "loose.yaml").read_text() == NEAT


def test_the_mode_of_a_file_and_the_link_to_it_stay(cli: Call, files: Path) -> None:
    os.chmod(files / "loose.yaml", 0o640)
    (files / "link.yaml").symlink_to("loose.yaml")
    assert cli("fmt", "link.yaml").code == 0
    assert (files / "link.yaml").is_symlink()
    assert (files / "loose.yaml").read_text() == NEAT
    assert (files / "loose.yaml").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in files.glob(".*")) == []
