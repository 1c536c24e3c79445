"""Flows run against a server of MongoDB's protocol, and the driver itself to see what they left there."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import AsyncMongoClient

import flowlang

Play = Callable[..., Coroutine[Any, Any, Any]]


class Place:
    """An empty database, and a way to run steps on it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.name = parts.path.strip("/")
        self.url = parts._replace(path="/").geturl()

    async def run(self, steps: str, inputs: dict[str, Any] | None = None, *, config: str = "", **more: Any) -> Any:
        """The result of a flow with these steps; `got` among its outputs is what step `s` gave."""
        given = inputs or {}
        lines = [
            "flow: t",
            "connections:",
            f'  store: {{type: mongodb, url: "{self.url}", database: {self.name}{config}}}',
        ]
        if given:
            lines += ["inputs:", *(f"  - {{name: {each}, type: any}}" for each in given)]
        lines += ["steps:", textwrap.indent(textwrap.dedent(steps).strip(), "  ")]
        if "id: s" in steps:
            lines += ["outputs:", '  - {name: got, value: "${s}"}']
        return await flowlang.run(text="\n".join(lines), inputs=given, **more)

    async def got(self, steps: str, inputs: dict[str, Any] | None = None, **more: Any) -> Any:
        """What step `s` gave. The flow must succeed."""
        result = await self.run(steps, inputs, **more)
        assert result.status == "succeeded", (result.failure, result.findings)
        return result.outputs.get("got")

    async def error(self, steps: str, inputs: dict[str, Any] | None = None, **more: Any) -> Any:
        """The failure of a flow that must fail."""
        result = await self.run(steps, inputs, **more)
        assert result.status == "failed", (result.status, result.outputs)
        return result.failure


@pytest.fixture
def mongo(mongodb_url: str) -> Place:
    return Place(mongodb_url)


@pytest.fixture
def ferret(ferretdb_url: str) -> Place:
    return Place(ferretdb_url)


@pytest.fixture(params=["mongodb", "ferretdb"])
def place(request: pytest.FixtureRequest) -> Place:
    """A database on each of the servers."""
    return request.getfixturevalue("mongo" if request.param == "mongodb" else "ferret")  # type: ignore[no-any-return]


@pytest.fixture
async def raw(mongo: Place) -> AsyncIterator[Any]:
    """The same database through the driver alone."""
    async with AsyncMongoClient(mongo.url, tz_aware=True, uuidRepresentation="standard") as client:
        yield client[mongo.name]
