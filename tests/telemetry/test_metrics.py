"""What is counted and measured, and that the series stay few."""

from __future__ import annotations

from tests.telemetry.conftest import Kept
from tests.telemetry.test_spans import failing, run

from flowlang.telemetry import names

FLOW = """
flow: counted
connections: {db: {type: sqlite, database: ":memory:"}}
inputs: [{name: who, type: string, default: Ada}]
steps:
  - look: {id: it, retry: {max_attempts: 3, delay: 1ms}}
  - for_each: ${range(50)}
    do:
      - sqlite_query: {query: "SELECT ${inputs.who} AS who, ${item} AS n"}
  - {sqlite_query: {query: SELECT nope}, continue_on_error: true}
"""


def test_runs_steps_attempts_and_leases_are_counted(kept: Kept) -> None:
    """A failed attempt that another follows is a retry; a step counts once, with its last state."""
    assert run(kept, FLOW, tasks=[failing(2)]).status == "succeeded"
    points = kept.points()
    assert sorted(points) == sorted(each.name for each in names.METRICS if each.name.startswith("flowlang."))
    flow = {"flowlang.flow.name": "counted"}
    look, query = {"flowlang.step.operation": "look"}, {"flowlang.step.operation": "sqlite_query"}
    fine, unavailable = {"flowlang.state": "succeeded"}, {"error.type": "unavailable"}
    bad = {"flowlang.state": "failed", "error.type": "not_found"}
    db = {"flowlang.connection.name": "db", "flowlang.connection.type": "sqlite"}
    assert points["flowlang.run.duration"] == [({**flow, **fine}, 1)]
    assert points["flowlang.run.active"] == [(flow, 0)]
    assert points["flowlang.step.retries"] == [({**flow, **look, **unavailable}, 2)]
    attempts = points["flowlang.step.attempts"]
    assert ({**flow, **look, **unavailable, "flowlang.state": "failed"}, 2) in attempts
    assert ({**flow, **look, **fine}, 1) in attempts
    assert ({**flow, **query, **fine}, 50) in attempts
    steps = points["flowlang.step.duration"]
    assert ({**flow, **query, **bad}, 1) in steps
    assert ({**flow, "flowlang.step.operation": "for_each", **fine}, 1) in steps
    assert points["flowlang.lease.wait"] == points["flowlang.lease.duration"] == [(db, 51)]
    assert points["flowlang.pool.in_use"] == [(db, 0)]


def test_attributes_are_those_of_the_table(kept: Kept) -> None:
    """Nothing of inputs, paths or ids, however many turns there are: the docs' table is all there is."""
    run(kept, FLOW, tasks=[failing(1)])
    declared = {each.name: set(each.attributes) for each in names.METRICS}
    for name, points in kept.points().items():
        assert len(points) <= 6
        assert all(set(attributes) <= declared[name] for attributes, _ in points), name
    spans = {attribute for each in names.SPANS for attribute in each.attributes}
    assert {attribute for each in kept.spans for attribute in each.attributes} <= spans <= set(names.ATTRIBUTES)
