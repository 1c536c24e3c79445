"""`flowlang lsp` as an editor uses it: a process of its own, the protocol over its pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.editor.client import Client

ROOT = Path(__file__).resolve().parents[2]
HEAD = """\
flow: f
inputs:
  - {name: vip, type: boolean, default: false, description: "Is it a good customer?"}
connections:
  db: {type: sqlite, database: ":memory:"}
steps:
  - sqlite_query: {id: q, query: SELECT 1 AS one}
"""
SPACES = {"tabSize": 2, "insertSpaces": True}
HINT = 4  # the severity of what nothing uses
ABLE = {
    "textDocument": {
        "rename": {"prepareSupport": True},
        "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
        "publishDiagnostics": {"versionSupport": True},
    }
}


class Editor:
    """An editor with the server. In a text `|` is the cursor."""

    def __init__(self, folder: Path, able: dict[str, Any] = ABLE) -> None:
        self.folder, self.count = folder, 0
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        self.client = Client([sys.executable, "-m", "flowlang", "lsp"], cwd=folder, env=environment)
        asked = {"processId": os.getpid(), "rootUri": folder.as_uri(), "capabilities": able}
        self.able = self.client.request("initialize", asked)["capabilities"]
        self.client.notify("initialized", {})

    def open(self, text: str, name: str | None = None, *, units: str = "utf-16-le") -> dict[str, Any]:
        """Open a text; the place of its cursor."""
        self.count += 1
        uri = (self.folder / (name or f"flow{self.count}.yaml")).as_uri()
        before, _, after = text.partition("|>")
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": before + after}
        self.client.notify("textDocument/didOpen", {"textDocument": document})
        row = before[before.rfind("\n") + 1 :]
        width = {"utf-16-le": 2, "utf-32-le": 4, "utf-8": 1}[units]
        place = {"line": before.count("\n"), "character": len(row.encode(units)) // width}
        return {"textDocument": {"uri": uri}, "position": place}

    def change(self, uri: str, version: int, *changes: dict[str, Any]) -> None:
        document = {"uri": uri, "version": version}
        self.client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": list(changes)})

    def found(self, uri: str, version: int | None = 1) -> list[dict[str, Any]]:
        """The findings of a text, once that version was looked at; not the hints."""
        return [each for each in self.told(uri, version) if each["severity"] != HINT]

    def told(self, uri: str, version: int | None = 1) -> list[dict[str, Any]]:
        """The diagnostics of a text, once that version was looked at."""

        def wanted(params: Any) -> bool:
            return bool(params["uri"] == uri and (version is None or params.get("version") == version))

        return list(self.client.wait_for("textDocument/publishDiagnostics", wanted)["diagnostics"])

    def ask(self, method: str, place: dict[str, Any], **more: Any) -> Any:
        return self.client.request(f"textDocument/{method}", {**place, **more})

    def completions(self, text: str, before: str | None = None) -> dict[str, Any]:
        """The proposals at the cursor, once the text (or `before`, an earlier state of it) was looked at."""
        if before is None:
            place = self.open(text)
            self.found(place["textDocument"]["uri"])
        else:
            place = self.open(before)
            uri = place["textDocument"]["uri"]
            self.found(uri)
            first, _, last = text.partition("|>")
            self.change(uri, 2, {"text": first + last})
            place["position"] = {"line": first.count("\n"), "character": len(first) - first.rfind("\n") - 1}
        return {each["label"]: each for each in self.ask("completion", place)["items"]}


@pytest.fixture(scope="session")  # the tests run in any order, between those of other modules
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    made = Editor(tmp_path_factory.mktemp("flows"))
    yield made
    assert made.client.close() == 0


def span(line: int, start: int, stop: int) -> dict[str, Any]:
    return {"start": {"line": line, "character": start}, "end": {"line": line, "character": stop}}


def applied(text: str, changes: list[dict[str, Any]]) -> str:
    """`text` after the edits of an answer, which count in UTF-16."""
    rows = text.split("\n")
    units = [row.encode("utf-16-le") + b"\n\0" for row in rows]

    def offset(place: dict[str, int]) -> int:
        before = sum(map(len, units[: place["line"]]))
        return min(before + 2 * place["character"], sum(map(len, units)) - 2)

    raw = b"".join(units)[:-2]
    for each in sorted(changes, key=lambda one: offset(one["range"]["start"]), reverse=True):
        start, end = offset(each["range"]["start"]), offset(each["range"]["end"])
        raw = raw[:start] + each["newText"].encode("utf-16-le") + raw[end:]
    return raw.decode("utf-16-le")


# ---------------------------------------------------------------- findings


def test_findings_appear_and_go_while_one_types(editor: Editor) -> None:
    """On opening, after a change of a part, after a change of the whole, each with the version it is about."""
    uri = editor.open(HEAD + "  - lgo: hello\n")["textDocument"]["uri"]
    [shown] = editor.found(uri, 1)
    assert shown["code"] == "unknown-key"
    assert shown["range"] == span(7, 4, 7)
    assert shown["source"] == "flowlang"
    assert "did you mean `log`?" in shown["message"]
    editor.change(uri, 2, {"range": span(7, 4, 7), "text": "log"})
    assert editor.found(uri, 2) == []
    editor.change(uri, 3, {"text": "flow: f\nsteps:\n  - log: ${x}\n"})
    assert [each["code"] for each in editor.found(uri, 3)] == ["unknown-name"]


def test_findings_of_an_old_version_are_never_shown(editor: Editor) -> None:
    """Many changes in a row: what is shown last is about the last, and versions never go back."""
    uri = editor.open(HEAD)["textDocument"]["uri"]
    editor.found(uri, 1)
    for version in range(2, 30):
        editor.change(uri, version, {"text": HEAD + f"  - log: ${{wrong_{version}}}\n"})
    editor.change(uri, 10, {"text": HEAD})  # older than what is known: not taken
    [shown] = editor.found(uri, 29)
    assert "wrong_29" in shown["message"]
    versions = [each["params"]["version"] for each in editor.client.notifications if each["params"].get("uri") == uri]
    assert versions == sorted(versions)


def test_columns_are_those_of_the_editor(editor: Editor) -> None:
    """UTF-16 units: a face with two of them, a letter that is one, in what is found and in what is changed."""
    uri = editor.open(HEAD + '  - log: "😀 é ${q.rowz}"\n')["textDocument"]["uri"]
    [shown] = editor.found(uri, 1)
    assert shown["range"] == span(7, 19, 23)
    editor.change(uri, 2, {"range": span(7, 19, 23), "text": "count"})
    assert editor.found(uri, 2) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-32"])
def test_another_encoding_is_agreed_on(tmp_path: Path, encoding: str) -> None:
    editor = Editor(tmp_path, {**ABLE, "general": {"positionEncodings": [encoding]}})
    units = encoding if encoding == "utf-8" else "utf-32-le"
    place = editor.open(HEAD + '  - log: "😀 ${q.|>rowz}"\n', units=units)
    [shown] = editor.found(place["textDocument"]["uri"])
    assert editor.able["positionEncoding"] == encoding
    assert shown["range"]["start"] == place["position"]
    assert editor.client.close() == 0


def test_windows_lines_are_lines(editor: Editor) -> None:
    text = (HEAD + '  - log: "${q.|>rowz}"\n').replace("\n", "\r\n")
    place = editor.open(text)
    uri = place["textDocument"]["uri"]
    [shown] = editor.found(uri, 1)
    assert shown["range"]["start"] == place["position"]
    assert {each["label"] for each in editor.ask("completion", place)["items"]} == {"rows", "count"}
    editor.change(uri, 2, {"range": {**shown["range"]}, "text": "rows"})
    assert [each["code"] for each in editor.found(uri, 2)] == ["not-text"]


def test_a_caller_sees_the_subflow_as_it_is_edited(editor: Editor) -> None:
    """Not saved, not even a file: what the other window shows counts. Closed, the disk counts again."""
    callee = "flow: part\ninputs: [{name: who, type: string, required: true}]\nsteps: []\n"
    (editor.folder / "part.yaml").write_text(callee, encoding="utf-8")
    part = editor.open(callee, "part.yaml")["textDocument"]["uri"]
    editor.found(part, 1)
    uri = editor.open("flow: f\nsteps:\n  - subflow: part.yaml\n    inputs: {who: Ada}\n", "caller.yaml")
    uri = uri["textDocument"]["uri"]
    assert editor.found(uri, 1) == []
    editor.change(part, 2, {"text": callee.replace("who", "whom")})
    assert [each["code"] for each in editor.found(uri, 1)] == ["subflow-input"]
    editor.client.notify("textDocument/didClose", {"textDocument": {"uri": part}})
    assert editor.found(uri, 1) == []


def test_what_nothing_uses_is_shown_faded(editor: Editor) -> None:
    """An input, a value, a connection and a step: hints with the tag for it, gone when there is an error."""
    head = "flow: f\ninputs: [{name: a}, {name: b}]\nvars: {c: 1, d: 2}\nconnections:\n"
    head += "  e: {type: sqlite, database: x.db}\n  g: {type: sqlite, database: x.db}\n"
    text = head + "steps:\n  - sqlite_query: {id: h, connection: e, query: SELECT 1}\n  - log: ${inputs.a} ${vars.c}\n"
    uri = editor.open(text)["textDocument"]["uri"]
    shown = editor.told(uri)
    assert [each["code"] for each in shown] == ["unused-input", "unused-var", "unused-connection", "unused-step"]
    assert {(each["severity"], *each["tags"]) for each in shown} == {(HINT, 1)}
    assert shown[0]["range"] == span(1, 27, 28)
    editor.change(uri, 2, {"text": text + "  - lgo: x\n"})
    assert [each["code"] for each in editor.told(uri, 2)] == ["unknown-key"]


# ---------------------------------------------------------------- the canonical form


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_text_is_given_its_canonical_form(editor: Editor, newline: str, end: str) -> None:
    """The same as `flowlang fmt` gives it, by edits that leave the lines alone that were right."""
    rows = [*HEAD.rstrip().split("\n"), "  -   log:   '😀 a'", "  - log: b # why", "  - log: c", "  - {log:   d}"]
    text = newline.join(rows) + end
    place = editor.open(text)
    edits = editor.ask("formatting", {"textDocument": place["textDocument"]}, options=SPACES)
    file = editor.folder / "formatted.yaml"
    file.write_bytes(text.encode())
    subprocess.run([sys.executable, "-m", "flowlang", "fmt", str(file)], check=True, capture_output=True)
    wanted = file.read_bytes().decode()
    assert applied(text, edits) == wanted != text
    assert {each["range"]["start"]["line"] for each in edits}.isdisjoint({0, 8, 9})
    again = editor.open(wanted)
    assert editor.ask("formatting", {"textDocument": again["textDocument"]}, options=SPACES) == []


@pytest.mark.parametrize("text", ["flow: [", "- - - {", "", "\0"])
def test_what_is_not_yaml_is_left_as_it_is(editor: Editor, text: str) -> None:
    place = editor.open(text)
    assert editor.ask("formatting", {"textDocument": place["textDocument"]}, options=SPACES) == []


# ---------------------------------------------------------------- completion


@pytest.mark.parametrize(
    ("text", "there", "absent"),
    [
        (HEAD + '  - log: "${|>}"\n', "inputs vars run q len default", "rows"),
        (HEAD + '  - log: "${q.|>}"\n', "rows count", "q len"),
        (HEAD + '  - log: "${inputs.|>}"\n', "vip", "q"),
        (HEAD + '  - log: "${inputs[\\"|>\\"]}"\n', "", "q len"),
        (HEAD + '  - log: "${len(q.ro|>)}"\n', "rows", "len"),
        (HEAD + "  - if: inp|>\n    then: []\n", "inputs q", ""),
        (HEAD + "  - log: x\n    if: {any: [inputs.|>]}\n", "vip", ""),
        (HEAD + '  - {for_each: "${q.rows}", as: row, do: [{log: "${|>}"}]}\n', "row index q", ""),
        (HEAD + "  - for_each: ${q.rows}\n    as: row\n    do:\n      - log: ${|>}\n", "row index q", ""),
        (HEAD + "  - for_each: ${q.rows}\n    as: row\n    do: []\n    collect: ${|>}\n", "row index", ""),
        (HEAD + "  - for_each: ${q.rows}\n    as: row\n    do: []\n  - log: ${|>}\n", "q", "row index"),
        (HEAD + "  - id: later\n    set: {a: '${|>}'}\n", "q", "later"),
        (HEAD + "  - log: a\n    on_error:\n      - log: ${error.|>}\n", "type detail attempt", ""),
        (HEAD + "  - while: ${|>}\n    max_iterations: 3\n    do: []\n", "q index", "row"),
        (HEAD + "  - while: index < 3\n    max_iterations: 3\n    do:\n      - log: ${|>}\n", "q index", ""),
        (HEAD + "  - while: index < 3\n    max_iterations: 3\n    do:\n      - |>\n", "log set", ""),
        (HEAD + "  - until: ${|>}\n    max_iterations: 3\n    do: []\n", "q index", ""),
        (HEAD + "  - try: [{log: a}]\n    catch:\n      - do:\n          - log: ${|>}\n", "q error", "index"),
        (HEAD + "  - try: [{log: a}]\n    catch:\n      - as: why\n        do: [{log: '${|>}'}]\n", "q why", "error"),
        (HEAD + "  - try: [{log: a}]\n    catch: [{if: '${error.|>}', do: []}]\n", "type detail", "q"),
        (HEAD + "  - try: [{log: a}]\n    catch: [{do: []}]\n  - log: ${|>}\n", "q", "error"),
        (HEAD + "  - transaction: db\n    do:\n      - log: ${|>}\n", "q", "index"),
        (HEAD + "outputs:\n  - {name: o, value: '${|>}'}\n", "q inputs", "env secrets"),
        (HEAD + "vars:\n  v: ${|>}\n", "inputs env", "q secrets"),
        (HEAD + "  - |>\n", "log set for_each while try wait sqlite_query csv_read", "db"),
        (HEAD + "  - lo|>\n", "log", "db"),
        (HEAD + "  - log: x\n    |>\n", "id if retry on_error", "log set sqlite_query"),
        (HEAD + "  - sqlite_query:\n      |>\n", "query params limit id connection", "log"),
        (HEAD + "  - sqlite_query: {query: a, |>}\n", "params limit connection", "query log"),
        (HEAD + "  - sqlite_query: {query: a, connection: |>}\n", "db", "query"),
        (HEAD + "  - sqlite_query: {query: a, outputs: [|>]}\n", "rows count", ""),
        (HEAD + "  - task: |>\n", "sqlite_query csv_read", "log"),
        (HEAD + "  - task: sqlite_query\n    inputs:\n      |>\n", "query params", "connection"),
        (HEAD + "  - log: x\n    retry:\n      on:\n        - |>\n", "connect rate_limited", ""),
        (HEAD + "  - log: x\n    retry: {backoff: |>}\n", "linear exponential", ""),
        ("flow: f\n|>\nsteps: []\n", "inputs outputs connections timeout", "flow steps log"),
        ("flow: f\nconnections:\n  db:\n    type: |>\nsteps: []\n", "sqlite", ""),
        ("flow: f\nconnections:\n  db:\n    type: sqlite\n    |>\nsteps: []\n", "database pool_size lazy", "type"),
        ("flow: f\nconnections:\n  db: {type: sqlite, read_only: |>}\nsteps: []\n", "true false", ""),
        ("flow: f\ninputs:\n  - name: a\n    type: |>\nsteps: []\n", "string integer any", ""),
    ],
)
def test_completion_offers_what_may_stand_there(editor: Editor, text: str, there: str, absent: str) -> None:
    offered = editor.completions(text)
    assert [each for each in there.split() if each not in offered] == []
    assert [each for each in absent.split() if each in offered] == []


@pytest.mark.parametrize(
    ("tail", "there"),
    [
        ('  - log: "${|>\n', "q inputs len"),
        ('  - log: "${q.|>\n  - log: x\n', "rows count"),
        ("  - log: '${inputs.|>\n", "vip"),
        ("  - sqlite_query: {query: a, |>\n", "params limit"),
        ("  - sqlite_query: {id: p, outputs: [|>\n  - log: x\n", "rows count"),
        ("  - sqlite_query:\n     query: a\n      |>\n", ""),
        ("  - for_each: ${q.|>\n", "rows"),
        ("  - log: [${|>\n", "q"),
    ],
)
@pytest.mark.parametrize("fresh", [True, False], ids=["opened like this", "typed"])
def test_completion_works_in_a_text_that_is_not_yaml(editor: Editor, tail: str, there: str, fresh: bool) -> None:
    """The middle of typing: a quote or a bracket is open. Also when nothing better was ever seen."""
    offered = editor.completions(HEAD + tail, None if fresh else HEAD)
    assert [each for each in there.split() if each not in offered] == []


@pytest.mark.parametrize(
    ("head", "there"),
    [
        ("  - for_each: ${q.rows}\n    as: row\n    do:\n", "q row index"),
        ("  - while: index < 2\n    max_iterations: 3\n    do:\n", "q index"),
        ("  - until: index > 2\n    max_iterations: 3\n    do:\n", "q index"),
        ("  - try: [{log: a}]\n    catch:\n      - do:\n    ", "q error"),
        ("  - try: [{log: a}]\n    catch:\n      - as: why\n        do:\n    ", "q why"),
        ("  - transaction: db\n    do:\n", "q"),
    ],
)
def test_the_first_line_of_a_body_sees_the_names_of_the_turn(editor: Editor, head: str, there: str) -> None:
    """Typed into a block that was empty when it was looked at, with a quote still open."""
    offered = editor.completions(HEAD + head + "      - log: '${|>\n", HEAD + head.rstrip(" "))
    assert [each for each in there.split() if each not in offered] == []


def test_a_proposal_replaces_the_word_that_is_begun(editor: Editor) -> None:
    """With the type, and with the function's page."""
    offered = editor.completions(HEAD + '  - log: "😀${inputs.vip and le|>}"\n')
    assert offered["len"]["textEdit"]["range"] == span(7, 29, 31)
    assert offered["len"]["textEdit"]["newText"] == "len("
    assert "→" in offered["len"]["documentation"]["value"]
    assert offered["q"]["detail"] == "object"
    assert offered["q"]["documentation"]["value"].startswith("step `q`")


