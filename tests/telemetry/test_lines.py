"""`--events`: one JSON object a line, whatever happens to the run, the file or the disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Done, cli, folder, process

__all__ = ["cli", "folder", "process"]
FLOW = """
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, query: "SELECT 1 AS one, x'00ff' AS raw"}
  - {id: s, set: {raw: "${q.rows[0].raw}"}}
outputs:
  - {name: one, value: "${q.rows[0].one}"}
"""


def kinds(text: str) -> list[str]:
    return [json.loads(line)["event"] for line in text.splitlines()]


def test_every_event_is_a_line(cli: Callable[..., Done], folder: Path) -> None:
    """In order, leases included; stdout is as it would be without, and a second run appends."""
    (folder / "flow.yaml").write_text(FLOW)
    done = cli("run", "flow.yaml", "--json", "--events", "events.jsonl")
    assert done.code == 0, done.err
    assert json.loads(done.out)["outputs"] == {"one": 1}
    text = (folder / "events.jsonl").read_text("utf-8")
    told = kinds(text)
    assert told == [
        "run_started", "connection_opened", "step_started", "lease_taken", "lease_returned", "step_succeeded",
        "step_started", "step_succeeded", "connection_closed", "run_finished",
    ]  # fmt: skip
    assert all(json.loads(line)["run_id"] == json.loads(done.out)["run_id"] for line in text.splitlines())
    cli("run", "flow.yaml", "--events", "events.jsonl")
    assert kinds((folder / "events.jsonl").read_text("utf-8")) == told * 2


def test_a_line_that_was_cut_off_stays_alone(cli: Callable[..., Done], folder: Path) -> None:
    """A disk that was full in the middle of a line costs this one line."""
    (folder / "flow.yaml").write_text(FLOW)
    (folder / "events.jsonl").write_text('{"event": "step_st')
    assert cli("run", "flow.yaml", "--events", "events.jsonl").code == 0
    torn, *whole = (folder / "events.jsonl").read_text("utf-8").splitlines()
    assert torn == '{"event": "step_st'
    assert kinds("\n".join(whole))[0] == "run_started"


@pytest.mark.parametrize("as_json", [False, True])
def test_stdout_can_be_the_file(process: Callable[..., Done], folder: Path, as_json: bool) -> None:
    """Then people read stderr; with --json the result is the last line."""
    (folder / "flow.yaml").write_text(FLOW)
    done = process("run", "flow.yaml", "--events", "-", *(["--json"] if as_json else []))
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    if as_json:
        assert lines.pop()["outputs"] == {"one": 1}
    else:
        assert "one = 1" in done.err
    assert (lines[0]["event"], lines[-1]["event"]) == ("run_started", "run_finished")


def test_a_file_that_cannot_be_written_stops_the_run_before_it_begins(cli: Callable[..., Done], folder: Path) -> None:
    (folder / "flow.yaml").write_text("flow: f\nsteps:\n  - csv_write: {path: out.csv, rows: [{a: 1}]}\n")
    for target, reason in (("missing/e.jsonl", "no such file or directory"), (".", "is a directory")):
        done = cli("run", "flow.yaml", "--events", target)
        assert done.code == 2
        assert f"error: events cannot be written to `{target}`: {reason}" in done.err
    assert not (folder / "out.csv").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_full_disk_is_warned_of_once_and_the_run_goes_on(cli: Callable[..., Done], folder: Path) -> None:
    (folder / "flow.yaml").write_text(FLOW)
    done = cli("run", "flow.yaml", "--events", "/dev/full")
    assert done.code == 0
    assert "one = 1" in done.out
    assert done.err.count("events can no longer be written to `/dev/full`: no space left on device") == 1


def test_a_run_that_is_refused_writes_none(cli: Callable[..., Done], folder: Path) -> None:
    (folder / "flow.yaml").write_text("flow: f\nsteps:\n  - lgo: hello\n")
    assert cli("run", "flow.yaml", "--events", "events.jsonl").code == 2
    assert not (folder / "events.jsonl").exists()


def test_no_line_holds_a_secret(cli: Callable[..., Done], folder: Path) -> None:
    """Neither as an input of a step nor as a part of its outputs, in whatever form JSON gives it."""
    canary = 'kanarien/"vogel"+7e1'
    (folder / "flow.yaml").write_text(
        "flow: f\nconnections: {db: {type: sqlite, database: ':memory:'}}\n"
        "steps:\n  - sqlite_query: {id: q, query: \"SELECT 'so: ' || ${secrets.T} AS said\"}\n"
        "  - sqlite_query: {query: 'SELECT ${ident(secrets.T)} FROM nowhere', continue_on_error: true}\n"
    )
    (folder / "secrets.yaml").write_text(json.dumps({"T": canary}))
    assert cli("run", "flow.yaml", "--secrets", "secrets.yaml", "--events", "events.jsonl").code == 0
    text = (folder / "events.jsonl").read_text("utf-8")
    assert "step_failed" in kinds(text)
    assert "***" in text
    assert "kanarien" not in text


def test_details_are_for_those_who_ask() -> None:
    """A plain listener hears nothing of leases, one beside it does, and both hear the rest in the same order."""
    import flowlang

    class Detailed:
        detailed = True

        def __init__(self) -> None:
            self.heard: list[Any] = []

        def __call__(self, event: Any) -> None:
            self.heard.append(event)

    plain: list[Any] = []
    detailed = Detailed()
    flowlang.run_sync(text=FLOW, on_event=[plain.append, detailed])
    leases = [each for each in detailed.heard if type(each).__name__.startswith("Lease")]
    assert [type(each).__name__ for each in leases] == ["LeaseTaken", "LeaseReturned"]
    assert plain == [each for each in detailed.heard if each not in leases]
    assert leases[0].connection == "db"
    assert leases[1].duration >= 0
