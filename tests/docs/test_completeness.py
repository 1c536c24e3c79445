"""The docs are complete: what the program has is on the page for it, and the generated pages are current."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

import flowlang
from flowlang import events
from flowlang.cli.commands import root
from flowlang.connections.base import REQUIRED, ConnectionPlugin
from flowlang.document.modifiers import COMMON, SERVICE
from flowlang.document.parse import KEYS
from flowlang.document.triggers import CATCHUPS, CONFLICTS, KINDS, OVERLAPS, RESPONSES
from flowlang.engine.result import RunResult
from flowlang.tasks.files import FILE_TASKS
from flowlang.views.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def generator() -> ModuleType:
    """docs/generate.py as a module; it is a script and in no package."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_pages_are_current() -> None:
    """docs/reference/ is what docs/generate.py writes."""
    assert generator().stale() == [], "run: python docs/generate.py"


def test_the_generator_finds_a_page_that_is_not_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is missing or was changed by hand is named."""
    module = generator()
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    for name, text in module.pages().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert module.stale() == []
    (tmp_path / "functions/len.md").write_text("changed", encoding="utf-8")
    (tmp_path / "errors.md").unlink()
    (tmp_path / "verbs/gone.md").write_text("of a verb that was taken out", encoding="utf-8")
    assert module.stale() == ["errors.md", "functions/len.md", "verbs/gone.md"]


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, those of groups included."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


@pytest.mark.parametrize(("name", "command"), [pytest.param(*each, id=each[0]) for each in commands(root)])
def test_the_command_line_page_names_each_command_and_option(name: str, command: click.Command) -> None:
    """docs/cli.md has every command, and every form of every option."""
    text = page("cli.md")
    assert name in text
    options = [form for each in command.params if isinstance(each, click.Option) for form in each.opts]
    assert [form for form in options if not re.search(rf"(?<![\\w-]){form}(?![\\w-])", text)] == []


def test_a_json_result_has_the_keys_that_the_docs_name(tmp_path: Path) -> None:
    """docs/cli.md lists exactly the keys of the object that `run --json` prints, in that order."""
    text = page("cli.md")
    table = text[text.index("`--json` writes") : text.index("### Exit codes")]
    (tmp_path / "flow.yaml").write_text("flow: f\nsteps:\n  - log: hello\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "flowlang", "run", "flow.yaml", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert list(json.loads(done.stdout)) == re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_the_language_page_names_each_key_verb_and_modifier() -> None:
    """docs/language.md has every key of a flow, every verb with its keys, and every modifier of a step."""
    text = page("language.md")
    words = {*KEYS, *COMMON, *SERVICE, *VERBS, *FILE_TASKS}
    words |= {key for verb in VERBS.values() for key, _ in verb.keys}
    words |= {*KINDS, *CONFLICTS, *OVERLAPS, *CATCHUPS, *RESPONSES, *(key for keys in KINDS.values() for key in keys)}
    assert sorted(word for word in words if not re.search(rf"\b{word}\b", text)) == []


def test_the_library_page_names_each_public_name_and_field() -> None:
    """docs/library.md or docs/plugins.md has every public name, every field of a result, every event and its fields."""
    text = page("library.md")
    names = {name for name in flowlang.__all__ if not name.startswith("_")}
    assert sorted(name for name in names if not re.search(rf"\b{name}\b", text + page("plugins.md"))) == []
    hidden = {"secret_outputs", "masker"}
    assert sorted(name for name in RunResult.__slots__ if name not in hidden and f"`{name}`" not in text) == []
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE))
    for kind in events.Event.__args__:
        assert [field for field in kind._fields if f"`{field}`" not in rows[kind.__name__]] in ([], ["run_id", "at"])


def test_the_plugin_page_names_each_member_of_the_contract() -> None:
    """docs/plugins.md has every public member of `ConnectionPlugin`."""
    text = page("plugins.md")
    members = {name for name in vars(ConnectionPlugin) if not name.startswith("_")}
    assert set(REQUIRED) <= members
    assert sorted(name for name in members if not re.search(rf"\b{name}\b", text)) == []