def test_a_flow_with_tasks_of_its_own_is_offered_them(editor: Editor) -> None:
    """Their names, parameters and docs come from the Python file beside the flow."""
    code = "from flowlang import task\n\n@task\ndef greet(name: str, loud: bool = False) -> str:\n"
    code += '    """Say hello."""\n    return name\n'
    (editor.folder / "own.py").write_text(code, encoding="utf-8")
    head = "flow: f\ntasks: [own.py]\nsteps:\n"
    assert "Say hello." in str(editor.completions(head + "  - |>\n")["greet"]["documentation"])
    offered = editor.completions(head + "  - greet:\n      |>\n")
    assert {"name", "loud"} <= set(offered)


# ---------------------------------------------------------------- hover


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "  - sqlite_ex|>ecute: {query: a}\n", "sqlite_execute(|affected"),
        (HEAD + "  - sqlite_query: {quer|>y: a}\n", "the statement"),
        (HEAD + "  - sqlite_query: {query: a, connection: d|>b}\n", "connection `db`|sqlite"),
        (HEAD + "  - log: ${le|>n(q.rows)}\n", "`len(|→"),
        (HEAD + "  - log: ${|>q.count}\n", "step `q` (7:24)|`rows`|`count`"),
        (HEAD + "  - log: ${q.cou|>nt}\n", "integer"),
        (HEAD + "  - log: ${json(inputs.vi|>p)}\n", "input `vip` (3:12)|boolean|Is it a good customer?"),
        (HEAD + "  - log: ${q.row|>z}\n", "unknown-output|did you mean `rows`?|A step has no such output"),
        (HEAD + "  - log: a\n    ti|>meout: 1s\n", "How long the step may take"),
        (HEAD + "  - log: a\n    retry: {backoff: lin|>ear, mult|>iplier: 2}\n".replace("lin|>ear", "linear"), "grows"),
        ("flow: f\nconnections:\n  db: {type: sqlite, pool_s|>ize: 1, database: a}\nsteps: []\n", "Handles"),
    ],
)
def test_hover_explains(editor: Editor, text: str, words: str) -> None:
    shown = editor.ask("hover", editor.open(text))
    assert shown is not None
    assert [each for each in words.split("|") if each not in shown["contents"]["value"]] == []


