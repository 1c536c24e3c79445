"""`flowlang plan`: a story, or one JSON object; nothing is opened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Done

Call = Callable[..., Done]
FLOW = """
flow: f
inputs:
  - {name: n, type: integer, required: true, maximum: 9}
connections:
  db: {type: sqlite, database: here.db}
steps:
  - sqlite_query: {id: q, query: "SELECT ${inputs.n}"}
  - for_each: "${range(12)}"
    do: [{log: "${index}"}]
"""


@pytest.fixture
def flow(folder: Path) -> str:
    (folder / "flow.yaml").write_text(FLOW)
    return "flow.yaml"


def test_a_required_input_may_be_missing(cli: Call, flow: str, folder: Path) -> None:
    done = cli("plan", flow)
    assert (done.code, done.err) == (0, "")
    assert "  n  ${inputs.n}  not given\n" in done.out
    assert "1. sqlite_query on db as q\n       query: SELECT ?\n       ?1 = ${inputs.n}\n" in done.out
    assert "… and 2 more turns" in done.out
    assert not (folder / "here.db").exists()


def test_json_is_one_object_with_a_record_for_each_call(cli: Call, flow: str) -> None:
    done = cli("plan", flow, "-i", "n=4", "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert told["missing"] == []
    assert told["calls"] == [
        {
            "path": "q",
            "operation": "sqlite_query",
            "connection": "db",
            "arguments": {"query": {"sql": "SELECT ?", "values": [4]}},
            "unknown": [],
            "certain": True,
            "when": [],
            "place": "flow.yaml:8",
        }
    ]
    told = json.loads(cli("plan", flow, "--json").out)
    assert told["missing"] == ["n"]
    assert told["calls"][0]["unknown"] == ["query.values[0]"]


def test_turns_are_told_as_many_as_asked(cli: Call, flow: str) -> None:
    assert "more turns" not in cli("plan", flow, "--turns", "12").out
    assert "… and 9 more turns" in cli("plan", flow, "--turns", "3").out


def test_what_a_run_would_refuse_is_refused(cli: Call, flow: str, folder: Path) -> None:
    done = cli("plan", flow, "-i", "n=10")
    assert (done.code, done.out) == (2, "")
    assert "input `n`" in done.err
    assert json.loads(cli("plan", flow, "-i", "m=1", "--json").out)["error"]["type"] == "invalid"
    (folder / "bad.yaml").write_text("flow: f\nstep: []\n")
    assert cli("plan", "bad.yaml").code == 2
    assert cli("plan", "none.yaml").code == 2
