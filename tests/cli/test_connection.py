"""`flowlang connection …`: looking, installing, scaffolding; plugins that misbehave spoil nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.conftest import Done

import flowlang
from flowlang.connections import ConnectionPlugin, plugin_registry
from flowlang.exceptions import PluginError

Call = Callable[..., Done]


class Odd(ConnectionPlugin):
    """Needs what is not there, prints where it should not, and has a secret."""

    name = "odd"
    description = "An odd\x1b[31m one"
    version = "1.2.0"

    def get_config_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["host"],
            "properties": {
                "host": {"type": "string", "description": "Where"},
                "password": {"type": "string", "default": "changeme-please"},
                "level": {"enum": ["low", "high"], "default": "low"},
            },
        }

    async def connect(self, config: dict[str, Any]) -> None:
        return None

    async def disconnect(self) -> None:
        return None

    async def get_connection(self) -> None:
        return None

    async def _task_get(self, key: str, depth: int = 2, connection: Any = None) -> dict[str, Any]:
        """Get something."""
        return {"key": key}

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        return {"odd_get": self._task_get}

    def get_dependencies(self) -> list[str]:
        return ["click>=8", "surely-not-installed-anywhere>=2; python_version >= '3'"]

    def scaffold_connection_config(self, name: str = "api", **kwargs: Any) -> str:
        print("thinking")  # noqa: T201 - what the guide's plugins do
        return f"\n  {name}:\n    type: odd\n    host: {kwargs.get('host', 'localhost')}\n"

    def scaffold_example_flow(self, output_dir: str, connection_name: str = "api", **kwargs: Any) -> None:
        if kwargs:
            raise RuntimeError("no settings, please")
        Path(output_dir, "odd.yaml").write_text(f"flow: o\n# {connection_name}\n")
        print(f"Generated: {output_dir}/odd.yaml")  # noqa: T201


@pytest.fixture
def odd() -> Iterator[None]:
    with plugin_registry.registered(Odd):
        yield


def test_the_list_names_types_sources_and_tasks(cli: Call, odd: None) -> None:
    out = cli("connection", "list").out
    assert any(line.split()[:4] == ["sqlite", "1.0.0", "6", "built-in"] for line in out.splitlines())
    assert "\x1b" not in out
    records = {each["type"]: each for each in json.loads(cli("connection", "list", "--json").out)}
    assert records["odd"]["version"] == "1.2.0"
    assert (records["sqlite"]["tasks"], records["sqlite"]["problem"]) == (6, None)


def test_the_list_shows_what_could_not_be_loaded_and_why(process: Call, folder: Path) -> None:
    """With its package and entry point; it prints on import, and the JSON is still one document."""
    info = folder / "broken-3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 3.1\n")
    (info / "entry_points.txt").write_text("[flowlang.connections]\nbroken = broken_plugin:Plugin\n")
    (folder / "broken_plugin.py").write_text("print('hello')\nraise RuntimeError('kaput')\n")
    from tests.cli.conftest import SOURCES

    env = {"PYTHONPATH": f"{folder}:{SOURCES}"}
    done = process("connection", "list", env=env)
    assert done.code == 0
    for text in ("sqlite", "1 type cannot be used", "broken (broken 3.1, broken = broken_plugin:Plugin)", "kaput"):
        assert text in done.out
    records = json.loads(process("connection", "list", "--json", env=env).out)
    assert [each["type"] for each in records if each["problem"]] == ["broken"]
    assert process("connection", "info", "broken", env=env).code == 1
    assert process("doctor", env=env).code == 1


def test_info_shows_settings_needs_and_tasks(cli: Call, odd: None) -> None:
    done = cli("connection", "info", "odd")
    assert done.code == 0
    rows = [line.split() for line in done.out.splitlines()]
    assert ["host", "string", "required", "Where"] in rows
    assert ["password", "string", '"***"', "secret"] in rows
    assert "odd_get(key, depth=2) → ?" in done.out
    assert "missing  surely-not-installed-anywhere>=2" in done.out
    assert "changeme" not in done.out
    record = json.loads(cli("connection", "info", "odd", "--json").out)
    assert [each["key"] for each in record["config"]] == ["host", "password", "level"]
    assert record["tasks"][0]["parameters"][1]["default"] == 2


def test_deps_tell_what_is_missing_and_check_fails(cli: Call, odd: None) -> None:
    done = cli("connection", "deps", "odd")
    assert done.code == 0
    assert "pip install 'surely-not-installed-anywhere>=2'" in done.out
    assert cli("connection", "deps", "odd", "--check").code == 1
    assert cli("connection", "deps", "sqlite", "--check").code == 0
    records = json.loads(cli("connection", "deps", "--json").out)
    assert {each["type"] for each in records} >= {"odd", "http"}


def test_install_shows_the_command_and_needs_a_yes(cli: Call, odd: None) -> None:
    done = cli("connection", "install", "odd", "--dry-run")
    assert done.code == 0
    assert done.out.startswith("$ ")
    assert done.out.rstrip().endswith("install 'surely-not-installed-anywhere>=2'") or "--python" in done.out
    done = cli("connection", "install", "odd")
    assert done.code == 2
    assert "--yes" in done.err
    assert cli("connection", "install", "sqlite").code == 0


def test_install_refuses_what_is_no_requirement(cli: Call, odd: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin cannot smuggle options into the installer's command line."""
    monkeypatch.setattr(Odd, "get_dependencies", lambda self: ["--index-url=http://evil.example"])
    done = cli("connection", "install", "odd", "--yes")
    assert done.code == 2
    assert "no requirement" in done.err


