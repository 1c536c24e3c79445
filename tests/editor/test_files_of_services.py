"""Files of services (`*.service.yaml`) in an editor: checked as what they are, with keys and words of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture
def editor(tmp_path: Path) -> Iterator[Editor]:
    made = Editor(tmp_path)
    yield made
    made.client.close()


def test_mistakes_are_found_and_keys_offered(editor: Editor) -> None:
    uri = editor.open(SERVICE.replace("path", "pth"), "acme.service.yaml")["textDocument"]["uri"]
    told = [(each["code"], each["range"]["start"]["line"] + 1) for each in editor.found(uri)]
    assert told == [("unknown-key", 9)]
    place = editor.open(SERVICE.replace("    request", "    |>\n    request"), "other.service.yaml")
    editor.found(place["textDocument"]["uri"])
    offered = {each["label"] for each in editor.ask("completion", place)["items"]}
    assert {"params", "pages", "outputs", "batches"} <= offered
    assert "steps" not in offered
