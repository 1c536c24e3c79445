"""HTTP as a plugin: registered, specified, and its example run against a service."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.http.server import Reply, Request, Server, as_json

import flowlang
from flowlang.connections import plugin_registry
from flowlang.connections.http.provider import HttpPlugin
from flowlang.tasks.signature import spec_of

Run = Callable[..., Any]
READS = {"get", "paginate"}
REPEATABLE = READS | {"put", "delete", "download"}
TASKS = READS | REPEATABLE | {"request", "post", "patch", "upload"}


def test_it_is_registered_under_its_name() -> None:
    """As the guide says."""
    assert isinstance(plugin_registry.get("http"), HttpPlugin)


@pytest.mark.parametrize("word", sorted(TASKS))
def test_each_task_is_fully_specified(word: str) -> None:
    """Parameters and outputs described, effect stated, an example that names this very task."""
    tasks = HttpPlugin().get_builtin_tasks()
    assert set(tasks) == {f"http_{each}" for each in TASKS}
    spec = spec_of(tasks[f"http_{word}"], name=f"http_{word}")
    assert spec.summary
    assert "connection" in spec.injects
    assert spec.effect == ("read" if word in READS else "write")
    assert spec.idempotent is (word in REPEATABLE)
    assert spec.outputs
    assert set(spec.returns) == set(spec.outputs)
    assert all(each.description for each in spec.parameters)
    assert spec.example is not None
    assert spec.example.startswith(f"- http_{word}:")
    path = spec.parameter("path")
    assert path is not None
    assert (path.form, path.required) == ("path", True)


class Notes:
    """The service of the example."""

    def __init__(self, server: Server) -> None:
        self.kept: dict[str, Any] = {}
        server.routes[""] = self.answer

    def answer(self, request: Request) -> Reply:
        name = request.path.removeprefix("/notes").removeprefix("/")
        if request.method == "PUT":
            self.kept[name] = {"id": name, **request.json}
            return Reply(204)
        if request.method == "DELETE":
            return Reply(204 if self.kept.pop(name, None) else 404)
        if name:
            return as_json(self.kept[name]) if name in self.kept else Reply(404)
        after = request.query.get("after", "")
        rest = sorted(each for each in self.kept if each > after)
        return as_json({"data": [self.kept[each] for each in rest[:1]], "next": rest[0] if len(rest) > 1 else None})


async def test_the_example_runs(server: Server, tmp_path: Path) -> None:
    """As `connection example --set base_url=… --set allow_private=true` writes it, against a service that is empty
    before and after."""
    notes = Notes(server)
    values = {"base_url": server.url, "allow_private": "true"}
    path = HttpPlugin().scaffold_example_flow(str(tmp_path), "store", **values)
    result = await flowlang.run(path)
    assert result.outputs == {"one": "Buy tea", "texts": ["Buy tea", "Pay 50 % of the bill"]}, result.failure
    assert notes.kept == {}


def test_the_snippet_holds_no_secret() -> None:
    """What `connection scaffold` writes checks when the address is filled in."""
    text = HttpPlugin().scaffold_connection_config("api", base_url="https://api.example.com")
    flow = f"flow: f\nconnections:\n{text}steps:\n  - http_get: {{path: /x}}\n"
    assert flowlang.check(text=flow).findings == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"base_url": "ftp://x.example"}, "https://"),
        ({"base_url": "https://u:p@x.example"}, "`auth`"),
        ({"base_url": "https://x.example/?a=1"}, "query"),
        ({"base_url": "https://exa mple.com"}, "character"),
        ({"base_url": "https://-x.example"}, "host"),
        ({"base_url": "https://x.example:99999"}, "URL"),
        ({"base_url": "https://"}, "host"),
        ({"headers": {"Host": "evil"}}, "`Host`"),
        ({"headers": {"X": "a\nb"}}, "`X`"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": {"conect": 1}}, "conect"),
        ({"max_connections": 0}, "max_connections"),
        ({"follow_redirects": 21}, "follow_redirects"),
        ({"base_uri": "x"}, "base_url"),
    ],
)
async def test_configs_that_are_refused(run: Run, config: dict[str, Any], words: str) -> None:
    """Before any socket, with the setting by its name."""
    base = config.pop("base_url", "https://x.example")
    result = await run(base, [{"http_get": {"path": "/"}}], **config)
    assert result.status == "invalid"
    assert words in " ".join(f"{each.message} {each.suggestion}" for each in result.findings)


async def test_nothing_is_left_behind(server: Server, opened: Run) -> None:
    """Descriptors before and after a hundred connections, each used and closed; closing twice is closing once."""
    server.routes["/x"] = as_json(1)

    def descriptors() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    async with opened(server) as api:
        await api.run("http_get", path="/x")
    before = descriptors()
    for _ in range(30):
        async with opened(server) as api:
            await api.run("http_get", path="/x")
        await api.plugin.disconnect()
    assert descriptors() <= before + 1
    await HttpPlugin().disconnect()


async def test_a_host_of_another_alphabet(run: Run) -> None:
    """It is looked up by its ASCII form."""
    result = await run("http://bücher.invalid", [{"http_get": {"path": "/"}}])
    assert result.failure.type == "connect"
    assert "xn--bcher-kva.invalid" in result.failure.detail
