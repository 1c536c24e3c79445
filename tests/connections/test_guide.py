"""The guide's situation: its plugin, written as it says, works as a folder and as an installed package."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.connections.guide import laying
from tests.connections.guide.service import KEY, Service

from flowlang.connections import ConnectionPlugin, PluginRegistry, opened, plugin_registry
from flowlang.connections.config import prepare, problems
from flowlang.connections.dependencies import dependencies, pip_line
from flowlang.connections.errors import classify
from flowlang.exceptions import ConnectionError, FlowExecutionError


def at(service: Service, **config: Any) -> AbstractAsyncContextManager[Any]:
    return opened("myservice", {"api_key": KEY, "base_url": service.url, **config})


async def test_a_folder_in_the_tree_works(guide: ConnectionPlugin, service: Service) -> None:
    """The plugin is found, opens, creates a resource and gets it back, and closes."""
    async with at(service) as connection:
        made = await connection.run("myservice_create", resource_type="item", payload={"name": "lamp"})
        found = await connection.run("myservice_get", resource_id=made["resource_id"])
        client = await connection.plugin.get_connection()
    assert found["data"] == {"id": "1", "name": "lamp"}
    assert client.closed
    assert service.requests == ["GET /ping", "POST /items", "GET /resources/1"]


def test_its_listing_shows_metadata_and_source(guide: ConnectionPlugin) -> None:
    record = plugin_registry.info("myservice")
    assert (record.source, record.entry_point, record.problem) == ("built-in", None, None)
    assert (guide.name, guide.version, guide.description) == ("myservice", "1.0.0", "MyService API connection")
    assert "myservice" in plugin_registry.names()


def test_tasks_keep_their_signature_through_tenacity(guide: ConnectionPlugin) -> None:
    spec = plugin_registry.tasks("myservice")["myservice_get"]
    (parameter,) = spec.parameters
    assert (parameter.name, str(parameter.type), parameter.required) == ("resource_id", "string", True)
    assert parameter.description == "Which resource"
    assert spec.injects == {"connection"}
    assert spec.is_async
    assert spec.outputs is None  # the docstring names a key, which is no declaration
    assert spec.example is not None
    assert yaml.safe_load(spec.example)[0]["myservice_get"]["id"] == "fetch_item"
    assert plugin_registry.find_task("myservice_get") is guide


async def test_each_run_has_an_instance_of_its_own(guide: ConnectionPlugin, service: Service) -> None:
    async with at(service) as one, at(service) as two:
        assert one.plugin is not two.plugin is not guide
        assert await one.plugin.get_connection() is not await two.plugin.get_connection()


def test_dependencies_are_looked_up_as_distributions(guide: ConnectionPlugin) -> None:
    """The distribution is called `myservice-client`, its module `myservice`; another one is not there at all."""
    client, httpx = dependencies(guide)
    assert (client.installed, client.satisfied) == ("1.2.0", True)
    assert (httpx.installed, httpx.satisfied, httpx.reason) == (None, False, "not installed")
    assert pip_line([httpx]) == "pip install 'httpx>=0.24.0'"


def test_requirements_of_the_folder_count_too(guide: ConnectionPlugin, tree: Path) -> None:
    text = "# for us\n-r other.txt\nmyservice-client >=1.0.0\nmyservice-client>=2  # newer\n\n"
    (tree / "myservice" / "requirements.txt").write_text(text)
    found = {each.requirement: each.reason for each in dependencies(guide)}
    assert found["myservice-client>=2"] == "1.2.0 is installed, >=2 is wanted"


def test_its_own_scaffolds_are_used(
    guide: ConnectionPlugin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snippet = yaml.safe_load(guide.scaffold_connection_config("shop", timeout=5))
    assert snippet["shop"]["api_key"] == "${env.MYSERVICE_API_KEY}"
    assert snippet["shop"]["timeout"] == 5
    guide.scaffold_example_flow(str(tmp_path / "out"), "shop")
    assert "Generated: " in capsys.readouterr().out
    assert "shop" in (tmp_path / "out" / "myservice_example.yaml").read_text()


async def test_generated_helpers_import_and_run(guide: ConnectionPlugin, service: Service, site: Path) -> None:
    """`helpers` writes a module that calls each task, and it works against the service."""
    path = guide.scaffold_task_helpers(str(site), "shop")
    assert path.name == "myservice_helpers.py"
    import myservice_helpers as helpers  # type: ignore[import-not-found]

    async with helpers.shop(api_key=KEY, base_url=service.url) as shop:
        made = await helpers.myservice_create(shop, resource_type="item", payload={"name": "lamp"})
        assert (await helpers.myservice_get(shop, resource_id=made["resource_id"]))["data"]["name"] == "lamp"


def test_config_is_checked_completed_and_copied(guide: ConnectionPlugin) -> None:
    values = {"api_key": KEY, "timeout": "5"}
    prepared = prepare(guide, values, sources={("timeout",): "env.TIMEOUT"})
    assert prepared.problems == ()
    assert prepared.config == {"api_key": KEY, "timeout": 5, "base_url": "https://api.myservice.com"}
    assert prepared.secrets == (KEY,)
    assert values == {"api_key": KEY, "timeout": "5"}


def test_validate_config_has_the_last_word(guide: ConnectionPlugin) -> None:
    (problem,) = prepare(guide, {"api_key": "pk_wrong_key"}).problems
    assert problem.message == "plugin `myservice` refuses the config: Invalid API key format"


def test_all_findings_come_together(guide: ConnectionPlugin) -> None:
    found = problems(guide.get_config_schema(), {"base_ulr": "x", "timeout": 0.5}, plugin="myservice")
    assert {each.message: each.suggestion for each in found} == {
        "unknown field `base_ulr` in a myservice connection": "did you mean `base_url`?",
        "`api_key` (string, required) is missing": "api_key: ${env.MYSERVICE_API_KEY}",
        "`timeout` must be at least 1.0, not 0.5": None,
    }


async def test_a_refused_key_and_a_dead_service_are_failures_to_connect(
    guide: ConnectionPlugin, service: Service
) -> None:
    with pytest.raises(ConnectionError) as wrong:
        async with at(service, api_key="sk_other_key"):
            pass
    assert classify(wrong.value, guide, "connect").error_class == "connect"
    with pytest.raises(ConnectionError) as dead:
        async with at(service, base_url="http://127.0.0.1:9"):
            pass
    assert classify(dead.value, guide, "connect").error_class == "connect"


async def test_tenacity_retries_and_its_wrapper_is_opened(guide: ConnectionPlugin, service: Service) -> None:
    """The plugin's own retries happen; when they are used up, what stands behind RetryError is classified."""
    service.resources["7"] = {"id": "7"}
    async with at(service) as connection:
        service.failures = [503, 503]
        assert (await connection.run("myservice_get", resource_id="7"))["data"] == {"id": "7"}
        service.failures = [503] * 3
        with pytest.raises(Exception, match="RetryError") as given_up:
            await connection.run("myservice_get", resource_id="7")
    assert classify(given_up.value, guide, "task").error_class == "task"
    assert service.requests.count("GET /resources/7") == 6


