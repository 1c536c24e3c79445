"""Which steps may be done again when nobody knows whether they were done: a durable run asks the plan after a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.checking.plugins import registry

import flowlang
from flowlang.plan import Call, Modified, Transaction


@flowlang.task
async def silent(x: int = 1) -> dict: ...


@flowlang.task(effect="none")
async def pure(x: int = 1) -> dict: ...


@flowlang.task(effect="write", idempotent=False)
async def charge(context: object, x: int = 1) -> dict: ...


TASKS = [silent, pure, charge]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("memo_find: {}", True),
        ("memo_save: {entry: {key: a}}", False),
        ("pure: {}", True),
        ("silent: {}", False),
        ("silent: {retry: 3}", False),
        ("charge: {}", False),
        ("charge: {idempotency_key: '${run.id}'}", True),
        ("charge: {idempotency_key: '${run.id}', retry: 3}", True),
        ("sqlite_query: {query: SELECT 1}", True),
        ("sqlite_query: {query: INSERT INTO t (a) VALUES (1) RETURNING a}", False),
        ("sqlite_execute: {query: DELETE FROM t}", False),
        ("sqlite_execute: {query: DELETE FROM t, exactly_once: true}", True),
        ("sqlite_batch_update: {table: t, updates: [{id: 1, a: 2}]}", True),
    ],
)
def test_the_plan_says_of_each_step_whether_it_may_run_again(step: str, expected: bool) -> None:
    """Reads, writes that are the same when done twice, and writes with a key that their task hands on."""
    text = (
        f"flow: f\nconnections: {{m: {{type: memo}}, db: {{type: sqlite, database: ':memory:'}}}}\nsteps: [{{{step}}}]"
    )
    checked = flowlang.check(text=text, registry=registry(), tasks=TASKS)
    assert checked.plan is not None, [str(each) for each in checked.findings]
    planned = checked.plan.steps[0]
    call = planned.body if isinstance(planned, Modified) else planned
    assert isinstance(call, Call)
    assert call.rerun is expected
    writes = "RETURNING" in step or "DELETE" in step
    assert not (writes and checked.plan.operations[call.operation].spec.effect == "read")
    if isinstance(planned, Modified):
        assert planned.repeatable is expected


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("redis_set: {key: a, value: 1}", True),
        ("redis_set: {key: a, value: 1, when: always}", True),
        ("redis_set: {key: a, value: 1, when: absent}", False),
        ("redis_set: {key: a, value: 1, when: \"${'always'}\"}", False),
        ("http_request: {path: /}", True),
        ("http_request: {path: /, method: put}", True),
        ("http_request: {path: /, method: POST}", False),
        ("mongo_delete: {collection: c, filter: {a: 1}}", False),
        ("mongo_delete: {collection: c, filter: {a: 1}, many: true}", True),
        ("mongo_delete: {collection: c, filter: {_id: '${run.id}'}}", True),
        ("mongo_delete: {collection: c, filter: {_id: '${run.id}'}, allow_operators: true}", False),
        ("mongo_delete: {collection: c, filter: {_id: {$in: [1, 2]}}}", False),
        ("mongo_replace: {collection: c, filter: {_id: 1}, document: {a: 1}, upsert: true}", True),
        ("mongo_replace: {collection: c, filter: {a: 1}, document: {a: 2}}", False),
        ("mongo_update: {collection: c, filter: {_id: 1}, update: {$set: {a: 1}}, upsert: true}", True),
        ("mongo_update: {collection: c, filter: {_id: 1}, update: {$inc: {a: 1}}}", False),
        ("mongo_update: {collection: c, filter: {a: 1}, update: {$set: {a: 2}}}", False),
        ("mongo_update: {collection: c, filter: {a: 1}, update: {$set: {a: 2}}, many: true}", True),
        ("mongo_update: {collection: c, filter: {a: 1}, update: {$set: {a: 2}}, many: true, upsert: true}", False),
    ],
)
def test_some_tasks_may_run_again_with_some_arguments(step: str, expected: bool) -> None:
    """What is written decides; of what is computed nothing is known."""
    connections: Mapping[str, Any] = {
        "redis": "{url: redis://localhost}",
        "http": "{base_url: https://a.example}",
        "mongo": "{url: mongodb://localhost, database: d}",
    }
    kind = step.partition("_")[0]
    config = connections[kind].replace("{", f"{{type: {kind.replace('mongo', 'mongodb')}, ", 1)
    checked = flowlang.check(text=f"flow: f\nconnections: {{c: {config}}}\nsteps: [{{{step}}}]")
    assert checked.plan is not None, [str(each) for each in checked.findings]
    (planned,) = checked.plan.steps
    assert isinstance(planned, Call)
    assert planned.rerun is expected


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("do: [{sqlite_query: {query: SELECT 1}}]", True),
        ("do: [{sqlite_query: {query: SELECT 1}}, {silent: {}}]", True),
        ("do: [{sqlite_execute: {query: DELETE FROM t}}]", False),
        ("do: [{if: '${run.id == null}', then: [{sqlite_execute: {query: DELETE FROM t}}]}]", False),
        ("do: [{sqlite_execute: {query: DELETE FROM t, exactly_once: true}}]", False),
        ("exactly_once: true, do: [{sqlite_execute: {query: DELETE FROM t}}]", True),
    ],
)
def test_the_plan_says_of_each_transaction_whether_it_may_run_again(block: str, expected: bool) -> None:
    """One that only reads on its connection, and one that is done exactly once as a whole."""
    db = "{type: sqlite, database: ':memory:'}"
    text = f"flow: f\nconnections: {{db: {db}}}\nsteps: [{{transaction: db, {block}}}]"
    checked = flowlang.check(text=text, registry=registry(), tasks=TASKS)
    assert checked.plan is not None, [str(each) for each in checked.findings]
    planned = checked.plan.steps[0]
    assert isinstance(planned, Transaction)
    assert planned.rerun is expected
