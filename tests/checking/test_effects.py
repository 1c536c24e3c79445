"""Which steps may be done again when nobody knows whether they were done: a durable run asks the plan after a crash."""

from __future__ import annotations

import pytest
from tests.checking.plugins import registry

import flowlang
from flowlang.plan import Call, Modified


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
    if isinstance(planned, Modified):
        assert planned.repeatable is expected
