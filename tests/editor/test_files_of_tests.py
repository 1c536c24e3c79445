"""Files of tests (`*.test.yaml`) in an editor: checked as what they are, with keys and words of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from tests.editor.test_language_server import SPACES, Editor
from tests.editor.test_schema import plain

from flowlang import editing
from flowlang.cli.app import serve
from flowlang.document.yaml_reader import read_yaml
from flowlang.testing import read, read_expect, read_mocks
from flowlang.views.keys import Key
from flowlang.views.schema import tests as keys

ROOT = Path(__file__).resolve().parents[2]
FLOW = """\
flow: orders
inputs:
  - {name: order, type: integer, required: true}
connections:
  db: {type: sqlite, database: ":memory:"}
steps:
  - sqlite_query: {id: found, query: "SELECT ${inputs.order} AS total"}
outputs:
  - {name: total, value: "${found.rows[0].total}"}
"""
TESTS = """\
tests:
  - name: a total
    inputs: {order: 7}
    mocks:
      found: {returns: {rows: [{total: 3}]}}
    expect:
      outputs: {total: 3}
"""


def at(editor: Editor, text: str, name: str = "orders.test.yaml") -> list[tuple[str, int]]:
    """The findings of a text as a file of tests: code and line, from 1."""
    uri = editor.open(text, name)["textDocument"]["uri"]
    return [(each["code"], each["range"]["start"]["line"] + 1) for each in editor.found(uri)]


def test_a_file_of_tests_is_checked_against_its_flow(editor: Editor) -> None:
    """Nothing is said of one that is right; a step that the flow does not have is told at its place."""
    (editor.folder / "orders.yaml").write_text(FLOW)
    assert at(editor, TESTS) == []
    assert at(editor, TESTS.replace("      found:", "      fuond:")) == [("unknown-step", 5)]
    assert at(editor, TESTS.replace("outputs:", "output:"))[0][1] == 7
    assert [line for _, line in at(editor, "tests: [")] == [1]
    assert at(editor, TESTS, "alone.test.yaml") == [("no-flow-to-test", 1)]


def test_the_flow_counts_as_it_stands_in_the_editor(editor: Editor) -> None:
    """A file of tests is looked at again when its flow changes, saved or not; an error there is told at its head."""
    (editor.folder / "orders.yaml").write_text("flow: nothing yet\nsteps: []\n")
    flow = editor.open(FLOW, "orders.yaml")["textDocument"]["uri"]
    editor.told(flow)
    tests = editor.open(TESTS, "orders.test.yaml")["textDocument"]["uri"]
    assert editor.found(tests) == []
    editor.change(flow, 2, {"text": FLOW.replace("id: found", "id: other").replace("found.rows", "other.rows")})
    assert [each["code"] for each in editor.found(tests)] == ["unknown-step"]
    editor.change(flow, 3, {"text": FLOW.replace("found.rows", "fuond.rows")})
    [told] = editor.found(tests)
    assert told["range"]["start"] == {"line": 0, "character": 0}
    assert "the flow has an error" in told["message"]
    assert "fuond" in told["message"]


def test_keys_words_and_their_docs(editor: Editor) -> None:
    """Completion and hover are those of a file of tests, and its form is left alone."""
    (editor.folder / "orders.yaml").write_text(FLOW)

    def labels(text: str, name: str) -> set[str]:
        place = editor.open(text, name)
        editor.told(place["textDocument"]["uri"])
        return {each["label"] for each in editor.ask("completion", place)["items"]}

    assert labels("tests:\n  - name: a\n    |>", "a.test.yaml") >= {"expect", "mocks", "cancel_at"}
    assert labels("tests:\n  - name: a\n    expect:\n      status: |>", "b.test.yaml") >= {"timed_out", "invalid"}
    assert "unavailable" in labels("tests:\n  - name: a\n    mocks:\n      q:\n        raises: |>", "c.test.yaml")
    place = editor.open(TESTS.replace("mocks", "mo|>cks"), "orders.test.yaml")
    assert "What steps and tasks answer" in json.dumps(editor.ask("hover", place))
    whole = {"textDocument": place["textDocument"]}
    assert editor.ask("formatting", whole, options=SPACES) == []


def test_names_of_the_flow_are_offered(editor: Editor) -> None:
    """Inputs, steps, tasks, outputs and connections, wherever one is meant, also in a line that is not YAML yet."""
    (editor.folder / "orders.yaml").write_text(FLOW)
    place = editor.open(TESTS, "orders.test.yaml")
    uri = place["textDocument"]["uri"]
    version = 1
    editor.told(uri)

    def offered(old: str, new: str, *more: tuple[str, str]) -> set[str]:
        nonlocal version
        text = TESTS
        for one, other in (*more, (old, new)):
            text = text.replace(one, other)
        before, _, after = text.partition("|>")
        version += 1
        editor.change(uri, version, {"text": before + after})
        at = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
        return {
            each["label"] for each in editor.ask("completion", {"textDocument": {"uri": uri}, "position": at})["items"]
        }

    assert offered("{order: 7}", "{|>}") == {"order"}
    assert offered("{order: 7}", "{or|>") == {"order"}
    assert offered("      found: {", "      |>: {") == {"found", "sqlite_query"}
    assert offered("{rows: [{total: 3}]}", "{|>}") == {"rows", "count"}
    assert offered("outputs: {total: 3}", "outputs: {|>}") == {"total"}
    assert offered("outputs: {total: 3}", "calls: [|>]") == {"found", "sqlite_query"}
    assert offered("outputs: {total: 3}", "calls:\n        - step: |>") == {"found"}
    assert offered("outputs: {total: 3}", "steps: {|>}") == {"found"}
    assert offered("outputs: {total: 3}", "error: {step: |>}") == {"found"}
    assert offered("    inputs:", "    real: [|>]\n    inputs:") == {"db"}


def test_an_input_is_explained_where_a_test_gives_it(editor: Editor) -> None:
    flow = FLOW.replace("required: true}", 'required: true, description: "Which order is asked for."}')
    (editor.folder / "orders.yaml").write_text(flow)
    place = editor.open(TESTS.replace("{order:", "{or|>der:"), "orders.test.yaml")
    assert "Which order is asked for." in json.dumps(editor.ask("hover", place))


# ---------------------------------------------------------------- the schema


def problems(text: str) -> list[str]:
    node, found = read_yaml(text, "x.test.yaml")
    assert node is not None, found
    return [each.message for each in VALIDATOR.iter_errors(plain(node))]


VALIDATOR = jsonschema_rs.Draft202012Validator(editing.tests_schema(None))
PAGE = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml fragment file=\S+\.test\.yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_schema_lets_the_page_on_tests_through() -> None:
    assert len(BLOCKS) >= 3
    assert [found for block in BLOCKS for found in problems(block)] == []
    for path in (ROOT / "examples").rglob("*.test.yaml"):
        assert problems(path.read_text(encoding="utf-8")) == [], path


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("mocks:", "mock:"),
        ("returns:", "return:"),
        ("{total: 3}\n", "{total: 3}\n      status: fine\n"),
        ("tests:", "test:"),
        ("returns: {rows: [{total: 3}]}", "raises: tired"),
        ("returns: {rows: [{total: 3}]}", "raises: {message: none}"),
    ],
)
def test_the_schema_refuses(right: str, wrong: str) -> None:
    assert problems(TESTS) == []
    assert problems(TESTS.replace(right, wrong)) != []


@pytest.mark.parametrize(
    ("table", "read_keys"),
    [
        (keys.FILE, read.FILE_KEYS),
        (keys.CASE, read.CASE_KEYS),
        (keys.SIGNAL, read.SIGNAL_KEYS),
        (keys.MOCK, read_mocks.MOCK_KEYS),
        (keys.REPLY, read_mocks.REPLY_KEYS),
        (keys.RAISES, read_mocks.RAISES_KEYS),
        (keys.EXPECT, read_expect.EXPECT_KEYS),
        (keys.ERROR, read_expect.ERROR_KEYS),
    ],
)
def test_the_schema_has_the_keys_that_are_read(table: tuple[Key, ...], read_keys: tuple[str, ...]) -> None:
    assert {each.name for each in table} == set(read_keys)
    assert (keys.STATUSES, keys.STATES) == (read_expect.STATUSES, read_expect.STATES)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[Any]) -> None:
    assert serve(["schema", "--tests"]) == 0
    assert json.loads(capsys.readouterr().out) == editing.tests_schema(None)
