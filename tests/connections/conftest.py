"""The guide's plugin, its service, and places to put plugins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.connections.guide import laying
from tests.connections.guide.service import Service, serving

import flowlang.connections
from flowlang.connections import ConnectionPlugin, plugin_registry


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        yield running


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that counts as part of `flowlang/connections/`."""
    folder = tmp_path / "tree"
    folder.mkdir()
    monkeypatch.setattr(flowlang.connections, "__path__", [*flowlang.connections.__path__, str(folder)])
    with forgotten():
        yield folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path that packages can be installed into."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    with forgotten():
        yield folder


@contextmanager
def forgotten() -> Iterator[None]:
    """What is imported inside from folders called `tree` and `site` is imported anew the next time."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if "/tree/" in file or "/site/" in file:
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            if parent in sys.modules and hasattr(sys.modules[parent], child):
                delattr(sys.modules[parent], child)


@pytest.fixture
def guide(tree: Path, site: Path) -> ConnectionPlugin:
    """The guide's plugin in the package tree, its client installed."""
    laying.client(site)
    laying.folder(tree)
    return plugin_registry.get("myservice")
