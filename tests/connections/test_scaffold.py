"""What the base class writes for a plugin that has nothing special to write."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from tests.connections.guide import laying

from flowlang.connections import ConnectionPlugin, plugin_registry
from flowlang.connections.config import problems
from flowlang.connections.scaffold import renamed
from flowlang.exceptions import PluginError


class Store(ConnectionPlugin):
    name = "store"
    version = "1"

    def get_config_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["url", "access_key", "region", "level"],
            "properties": {
                "url": {
                    "type": "string",
                    "description": "Where it\n is: the address",
                    "examples": ["https://s.example"],
                },
                "access_key": {"type": "string"},
                "region": {"enum": ["north", "off"]},
                "level": {"type": "integer", "default": 3},
                "note": {"type": "string", "default": 'say "hi": # no'},
                "token": {"type": "string"},
                "headers": {"type": "object", "default": {}},
            },
        }

    async def connect(self, config: dict[str, Any]) -> Any:
        return self

    async def disconnect(self) -> None: ...

    async def get_connection(self) -> Any:
        return self

    def get_builtin_tasks(self) -> dict[str, Any]:
        return {"store_put": self._put, "store_all": self._all}

    async def _put(
        self,
        key: str,
        service: int | None = None,
        mode: Any = object,
        note: str = 'a "quoted" one',
        connection: Any = None,
    ) -> dict[str, Any]:
        """Keep a thing, with "quotes" and a back\\slash."""
        return {"kept": [key, service, note]}

    async def _all(self, limit: int = 2, connection: Any = None) -> AsyncIterator[list[Any]]:
        for number in range(limit):
            yield [number]


def entry(text: str, name: str = "api") -> Any:
    return yaml.safe_load("connections:\n" + text)["connections"][name]


# ---------------------------------------------------------------- config


def test_the_snippet_parses_fits_and_holds_secrets_as_references() -> None:
    config = entry(Store().scaffold_connection_config("things"), "things")
    assert config == {
        "type": "store",
        "url": "https://s.example",
        "access_key": "${env.STORE_ACCESS_KEY}",
        "region": "north",
        "level": 3,
    }
    del config["type"]
    assert problems(Store().get_config_schema(), config) == []


def test_optional_fields_stand_there_as_comments_that_may_be_used() -> None:
    text = Store().scaffold_connection_config()
    config = entry(text.replace("    # ", "    "))
    assert config["note"] == 'say "hi": # no'
    assert config["token"] == "${env.STORE_TOKEN}"
    assert "Where it is: the address" in text


def test_values_are_read_by_the_schema() -> None:
    config = entry(Store().scaffold_connection_config("api", level="7", region="off", token="${secrets.T}"))
    assert (config["level"], config["region"], config["token"]) == (7, "off", "${secrets.T}")


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("api", {"levle": 1}, r"unknown field `levle` .*did you mean `level`"),
        ("api", {"level": "high"}, "`level` expects integer"),
        ("api", {"access_key": "AKIA-literal"}, "`access_key` is a secret: give a reference"),
        ("not a name", {}, "cannot be the name of a connection"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, values: dict[str, Any], reason: str) -> None:
    with pytest.raises(PluginError, match=reason) as refused:
        Store().scaffold_connection_config(name, **values)
    assert "AKIA" not in str(refused.value)


# ---------------------------------------------------------------- example

EXAMPLE = """# with the connection `db`
flow: Example
connections:
  cache: {type: other, url: db}
  db:   # renamed
    type: store
    url: https://old.example   # kept
    level: 1
steps:
  - store_put: {id: db, connection: db, key: db}
  - transaction: "db"
    do:
      - store_put:
          connection: db
          key: "connection: db"
"""


def test_only_the_connections_name_changes() -> None:
    text = renamed(EXAMPLE, "store", "shop", {})
    expected = EXAMPLE.replace("  db:   #", "  shop:   #").replace("connection: db, key", "connection: shop, key")
    expected = expected.replace('transaction: "db"', "transaction: shop").replace(
        "  connection: db\n", "  connection: shop\n"
    )
    assert text == expected


def test_values_go_into_the_config() -> None:
    found = yaml.safe_load(renamed(EXAMPLE, "store", "db", {"level": 9, "region": "off"}))["connections"]["db"]
    assert found == {"type": "store", "url": "https://old.example", "level": 9, "region": "off"}
    inline = "connections: {db: {type: store, url: x}}\nsteps: []\n"
    assert yaml.safe_load(renamed(inline, "store", "db", {"level": 9}))["connections"]["db"]["level"] == 9


def test_the_example_is_written_once_and_never_over_somebodys_work(tree: Path, tmp_path: Path) -> None:
    provider = (laying.HERE / "plugin" / "provider.py").read_text().replace("def scaffold_example_flow", "def _other")
    provider = provider.replace("Example YAML:", "In YAML:")
    folder = laying.folder(tree, provider=provider)
    plugin = plugin_registry.get("myservice")
    with pytest.raises(PluginError, match=r"no `example\.yaml` beside it"):
        plugin.scaffold_example_flow(str(tmp_path / "out"))
    (folder / "example.yaml").write_text(
        EXAMPLE.replace("type: store", "type: myservice").replace("    level: 1\n", "")
    )
    path = plugin.scaffold_example_flow(str(tmp_path / "out"), "shop", timeout="5")
    assert path.name == "myservice_example.yaml"
    assert yaml.safe_load(path.read_text())["connections"]["shop"]["timeout"] == 5
    assert plugin.scaffold_example_flow(str(tmp_path / "out"), "shop", timeout="5") == path
    path.write_text("mine")
    with pytest.raises(PluginError, match="exists and is different"):
        plugin.scaffold_example_flow(str(tmp_path / "out"), "shop")
    assert path.read_text() == "mine"


# ---------------------------------------------------------------- helpers


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("store_helpers_under_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_helpers_call_tasks_and_read_streams(tmp_path: Path) -> None:
    config = {"url": "u", "access_key": "k-very-secret", "region": "north", "level": 1}
    with plugin_registry.registered(Store):
        helpers = imported(Store().scaffold_task_helpers(str(tmp_path), "shop"))
        async with helpers.shop(**config) as shop:
            assert await helpers.store_put(shop, key="a", service=4) == {"kept": ["a", 4, 'a "quoted" one']}
            assert [batch async for batch in helpers.store_all(shop, limit=3)] == [[0], [1], [2]]


def test_a_connection_called_like_a_task_hides_none(tmp_path: Path) -> None:
    helpers = imported(Store().scaffold_task_helpers(str(tmp_path), "store_put"))
    assert callable(helpers.store_put_connection)
    assert callable(helpers.store_put)
