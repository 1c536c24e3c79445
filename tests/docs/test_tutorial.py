"""The tutorial is played as a reader would: each command in a terminal, each change in the files.

Two things are done without a network. What the package is built with comes from the environment of the tests, and
`fresh` is a new environment that finds FlowLang and its dependencies there, too. The wheel is really built, and really
installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, Block, blocks, commands, compared, install

TUTORIAL = ROOT / "docs/tutorial.md"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
OFFLINE = ["--no-deps", "--no-index"]


class Reader:
    """Somebody who follows the page, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.folder = folder
        self.packages = folder / "packages"  # what is installed in the environment of the reader
        self.packages.mkdir()

    def follow(self, block: Block) -> None:
        if block.file:
            (self.folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "diff":
            # The folder is in no repository of its own; without this one git would look for one above it.
            words = ["git", "apply", "--whitespace=nowarn", "-"]
            refused = self._run(words, block.text, GIT_CEILING_DIRECTORIES=str(self.home.parent))
            assert not refused, f"{block}: {refused}"
        elif block.language == "console":
            for words, expected in commands(block):
                compared(block, words, self.type(words), expected)
        else:
            assert block.language == "sh", f"{block}: nothing plays this block"

    def type(self, words: list[str]) -> str:
        """What a command prints in the terminal; stdout and stderr together."""
        match words:
            case ["cd", where]:
                self.folder = (self.folder / where).resolve()
                return ""
            case ["pip", "install", "--editable", _]:
                install(self.folder, self.packages)
                return "installed"
            case ["pip", "wheel", *rest]:
                return self._run([*PIP, "wheel", "--no-index", "--no-build-isolation", *rest])
            case ["python", "-m", "venv", name]:
                return self._environment(self.folder / name)
            case ["fresh/bin/pip", "install", wheel]:
                return self._run([*PIP, "--python", "fresh/bin/python", "install", *OFFLINE, wheel])
            case ["fresh/bin/flowlang", *rest]:
                return self._run(["fresh/bin/python", "-m", "flowlang", *rest], PYTHONPATH="")
            case ["python", *rest]:
                return self._run([sys.executable, *rest])
            case ["flowlang" | "pytest" as name, *rest]:
                return self._run([sys.executable, "-m", name, *rest])
        raise AssertionError(f"nobody knows how to type {words}")

    def _environment(self, place: Path) -> str:
        printed = self._run([sys.executable, "-m", "venv", "--without-pip", str(place)])
        (site,) = place.glob("lib/*/site-packages")
        (site / "tests.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT / 'src'}\n", encoding="utf-8")
        return printed

    def _run(self, words: list[str], given: str = "", **env: str) -> str:
        path = os.pathsep.join(map(str, [self.packages, *self.home.glob("*/src")]))
        done = subprocess.run(
            words,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", "COLUMNS": "100", **env},
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_the_tutorial_is_so(tmp_path: Path) -> None:
    """Every block of the tutorial, in order: from `plugin new` to a wheel that works in a fresh environment."""
    reader = Reader(tmp_path)
    for block in blocks(TUTORIAL):
        reader.follow(block)