def test_hover_over_nothing_is_nothing(editor: Editor) -> None:
    assert editor.ask("hover", editor.open(HEAD + "  |>\n")) is None


# ---------------------------------------------------------------- names

NAMES = """\
flow: f
inputs: [{name: size, type: integer, default: 3}]
connections:
  db: {type: sqlite, database: ":memory:"}
steps:
  - sqlite_query: {id: size_of, connection: db, query: SELECT 1}
  - id: loop
    for_each: "${size_of.rows}"
    as: size_row
    do:
      - id: both
        set: {a: "${size_row.a}", b: "${[each for each in size_of.rows]}", c: "${inputs.size}"}
      - if: ${size_of.count} > 1
        then: [{log: "size_of ${size_of.count} and $${size_of}"}]
  - {id: last, set: {rows: "${size_of['rows']}"}}
  - {task: sqlite_query, connection: "db", inputs: {query: "SELECT ${size_of.count}"}}
outputs:
  - {name: size_of, value: "${size_of.count}"}
"""


def cursor(text: str, before: str, name: str) -> str:
    """`text` with the cursor in `name`, right after `before`."""
    assert text.count(before + name) == 1
    return text.replace(before + name, f"{before}{name[:1]}|>{name[1:]}")


def test_rename_changes_every_reference_and_nothing_else(editor: Editor) -> None:
    """Not a loop variable, an output, a text, a key or an escaped expression that look the same."""
    place = editor.open(cursor(NAMES, 'for_each: "${', "size_of"))
    uri = place["textDocument"]["uri"]
    assert editor.ask("prepareRename", place)["placeholder"] == "size_of"
    made = editor.ask("rename", place, newName="counted")["changes"][uri]
    expected = (
        NAMES.replace("id: size_of", "id: counted")
        .replace("${size_of", "${counted")
        .replace("in size_of", "in counted")
    )
    assert applied(NAMES, made) == expected.replace("$${counted}", "$${size_of}")


