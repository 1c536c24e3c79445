"""Where services are found: beside a flow, in the folders of its project, at a path, in an installed package."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.services.conftest import config, shipped
from tests.services.servers import Airtable, Slack

import flowlang
from flowlang.cli.commands import root
from flowlang.connections import PluginRegistry, plugin_registry
from flowlang.exceptions import PluginError
from flowlang.services.files import plugin

SERVICE = """\
service: acme
kind: http
version: {version}
description: Orders of Acme
base_url: https://api.acme.example
operations:
  order:
    description: One order.
    params:
      - {{name: number, type: integer, required: true, description: Its number}}
    request: {{path: "/orders/${{params.number}}"}}
"""
FLOW = """\
flow: f
connections: {api: {type: acme}}
steps:
  - acme_order: {id: one, connection: api, number: 1}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a flow two folders below its root."""
    (tmp_path / "pyproject.toml").touch()
    flows = tmp_path / "flows" / "daily"
    flows.mkdir(parents=True)
    (flows / "orders.yaml").write_text(FLOW)
    return tmp_path


def codes(file: Path) -> list[str]:
    return [each.code for each in flowlang.check(file).findings]


@pytest.mark.parametrize("place", ["flows/daily", "flows/daily/services", "flows/services", "services", "."])
def test_a_flow_finds_the_services_of_its_project(project: Path, place: str) -> None:
    """Beside it, or in a folder `services` there or further out, up to the root of the project."""
    (project / place).mkdir(exist_ok=True)
    (project / place / "acme.service.yaml").write_text(SERVICE.format(version="1.0.0"))
    assert codes(project / "flows/daily/orders.yaml") == []


def test_a_flow_finds_nothing_outside_of_its_project(project: Path) -> None:
    """What lies around the root, or around a flow that is in no project, is somebody else's."""
    (project / "services").mkdir()
    (project / "services/acme.service.yaml").write_text(SERVICE.format(version="1.0.0"))
    (project / "flows/pyproject.toml").touch()
    assert codes(project / "flows/daily/orders.yaml") == ["unknown-connection-type"]


def test_the_type_may_be_the_path_of_a_file(project: Path) -> None:
    """It counts from the folder of the flow."""
    (project / "elsewhere").mkdir()
    (project / "elsewhere/acme.service.yaml").write_text(SERVICE.format(version="1.0.0"))
    flow = project / "flows/daily/orders.yaml"
    flow.write_text(FLOW.replace("type: acme", "type: ../../elsewhere/acme.service.yaml"))
    assert codes(flow) == []
    flow.write_text(FLOW.replace("type: acme", "type: ../acme.service.yaml"))
    (found,) = flowlang.check(flow).findings
    assert (found.code, found.span.start.line) == ("broken-plugin", 2)
    assert "no such file or directory" in found.message


@pytest.mark.parametrize("type_", ["acme", "services/acme.service.yaml"], ids=["by name", "by path"])
def test_a_flow_may_pin_the_version_of_a_service(project: Path, type_: str) -> None:
    """By its name, however its file is named; no package is offered for it."""
    (project / "flows/daily/services").mkdir()
    (project / "flows/daily/services/acme.service.yaml").write_text(SERVICE.format(version="1.4.0"))
    flow = project / "flows/daily/orders.yaml"
    flow.write_text(
        FLOW.replace("type: acme", f"type: {type_}").replace("steps:", 'plugins: {acme: ">=1.2,<2"}\nsteps:')
    )
    assert codes(flow) == []
    flow.write_text(flow.read_text().replace("<2", "<1.4"))
    (found,) = flowlang.check(flow).findings
    assert (found.code, found.span.start.line, found.suggestion) == ("plugin-version", 3, None)
    assert found.message.startswith("service `acme` (file ")
    assert found.message.endswith("is version 1.4.0, the flow asks for `>=1.2,<1.4`")


def test_a_pin_says_nothing_more_of_a_file_that_cannot_be_used(project: Path) -> None:
    flow = project / "flows/daily/orders.yaml"
    flow.write_text(
        FLOW.replace("type: acme", "type: gone/acme.service.yaml").replace("steps:", 'plugins: {acme: "1"}\nsteps:')
    )
    assert codes(flow) == ["broken-plugin", "plugin-version"], "that is no range"
    flow.write_text(flow.read_text().replace('"1"', '">=1"'))
    assert codes(flow) == ["broken-plugin"]


