"""What is special to Acme, as a flow sees it."""

from __future__ import annotations

from typing import Any

import flowlang
import pytest

from double import Service

STREAM = """
flow: all
connections:
  acme:
    type: acme
    host: 127.0.0.1
    port: ${env.PORT}
    token: ${env.TOKEN}
steps:
  - acme_scan: {id: all, prefix: "a", batch_size: 2}
  - {id: keys, for_each: "${all.rows}", do: [], collect: "${item.key}"}
outputs:
  - {name: keys, value: "${keys.results}"}
"""
READ = """
flow: read
connections:
  acme:
    type: acme
    host: 127.0.0.1
    port: ${env.PORT}
    token: ${env.TOKEN}
inputs:
  - {name: key, type: string, required: true}
steps:
  - acme_get: {id: read, key: "${inputs.key}"}
outputs:
  - {name: value, value: "${read.value}"}
"""


@pytest.fixture
def env(settings: dict[str, Any]) -> dict[str, str]:
    return {"PORT": str(settings["port"]), "TOKEN": settings["token"]}


def test_a_scan_reads_all_pages(service: Service, env: dict[str, str]) -> None:
    service.kept = {"a1": 1, "a2": 2, "a3": 3, "b": 4}
    result = flowlang.run_sync(text=STREAM, env=env)
    assert result.outputs == {"keys": ["a1", "a2", "a3"]}, result.failure


def test_a_value_may_be_anything(service: Service, env: dict[str, str]) -> None:
    service.kept = {"it": {"deep": [1, None, "ü"]}}
    result = flowlang.run_sync(text=READ, inputs={"key": "it"}, env=env)
    assert result.outputs == {"value": {"deep": [1, None, "ü"]}}, result.failure


def test_what_is_not_there_is_not_found(service: Service, env: dict[str, str]) -> None:
    result = flowlang.run_sync(text=READ, inputs={"key": "nothing"}, env=env)
    assert result.failure is not None
    assert (result.failure.type, result.failure.retryable) == ("not_found", False)