@pytest.mark.parametrize(
    ("before", "name", "changed"),
    [("as: ", "size_row", 2), ("\n  ", "db", 3)],
)
def test_loop_variables_and_connections_are_renamed_too(editor: Editor, before: str, name: str, changed: int) -> None:
    place = editor.open(cursor(NAMES, before, name))
    made = editor.ask("rename", place, newName="other")["changes"][place["textDocument"]["uri"]]
    assert len(made) == changed
    again = applied(NAMES, made)
    uri = editor.open(again)["textDocument"]["uri"]
    assert editor.found(uri) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("inputs", "root"),
        ("two words", "not a name"),
        ("a-b", "minus"),
        ("if", "word"),
        ("_x", "begins with"),
        ("last", "already a step (15:10)"),
        ("size_row", "already a loop variable (9:9)"),
        ("", "name"),
    ],
)
def test_rename_to_a_bad_or_taken_name_is_refused(editor: Editor, name: str, why: str) -> None:
    place = editor.open(cursor(NAMES, "id: ", "size_of"))
    reply = editor.client.finish(editor.client.begin("textDocument/rename", {**place, "newName": name}))
    assert why in reply["error"]["message"]


@pytest.mark.parametrize(("before", "name"), [("{name: ", "size,"), ("value: ", '"'), ("flow: ", "f\n")])
def test_what_is_no_name_of_the_flow_is_not_renamed(editor: Editor, before: str, name: str) -> None:
    place = editor.open(cursor(NAMES, before, name))
    assert "error" in editor.client.finish(editor.client.begin("textDocument/prepareRename", place))


