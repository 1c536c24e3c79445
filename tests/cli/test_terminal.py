"""What a person sees: live lines and a tree on a terminal, plain lines elsewhere, colours only where they belong."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import COMMAND, Done, environment

TASKS = """
import asyncio
from flowlang import task
from flowlang.exceptions import FlowExecutionError

calls = []

@task(effect="none", idempotent=True)
async def busy() -> dict:
    calls.append(1)
    await asyncio.sleep(0.3)
    if len(calls) == 1:
        raise FlowExecutionError("the desk is busy", error_class="unavailable")
    return {"n": len(calls)}
"""
FLOW = """\
flow: seen
tasks: [own.py]
steps:
  - busy: {id: desk, retry: {max_attempts: 2, delay: 300ms, jitter: false}}
  - id: turns
    for_each: "${[1, 2, 3]}"
    do:
      - id: inner
        set: {n: "${item}"}
outputs:
  - {name: n, value: "${desk.n}"}
"""


def on_terminal(*words: str, **env: str) -> tuple[int, str]:
    """The exit code, and everything that a terminal is sent (stdout and stderr)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *words],
        env=environment(TERM="xterm", COLUMNS="100", **env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    sent = b""
    while True:
        try:
            sent += os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not sent:
            break
    os.close(ours)
    return process.wait(timeout=20), sent.decode()


@pytest.fixture
def seen(folder: Path) -> str:
    (folder / "own.py").write_text(TASKS)
    (folder / "flow.yaml").write_text(FLOW)
    return "flow.yaml"


def test_a_terminal_shows_live_lines_then_a_tree_then_outputs(seen: str) -> None:
    code, sent = on_terminal("run", seen)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sent)
    assert code == 0, text
    assert re.search(r"● desk  busy  0\.\d s", text), text
    assert re.search(r"● desk  busy  0\.\d s  attempt 2 of 2  in 0\.\d s", text), text
    assert "↻ desk  attempt 1 of 2 failed (unavailable: the desk is busy); the next in 300 ms" in text
    assert re.search(r"✓ turns  for_each  .*3 turns", text)
    assert re.search(r"└─ ✓ inner  set  .*×3", text)
    assert text.rstrip().endswith("n = 2")
    assert "\x1b[?25h" in sent  # the cursor is back


def test_no_color_draws_without_colours(seen: str) -> None:
    code, sent = on_terminal("run", seen, NO_COLOR="1")
    assert code == 0
    assert not re.search(r"\x1b\[[0-9;]*m", sent.replace("\x1b[0m", ""))
    assert "✓ desk" in sent


def test_json_on_a_terminal_ends_with_the_object(seen: str) -> None:
    code, sent = on_terminal("run", seen, "--json")
    assert code == 0
    assert '"status": "succeeded"' in sent.rstrip().splitlines()[-1]


def test_elsewhere_each_finished_step_is_a_plain_line(process: Callable[..., Done], seen: str) -> None:
    done = process("run", seen)
    assert "\x1b" not in done.out + done.err
    lines = done.err.splitlines()
    assert lines[0] == "retry desk  attempt 1 of 2 failed (unavailable: the desk is busy); the next in 300 ms"
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "done desk", "done turns[0].inner", "done turns[1].inner", "done turns[2].inner", "done turns", lines[-1],
    ]  # fmt: skip
    assert process("run", seen, "--json").err == ""


@pytest.mark.parametrize("words", [("--help",), ("check", "gone.yaml"), ("connection", "list"), ("explain", "log")])
def test_a_pipe_gets_no_colours(process: Callable[..., Done], words: tuple[str, ...]) -> None:
    done = process(*words, env={"TERM": "xterm-256color"})
    assert "\x1b" not in done.out + done.err


def test_findings_are_coloured_on_a_terminal_unless_told_otherwise(folder: Path) -> None:
    (folder / "flow.yaml").write_text("flow: f\nstep: []\n")
    assert "\x1b[1;31merror[" in on_terminal("check", "flow.yaml")[1]
    assert "\x1b" not in on_terminal("check", "flow.yaml", NO_COLOR="1")[1]
