"""A canary in every place a secret comes from never appears in what the command line writes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.cli.conftest import Done

CANARY = "kanarien/vogel+7e1"
TASKS = """
import base64, logging
from flowlang import task

@task(effect="none")
async def leak(token: str, context=None) -> dict:
    logging.getLogger("driver").debug("connecting with %s", token)
    context.logger.debug("have %s", token)
    return {"echo": f"token {token}", "coded": base64.b64encode(token.encode()).decode()}

@task(effect="none")
async def burst(token: str) -> None:
    try:
        raise ValueError(f"bad token {token}")
    except ValueError as error:
        raise RuntimeError("refused " + token) from error
"""
FLOW = """\
flow: sealed
tasks: [own.py]
inputs:
  - {name: pin, type: string, secret: true, default: none-given}
steps:
  - leak: {id: l, token: "${%s}"}
  - log: "it said ${l.echo} and ${l.coded}"
  - %s
outputs:
  - {name: echo, value: "${l.echo}"}
  - {name: coded, value: "${l.coded}"}
"""
ENDS = {"succeeding": "log: done", "failing": 'burst: {token: "${%s}"}', "raising": 'raise: {message: "no ${l.echo}"}'}


@pytest.fixture(params=["--secrets", "variable", "folder", "input"])
def source(request: pytest.FixtureRequest, folder: Path) -> tuple[str, list[str], dict[str, str]]:
    """The expression that reads the canary, and the words and variables that bring it."""
    (folder / "own.py").write_text(TASKS)
    (folder / "env").write_text(f"TOKEN={CANARY}\n")
    (folder / "mounted").mkdir()
    (folder / "mounted" / "TOKEN").write_text(CANARY + "\n")
    return {
        "--secrets": ("secrets.TOKEN", ["--secrets", "env"], {}),
        "variable": ("secrets.TOKEN", [], {"FLOWLANG_SECRET_TOKEN": CANARY}),
        "folder": ("secrets.TOKEN", [], {"FLOWLANG_SECRETS_DIR": "mounted"}),
        "input": ("inputs.pin", ["-i", f"pin={CANARY}"], {}),
    }[request.param]


@pytest.mark.parametrize("end", ENDS)
def test_no_output_of_a_run_shows_it(
    process: Callable[..., Done], folder: Path, source: tuple[str, list[str], dict[str, str]], end: str
) -> None:
    expression, words, env = source
    step = ENDS[end] % expression if "%s" in ENDS[end] else ENDS[end]
    (folder / "flow.yaml").write_text(FLOW % (expression, step))
    forms = {CANARY, quote(CANARY, safe=""), base64.b64encode(CANARY.encode()).decode(), CANARY.encode().hex()}
    for mode in ((), ("--json",), ("-v",)):
        done = process("run", "flow.yaml", *words, *mode, env=env)
        assert done.code == (0 if end == "succeeding" else 1), done.err
        for form in forms:
            assert form not in done.out + done.err
        assert "***" in done.out + done.err
        if mode == ("--json",):
            assert json.loads(done.out)["flow"] == "sealed"
        if mode == ("-v",):
            assert "driver: connecting with ***" in done.err


def test_the_name_of_a_table_that_is_a_short_secret(process: Callable[..., Done], folder: Path) -> None:
    """SQLite repeats it in its message. The class, the connection and the step are told, the message is not."""
    (folder / "flow.yaml").write_text(
        "flow: f\nconnections: {db: {type: sqlite, database: ':memory:'}}\n"
        "steps:\n  - sqlite_query: {id: q, query: 'SELECT * FROM ${ident(secrets.T)}'}\n"
    )
    (folder / "env").write_text("T=q7#\n")
    for mode in ((), ("--json",), ("-v",)):
        done = process("run", "flow.yaml", "--secrets", "env", *mode)
        assert done.code == 1
        assert "q7#" not in done.out + done.err
        for each in ("not_found", "q", "db", "withheld: it may hold a secret"):
            assert each in (done.out if mode == ("--json",) else done.err)


def test_a_missing_secret_is_named_with_ways_to_give_it(process: Callable[..., Done], folder: Path) -> None:
    (folder / "own.py").write_text(TASKS)
    (folder / "flow.yaml").write_text(FLOW % ("secrets.TOKEN", "log: done"))
    done = process("run", "flow.yaml")
    assert done.code == 2
    assert "secret `TOKEN` is not set" in done.err
    assert "FLOWLANG_SECRET_TOKEN" in done.err


def test_a_broken_secrets_file_is_told_without_its_contents(process: Callable[..., Done], folder: Path) -> None:
    (folder / "flow.yaml").write_text("flow: f\nsteps:\n  - log: hi\n")
    for name, text in (("env", f"# mine\n{CANARY}\n"), ("s.yaml", f"TOKEN: [{CANARY}]\n")):
        (folder / name).write_text(text)
        done = process("run", "flow.yaml", "--secrets", name)
        assert done.code == 2
        assert f"{name}:" in done.err
        assert CANARY not in done.err


def test_doctor_names_settings_and_never_their_values(process: Callable[..., Done], folder: Path) -> None:
    for words in (("doctor",), ("doctor", "--json")):
        done = process(*words, env={"FLOWLANG_SECRET_TOKEN": CANARY})
        assert "FLOWLANG_SECRET_TOKEN" in done.out
        assert CANARY not in done.out + done.err


def test_scaffolds_hold_references_only(process: Callable[..., Done], folder: Path) -> None:
    done = process("connection", "scaffold", "sqlite", "--set", "database=${env.DATABASE}")
    assert "database: ${env.DATABASE}" in done.out
