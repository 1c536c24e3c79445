"""`flowlang run`: exit codes, outputs, inputs, and what a machine reads."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import COMMAND, Done, environment

Call = Callable[..., Done]

TASKS = """
import asyncio, os, subprocess, sys, time
from flowlang import task

@task(effect="none")
async def nap() -> None:
    await asyncio.sleep(60)

@task(effect="none")
async def noisy() -> None:
    print("printed by Python")
    sys.stdout.flush()
    os.write(1, b"written to the descriptor\\n")
    subprocess.run(["echo", "said by a child"], check=True)

@task(effect="none")
async def odd() -> dict:
    return {"good": 1, "bad": float("nan")}

@task(effect="none")
async def many_lines() -> dict:
    return {"rows": [{"n": n, "text": "x" * 50} for n in range(40)]}
"""
HELLO = "flow: hello\ninputs:\n  - {name: name, type: string, default: world}\nsteps:\n  - log: hi\noutputs:\n"
HELLO += '  - {name: greeting, value: "Hello, ${inputs.name}!"}\n'


def flow(steps: str, more: str = "") -> str:
    return f"flow: f\n{more}steps:\n  - {steps}\n"


MEMORY = 'connections: {db: {type: sqlite, database: ":memory:"}}\n'
ENDS = {
    "succeeded": (flow("log: hi"), 0),
    "failed": (flow("raise: {type: conflict, message: no}"), 1),
    "exit with failure": (flow("exit: {status: failure, reason: enough}"), 1),
    "a connect failure raised by a step": (flow("raise: {type: connect, message: gone}"), 1),
    "invalid": (flow("lgo: hi"), 2),
    "could not connect": (flow("log: hi", "connections: {db: {type: sqlite, database: none/x.db}}\n"), 3),
    "config from the environment": (
        flow("log: hi", 'connections: {db: {type: sqlite, database: ":memory:", timeout: "${env.HOME}"}}\n'),
        2,
    ),
    "timed out": (flow("nap: {}", "tasks: [own.py]\ntimeout: 50ms\n"), 124),
}


@pytest.fixture
def write(folder: Path) -> Callable[..., str]:
    (folder / "own.py").write_text(TASKS)

    def written(text: str, name: str = "flow.yaml") -> str:
        (folder / name).write_text(text)
        return name

    return written


@pytest.mark.parametrize("end", ENDS)
def test_the_exit_code_says_how_the_run_ended(cli: Call, write: Callable[..., str], end: str) -> None:
    text, code = ENDS[end]
    done = cli("run", write(text))
    assert done.code == code, done.err
    assert done.out == ""
    record = cli("run", "flow.yaml", "--json")
    assert record.code == code
    assert json.loads(record.out)["status"] in {0: ["succeeded"], 2: ["invalid"], 124: ["timed_out"]}.get(
        code, ["failed"]
    )


def test_a_run_that_was_refused_says_why_in_its_record(cli: Call, write: Callable[..., str]) -> None:
    record = json.loads(cli("run", write(ENDS["invalid"][0]), "--json").out)
    assert (record["run_id"], record["status"], record["error"]["type"]) == (None, "invalid", "validation")
    (finding,) = record["error"]["findings"]
    assert (finding["line"], finding["column"]) == (3, 5)


# ---------------------------------------------------------------- what is shown


def test_outputs_go_to_stdout_and_everything_else_to_stderr(process: Call, write: Callable[..., str]) -> None:
    done = process("run", write(HELLO), "-i", "name=Ada")
    assert (done.code, done.out) == (0, "greeting = Hello, Ada!\n")
    assert "log hi\n" in done.err
    assert "succeeded in " in done.err


def test_a_failure_is_shown_as_a_finding_with_its_place(cli: Call, write: Callable[..., str]) -> None:
    done = cli("run", write(flow("sqlite_query: {id: q, query: SELECT * FROM gone}", MEMORY)))
    assert done.code == 1
    assert "error[not_found]: no such table: gone\n  --> flow.yaml:4:5\n" in done.err
    assert "4 |   - sqlite_query: {id: q" in done.err
    assert "  |     ^^^^^^^^^^^^\n" in done.err
    assert "note: step `q`, connection `db`, flow `f`, run " in done.err
    assert "help: `flowlang explain not_found`" in done.err


def test_what_tasks_and_their_children_print_is_not_the_result(process: Call, write: Callable[..., str]) -> None:
    """`--json`: exactly one object on stdout, whatever is written there meanwhile."""
    done = process("run", write(flow("noisy: {}", "tasks: [own.py]\n")), "--json")
    assert json.loads(done.out)["status"] == "succeeded"
    assert done.out.count("\n") == 1
    for text in ("printed by Python", "written to the descriptor", "said by a child"):
        assert text in done.err


def test_an_output_without_json_is_named_and_the_document_stays_valid(cli: Call, write: Callable[..., str]) -> None:
    outputs = 'outputs: [{name: bad, value: "${o.bad}"}, {name: good, value: "${o.good}"}]\n'
    done = cli("run", write(flow("odd: {id: o}", "tasks: [own.py]\n") + outputs), "--json")
    record = json.loads(done.out)
    assert (done.code, record["status"], record["outputs"]) == (1, "failed", {"good": 1})
    assert "output `bad`" in record["error"]["detail"]
    assert cli("run", "flow.yaml").out == "bad = nan\ngood = 1\n"


def test_json_is_utf_8_in_any_locale(process: Call, write: Callable[..., str]) -> None:
    words, ascii_ = ("run", write(HELLO), "-i", "name=Zoë"), {"PYTHONIOENCODING": "ascii"}
    done = process(*words, "--json", env=ascii_, fresh=True)
    assert json.loads(done.out)["outputs"] == {"greeting": "Hello, Zoë!"}
    assert process(*words, env=ascii_, fresh=True).out.endswith("Zo\\xeb!\n")


def test_control_characters_cannot_redraw_the_terminal(cli: Call, write: Callable[..., str]) -> None:
    write(HELLO)
    done = cli("run", "flow.yaml", "-i", "name=\x1b[2J\rgone", "-v")
    assert "\x1b" not in done.out + done.err
    assert "\\x1b[2J\\x0dgone" in done.out
    assert "\x1b" not in cli("run", "flow.yaml", "-i", "\x1b[2J=1").err
    assert "\x1b" not in cli("\x1b[2J").err
    assert "\x1b" not in cli("run", "\x1b[2J.yaml").err


# ---------------------------------------------------------------- inputs

TYPED = """\
flow: typed
inputs:
  - {name: count, type: integer}
  - {name: ratio, type: number}
  - {name: on, type: boolean}
  - {name: tags, type: array}
  - {name: since, type: timestamp}
  - {name: text, type: string}
