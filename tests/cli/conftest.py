"""The command line in a process of its own (`process`) and, where that does not matter, in this one (`cli`)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests import forks

from flowlang.cli.app import serve

SOURCES = Path(__file__).resolve().parents[2] / "src"
COMMAND = [sys.executable, "-W", "error", "-c", forks.START]


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Call a command in this process."""

    def call(*words: str) -> Done:
        capsys.readouterr()
        code = serve(words)
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return Done(code, shown.out, shown.err)

    return call


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONDONTWRITEBYTECODE": "1", **more}


@pytest.fixture
def process(folder: Path) -> Callable[..., Done]:
    """Call a command in a process of its own; `stdin` is bytes, `env` are further variables. It is a fork, unless it
    has to be `fresh`: where it matters how Python begins."""

    def call(*words: str, stdin: bytes = b"", env: dict[str, str] | None = None, fresh: bool = False) -> Done:
        whole = environment(**(env or {}))
        if fresh:
            options = {"capture_output": True, "text": True, "timeout": 60, "check": False}
            done = subprocess.run([*COMMAND, *words], input=stdin.decode(), env=whole, **options)
        else:
            done = forks.command(*words, cwd=folder, env=whole, stdin=stdin, strict=True)
        shown = Done(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in shown.err, shown.err
        return shown

    return call


@pytest.fixture
def spawn(folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command and go on. What a failed test leaves running is ended."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen([*COMMAND, *words], env=environment(), stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield start
    for each in started:
        each.kill()
        each.communicate()