def test_a_change_of_the_file_is_seen_by_the_next_check(project: Path) -> None:
    """A flow that was checked before is checked anew."""
    file = project / "services/acme.service.yaml"
    file.parent.mkdir()
    file.write_text(SERVICE.format(version="1.0.0"))
    flow = project / "flows/daily/orders.yaml"
    assert codes(flow) == []
    file.write_text(
        SERVICE.format(version="1.0.0").replace("name: number", "name: nr").replace("params.n", "params.nr + params.n")
    )
    assert codes(flow) == ["broken-plugin"]
    file.write_text(SERVICE.format(version="1.0.0").replace("number", "order_number"))
    assert "unknown-parameter" in codes(flow)
    file.unlink()
    assert codes(flow) == ["unknown-connection-type"]


def test_a_broken_file_is_told_where_it_is_used_and_listed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "acme.service.yaml").write_text(SERVICE.format(version="1.0.0").replace("request:", "reqest:"))
    monkeypatch.chdir(project)
    (found,) = flowlang.check("flows/daily/orders.yaml").findings
    assert found.code == "broken-plugin"
    assert "acme.service.yaml:11:5: unknown key `reqest` in operation `order`" in found.message
    assert "`flowlang check acme.service.yaml` tells all" in found.message
    record = next(each for each in flowlang.plugins() if each.name == "acme")
    assert record.problem is not None
    assert record.plugin is None


def test_two_files_of_one_name_are_a_clash(project: Path) -> None:
    """Neither hides the other."""
    for place in (project, project / "flows"):
        (place / "acme.service.yaml").write_text(SERVICE.format(version="1.0.0"))
    (found,) = flowlang.check(project / "flows/daily/orders.yaml").findings
    assert found.code == "broken-plugin"
    assert "provide the connection type `acme`; remove one of them" in found.message


def test_no_service_hides_an_installed_type(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "http.service.yaml").write_text(SERVICE.format(version="9").replace("service: acme", "service: http"))
    monkeypatch.chdir(project)
    told = [each for each in flowlang.plugins() if each.name == "http"]
    assert [each.problem is None for each in told] == [True, False]
    flow = FLOW.replace("type: acme", "type: http, base_url: https://a.example").replace(
        "acme_order: {", "http_get: {path: /, "
    )
    found = flowlang.check(text=flow.replace(", number: 1", ""), file=str(project / "f.yaml"))
    assert found.findings == []


