"""The schema in a language server for YAML, as editors run it: what it completes, explains and finds.

`make tools` installs the server. Where it is missing these tests are skipped, in CI they fail.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.checking.plugins import registry
from tests.editor.client import Client
from tests.tools.found import npm_package

from flowlang import editing

ROOT = Path(__file__).resolve().parents[2]
HEAD = 'flow: f\nconnections:\n  db: {type: sqlite, database: ":memory:"}\n'


class Editor:
    """Texts in an editor that has the schema switched on for `*.yaml`."""

    def __init__(self, server: Path, folder: Path) -> None:
        schema = folder / "flow.schema.json"
        schema.write_text(json.dumps(editing.schema(registry())), encoding="utf-8")
        on = {"validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}}
        settings = {**on, "schemas": {schema.as_uri(): ["*.yaml"]}}

        def configuration(params: Any) -> list[Any]:
            return [settings if each.get("section") == "yaml" else {} for each in params["items"]]

        node = shutil.which("node")
        assert node is not None
        self.folder, self.count = folder, 0
        self.client = Client([node, str(server), "--stdio"], {"workspace/configuration": configuration})
        forms = {"completion": {"completionItem": {"documentationFormat": ["markdown"], "snippetSupport": True}}}
        able = {
            "textDocument": {**forms, "hover": {"contentFormat": ["markdown"]}},
            "workspace": {"configuration": True},
        }
        asked = {"processId": os.getpid(), "rootUri": folder.as_uri(), "capabilities": able}
        self.client.request("initialize", asked)
        self.client.notify("initialized", {})
        self.client.notify("workspace/didChangeConfiguration", {"settings": {"yaml": settings}})

    def open(self, text: str) -> tuple[dict[str, Any], list[Any]]:
        """A text, in which `|` is the cursor: where that is, and what is wrong with the text."""
        self.count += 1
        uri = (self.folder / f"flow{self.count}.yaml").as_uri()
        before, _, after = text.partition("|")
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": before + after}
        self.client.notify("textDocument/didOpen", {"textDocument": document})
        told = self.client.wait_for("textDocument/publishDiagnostics", lambda params: params["uri"] == uri)
        place = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
        return {"textDocument": {"uri": uri}, "position": place}, told["diagnostics"]

    def completions(self, text: str) -> dict[str, Any]:
        found = self.client.request("textDocument/completion", self.open(text)[0])
        return {each["label"]: each for each in found["items"]}

    def hover(self, text: str) -> str:
        found = self.client.request("textDocument/hover", self.open(text)[0])
        assert found, "nothing is shown"
        return str(found["contents"]["value"])


@pytest.fixture(scope="session")  # the tests run in any order, between those of other modules
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    server = npm_package("yaml-language-server") / "bin/yaml-language-server"
    made = Editor(server, tmp_path_factory.mktemp("yaml"))
    yield made
    made.client.close()


GOOD = ["examples/nobel.yaml", "examples/orders.yaml", "tests/checking/valid/both-shapes.yaml"]


@pytest.mark.parametrize("path", GOOD)
def test_a_good_file_has_no_diagnostic(editor: Editor, path: str) -> None:
    assert editor.open((ROOT / path).read_text(encoding="utf-8"))[1] == []


BROKEN = {
    HEAD + "steps:\n  - lgo: ~hello~\n": r"no verb, and a task expects an object",
    HEAD + "steps:\n  - log: hello\n    ~thne~: 3\n": r"thne is not allowed",
    HEAD + "steps:\n  - sqlite_query: {query: a, ~limt~: 3}\n": r"limt is not allowed",
    HEAD + "steps:\n  - log: a\n    timeout: ~5 seconds~\n": r"A duration is 250ms",
    HEAD + "steps:\n  - ~id: q\n    timeout: 5s~\n": r"This step does nothing",
    HEAD + "steps:\n  - ~for_each~: ${x}\n": r'Missing property "do"',
    HEAD + "steps:\n  - for_each: ${x}\n    do: []\n    max_concurrency: ~many~\n": r'Expected "integer"',
    HEAD + "steps:\n  - raise: {type: ~not_fond~, message: no}\n": r'Valid values: .*"not_found"',
    HEAD + "steps:\n  - sqlite_batch_insert: {table: t, records: '${r}', on_conflict: ~updte~}\n": r'"update"',
    "flow: f\nconnections:\n  db: {type: ~sqlit~}\nsteps: []\n": r'Valid values: .*"sqlite"',
    "flow: f\nconnections:\n  db: {type: sqlite, database: a, ~pool~: 1}\nsteps: []\n": r"pool is not allowed",
    "flow: f\nconnections:\n  ~db~: {type: sqlite}\nsteps: []\n": r'Missing property "database"',
    "flow: f\nsteps: []\ninputs:\n  - {name: a, type: ~int~}\n": r'Valid values: .*"integer"',
    "flow: f\n~stesp~: []\nsteps: []\n": r"stesp is not allowed",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_file_has_one_diagnostic_at_the_mistake(editor: Editor, text: str) -> None:
    """Where `~…~` stands; it says what would be right, not that nothing of everything fits."""
    first, inside, _ = text.split("~")
    found = editor.open(text.replace("~", ""))[1]
    assert len(found) == 1, found
    start = found[0]["range"]["start"]
    assert (start["line"], start["character"]) == (first.count("\n"), len(first) - first.rfind("\n") - 1)
    if "\n" not in inside and ":" not in inside and "Missing" not in BROKEN[text]:
        assert found[0]["range"]["end"]["character"] - start["character"] == len(inside)
    assert re.search(BROKEN[text], found[0]["message"])


@pytest.mark.parametrize(
    ("text", "there", "absent"),
    [
        ("flow: f\n|\nsteps: []\n", "connections inputs outputs on_cancel triggers", "flow steps log"),
        (HEAD + "steps:\n  - |\n", "log for_each while try wait transaction sqlite_query csv_read id retry", "then"),
        (HEAD + "steps:\n  - l|\n", "log sqlite_query", "cases"),
        (HEAD + "steps:\n  - log: a\n    |\n", "id if retry on_error", "log set sqlite_query then"),
        (HEAD + "steps:\n  - if: a\n    then: []\n    |\n", "elif else id", "then do sqlite_query"),
        (HEAD + "steps:\n  - sqlite_query:\n      |\n", "query params limit query_file connection", "table log"),
        (HEAD + "steps:\n  - task: sqlite_query\n    inputs:\n      |\n", "query params limit", "connection"),
        (HEAD + "steps:\n  - task: |\n", "sqlite_query csv_read memo_find", "log"),
        (HEAD + "steps:\n  - sqlite_query:\n      query: a\n      outputs: [|]\n", "rows count", ""),
        (HEAD + "steps:\n  - log: a\n    retry:\n      on: [|]\n", "connect rate_limited", ""),
        (HEAD + "steps:\n  - log: a\n    retry:\n      backoff: |\n", "constant linear exponential", ""),
        ("flow: f\nconnections:\n  db:\n    type: |\nsteps: []\n", "sqlite memo", ""),
        ("flow: f\nconnections:\n  db:\n    type: sqlite\n    |\nsteps: []\n", "database pool_size lazy", "type"),
        ("flow: f\nsteps: []\ninputs:\n  - name: a\n    type: |\n", "string integer timestamp any", ""),
    ],
)
def test_completion_offers_what_may_stand_there(editor: Editor, text: str, there: str, absent: str) -> None:
    offered = editor.completions(text)
    assert [each for each in there.split() if each not in offered] == []
    assert [each for each in absent.split() if each in offered] == []


def test_a_completion_is_explained(editor: Editor) -> None:
    """With the task's own words, its outputs and its example."""
    shown = str(editor.completions(HEAD + "steps:\n  - |\n")["sqlite_query"]["documentation"])
    assert "Read rows." in shown
    assert "rows" in shown
    assert "SELECT" in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "steps:\n  - sqlite_qu|ery: {query: a}\n", "Read rows.|count|SELECT id"),
        (HEAD + "steps:\n  - sqlite_query: {qu|ery: a}\n", "the statement"),
        (HEAD + "steps:\n  - for_ea|ch: ${x}\n    do: []\n", "for each item of a list|collect"),
        (HEAD + "steps:\n  - wh|ile: a\n    max_iterations: 3\n    do: []\n", "before each turn"),
        (HEAD + "steps:\n  - log: a\n    time|out: 5s\n", "How long the step may take"),
        (HEAD + "ti|meout: 5s\nsteps: []\n", "How long the whole run may take"),
        ("flow: f\nconnections:\n  db: {type: sqlite, database: a, pool_s|ize: 1}\nsteps: []\n", "Handles that may be"),
    ],
)
def test_hover_explains(editor: Editor, text: str, words: str) -> None:
    shown = editor.hover(text)
    assert [each for each in words.split("|") if each not in shown] == []
