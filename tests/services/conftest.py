"""The three shipped services, and a server for each that speaks as theirs does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.servers import KINDS, TOKEN, Airtable, Api, GitHub, Slack, serving

import flowlang
from flowlang.connections import PluginRegistry
from flowlang.services.files import plugin

SHIPPED = Path(__file__).resolve().parents[2] / "examples" / "services"


def shipped(name: str) -> str:
    return str(SHIPPED / f"{name}.service.yaml")


@pytest.fixture(scope="session")
def _apis() -> Iterator[dict[str, Api]]:
    made = {name: kind() for name, (kind, _) in KINDS.items()}
    airtable, github, slack = (serving(each) for each in made.values())
    with airtable, github, slack:
        yield made


@pytest.fixture
def apis(_apis: dict[str, Api]) -> dict[str, Api]:
    """The servers, as they were in the beginning."""
    for each in _apis.values():
        each.clear()
    return _apis


@pytest.fixture
def airtable(apis: dict[str, Api]) -> Airtable:
    api = apis["airtable"]
    assert isinstance(api, Airtable)
    return api


@pytest.fixture
def github(apis: dict[str, Api]) -> GitHub:
    api = apis["github"]
    assert isinstance(api, GitHub)
    return api


@pytest.fixture
def slack(apis: dict[str, Api]) -> Slack:
    api = apis["slack"]
    assert isinstance(api, Slack)
    return api


def config(name: str, api: Api, **more: Any) -> dict[str, Any]:
    """The settings of a connection to the server of a service."""
    base = {"base": "app1"} if name == "airtable" else {}
    return {"token": TOKEN, "base_url": api.url + KINDS[name][1], "allow_private": True, **base, **more}


Run = Callable[..., Any]


@pytest.fixture
def run(apis: dict[str, Api]) -> Run:
    """Run steps on a connection `api` of one of the three types; its result."""

    def made(name: str, steps: list[Any], outputs: dict[str, str] | None = None, **settings: Any) -> Any:
        import json

        registry = PluginRegistry(discover=False)
        registry.register(plugin(shipped(name)))
        flow = {
            "flow": "f",
            "connections": {"api": {"type": name, **config(name, apis[name], **settings)}},
            "steps": steps,
            "outputs": [{"name": key, "value": value} for key, value in (outputs or {}).items()],
        }
        return asyncio.run(flowlang.run(text=json.dumps(flow), registry=registry))

    return made