def test_a_package_brings_a_service_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`package:name.service.yaml` names a file in the folder of a package, which is not imported for it."""
    package = tmp_path / "acme_flows"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('nobody imports this')\n")
    (package / "acme.service.yaml").write_text(SERVICE.format(version="2.1.0"))
    info = tmp_path / "acme_flows-2.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-flows\nVersion: 2.1.0\n")
    points = "[flowlang.connections]\nacme = acme_flows:acme.service.yaml\ngone = acme_flows:gone.service.yaml\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    record = plugin_registry.info("acme")
    assert (record.source, record.problem) == ("acme-flows 2.1.0", None)
    assert flowlang.check(text=FLOW).findings == []
    assert "the package `acme_flows` has no file `gone.service.yaml`" in str(plugin_registry.info("gone").problem)


def test_a_program_registers_a_file(slack: Slack) -> None:
    """`plugin(file)` is the class of a plugin like any other, and says what is wrong with a file that is none."""
    registry = PluginRegistry(discover=False)
    registry.register(plugin(shipped("slack")))
    flow = {"flow": "f", "connections": {"c": {"type": "slack", **config("slack", slack)}}}
    steps = [{"slack_auth_test": {"id": "me", "connection": "c"}}]
    outputs = [{"name": "team", "value": "${me.team}"}]
    text = json.dumps({**flow, "steps": steps, "outputs": outputs})
    assert asyncio.run(flowlang.run(text=text, registry=registry)).outputs == {"team": "Testers"}
    with pytest.raises(PluginError, match="it cannot be read: no such file"):
        plugin("no/such.service.yaml")


# ---------------------------------------------------------------- the command line


def command(*words: str) -> str:
    done = CliRunner().invoke(root, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def test_the_commands_show_a_service_as_any_other_type(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "services").mkdir()
    (project / "services/acme.service.yaml").write_text(SERVICE.format(version="1.2.0"))
    monkeypatch.chdir(project / "flows")
    assert re.search(
        r"^acme +1\.2\.0 +1 +file \S+acme\.service\.yaml +Orders of Acme", command("connection", "list"), re.M
    )
    told = json.loads(command("connection", "info", "acme", "--json"))
    assert [each["name"] for each in told["tasks"]] == ["acme_order"]
    assert [each["requirement"] for each in told["dependencies"]] == ["httpx2>=2.16"]
    assert json.loads(command("connection", "info", "../services/acme.service.yaml", "--json"))["version"] == "1.2.0"
    assert "type: acme" in command("connection", "scaffold", "acme")
    assert "One order." in command("explain", "acme_order")
    assert "1 hint in 2 files" in command("check", str(project))
    schema = json.loads(command("schema"))
    assert "acme_order" in json.dumps(schema)


def test_how_a_service_is_asked_is_explained(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the type, of a task, and of a flow: what is written out there means the same."""
    manners = "retry: {max_attempts: 5, delay: 2s, on: [rate_limited]}\nrate_limit: {requests: 3, per: 1m}\n"
    (project / "acme.service.yaml").write_text(SERVICE.format(version="1.2.0") + manners)
    monkeypatch.chdir(project)
    told = json.loads(command("connection", "info", "acme", "--json"))
    assert told["rate_limit"] == {"requests": 3, "per": 60}
    assert (told["retry"]["max_attempts"], told["retry"]["on"]) == (5, ["rate_limited"])
    words = "5 attempts, exponential from 2 s; 60 s between two at most; on rate_limited; a step or the flow may say"
    assert words in command("connection", "info", "acme")
    assert f"Retry: {words}" in command("explain", "acme_order")
    assert "Rate limit: 3 requests in 60 s" in command("explain", "acme_order")
    written_out = command("explain", "flows/daily/orders.yaml")
    assert re.search(r"retry: +# from the file of the service\n +max_attempts: 5\n +delay: 2s", written_out)
    (project / "flows/daily/orders.yaml").write_text(FLOW.replace("number: 1}", "number: 1, retry: 2}"))
    assert "from the file of the service" not in command("explain", "flows/daily/orders.yaml")


def test_a_connection_is_tested_by_the_operation_that_the_file_names(airtable: Airtable, slack: Slack) -> None:
    """The round trip of Slack asks `auth.test`: a wrong token is found although the answer is a 200."""
    given = [f"--set={key}={str(value).replace('True', 'true')}" for key, value in config("slack", slack).items()]
    assert "round trip" in command("connection", "test", "--type", shipped("slack"), *given)
    assert [each.path for each in slack.asked] == ["/api/auth.test"]
    given = [each.replace("tok/EN", "other") for each in given]
    wrong = CliRunner().invoke(root, ["connection", "test", "--type", shipped("slack"), *given])
    assert "failed at auth" in wrong.output
    assert "auth.test: invalid_auth" in wrong.output


def test_a_package_of_a_service_is_checked_like_one_of_a_plugin(tmp_path: Path) -> None:
    """`flowlang plugin check` and `docs` read the file that the entry point names."""
    (tmp_path / "acme_flows").mkdir()
    (tmp_path / "acme_flows/__init__.py").touch()
    (tmp_path / "acme_flows/acme.service.yaml").write_text(SERVICE.format(version="1.0.0"))
    points = '[project.entry-points."flowlang.connections"]\nacme = "acme_flows:acme.service.yaml"\n'
    project = '[project]\nname = "acme-flows"\nversion = "1.0.0"\ndependencies = ["flowlang[http]>=0.1"]\n'
    (tmp_path / "pyproject.toml").write_text(project + points)
    assert "acme: no errors" in command("plugin", "check", str(tmp_path))
    command("plugin", "docs", str(tmp_path))
    assert "`acme_order`" in (tmp_path / "docs/acme-reference.md").read_text()
