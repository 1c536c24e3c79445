"""Cases of `flowlang test`: files, arguments, and what has to be printed. `make_cases` writes the printed part."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from tests.cli.conftest import environment

FOLDER = Path(__file__).parent / "cases"
_REAL = re.compile(r"\((?:\d[\d.]* (?:µs|ms|s))(, [^)]*)?\)$", re.MULTILINE)
_SUM = re.compile(r"(in \d+ test files?), .*$", re.MULTILINE)


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FOLDER.glob("*.yaml")):
        for case in yaml.safe_load(path.read_text("utf-8")):
            yield f"{path.stem}: {case['name']}", case


def write(case: dict[str, Any], folder: Path) -> None:
    """Put the files of a case into a folder."""
    for name, text in case["files"].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def timeless(text: str) -> str:
    """What was printed, without how long it really took; the flow's own time stays."""
    return _SUM.sub(r"\1", _REAL.sub(lambda match: f"({match[1][2:]})" if match[1] else "", text)).replace(" \n", "\n")


def in_pytest(folder: Path, *more: str) -> str:
    """What pytest prints in a folder, with our plugin alone."""
    ours = ("-p", "no:cacheprovider", "-p", "flowlang.testing.pytest_plugin")
    command = [sys.executable, "-m", "pytest", "-q", *ours, *more]
    env = environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=100)
    return done.stdout + done.stderr