def test_a_scaffold_is_valid_below_connections(cli: Call, folder: Path, odd: None) -> None:
    """It is what `connections:` holds; a flow that has it passes the check."""
    text = cli("connection", "scaffold", "sqlite", "--name", "db", "--set", "database=x.db", "--set", "timeout=7").out
    assert yaml.safe_load("connections:\n" + text) == {
        "connections": {"db": {"type": "sqlite", "database": "x.db", "timeout": 7}}
    }
    flow = f"flow: f\nconnections:\n{text}steps:\n  - sqlite_query: {{connection: db, query: SELECT 1}}\n"
    assert flowlang.check(text=flow).findings == []
    assert yaml.safe_load(cli("connection", "scaffold", "odd", "--set", "host=far").out)["api"]["host"] == "far"
    assert cli("connection", "scaffold", "sqlite", "-o", "out").code == 0
    assert "api" in yaml.safe_load((folder / "out" / "sqlite_connection.yaml").read_text())["connections"]


@pytest.mark.parametrize(
    "words",
    [
        ("scaffold", "sqlite", "--set", "timeout=soon"),
        ("scaffold", "sqlite", "--set", "tiemout=5"),
        ("scaffold", "sqlite", "--set", "timeout"),
        ("scaffold", "sqlite", "--name", "not a name"),
        ("example", "odd", "--set", "x=1"),
        ("example", "sqlite", "-o", "file.txt/below"),
        ("info", "sqlight"),
        ("lst",),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_refused_with_a_message(cli: Call, odd: None, folder: Path, words: tuple[str, ...]) -> None:
    (folder / "file.txt").write_text("")
    done = cli("connection", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.strip()


def test_an_example_is_written_checks_and_runs(cli: Call, folder: Path) -> None:
    done = cli("connection", "example", "sqlite", "--name", "shop", "-o", "flows")
    assert (done.code, done.out) == (0, "Generated: flows/sqlite_example.yaml\n")
    assert cli("check", "--strict", "flows/sqlite_example.yaml").code == 0
    assert "shop" in yaml.safe_load((folder / "flows/sqlite_example.yaml").read_text())["connections"]
    assert cli("run", "flows/sqlite_example.yaml").code == 0


def test_a_plugin_that_prints_where_it_wrote_is_not_repeated(cli: Call, odd: None) -> None:
    assert cli("connection", "example", "odd").out == "Generated: ./odd.yaml\n"


def test_helpers_are_python_that_compiles(cli: Call, folder: Path) -> None:
    assert cli("connection", "helpers", "sqlite", "--name", "shop").out == "Generated: sqlite_helpers.py\n"
    compile((folder / "sqlite_helpers.py").read_text(), "sqlite_helpers.py", "exec")


def test_a_plugin_whose_members_fail_is_named(cli: Call, odd: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Odd) -> list[str]:
        raise PluginError("no list today")

    monkeypatch.setattr(Odd, "get_dependencies", fail)
    assert cli("connection", "deps", "odd", "--check").code == 1
    assert "no list today" in cli("connection", "info", "odd").out
