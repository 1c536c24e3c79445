"""Files of services (`*.service.yaml`) in an editor: checked as what they are, with keys and words of their own."""

from __future__ import annotations

from typing import Any

import pytest
from tests.editor.test_language_server import Editor

SERVICE = """\
service: acme
kind: http
version: 1.0.0
description: Orders of Acme
base_url: https://api.acme.example
operations:
  order:
    description: One order.
    request: {path: /order}
"""


def test_mistakes_are_found_and_keys_offered(editor: Editor) -> None:
    uri = editor.open(SERVICE.replace("path", "pth"), "acme.service.yaml")["textDocument"]["uri"]
    told = [(each["code"], each["range"]["start"]["line"] + 1) for each in editor.found(uri)]
    assert told == [("unknown-key", 9)]
    place = editor.open(SERVICE.replace("    request", "    |>\n    request"), "other.service.yaml")
    editor.found(place["textDocument"]["uri"])
    offered = {each["label"] for each in editor.ask("completion", place)["items"]}
    assert {"params", "pages", "outputs", "batches"} <= offered
    assert "steps" not in offered


FLOW = """\
flow: f
connections: {api: {type: TYPE}}
steps:
  - acme_order: {id: one, connection: api}
"""


@pytest.fixture(params=["acme", "../shop/acme.service.yaml"], ids=["by name", "by path"])
def flow(request: pytest.FixtureRequest, editor: Editor) -> tuple[str, str]:
    """A flow in its folder that uses a service of its project, and the name of the service's file. An older version of
    it is on the disk than is open."""
    for folder in ("flows", "shop", ".git"):
        (editor.folder / folder).mkdir()
    service = "shop/acme.service.yaml" if "/" in request.param else "flows/services/acme.service.yaml"
    (editor.folder / service).parent.mkdir(exist_ok=True)
    (editor.folder / service).write_text(SERVICE)
    return FLOW.replace("TYPE", request.param), service


def place(editor: Editor, name: str, text: str, word: str) -> dict[str, Any]:
    """The middle of a word of an open text."""
    before = text[: text.index(word) + len(word) // 2]
    position = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
    return {"textDocument": {"uri": (editor.folder / name).as_uri()}, "position": position}


def test_a_service_counts_as_it_stands_in_the_editor(editor: Editor, flow: tuple[str, str]) -> None:
    """Saved or not: for the findings of a flow that uses it, what is shown and offered, and where a name leads."""
    text, service = flow
    uri = editor.open(text, "flows/f.yaml")["textDocument"]["uri"]
    assert editor.found(uri) == []
    shown = editor.ask("hover", place(editor, "flows/f.yaml", text, "acme_order"))
    assert "One order." in shown["contents"]["value"]
    type_ = text.split("type: ")[1].split("}")[0]
    shown = editor.ask("hover", place(editor, "flows/f.yaml", text, type_))
    assert "Orders of Acme" in shown["contents"]["value"]

    written = SERVICE.replace("    request: {path: /order}", """\
    params:
      - {name: number, type: integer, required: true, description: Which order}
    request: {path: "/orders/${params.number}"}""").replace("One order.", "An order by its number.")  # fmt: skip
    opened = editor.open("# the shop\n" + written, service)["textDocument"]["uri"]
    assert [each["code"] for each in editor.found(uri)] == ["missing-parameter"]
    shown = editor.ask("hover", place(editor, "flows/f.yaml", text, "acme_order"))
    assert "An order by its number." in shown["contents"]["value"]
    spot = place(editor, "flows/f.yaml", text, "connection: api")
    assert "number" in {each["label"] for each in editor.ask("completion", spot)["items"]}

    (led,) = editor.ask("definition", place(editor, "flows/f.yaml", text, "acme_order"))
    assert (led["uri"], led["range"]["start"]) == (opened, {"line": 7, "character": 2})
    (led,) = editor.ask("definition", place(editor, "flows/f.yaml", text, type_))
    assert (led["uri"], led["range"]["start"]["line"]) == (opened, 0)

    editor.client.notify("textDocument/didClose", {"textDocument": {"uri": opened}})
    assert editor.found(uri) == [], "what is on the disk counts again"


def test_a_broken_service_is_told_in_the_flow_while_it_is_written(editor: Editor, flow: tuple[str, str]) -> None:
    text, service = flow
    uri = editor.open(text, "flows/f.yaml")["textDocument"]["uri"]
    assert editor.found(uri) == []
    editor.open(SERVICE.replace("path", "pth"), service)
    (found,) = editor.found(uri)
    assert found["code"] == "broken-plugin"
    assert "acme.service.yaml:9:15: unknown key `pth`" in found["message"]