steps:
  - log: hi
outputs:
  - {name: all, value: "${inputs}"}
"""


def test_text_is_read_by_the_declared_type(cli: Call, write: Callable[..., str]) -> None:
    given = ("count=5", "ratio=0.5", "on=true", 'tags=["a"]', "since=2026-11-23T10:00:00Z", "text=5=5")
    words = [word for each in given for word in ("-i", each)]
    found = json.loads(cli("run", write(TYPED), *words, "--json").out)["outputs"]["all"]
    assert {name: found[name] for name in ("count", "ratio", "on", "tags", "text")} == {
        "count": 5, "ratio": 0.5, "on": True, "tags": ["a"], "text": "5=5",
    }  # fmt: skip
    assert found["since"].startswith("2026-11-23T10:00:00")


def test_all_problems_with_inputs_come_together_with_positions(cli: Call, write: Callable[..., str]) -> None:
    done = cli("run", write(TYPED), "-i", "count=x", "-i", "tags=[1", "-i", "colour=red", "-i", "on=maybe")
    assert done.code == 2
    for place in ("flow.yaml:3:", "flow.yaml:5:", "flow.yaml:6:", "no input `colour`", "expected true or false"):
        assert place in done.err
    assert "nothing was run" in done.err


def test_inputs_come_as_json_from_a_file_or_stdin_and_i_wins(
    process: Call, write: Callable[..., str], folder: Path
) -> None:
    (folder / "in.json").write_text('{"name": "file"}')
    assert process("run", write(HELLO), "--inputs", "in.json").out == "greeting = Hello, file!\n"
    assert process("run", "flow.yaml", "--inputs", "-", stdin=b'{"name": "stdin"}').out == "greeting = Hello, stdin!\n"
    assert process("run", "flow.yaml", "--inputs", "in.json", "-i", "name=i").out == "greeting = Hello, i!\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not JSON"),
        (b'{"a": 1', "in.json:1:8"),
        (b"[1]", "expected a JSON object"),
        (b'{"name": "a", "name": "b"}', "there twice"),
        (b'{"name": NaN}', "NaN is not part of JSON"),
        (b'{"name": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_file_of_inputs_is_a_finding(
    cli: Call, write: Callable[..., str], folder: Path, content: bytes, told: str
) -> None:
    (folder / "in.json").write_bytes(content)
    done = cli("run", write(HELLO), "--inputs", "in.json")
    assert done.code == 2
    assert told in done.err
    assert json.loads(cli("run", "flow.yaml", "--inputs", "in.json", "--json").out)["status"] == "invalid"


@pytest.mark.parametrize(
    "words",
    [("-i", "name"), ("-i", "=x"), ("-i", "name=a", "-i", "name=b"), ("--inputs", "gone.json"), ("--secrets", "gone"),
     ("--files-root", "gone"), ("--inputs", "."), ("--nonsense",)],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_option_is_refused(cli: Call, write: Callable[..., str], words: tuple[str, ...]) -> None:
    assert cli("run", write(HELLO), *words).code == 2


# ---------------------------------------------------------------- bad files

BAD = {
    "a missing file": None,
    "an empty file": b"",
    "binary": bytes(range(256)) * 20,
    "NUL": b"flow: f\0\n",
    "UTF-16": "flow: f\n".encode("utf-16"),
    "a bomb of aliases": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)),
    "100,000 brackets": b"flow: " + b"[" * 100_000,
    "100,000 brackets in an expression": b"flow: f\nsteps:\n  - log: ${" + b"(" * 100_000 + b"}\n",
    "two megabytes": b"flow: f\n" + b"# \n" * 700_000,
    "an attempt to reach Python": b"flow: f\nsteps:\n  - log: ${().__class__.__mro__[1].__subclasses__()}\n",
    "a tag": b"flow: !!python/object/apply:os.system [ls]\nsteps: []\n",
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("command", ["run", "check", "explain"])
def test_a_bad_file_is_a_finding_and_never_a_traceback(cli: Call, folder: Path, bad: str, command: str) -> None:
    content = BAD[bad]
    if content is not None:
        (folder / "bad.yaml").write_bytes(content)
    done = cli(command, "bad.yaml")
    assert done.code == 2
    assert "bad.yaml:" in done.out + done.err


def test_a_folder_is_no_flow(cli: Call, folder: Path) -> None:
    assert cli("run", ".").code == cli("check", ".").code == 2


def test_a_file_that_may_not_be_read_is_a_finding(cli: Call, folder: Path) -> None:
    os.symlink("loop.yaml", folder / "loop.yaml")
    assert cli("run", "loop.yaml").code == 2


# ---------------------------------------------------------------- pipes


def test_a_closed_pipe_ends_quietly_with_the_code_of_the_run(write: Callable[..., str], folder: Path) -> None:
    """As with `| head -0`: no traceback, no message, and the exit code of the run."""
    outputs = 'outputs: [{name: rows, value: "${m.rows}"}]\n'
    write(flow("many_lines: {id: m}", "tasks: [own.py]\n") + outputs)
    for words in (["run", "flow.yaml"], ["--help"], ["check", "flow.yaml"], ["check", "flow.yaml", "--format", "json"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [*COMMAND, *words], env=environment(), stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(writer)
        assert done.returncode == 0, done.stderr
        assert "rror" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_is_told(write: Callable[..., str], folder: Path) -> None:
    write(HELLO)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "run", "flow.yaml"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