def test_definition_and_references(editor: Editor) -> None:
    """Of a step, an input, a connection, a loop variable; from a read and from the definition itself."""
    for before, name, line, count in (
        ('for_each: "${', "size_of", 5, 7),
        ('c: "${inputs.', "size", 1, 1),
        ("id: size_of, connection: ", "db", 3, 2),
        ('a: "${', "size_row", 8, 1),
    ):
        place = editor.open(cursor(NAMES, before, name))
        [target] = editor.ask("definition", place)
        assert target["uri"] == place["textDocument"]["uri"]
        assert target["range"]["start"]["line"] == line
        read = editor.ask("references", place, context={"includeDeclaration": False})
        assert len(read) == count, name
        assert len(editor.ask("references", place, context={"includeDeclaration": True})) == count + 1


def test_definition_of_a_subflow_is_its_file(editor: Editor) -> None:
    (editor.folder / "letter.yaml").write_text("flow: letter\nsteps: []\n", encoding="utf-8")
    place = editor.open("flow: f\nsteps:\n  - subflow: let|>ter.yaml\n")
    [target] = editor.ask("definition", place)
    assert target["uri"].endswith("/letter.yaml")


def test_the_outline_has_steps_inside_steps(editor: Editor) -> None:
    place = editor.open(NAMES)
    found = editor.ask("documentSymbol", {"textDocument": place["textDocument"]})
    assert [each["name"] for each in found] == ["size", "db", "size_of", "loop", "last", "sqlite_query", "size_of"]
    loop = found[3]
    assert [each["name"] for each in loop["children"]] == ["both", "if"]
    assert [each["name"] for each in loop["children"][1]["children"]] == ["log"]
    assert loop["range"]["start"]["line"] == 6
    assert loop["range"]["end"]["line"] >= 13


