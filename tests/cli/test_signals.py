"""Ctrl-C, SIGTERM, SIGHUP: the first cancels the run with its clean-up, the second leaves at once."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import COMMAND, environment

import flowlang.cli

Spawn = Callable[..., subprocess.Popen[str]]

TASKS = """
import asyncio, time
from flowlang import task

@task(effect="none")
async def nap() -> None:
    await asyncio.sleep(60)

@task(effect="none")
async def block() -> None:
    time.sleep(60)
"""
FLOW = """\
flow: slow
tasks: [own.py]
connections: {db: {type: sqlite, database: slow.db}}
steps:
  - log: ready
  - %s
on_cancel:
  - log: on_cancel ran
  - %s
finally:
  - log: finally ran
"""
ENDLESS = (
    "sqlite_query: {query: WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n}"
)


def running(
    spawn: Spawn, folder: Path, step: str, cleaning: str = "log: cleaning", *words: str
) -> subprocess.Popen[str]:
    """The flow under way, its step begun."""
    (folder / "own.py").write_text(TASKS)
    (folder / "flow.yaml").write_text(FLOW % (step, cleaning))
    started = spawn("run", "flow.yaml", *words)
    until(started, "log ready")
    return started


def until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"it ended without saying {text!r}")


@pytest.mark.parametrize(
    "step", ["nap: {}", ENDLESS, "wait: {signal: never}"], ids=["a task", "a statement in SQLite", "a wait"]
)
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=lambda each: str(int(each)),
)
def test_a_signal_cancels_cleans_up_and_closes(spawn: Spawn, folder: Path, step: str, number: int, code: int) -> None:
    process = running(spawn, folder, step)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert out == ""
    assert err.index("on_cancel ran") < err.index("finally ran") < err.index("error[cancelled]")
    assert "Traceback" not in err
    assert not (folder / "slow.db-wal").exists()  # closed: SQLite folded it back


def test_a_cancelled_run_is_one_json_object(spawn: Spawn, folder: Path) -> None:
    (folder / "own.py").write_text(TASKS)
    (folder / "flow.yaml").write_text(FLOW % ("nap: {}", "log: cleaning"))
    process = spawn("run", "flow.yaml", "--json", "-v")
    until(process, "asyncio: ")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, json.loads(out)["status"]) == (130, "cancelled")


def test_a_second_signal_leaves_at_once(spawn: Spawn, folder: Path) -> None:
    """Also in the middle of a clean-up that takes its time."""
    process = running(spawn, folder, "nap: {}", "nap: {}")
    process.send_signal(signal.SIGINT)
    until(process, "on_cancel ran")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "finally ran" not in err


def test_a_task_that_blocks_the_event_loop_cannot_hold_the_process(spawn: Spawn, folder: Path) -> None:
    process = running(spawn, folder, "block: {}")
    process.send_signal(signal.SIGINT)
    until(process, "cancelling")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


CLEANED = """\
flow: slow
tasks: [own.py]
steps:
  - log: ready
  - try:
      - %s
    finally:
      - file_write: {path: tried, content: "yes"}
  - log: going on
finally:
  - file_write: {path: cleaned, content: "yes"}
outputs:
  - {name: many, value: "${range(2000)}"}
"""


@pytest.mark.parametrize("closed", ["stdout", "stderr", "both"])
@pytest.mark.parametrize("words", [(), ("--json",)], ids=["text", "json"])
def test_a_closed_pipe_does_not_stop_the_run(spawn: Spawn, folder: Path, closed: str, words: tuple[str, ...]) -> None:
    """Whoever reads the output may go; what the flow does, it does to its end. The JSON object was asked for: when it
    cannot be written that is no success."""
    (folder / "own.py").write_text(TASKS)
    (folder / "flow.yaml").write_text(CLEANED % "wait: 200ms")
    with spawn("run", "flow.yaml", *words) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if closed != "stderr":
            process.stdout.close()
        if closed != "stdout":
            process.stderr.close()
        rest = process.stderr.read() if closed == "stdout" else process.stdout.read() if closed == "stderr" else ""
    assert (folder / "tried").exists()
    assert (folder / "cleaned").exists()
    assert "Traceback" not in rest
    lost = bool(words) and closed != "stderr"
    assert process.returncode == (1 if lost else 0)
    if closed == "stdout":
        assert ("the result could not be written: stdout is closed" in rest) is lost


def test_a_closed_terminal_cancels_and_cleans_up(folder: Path) -> None:
    """The kernel sends SIGHUP to who is in its session, and what is written to the terminal fails from then on."""
    (folder / "own.py").write_text(TASKS)
    (folder / "flow.yaml").write_text(CLEANED % "nap: {}")
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - another process
        os.chdir(folder)
        os.execve(COMMAND[0], [*COMMAND, "run", "flow.yaml"], environment(TERM="xterm"))
    seen = b""
    while b"nap" not in seen:
        seen += os.read(terminal, 65536)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert (folder / "tried").exists()
    assert (folder / "cleaned").exists()


def test_an_interrupt_while_the_commands_are_loaded_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("flowlang.cli.app.serve", interrupted)
    with pytest.raises(SystemExit) as left:
        flowlang.cli.main(["runs", "list"])
    assert left.value.code == 130
