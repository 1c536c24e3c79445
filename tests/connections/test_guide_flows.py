"""The guide's situation from outside: its flow and its commands, with the plugin as a folder of the package tree and
as an installed package, its class or its instance registered. Each runs the real command line in a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests import forks
from tests.connections.guide import laying
from tests.connections.guide.service import KEY, Service

import flowlang

FLOW = """\
flow: TestMyService

connections:
  api:
    type: myservice
    api_key: ${env.MYSERVICE_API_KEY}
    base_url: ${env.MYSERVICE_URL}

inputs:
  - name: test_id
    type: string
    required: true

steps:
  - myservice_get:
      id: fetch
      connection: api
      resource_id: ${inputs.test_id}
      outputs:
        - data

outputs:
  - name: result
    value: ${fetch.data}
"""


@pytest.fixture(params=["folder", "class", "instance"])
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """PYTHONPATH of an installation that has the plugin, in one of the three ways."""
    site = tmp_path / "site"
    site.mkdir()
    laying.client(site)
    package = site / "flowlang"
    source = Path(flowlang.__file__).parent
    if request.param == "folder":
        shutil.copytree(source, package)  # with what is compiled: the files keep their times
        laying.folder(package / "connections")
        return str(site)
    target = "flowlang_myservice:MyServicePlugin" if request.param == "class" else "flowlang_myservice:plugin"
    made = laying.distribution(site, target)
    if request.param == "instance":
        with (made / "__init__.py").open("a") as file:
            file.write("plugin = MyServicePlugin()\n")
    return os.pathsep.join([str(site), str(source.parent)])


def cli(installed: str, service: Service, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": installed, "MYSERVICE_API_KEY": KEY, "MYSERVICE_URL": service.url}
    if os.pathsep in installed:
        return forks.command(*words, cwd=folder, env=env)
    return subprocess.run(  # it has a FlowLang of its own
        [sys.executable, "-m", "flowlang", *words], env=env, cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_flow_runs_against_the_service(installed: str, service: Service, tmp_path: Path) -> None:
    service.resources["7"] = {"id": "7", "name": "lamp"}
    (tmp_path / "flow.yaml").write_text(FLOW)
    done = cli(installed, service, tmp_path, "run", "flow.yaml", "-i", "test_id=7", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["status"], record["outputs"]) == ("succeeded", {"result": {"id": "7", "name": "lamp"}})
    assert service.requests == ["GET /ping", "GET /resources/7"]
    assert KEY not in done.stdout + done.stderr


def test_a_failing_service_is_a_failed_run_and_a_dead_one_could_not_connect(
    installed: str, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    done = cli(installed, service, tmp_path, "run", "flow.yaml", "-i", "test_id=none")
    assert done.returncode == 1
    assert "flow.yaml:15:" in done.stderr
    (tmp_path / "flow.yaml").write_text(FLOW.replace("${env.MYSERVICE_URL}", "http://127.0.0.1:9"))
    done = cli(installed, service, tmp_path, "run", "flow.yaml", "-i", "test_id=7")
    assert done.returncode == 3
    assert "api" in done.stderr
    assert KEY not in done.stdout + done.stderr


def test_its_commands_work(installed: str, service: Service, tmp_path: Path) -> None:
    listed = cli(installed, service, tmp_path, "connection", "list")
    assert "myservice" in listed.stdout
    info = cli(installed, service, tmp_path, "connection", "info", "myservice")
    for word in ("MyService API connection", "myservice-client>=1.0.0", "api_key", "myservice_get", "resource_id"):
        assert word in info.stdout, info.stdout + info.stderr
    deps = cli(installed, service, tmp_path, "connection", "deps", "myservice", "--check")
    assert deps.returncode == 1  # the guide's plugin lists httpx, which is not installed
    assert "httpx" in deps.stdout
    assert "myservice-client" in deps.stdout
    snippet = cli(installed, service, tmp_path, "connection", "scaffold", "myservice", "--name", "shop")
    assert "shop:" in snippet.stdout
    assert "${env.MYSERVICE_API_KEY}" in snippet.stdout
    example = cli(installed, service, tmp_path, "connection", "example", "myservice", "-o", "out")
    assert example.returncode == 0, example.stderr
    (written,) = (tmp_path / "out").iterdir()
    checked = cli(installed, service, tmp_path, "check", str(written))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_example_that_it_writes_runs(installed: str, service: Service, tmp_path: Path) -> None:
    cli(installed, service, tmp_path, "connection", "example", "myservice", "-o", ".")
    path = tmp_path / "myservice_example.yaml"
    path.write_text(path.read_text().replace("https://api.myservice.com", service.url))
    done = cli(installed, service, tmp_path, "run", path.name, "-i", "item_name=lamp", "--json")
    assert json.loads(done.stdout)["outputs"]["item_data"]["name"] == "lamp", done.stdout + done.stderr