async def test_a_missing_driver_is_a_config_failure(tree: Path) -> None:
    """Without the client the plugin lists, describes and checks; only opening it says what is missing."""
    laying.folder(tree)
    plugin = plugin_registry.new("myservice")
    with pytest.raises(ImportError) as missing:
        await plugin.connect({"api_key": KEY})
    assert classify(missing.value, plugin, "connect").error_class == "config"


INSTALLED = """
import asyncio, sys
import flowlang.connections as connections

record = connections.plugin_registry.info("myservice")
assert record.problem is None, record
assert record.source == "flowlang-myservice 1.0.0", record
connections.plugin_registry.register(type(record.plugin))
connections.plugin_registry.register(record.plugin)

async def main(url):
    async with connections.opened("myservice", {"api_key": sys.argv[2], "base_url": url}) as service:
        made = await service.run("myservice_create", resource_type="item", payload={"name": "lamp"})
        found = await service.run("myservice_get", resource_id=made["resource_id"])
    print(found["data"]["name"], record.entry_point)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("target", "init"),
    [
        ("flowlang_myservice:MyServicePlugin", "from .provider import MyServicePlugin\n"),
        (
            "flowlang_myservice:plugin",
            "from .provider import MyServicePlugin\nplugin = MyServicePlugin()\n",
        ),
        (
            "flowlang_myservice",
            "from .provider import MyServicePlugin\nfrom flowlang.connections import plugin_registry\n"
            "plugin_registry.register(MyServicePlugin())\n",
        ),
        (
            "flowlang_myservice:MyServicePlugin",
            "from .provider import MyServicePlugin\nfrom flowlang.connections import plugin_registry\n"
            "plugin_registry.register(MyServicePlugin())\n",
        ),
    ],
    ids=["a class", "an instance", "a module that registers", "a class that also registers"],
)
def test_an_installed_package_works(service: Service, tmp_path: Path, target: str, init: str) -> None:
    """In a process of its own: found by its entry point, opened, used; its fallback exceptions do no harm."""
    laying.client(tmp_path)
    package = laying.distribution(tmp_path, target)
    (package / "__init__.py").write_text(init)
    path = [str(tmp_path), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import sys; sys.path[:0] = {path}\n{INSTALLED}", service.url, KEY],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["lamp", "myservice", "=", target]


async def test_private_copies_of_the_exceptions_classify_alike(site: Path, service: Service) -> None:
    """The guide's fallback: outside the tree the plugin raises exceptions of its own with the same names."""
    laying.client(site)
    laying.distribution(site, "flowlang_private:MyServicePlugin", package="flowlang_private")
    plugin = PluginRegistry().new("myservice")
    with pytest.raises(Exception, match="Failed to connect") as failed:
        await plugin.connect({"api_key": KEY, "base_url": "http://127.0.0.1:9"})
    assert not isinstance(failed.value, (ConnectionError, FlowExecutionError))
    assert classify(failed.value, plugin, "connect").error_class == "connect"