def test_a_finding_is_mended_by_its_quick_fix(editor: Editor) -> None:
    text = HEAD + "  - lgo: hello\n    timeout: 5 seconds\n"
    place = editor.open(text)
    uri = place["textDocument"]["uri"]
    shown = editor.found(uri)
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 9, "character": 0}}
    offered = editor.ask("codeAction", {"textDocument": {"uri": uri}}, range=whole, context={"diagnostics": shown})
    assert {each["kind"] for each in offered} == {"quickfix"}
    assert {each["diagnostics"][0]["code"] for each in offered} == {each["code"] for each in shown}
    edits = [edit for each in offered for edit in each["edit"]["changes"][uri]]
    assert applied(text, edits) == HEAD + "  - log: hello\n    timeout: 5s\n"


# ---------------------------------------------------------------- robustness


def test_it_answers_after_nonsense(editor: Editor) -> None:
    """Places outside of the text, texts that were never opened, unknown methods, odd characters, garbage as a flow."""
    place = editor.open(HEAD)
    far = {**place, "position": {"line": 10_000, "character": 10_000}}
    for method in ("completion", "hover", "definition"):
        editor.ask(method, far)
        editor.ask(method, {"textDocument": {"uri": "file:///no/such.yaml"}, "position": {"line": 0, "character": 0}})
    editor.change("file:///no/such.yaml", 2, {"text": "x"})
    editor.client.notify("textDocument/didClose", {"textDocument": {"uri": "file:///no/such.yaml"}})
    assert editor.client.finish(editor.client.begin("flowlang/nothing", {}))["error"]["code"] == -32601
    for text in (
        "",
        "\0",
        "[",
        "a: &a [*a, *a]",
        "- - - {",
        "\ufeffflow: f",
        "flow: f\nsteps: ${",
        "\u2028\r\n\r:",
        "%" * 5000,
    ):
        strange = editor.open(text)
        editor.found(strange["textDocument"]["uri"])
        editor.ask("completion", strange)
        editor.ask("documentSymbol", {"textDocument": strange["textDocument"]})
    assert editor.completions(HEAD + '  - log: "${q.|>}"\n').keys() == {"rows", "count"}


