"""The fenced blocks of the pages, and the commands in them: what the tests of the docs share."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import forks

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<info>[^`\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@dataclass(frozen=True, slots=True)
class Block:
    page: Path
    line: int
    language: str
    marks: frozenset[str]
    file: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, from top to bottom."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        language, *words = match["info"].split() or [""]
        file = next((word.removeprefix("file=") for word in words if word.startswith("file=")), None)
        marks = frozenset(word for word in words if "=" not in word)
        yield Block(page, text.count("\n", 0, match.start()) + 1, language, marks, file, match["text"])


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the page's folder, with what the page has installed there; stdout and stderr together."""
    path = os.pathsep.join([str(folder), str(ROOT / "src")])
    env = {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", "COLUMNS": "100"}
    if words[0] == "flowlang":
        return forks.command(*words[1:], cwd=folder, env=env, merged=True)
    if words[0] == "python":
        words = (sys.executable, *words[1:])
    return subprocess.run(
        words,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def install(folder: Path, into: Path | None = None) -> None:
    """What `pip install --editable .` leaves for others to see: the package's name and its entry points."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = (into or folder) / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    metadata += "".join(f"Requires-Dist: {each}\n" for each in project.get("dependencies", ()))
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


def as_pattern(expected: str) -> re.Pattern[str]:
    """What a page shows, as a pattern in which `…` fits any text inside a line, and alone on a line any lines."""
    inside, lines = r"[^\n]*", r"[^\n]*(?:\n[^\n]*)*?"
    parts = [lines if line == "…" else re.escape(line).replace("…", inside) for line in expected.split("\n")]
    return re.compile("\n".join(parts))


def commands(block: Block) -> Iterator[tuple[list[str], str]]:
    """The commands of a console block, as words, each with what the page shows of its output."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        yield shlex.split(line), expected.rstrip("\n")


def compared(block: Block, words: list[str], printed: str, expected: str) -> None:
    """Fail unless a command printed what the page shows."""
    assert as_pattern(expected).fullmatch(printed.rstrip("\n")), (
        f"{block}: `{shlex.join(words)}` printed\n{printed}\nand the page shows\n{expected}"
    )
