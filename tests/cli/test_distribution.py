"""Plugins as packages: installed, upgraded, removed, twice there, pinned by a flow, absent, broken, hanging."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Done
from tests.connections.guide import laying
from tests.connections.test_registry import source

from flowlang.connections import PluginRegistry, _loading

FLOW = """
flow: f
plugins: {{stones: "{wanted}"}}
connections:
  heap: {{type: stones}}
steps:
  - stones_throw: {{connection: heap}}
"""


@pytest.fixture
def site(folder: Path) -> Path:
    """A folder of installed packages, beside those of this Python."""
    (folder / "site").mkdir()
    return folder / "site"


def install(site: Path, version: str, name: str = "flowlang_stones") -> None:
    """The package with `stones` in a version; what was there of it goes."""
    shutil.rmtree(site / "__pycache__", ignore_errors=True)
    for each in site.glob(f"{name}-*.dist-info"):
        shutil.rmtree(each)
    text = source("stones", "stones_throw").replace('version = "1.0"', f'version = "{version}"')
    laying.module(site, name, text, f"stones = {name}:Plugin", version=version)


@pytest.fixture
def told(process: Callable[..., Done], site: Path) -> Callable[..., Done]:
    """A command in a process that has `site`, and what `first` holds before it."""

    def call(*words: str, first: Path | None = None) -> Done:
        paths = [str(each) for each in (first, site) if each is not None]
        return process(*words, env={"PYTHONPATH": ":".join(paths)})

    return call


def listed(done: Done) -> dict[str, Any]:
    return {each["type"]: each for each in json.loads(done.out)}


def test_installed_upgraded_and_removed(told: Callable[..., Done], site: Path) -> None:
    install(site, "1.0")
    assert listed(told("connection", "list", "--json"))["stones"]["source"] == "flowlang-stones 1.0"
    install(site, "1.1")
    found = listed(told("connection", "list", "--json"))["stones"]
    assert (found["source"], found["version"]) == ("flowlang-stones 1.1", "1.1")
    shutil.rmtree(site)
    assert "stones" not in listed(told("connection", "list", "--json"))


def test_of_two_copies_the_one_that_is_imported_counts(told: Callable[..., Done], site: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    install(site, "1.0")
    install(first, "2.0")
    found = listed(told("connection", "list", "--json", first=first))["stones"]
    assert (found["source"], found["version"], found["problem"]) == ("flowlang-stones 2.0", "2.0", None)


def test_two_packages_that_bring_the_same_type_are_both_named(told: Callable[..., Done], site: Path) -> None:
    install(site, "1.0")
    install(site, "3.0", name="other_stones")
    done = told("plugin", "list")
    assert done.code == 1
    assert "flowlang-stones 1.0" in done.out
    assert "other-stones 3.0" in done.out
    assert "provide the connection type `stones`; remove one of them" in " ".join(done.out.split())
    assert told("doctor").code == 1


@pytest.mark.parametrize(
    ("wanted", "installed", "code", "help_"),
    [
        (">=1.2,<2", "1.5", 0, ""),
        (">=1.2,<2", "1.0", 2, "= help: pip install 'flowlang-stones<2,>=1.2'"),
        (">=1.2", None, 2, "= help: `pip install 'flowlang-stones>=1.2'`, if its package is called as"),
        ("new", None, 2, "= help: `pip install flowlang-stones`, if its package is called as"),
    ],
)
def test_a_flow_is_told_the_command_that_installs_what_it_needs(
    wanted: str, installed: str | None, code: int, help_: str, told: Callable[..., Done], site: Path, folder: Path
) -> None:
    if installed:
        install(site, installed)
    (folder / "f.yaml").write_text(FLOW.format(wanted=wanted))
    done = told("run", "f.yaml")
    assert done.code == code, done.err
    assert help_ in done.err


SIGNALS = "import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN)"


def test_a_module_that_goes_to_the_main_thread_only_is_imported_there(told: Callable[..., Done], site: Path) -> None:
    text = f"{SIGNALS}\n{source('stones', 'stones_throw')}"
    laying.module(site, "flowlang_stones", text, "stones = flowlang_stones:Plugin")
    assert listed(told("connection", "list", "--json"))["stones"]["problem"] is None


def test_elsewhere_it_is_told_why_it_cannot_be(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that looks at plugins on another thread sees the others, and the reason."""
    monkeypatch.syspath_prepend(str(site))
    install(site, "1.0")
    laying.module(site, "pkg_signals", f"{SIGNALS}\nclass Plugin: ...\n", "signals = pkg_signals:Plugin")
    with ThreadPoolExecutor(1) as other:
        records = {each.name: each for each in other.submit(PluginRegistry().records).result()}
    assert "signal only works in main thread" in str(records["signals"].problem)
    assert records["stones"].problem is None


def test_an_import_that_hangs_stops_nobody_else(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(_loading, "IMPORT_LIMIT", 0.3)
    laying.module(
        site, "pkg_waits", "import threading\ngo = threading.Event()\ngo.wait()\n", "waits = pkg_waits:Plugin"
    )
    install(site, "1.0")
    try:
        records = {each.name: each for each in PluginRegistry().records()}
        assert records["waits"].problem == "importing it did not end within 0.3 s"
        assert records["stones"].problem is None
    finally:
        sys.modules["pkg_waits"].go.set()