def test_completion_never_fails_wherever_the_cursor_is(editor: Editor) -> None:
    """At every place of a flow, and of the same flow cut off there."""
    place = editor.open(NAMES)
    uri = place["textDocument"]["uri"]
    editor.found(uri)
    rows = NAMES.split("\n")
    places = [(line, column) for line, row in enumerate(rows) for column in range(0, len(row) + 1, 3)]
    asked = [
        editor.client.begin("textDocument/completion", {**place, "position": {"line": line, "character": column}})
        for line, column in places
    ]
    assert all("result" in editor.client.finish(each) for each in asked)
    for version, (line, column) in enumerate(places[::7], 2):
        editor.change(uri, version, {"text": "\n".join([*rows[:line], rows[line][:column]])})
        editor.ask("completion", {**place, "position": {"line": line, "character": column}})


def test_a_cancelled_request_does_not_stop_the_next(editor: Editor) -> None:
    """It is answered, with an error or a result, and so are those after it, in whichever order."""
    place = editor.open(NAMES)
    first = [editor.client.begin("textDocument/hover", place) for _ in range(5)]
    for each in first[::2]:
        editor.client.notify("$/cancelRequest", {"id": each})
    after = editor.client.begin("textDocument/documentSymbol", {"textDocument": place["textDocument"]})
    assert len(editor.client.finish(after)["result"]) == 7
    assert all({"result", "error"} & editor.client.finish(each).keys() for each in first)


