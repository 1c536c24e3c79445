"""Finding and loading plugins: lazily, and with every broken one behind a wall."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.connections.guide import laying

from flowlang.connections import ConnectionPlugin, PluginRegistry, plugin_registry
from flowlang.exceptions import PluginError

PLUGIN = """
from flowlang.connections.base import ConnectionPlugin

class Plugin(ConnectionPlugin):
    name = {name!r}
    version = "1.0"
    def get_config_schema(self): return {{"type": "object", "properties": {{}}}}
    async def connect(self, config): return object()
    async def disconnect(self): pass
    async def get_connection(self): return object()
    def get_builtin_tasks(self): return {{{tasks}}}
    async def _do(self, connection=None): return {{}}
"""


def source(name: str, *tasks: str) -> str:
    return PLUGIN.format(name=name, tasks=", ".join(f"{each!r}: self._do" for each in tasks))


class Minimal(ConnectionPlugin):
    name = "minimal"
    version = "1.0"

    def get_config_schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": {}}

    async def connect(self, config: dict[str, Any]) -> Any:
        return object()

    async def disconnect(self) -> None:
        pass

    async def get_connection(self) -> Any:
        return object()

    async def _do(self, connection: Any = None) -> dict[str, Any]:
        return {}


def refusal(plugin: Any) -> str:
    with pytest.raises(PluginError) as refused:
        PluginRegistry(discover=False).register(plugin)
    return str(refused.value)


# ---------------------------------------------------------------- registering


def test_a_class_and_its_instance_mean_the_same() -> None:
    registry = PluginRegistry(discover=False)
    registry.register(Minimal)
    before = registry.fingerprint()
    registry.register(Minimal())
    assert registry.fingerprint() == before
    assert registry.names() == ("minimal",)
    assert registry.new("minimal") is not registry.get("minimal")


def test_another_class_with_the_name_is_refused_and_replaces_nothing() -> None:
    registry = PluginRegistry(discover=False)
    registry.register(Minimal)

    class Rival(Minimal):
        pass

    with pytest.raises(PluginError, match=r"both .*Minimal.* and .*Rival.* provide the connection type `minimal`"):
        registry.register(Rival)
    assert type(registry.get("minimal")) is Minimal


def test_another_class_with_a_task_of_the_name_is_refused() -> None:
    class One(Minimal):
        name = "one"

        def get_builtin_tasks(self) -> dict[str, Any]:
            return {"shared_do": self._do}

    class Two(One):
        name = "two"

    registry = PluginRegistry(discover=False)
    registry.register(One)
    with pytest.raises(PluginError, match=r"both .*One.* and .*Two.* provide the task `shared_do`"):
        registry.register(Two)
    assert registry.names() == ("one",)


def test_registrations_can_be_limited_to_a_block() -> None:
    before = plugin_registry.names()
    with plugin_registry.registered(Minimal):
        assert "minimal" in plugin_registry
    assert plugin_registry.names() == before


@pytest.mark.parametrize("member", ["get_config_schema", "connect", "disconnect", "get_connection"])
def test_a_missing_member_is_named(member: str) -> None:
    kind = type("Lacking", (Minimal,), {member: getattr(ConnectionPlugin, member)})
    assert f"does not define `{member}()`" in refusal(kind)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"name": ""}, "does not define `name`"),
        ({"name": "a b"}, "the name 'a b' may hold letters"),
        ({"version": ""}, "does not define `version`"),
        ({"description": None}, "`description` must be a text"),
        ({"connect": lambda self, config: None}, "`connect` must be `async def`"),
        ({"get_builtin_tasks": lambda self: {"x_do": dict}}, "task `x_do` must be an `async def` function"),
        ({"get_builtin_tasks": lambda self: {"not a name": self._do}}, "'not a name' cannot be the name of a task"),
        ({"get_builtin_tasks": lambda self: [1]}, "must return a dict"),
        ({"get_builtin_tasks": lambda self: 1 / 0}, "get_builtin_tasks() failed: ZeroDivisionError"),
        ({"__init__": lambda self, needed: None}, "cannot be made without arguments"),
        ({"error_table": {KeyError: "lost"}}, "unknown error class 'lost'"),
        ({"error_table": lambda error: None}, "a method that takes one error"),
    ],
)
def test_a_breach_of_the_contract_is_named(members: dict[str, Any], expected: str) -> None:
    assert expected in refusal(type("Broken", (Minimal,), members))


def test_a_name_on_the_instance_only_is_refused() -> None:
    plugin = Minimal()
    plugin.name = "other"
    assert "on the registered instance only" in refusal(plugin)


def test_what_is_no_plugin_is_refused() -> None:
    assert "not a subclass of flowlang.connections.base.ConnectionPlugin" in refusal(dict)


# ---------------------------------------------------------------- finding


def test_nothing_is_imported_before_it_is_asked_for(site: Path) -> None:
    for name in ("lazy_one", "lazy_two"):
        laying.module(site, f"pkg_{name}", source(name, f"{name}_do"), f"{name} = pkg_{name}:Plugin")
    registry = PluginRegistry()
    assert {"lazy_one", "lazy_two"} <= set(registry.names())
    registry.fingerprint()
    assert not {"pkg_lazy_one", "pkg_lazy_two"} & set(sys.modules)
    found = registry.find_task("lazy_one_do")
    assert found is not None
    assert found.name == "lazy_one"
    assert "pkg_lazy_two" not in sys.modules


def test_a_task_is_found_by_the_types_of_the_flow_first(site: Path) -> None:
    text = source("documents", "doc_find").replace('version = "1.0"', 'version = "1.0"\n    task_prefix = "doc"')
    laying.module(site, "pkg_documents", text, "documents = pkg_documents:Plugin")
    laying.module(site, "pkg_other", source("docile"), "docile = pkg_other:Plugin")
    registry = PluginRegistry()
    found = registry.find_task("doc_find", ["documents"])
    assert found is not None
    assert found.name == "documents"
    assert "pkg_other" not in sys.modules
    assert registry.find_task("nobody_has_this") is None


def test_loading_does_not_change_the_fingerprint(site: Path) -> None:
    laying.module(site, "pkg_steady", source("steady"), "steady = pkg_steady:Plugin")
    registry = PluginRegistry()
    before = registry.fingerprint()
    registry.get("steady")
    assert registry.fingerprint() == before
    registry.register(Minimal)
    assert registry.fingerprint() != before


def test_a_package_installed_meanwhile_is_noticed(site: Path) -> None:
    registry = PluginRegistry()
    assert "late" not in registry
    laying.module(site, "pkg_late", source("late"), "late = pkg_late:Plugin")
    assert registry.get("late").name == "late"


def test_an_unknown_type_gets_the_nearest_name(site: Path) -> None:
    laying.module(site, "pkg_warehouse", source("warehouse"), "warehouse = pkg_warehouse:Plugin")
    with pytest.raises(PluginError, match="no connection type `warehuose`; did you mean `warehouse`"):
        PluginRegistry().get("warehuose")


def test_two_plugins_of_one_package_find_each_other(site: Path) -> None:
    """A package whose module registers both of its plugins, each with an entry point of its own."""
    text = source("left") + source("right").replace("class Plugin", "class Right")
    text += "\nfrom flowlang.connections import plugin_registry\n"
    text += "plugin_registry.register(Plugin)\nplugin_registry.register(Right)\n"
    laying.module(site, "pkg_pair", text, "left = pkg_pair\nright = pkg_pair")
    assert (plugin_registry.get("left").name, plugin_registry.get("right").name) == ("left", "right")


def test_a_plugin_imported_by_its_user_is_the_same_plugin(tree: Path) -> None:
    """`import flowlang.connections.myservice` before the registry looks, and registering once more, make no clash."""
    laying.folder(tree)
    with plugin_registry.registered():
        from flowlang.connections.myservice import MyServicePlugin  # type: ignore[import-not-found]

        assert plugin_registry.info("myservice").problem is None
        plugin_registry.register(MyServicePlugin())
        (record,) = (each for each in plugin_registry.records() if each.name == "myservice")
        assert (record.source, record.problem) == ("built-in", None)


# ---------------------------------------------------------------- broken ones


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise ValueError('half written')", "importing it failed: ValueError: half written"),
        ("import sys; sys.exit('bye')", "importing it failed: SystemExit: bye"),
        ("class Odd(BaseException): ...\nraise Odd('x')", "Odd: x"),
        ("def broken(:", "importing it failed: SyntaxError"),
        ("import no_such_driver", "No module named 'no_such_driver'"),
        (source("other"), "the entry point is called 'broken' but the plugin pkg_broken.Plugin has the name 'other'"),
        ("def Plugin(): ...", "neither a plugin's class, an instance of it, nor a module"),
        ("x = 1", "module 'pkg_broken' has no attribute 'Plugin'"),
        (source("broken").replace("async def connect", "async def open"), "does not define `connect()`"),
        (source("broken").replace('"object"', '"objekt"'), "the config schema must be of type object"),
        (source("broken").replace('"properties"', '"required": 1, "properties"'), "not a valid JSON Schema"),
        (
            source("broken").replace('"properties"', '"$ref": "https://example.com/s", "properties"'),
            "not a valid JSON Schema",
        ),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else None,
)
def test_a_broken_plugin_is_listed_with_its_reason(site: Path, text: str, reason: str) -> None:
    """It is listed with entry point, package and reason; the others go on working."""
    laying.module(site, "pkg_broken", text, "broken = pkg_broken:Plugin", version="3.1")
    laying.module(site, "pkg_sound", source("sound"), "sound = pkg_sound:Plugin")
    registry = PluginRegistry()
    records = {each.name: each for each in registry.records()}
    broken = records["broken"]
    assert reason in (broken.problem or "")
    assert (broken.source, broken.entry_point) == ("pkg-broken 3.1", "broken = pkg_broken:Plugin")
    assert records["sound"].problem is None
    assert "broken" not in registry.all()
    assert "sound" in registry.all()


def test_a_broken_plugin_says_why_when_it_is_used(site: Path) -> None:
    laying.module(site, "pkg_broken", "raise ValueError('half written')", "broken = pkg_broken:Plugin")
    with pytest.raises(PluginError, match=r"`broken` \(pkg-broken 1.0.0\) cannot be used: importing it failed: ValueE"):
        PluginRegistry().get("broken")


def test_ctrl_c_is_not_taken_for_a_broken_plugin(site: Path) -> None:
    laying.module(site, "pkg_stopped", "raise KeyboardInterrupt", "stopped = pkg_stopped:Plugin")
    with pytest.raises(KeyboardInterrupt):
        PluginRegistry().get("stopped")


def test_what_a_plugin_prints_is_kept_apart(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "import sys\nprint('hello')\nprint('there', file=sys.stderr)\n" + source("loud")
    laying.module(site, "pkg_loud", text, "loud = pkg_loud:Plugin")
    record = PluginRegistry().info("loud")
    assert record.problem is None
    assert record.printed == "hello\nthere\n"
    assert capsys.readouterr() == ("", "")


def test_a_folder_whose_plugin_has_another_name_is_broken(tree: Path, site: Path) -> None:
    laying.folder(tree, "elsewhere")
    record = next(each for each in plugin_registry.records() if each.name == "elsewhere")
    assert "the folder is called 'elsewhere'" in (record.problem or "")
    assert "myservice" not in plugin_registry.names()


def test_a_folder_that_registers_nothing_is_broken(tree: Path) -> None:
    laying.folder(tree, "silent", __init__="from .provider import MyServicePlugin\n")
    assert "registers no plugin" in (plugin_registry.info("silent").problem or "")


def test_a_failure_after_registering_leaves_nothing_behind(tree: Path) -> None:
    init = "from .provider import MyServicePlugin\nfrom .. import plugin_registry\n"
    init += "plugin_registry.register(MyServicePlugin())\nraise RuntimeError('too late')\n"
    laying.folder(tree, __init__=init)
    record = plugin_registry.info("myservice")
    assert record.plugin is None
    assert "too late" in (record.problem or "")


def test_two_packages_with_one_type_are_both_refused_and_named(site: Path) -> None:
    for package in ("pkg_here", "pkg_there"):
        laying.module(site, package, source("contested"), f"contested = {package}:Plugin")
    registry = PluginRegistry()
    with pytest.raises(PluginError, match=r"pkg-(t?here) 1.0.0.*pkg-(t?here) 1.0.0") as clash:
        registry.get("contested")
    assert "pkg-here" in str(clash.value)
    assert "pkg-there" in str(clash.value)
    assert [each.problem is None for each in registry.records() if each.name == "contested"] == [False, False]


def test_a_broken_rival_takes_nothing_away(site: Path) -> None:
    """Only a plugin that loads can claim a name."""
    laying.module(site, "pkg_fine", source("held"), "held = pkg_fine:Plugin")
    laying.module(site, "pkg_torn", "raise ValueError", "held = pkg_torn:Plugin")
    registry = PluginRegistry()
    assert registry.get("held").name == "held"
    assert sorted(each.source for each in registry.records() if each.name == "held") == [
        "pkg-fine 1.0.0",
        "pkg-torn 1.0.0",
    ]


def test_two_packages_with_one_task_are_both_refused_in_any_order(site: Path) -> None:
    """A task name without its plugin's prefix may be anybody's, so everybody is asked before it is believed."""
    laying.module(site, "pkg_a", source("alpha", "alpha_do", "common"), "alpha = pkg_a:Plugin")
    laying.module(site, "pkg_b", source("beta", "beta_do", "common"), "beta = pkg_b:Plugin")
    for first in ("alpha", "beta"):
        with pytest.raises(
            PluginError, match=r"both .*pkg-[ab] 1\.0\.0.* and .*pkg-[ab] 1.0.0.* provide the task `common`"
        ):
            PluginRegistry().get(first)
    with pytest.raises(PluginError, match="provide the task `common`"):
        PluginRegistry().find_task("common")


def test_damaged_metadata_hides_no_other_package(site: Path) -> None:
    laying.metadata(site, "pkg-damaged", "1", "[flowlang.connections]\nno equals sign here\n")
    laying.module(site, "pkg_whole", source("whole"), "whole = pkg_whole:Plugin")
    registry = PluginRegistry()
    assert registry.get("whole").name == "whole"
    damaged = next(each for each in registry.records() if each.name == "pkg-damaged")
    assert "cannot be read" in (damaged.problem or "")


LISTING = """
import socket, sys
class Blocked(socket.socket):
    def __init__(self, *a, **k): raise AssertionError("a socket was opened")
socket.socket = Blocked
from flowlang.connections import plugin_registry
from flowlang.connections.config import check_literal
from flowlang.connections.dependencies import dependencies
for record in plugin_registry.records():
    assert record.problem is None, record
    dependencies(record.plugin)
    plugin_registry.tasks(record.name)
    record.plugin.scaffold_connection_config("x")
    check_literal(record.plugin, {}, [("url",)])
drivers = {"sqlite3", "asyncpg", "psycopg", "asyncmy", "pymysql", "pymongo", "redis", "httpx", "httpx2", "tenacity"}
assert not drivers & set(sys.modules), drivers & set(sys.modules)
"""


def test_listing_describing_and_checking_import_no_driver_and_open_no_socket() -> None:
    """All built-in plugins at once, in a process of its own where opening a socket fails."""
    done = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
