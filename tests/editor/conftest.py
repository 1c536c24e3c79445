"""The server of an editor for the tests of files beside flows: one for all of them, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.editor.test_language_server import Editor


@pytest.fixture(scope="session")  # the tests run in any order, between those of other modules
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    made = Editor(tmp_path_factory.mktemp("editor"))
    yield made
    assert made.client.close() == 0


@pytest.fixture
def editor(_server: Editor, tmp_path: Path) -> Editor:
    _server.folder = tmp_path
    return _server