def test_messages_that_are_none_are_survived(tmp_path: Path) -> None:
    editor = Editor(tmp_path)
    editor.client.write(b"{not json")
    editor.client.write(b'{"jsonrpc": "2.0", "id": 77, "method": "textDocument/hover", "params": {"position": 5}}')
    editor.client.write(b'{"jsonrpc": "2.0", "id": 78}')
    editor.client.write(b"[1, 2]")
    place = editor.open(HEAD)
    assert editor.found(place["textDocument"]["uri"]) == []
    assert editor.client.close() == 0


def test_parameters_that_are_none_are_refused(tmp_path: Path) -> None:
    """A request with a place of the wrong kind or without its options gets an error, as does a rename that is refused.
    Nothing of it is on stderr: it is no defect of the server."""
    editor = Editor(tmp_path)
    place = editor.open(cursor(NAMES, "id: ", "size_of"))
    wrong = [("hover", {"position": 5}), ("completion", {**place, "position": {"line": "x"}}), ("formatting", place)]
    for method, params in wrong:
        reply = editor.client.finish(editor.client.begin(f"textDocument/{method}", params))
        assert reply["error"]["code"] == -32602, method
    reply = editor.client.finish(editor.client.begin("textDocument/rename", {**place, "newName": "if"}))
    assert reply["error"]["code"] == -32803
    assert editor.client.close() == 0
    assert editor.client.stderr == b""


def test_without_pygls_it_says_how_to_install_it(tmp_path: Path) -> None:
    """A package that is missing is named, with the line that installs it."""
    (tmp_path / "pygls.py").write_text("raise ModuleNotFoundError(name='pygls')\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "src")])}
    command = [sys.executable, "-m", "flowlang", "lsp"]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'flowlang[lsp]'" in done.stderr
