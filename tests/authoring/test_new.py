"""`flowlang plugin new`: what it refuses, where it writes, what it asks, and that the docs show what it writes."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tests.cli.conftest import COMMAND, Done, cli, environment, folder
from tests.connections.conftest import tree

import flowlang
from flowlang.authoring import new
from flowlang.connections import plugin_registry
from flowlang.exceptions import PluginError

__all__ = ["cli", "folder", "tree"]

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "src/flowlang/authoring/templates"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("My-Service", "begin with a letter, and hold small letters, digits and `_`: `my_service`"),
        ("7eleven", "begin with a letter, and hold small letters, digits and `_`: `eleven`"),
        ("!", "digits and `_`"),
        ("class", "`class` is a word of Python, which no plugin can have as its name: `class_service`"),
        ("match", "a word of Python"),
        ("a_name_that_is_far_too_long", "has 27 letters: 24 at most"),
        ("redis", "there is a connection type `redis` already (built-in)"),
    ],
)
def test_a_name_that_cannot_be_is_refused(cli: Callable[..., Done], folder: Path, name: str, told: str) -> None:
    """With one that can; nothing is written."""
    done = cli("plugin", "new", name, "--kind", "client")
    assert done.code == 2
    assert told in done.err
    assert list(folder.iterdir()) == []


def test_an_unknown_kind_is_refused(cli: Callable[..., Done], folder: Path) -> None:
    done = cli("plugin", "new", "acme", "--kind", "clent")
    assert (done.code, "did you mean `client`?" in done.err) == (2, True)


def test_what_is_there_stays(cli: Callable[..., Done], folder: Path) -> None:
    """A target that exists is refused, an empty folder too."""
    (folder / "flowlang-acme").mkdir()
    done = cli("plugin", "new", "acme", "--kind", "client")
    assert done.code == 2
    assert "`flowlang-acme` exists already" in done.err
    assert [each.name for each in folder.rglob("*")] == ["flowlang-acme"]


def test_a_failure_leaves_nothing_half_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the package nor what it was made in."""

    def refuse(self: Path, target: Path) -> Path:
        raise OSError("no room")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="no room"):
        new.package("acme", "client", folder / "there")
    assert list(folder.iterdir()) == []


def test_a_package_goes_where_it_is_wanted(cli: Callable[..., Done], folder: Path) -> None:
    """Each word of the name in its form; the command lists what it wrote."""
    done = cli("plugin", "new", "big_store", "--kind", "client", "--package", "deep/here")
    assert done.code == 0, done.err
    here = folder / "deep/here"
    assert "deep/here/src/flowlang_big_store/provider.py" in done.out
    assert "class BigStorePlugin(" in (here / "src/flowlang_big_store/provider.py").read_text()
    assert 'name = "flowlang-big-store"' in (here / "pyproject.toml").read_text()
    assert "${env.BIG_STORE_TOKEN}" in (here / "src/flowlang_big_store/example.yaml").read_text()
    assert (here / ".github/workflows/ci.yml").is_file()
    left = [each for each in here.rglob("*") if each.is_file() and re.search("acme", each.read_text(), re.IGNORECASE)]
    assert left == []


@pytest.mark.parametrize("kind", new.KINDS)
def test_the_page_of_its_settings_and_tasks_is_the_one_that_its_code_gives(
    cli: Callable[..., Done], folder: Path, kind: str
) -> None:
    """Under whatever name; a change of the code is told."""
    new.package("big_store", kind, folder / "it")
    done = cli("plugin", "docs", "it", "--check")
    assert (done.code, done.err) == (0, "")
    provider = folder / "it/src/flowlang_big_store/provider.py"
    provider.write_text(provider.read_text().replace('"0.1.0"', '"0.2.0"'))
    done = cli("plugin", "docs", "it", "--check")
    assert done.code == 1
    assert "docs/big_store-reference.md is not current" in done.err


@pytest.mark.parametrize("kind", new.KINDS)
def test_in_the_tree_it_is_the_folder_of_the_guide(tree: Path, kind: str) -> None:
    """Found by its folder, and usable at once."""
    written = new.folder("shelf", kind, tree)
    assert {"__init__.py", "provider.py", "errors.py", "example.yaml"} <= {each.name for each in written}
    assert plugin_registry.info("shelf").source == "built-in"
    checked = flowlang.check(tree / "shelf/example.yaml")
    assert [each.message for each in checked.findings if each.severity == "error"] == []


def test_two_places_are_one_too_many(cli: Callable[..., Done], folder: Path) -> None:
    done = cli("plugin", "new", "acme", "--kind", "client", "--in-tree", "--package", "x")
    assert (done.code, "two places" in done.err) == (2, True)


def test_what_is_left_out_is_asked_for_on_a_terminal_only(cli: Callable[..., Done], folder: Path) -> None:
    """Without one it is said to be missing."""
    done = cli("plugin", "new", "acme")
    assert (done.code, "--kind is missing, and there is no terminal to ask on" in done.err) == (2, True)
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "plugin", "new"],
        env=environment(TERM="xterm"),
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, b"acme\nclient\n")
    assert process.wait(timeout=60) == 0
    os.close(ours)
    assert (folder / "flowlang-acme/pyproject.toml").is_file()


def test_outside_of_a_checkout_there_is_no_tree(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowlang.connections.__path__", ["/usr/lib/python3/site-packages/flowlang/connections"])
    with pytest.raises(PluginError, match="run this in a checkout"):
        new.tree()
    (folder / "src/flowlang/connections").mkdir(parents=True)
    assert new.tree() == Path("src/flowlang/connections")


def test_the_range_of_the_templates_takes_this_version() -> None:
    """The one that stands in the `pyproject.toml` of new packages, and not the next one that may break them."""
    found = re.search(r'dependencies = \["(.*?)"\]', (TEMPLATES / "package/pyproject.toml").read_text())
    assert found is not None
    wanted = Requirement(found[1]).specifier
    here = version("flowlang")
    assert wanted.contains(here)
    major, minor = here.split(".")[:2]
    assert not wanted.contains(f"{major}.{int(minor) + 1}.0" if major == "0" else f"{int(major) + 1}.0.0")
