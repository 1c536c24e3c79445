"""Computing with what is not known: the value that a run computes, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang import api
from flowlang.dryrun.unknown import Unknown

FLOW = """
flow: f
inputs:
  - {{name: n, type: integer, default: 3}}
  - {{name: items, type: array, default: [1, 2]}}
  - {{name: gone, type: any, required: true}}
connections:
  db: {{type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {{id: q, query: SELECT 1}}
  - set: {{half: "${{q.rows}}", known: 7, mixed: ["${{inputs.n}}", "${{q.rows[0].v}}"]}}
    id: s
outputs:
  - {{name: o, value: "{value}"}}
"""
KNOWN: list[tuple[str, Any]] = [
    ("${inputs.n + 1}", 4),
    ("${s.known}", 7),
    ("${inputs.n > 2 or q.rows[0].v > 1}", True),
    ("${inputs.n > 5 and q.rows[0].v > 1}", False),
    ("${1 if inputs.n > 2 else q.rows[0].v}", 1),
    ("${default(inputs.items[5], 9)}", 9),
    ("${len(s.mixed)}", 2),
    ("${s.mixed[0]}", 3),
    ("${[each + 1 for each in inputs.items]}", [2, 3]),
    ("${run.trigger}", "manual"),
    ("n is ${inputs.n}", "n is 3"),
]
NOT_KNOWN = [
    ("${q.rows}", "${q.rows}"),
    ("${len(q.rows)}", "${len(q.rows)}"),
    ("${q.rows[0].v == q.rows[0].v}", "${q.rows[0].v == q.rows[0].v}"),
    ("${q.rows[0].v in [1, 2]}", "${q.rows[0].v in [1, 2]}"),
    ("${inputs.gone}", "${inputs.gone}"),
    ("${default(q.rows[0].v, 1)}", "${default(q.rows[0].v, 1)}"),
    ("${has(q.rows)}", "${has(q.rows)}"),
    ("${json(s.mixed)}", "${json(s.mixed)}"),
    ("${s.mixed}", "${s.mixed}"),
    ("${inputs.items[inputs.gone]}", "${inputs.items[inputs.gone]}"),
    ("${[each for each in q.rows]}", "${[each for each in q.rows]}"),
    ("${inputs.items + q.rows}", "${inputs.items + q.rows}"),
    ("${now()}", "${now()}"),
    ("${uuid()}", "${uuid()}"),
    ("${random()}", "${random()}"),
    ("${run.id}", "${run.id}"),
    ("${inputs.n} of ${len(q.rows)}", "3 of ${len(q.rows)}"),
    ("${q.rows[0].v or inputs.n > 2}", "${q.rows[0].v or inputs.n > 2}"),
]


def output(value: str) -> Any:
    return api.plan(text=FLOW.format(value=value)).outputs["o"]


@pytest.mark.parametrize(("value", "wanted"), KNOWN)
def test_what_does_not_depend_on_it_is_computed(value: str, wanted: object) -> None:
    found = output(value)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(("value", "source"), NOT_KNOWN)
def test_what_depends_on_it_is_told_by_its_source(value: str, source: str) -> None:
    found = output(value)
    assert isinstance(found, Unknown)
    assert str(found) == source


def test_what_would_fail_is_told_where_it_does() -> None:
    told = api.plan(text=FLOW.format(value="${inputs.items[2]}"))
    assert told.ends == "failed"
    assert told.entries[-1].how == "fails"
    assert "item 2 is beyond the end of `inputs.items`" in told.entries[-1].text
