"""What is special to Acme, as a flow sees it."""

from __future__ import annotations

from typing import Any

import flowlang
import pytest

from double import TOKEN, Service

SCAN = """
flow: all
connections:
  acme:
    type: acme
    base_url: ${env.URL}
    token: ${env.TOKEN}
    allow_private: true
steps:
  - acme_scan: {id: all, page_size: 2}
  - {id: ids, for_each: "${all.rows}", do: [], collect: "${item.id}"}
outputs:
  - {name: ids, value: "${ids.results}"}
"""
READ = """
flow: read
connections:
  acme:
    type: acme
    base_url: ${env.URL}
    token: ${env.TOKEN}
    allow_private: true
inputs:
  - {name: item_id, type: string, required: true}
steps:
  - acme_get: {id: read, item_id: "${inputs.item_id}"}
outputs:
  - {name: item, value: "${read.item}"}
"""


@pytest.fixture
def env(service: Service) -> dict[str, str]:
    return {"URL": service.url, "TOKEN": TOKEN}


def test_a_scan_reads_all_pages(service: Service, env: dict[str, str]) -> None:
    service.kept = {each: {"id": each} for each in "abcde"}
    result = flowlang.run_sync(text=SCAN, env=env)
    assert result.outputs == {"ids": [*"abcde"]}, result.failure


def test_an_id_is_one_segment_of_the_path(service: Service, env: dict[str, str]) -> None:
    """Whatever stands in it."""
    service.kept = {"a/b?c": {"id": "a/b?c"}}
    result = flowlang.run_sync(text=READ, inputs={"item_id": "a/b?c"}, env=env)
    assert result.outputs == {"item": {"id": "a/b?c"}}, result.failure


@pytest.mark.parametrize(("item_id", "kind"), [("nothing", "not_found"), ("spent", "limit")])
def test_a_refusal_has_its_class(service: Service, env: dict[str, str], item_id: str, kind: str) -> None:
    result = flowlang.run_sync(text=READ, inputs={"item_id": item_id}, env=env)
    failure: Any = result.failure
    assert failure.type == kind
