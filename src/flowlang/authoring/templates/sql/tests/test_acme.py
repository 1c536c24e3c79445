"""What is special to Acme, as a flow sees it."""

from __future__ import annotations

import flowlang
import pytest

from double import Service

TOGETHER = """
flow: together
connections: {db: {type: acme, database: "${env.DATABASE}"}}
inputs:
  - {name: second, type: integer, required: true}
steps:
  - acme_execute: {query: CREATE TABLE IF NOT EXISTS it (id INTEGER PRIMARY KEY)}
  - transaction: db
    on_error: [{log: "${error.type}"}]
    do:
      - acme_execute: {query: "INSERT INTO it VALUES (1)"}
      - acme_execute: {query: "INSERT INTO it VALUES (${inputs.second})"}
  - acme_query: {id: all, query: SELECT id FROM it ORDER BY id}
outputs:
  - {name: rows, value: "${all.rows}"}
"""


@pytest.mark.parametrize(("second", "kept"), [(2, [{"id": 1}, {"id": 2}]), (1, [])])
def test_a_transaction_is_all_or_nothing(service: Service, second: int, kept: list[dict[str, int]]) -> None:
    env = {"DATABASE": service.database}
    result = flowlang.run_sync(text=TOGETHER, inputs={"second": second}, env=env)
    assert result.outputs == {"rows": kept}, result.failure


def test_values_are_bound(service: Service) -> None:
    """Whatever they look like."""
    text = """
flow: bound
connections: {db: {type: acme, database: "${env.DATABASE}"}}
inputs: [{name: it, type: string, required: true}]
steps:
  - acme_query: {id: read, query: "SELECT ${inputs.it} AS it"}
outputs: [{name: it, value: "${read.rows[0].it}"}]
"""
    hostile = "'; DROP TABLE it; --"
    result = flowlang.run_sync(text=text, inputs={"it": hostile}, env={"DATABASE": service.database})
    assert result.outputs == {"it": hostile}, result.failure
