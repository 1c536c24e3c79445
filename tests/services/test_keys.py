"""`idempotency` of a service: requests that write have a key, the same over attempts, where the service wants it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.servers import Api, Asked, Reply, ok, serving

import flowlang
from flowlang.connections import PluginRegistry
from flowlang.plan import Call, Modified
from flowlang.services.files import plugin
from flowlang.services.read import read_service

HEAD = "service: acme\nkind: http\nversion: 1.0.0\ndescription: Acme\nbase_url: https://acme.example\n"
POST = "operations:\n  order:\n    description: Order.\n    request: {method: POST, path: /o, json: {n: 1}}\n"


class Orders(Api):
    def answer(self, asked: Asked) -> Reply:
        return ok({})


@pytest.fixture(scope="session")  # the tests run in any order, between those of other modules
def _api() -> Iterator[Orders]:
    api = Orders()
    with serving(api):
        yield api


@pytest.fixture
def api(_api: Orders) -> Orders:
    _api.clear()
    return _api


def flow_of(folder: Path, service: str, api: Orders, **step: Any) -> tuple[str, PluginRegistry]:
    (folder / "acme.service.yaml").write_text(HEAD + service, encoding="utf-8")
    registry = PluginRegistry(discover=False)
    registry.register(plugin(str(folder / "acme.service.yaml")))
    connection = {"type": "acme", "base_url": api.url, "allow_private": True}
    flow = {"flow": "f", "connections": {"api": connection}, "steps": [{"acme_order": {"id": "o", **step}}]}
    return json.dumps(flow), registry


@pytest.mark.parametrize(
    ("idempotency", "where"),
    [
        ("{header: X-Request-Key}", "header"),
        ("{field: dedupe}", "field"),
        ("{header: X-Request-Key, form: uuid}", "header"),
    ],
)
def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    tmp_path: Path, api: Orders, idempotency: str, where: str
) -> None:
    """Also without an `idempotency_key` of the step: the run and the step make one."""
    text, registry = flow_of(
        tmp_path, f"idempotency: {idempotency}\n{POST}", api, retry={"max_attempts": 3, "delay": "1ms"}
    )
    api.next_replies = [(500, {}, {}), (503, {}, {})]
    result = asyncio.run(flowlang.run(text=text, registry=registry))
    assert result.succeeded, result.failure
    keys = [each.headers["x-request-key"] if where == "header" else each.body.pop("dedupe") for each in api.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert keys[0] == f"{result.run_id}:o" or "uuid" in idempotency
    assert ("idempotency-key" in api.asked[0].headers) is False
    assert [each.body for each in api.asked] == [{"n": 1}] * 3


def test_quoted_and_given_by_the_step(tmp_path: Path, api: Orders) -> None:
    service = f"idempotency: {{header: Idempotency-Key, form: quoted}}\n{POST}"
    text, registry = flow_of(tmp_path, service, api, idempotency_key='order "7"')
    assert asyncio.run(flowlang.run(text=text, registry=registry)).succeeded
    assert api.asked[0].headers["idempotency-key"] == '"order \\"7\\""'


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (POST, False),
        (f"idempotency: {{header: X}}\n{POST}", True),
        (f"idempotency: {{header: X}}\n{POST}    idempotency: false\n", False),
        (f"{POST}    idempotency: {{field: k}}\n", True),
        (f"idempotency: {{header: X}}\n{POST}    idempotent: false\n", False),
    ],
)
def test_the_plan_knows_which_operations_may_run_again(
    tmp_path: Path, api: Orders, service: str, expected: bool
) -> None:
    text, registry = flow_of(tmp_path, service, api)
    plan = flowlang.check(text=text, registry=registry).plan
    assert plan is not None
    step = plan.steps[0]
    call = step.body if isinstance(step, Modified) else step
    assert isinstance(call, Call)
    assert call.rerun is expected


@pytest.mark.parametrize(
    ("idempotency", "message"),
    [
        ("{header: X, field: y}", "a key goes into a `header` or into a `field`; `idempotency` names one of the two"),
        ("{form: uuid}", "a key goes into a `header` or into a `field`; `idempotency` names one of the two"),
        ("{header: 'a b'}", "`idempotency`: 'a b' is no name of a header"),
        ("{header: X, form: hex}", "`form` has no `hex`"),
        ("yes", "`idempotency` expects an object such as `{header: Idempotency-Key}`, this is text"),
    ],
)
def test_what_is_wrong_with_it_is_said(idempotency: str, message: str) -> None:
    read = read_service("acme.service.yaml", f"{HEAD}idempotency: {idempotency}\n{POST}")
    assert [each.message for each in read.findings] == [message]
