"""`transaction`: one handle, all or nothing, whatever ends the block; the handle goes back, or away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.engine.support import JumpingClock, Service, registry_of, run, story, until

import flowlang
from flowlang.engine import transactions
from flowlang.events import StepStarted

HEAD = "flow: f\nconnections:\n  c: {type: fake}\nsteps:\n"


def flow(*steps: str, modifiers: str = "", after: str = "") -> str:
    """A transaction `t` with these steps, under these modifiers."""
    body = "".join(f"      - {each}\n" for each in steps)
    return f"{HEAD}  - id: t\n    transaction: c\n{modifiers}    do:\n{body}{after}"


def about(service: Service, *words: str) -> list[str]:
    """The log, as far as it is about handles and transactions."""
    kept = words or ("lease", "begin", "commit", "rollback", "release", "discard")
    return [each.split(" ")[0] for each in service.log if each.split(" ")[0] in kept]


# ---------------------------------------------------------------- how it ends

KEPT = ["lease", "begin", "commit", "release"]
UNDONE = ["lease", "begin", "rollback", "release"]
GIVEN_UP = ["lease", "begin", "rollback", "discard"]


@pytest.mark.parametrize(
    ("text", "status", "handles"),
    [
        (flow("fake_op: {}", "fake_op: {}"), "succeeded", KEPT),
        (flow("fake_op: {}", "{fake_fail: {}, continue_on_error: true}", "fake_op: {}"), "succeeded", KEPT),
        (flow("fake_op: {}", "exit: enough"), "succeeded", KEPT),
        (flow("fake_op: {}", "exit: {status: failure}"), "failed", UNDONE),
        (flow("fake_op: {}", "raise: {message: no}"), "failed", UNDONE),
        (flow("fake_op: {}", "fake_fail: {error: conflict}"), "failed", UNDONE),
        (flow("fake_op: {}", "fake_fail: {error: connection_lost}"), "failed", GIVEN_UP),
        (flow("fake_nap: {timeout: 10ms}"), "failed", GIVEN_UP),
        (flow("fake_nap: {}", modifiers="    timeout: 10ms\n"), "failed", GIVEN_UP),
        ("timeout: 50ms\n" + flow("fake_nap: {}"), "timed_out", GIVEN_UP),
        (flow("log: '${inputs.none.x}'").replace("flow: f", "flow: f\ninputs: [{name: none}]"), "failed", UNDONE),
    ],
)
async def test_the_end_of_the_block_decides(text: str, status: str, handles: list[str]) -> None:
    """Success and a plain `exit` commit; everything else rolls back. A handle that broke is never released."""
    service = Service(capacity=1)
    result, _ = await run(text, service)
    assert (result.status, about(service)) == (status, handles)
    assert service.clean()


async def test_a_cancellation_rolls_back_before_the_clean_up() -> None:
    service = Service(capacity=1)
    text = flow("fake_nap: {}", after="on_cancel: [{fake_op: {}}]\n")
    handle = flowlang.start(flowlang.load(text=text, registry=registry_of(service)))
    await until(lambda: "nap" in service.log)
    handle.cancel()
    assert (await handle).status == "cancelled"
    assert about(service) == [*GIVEN_UP, "lease", "release"]
    assert service.clean()


async def test_a_cancellation_in_the_commit_is_no_success() -> None:
    service = Service()
    running: list[flowlang.RunHandle] = []

    async def cancel(number: int) -> None:
        running[0].cancel()
        await asyncio.sleep(0)

    service.hooks["commit"] = cancel
    running.append(flowlang.start(flowlang.load(text=flow("fake_op: {}"), registry=registry_of(service))))
    assert (await running[0]).status == "cancelled"
    assert service.count("discard") == 1
    assert service.clean()


async def test_what_is_defined_inside_is_there_behind_it() -> None:
    outputs = "outputs: [{name: v, value: '${a.value + b.value}'}]\n"
    service = Service()
    result, events = await run(flow("fake_op: {id: a, value: 1}", "fake_op: {id: b, value: 2}", after=outputs), service)
    assert result.outputs == {"v": 3}
    assert story(events)[:2] == ["start t (transaction)", "start t.a (fake_op)"]
    assert next(each.connection for each in events if isinstance(each, StepStarted)) == "c"


# ---------------------------------------------------------------- one handle for all


async def test_a_pool_of_one_is_enough() -> None:
    """Branches, loops and streams inside share the handle, one operation at a time; a branch outside waits."""
    service = Service(capacity=1)
    text = f"""{HEAD}  - parallel:
      - transaction: c
        do:
          - fake_op: {{}}
          - parallel: [{{fake_op: {{}}}}, {{fake_op: {{}}}}, {{fake_stream: {{}}}}]
          - for_each: '${{[1, 2, 3]}}'
            max_concurrency: 3
            do: [{{fake_op: {{}}}}, {{try: [{{fake_op: {{}}}}], catch: [{{do: []}}]}}]
          - fake_stream: {{id: s}}
          - for_each: ${{s.rows}}
            do: [{{fake_op: {{}}}}]
      - fake_op: {{id: outside}}
"""
    result, _ = await run(text, service)
    assert result.succeeded
    assert (service.count("lease"), service.count("release"), service.crossed) == (2, 2, [])
    assert service.clean()


async def test_other_connections_lease_as_usual() -> None:
    one, two = Service("one"), Service("two")
    text = """flow: f
connections: {a: {type: one}, b: {type: two}, a2: {type: one}}
steps:
  - transaction: a
    do: [{one_op: {connection: a}}, {two_op: {}}, {two_op: {}}, {one_op: {connection: a2}}]
"""
    result, _ = await run(text, one, two)
    assert result.succeeded
    assert (one.count("lease"), two.count("lease")) == (2, 2)
    assert one.clean()
    assert two.clean()


async def test_transactions_on_two_connections_may_stand_inside_each_other() -> None:
    one, two = Service("one"), Service("two")
    text = """flow: f
connections: {a: {type: one}, b: {type: two}}
steps:
  - transaction: a
    do:
      - one_op: {}
      - transaction: b
        continue_on_error: true
        do: [{one_op: {}}, {two_op: {}}, {raise: {message: no}}]
      - one_op: {}
"""
    result, _ = await run(text, one, two)
    assert result.succeeded
    assert (about(one), about(two)) == (KEPT, UNDONE)


async def test_a_stream_ends_before_the_commit() -> None:
    service = Service()
    result, _ = await run(flow("fake_stream: {id: s, count: 6}"), service)
    assert result.succeeded
    assert about(service, "cursor", "commit") == ["cursor", "commit"]
    assert service.clean()


async def test_a_task_may_read_a_stream_of_its_own_handle() -> None:
    """It has its turn while it asks for rows; also when it asks from a task of its own."""
    service = Service(capacity=1)

    async def drain(records: Any, connection: Any) -> dict[str, Any]:
        async def all_of_it() -> list[Any]:
            return [row["n"] async for row in records.rows()]

        return {"numbers": await asyncio.create_task(all_of_it())}

    text = flow(
        "fake_stream: {id: s}",
        "drain: {id: d, connection: c, records: '${s.rows}'}",
        after="outputs: [{name: n, value: '${d.numbers}'}]\n",
    )
    result, _ = await run(text, service, tasks={"drain": drain})
    assert result.outputs == {"n": [0, 1, 2, 3]}


async def test_a_subflow_inside_has_connections_of_its_own(tmp_path: Any) -> None:
    (tmp_path / "sub.yaml").write_text("flow: sub\nconnections: {c: {type: fake}}\nsteps: [{fake_op: {}}]\n")
    path = tmp_path / "flow.yaml"
    path.write_text(flow("fake_op: {}", "subflow: sub.yaml"))
    service = Service(capacity=1)
    assert (await flowlang.run(path, registry=registry_of(service))).succeeded
    assert (service.count("connect"), service.count("begin"), service.count("lease")) == (2, 1, 2)


# ---------------------------------------------------------------- a handle that breaks


async def test_a_step_inside_is_not_tried_again_on_a_broken_handle() -> None:
    service = Service()
    step = "{fake_fail: {id: x, error: connection_lost}, retry: {max_attempts: 5, on: [connection_lost]}}"
    result, _ = await run(flow(step), service, clock=JumpingClock())
    assert result.failure is not None
    assert (result.failure.type, service.count("fail")) == ("connection_lost", 1)
    assert result.failure.notes == ("the transaction around it cannot go on: its handle is given up",)


async def test_the_whole_transaction_is_tried_again_with_a_new_handle() -> None:
    """Nothing was kept, so the outcome is known, and the lost link is no reason not to repeat a write."""
    service = Service()
    step = "{fake_fail: {id: x, error: connection_lost, times: 1}, retry: 5}"
    result, events = await run(
        flow("fake_op: {}", step, modifiers="    retry: {delay: 1s}\n"), service, clock=JumpingClock()
    )
    assert result.succeeded
    assert about(service) == [*GIVEN_UP, *KEPT]
    assert [each for each in story(events) if each.startswith("again")] == ["again t: 1 of 3, 0.75 s"]


async def test_a_failure_that_leaves_the_handle_whole_is_tried_again_in_place() -> None:
    service = Service()
    step = "{fake_fail: {error: unavailable, times: 2}, retry: {delay: 0s}}"
    result, _ = await run(flow(step), service, clock=JumpingClock())
    assert result.succeeded
    assert (service.count("fail"), about(service)) == (3, KEPT)


async def test_a_broken_handle_ends_the_transaction_even_when_the_failure_is_handled() -> None:
    service = Service()
    steps = ("{fake_fail: {error: connection_lost}, continue_on_error: true}", "log: go on")
    result, events = await run(flow(*steps), service)
    assert about(service) == GIVEN_UP
    assert result.failure is not None
    assert (result.failure.type, result.failure.outcome_unknown) == ("connection_lost", False)
    assert "failure was handled" in result.failure.detail
    assert "log go on" in story(events)


async def test_nothing_more_is_sent_on_a_broken_handle() -> None:
    service = Service()
    steps = ("{fake_fail: {error: connection_lost}, continue_on_error: true}", "fake_op: {id: next}")
    result, _ = await run(flow(*steps), service)
    assert result.failure is not None
    assert (result.failure.step, result.failure.type) == ("t.next", "connection_lost")
    assert "is lost: its handle broke" in result.failure.detail
    assert service.seen == []


async def test_a_stream_that_breaks_takes_the_transaction_with_it() -> None:
    service = Service()
    steps = ("fake_stream: {id: s, count: 6, fail_at: 2}", "{for_each: '${s.rows}', do: [], continue_on_error: true}")
    result, _ = await run(flow(*steps), service)
    assert result.failure is not None
    assert result.failure.type == "connection_lost"
    assert about(service) == GIVEN_UP
    assert service.clean()


# ---------------------------------------------------------------- begin, commit, rollback go wrong


def failing(error: BaseException) -> Any:
    async def hook(number: int) -> None:
        raise error

    return hook


@pytest.mark.parametrize(
    ("error", "expected", "handles"),
    [
        (ConnectionResetError("reset"), ("connection_lost", True), ["discard"]),
        (TimeoutError("no answer"), ("timeout", True), ["discard"]),
        (ValueError("a constraint"), ("task", False), ["release"]),
    ],
)
async def test_a_commit_that_fails(error: BaseException, expected: tuple[str, bool], handles: list[str]) -> None:
    """When the link breaks nobody knows whether it took place, so that it is not tried again unless `on` says so."""
    service = Service()
    service.hooks["commit"] = failing(error)
    result, _ = await run(flow("fake_op: {}", modifiers="    retry: {max_attempts: 1}\n"), service)
    assert result.failure is not None
    assert (result.failure.type, result.failure.outcome_unknown) == expected
    assert result.failure.step == "t"
    assert about(service, "release", "discard") == handles
    assert any("in the commit" in each for each in result.failure.notes) is expected[1]
    assert service.clean()


async def test_an_unknown_commit_is_not_tried_again() -> None:
    service = Service()
    service.hooks["commit"] = failing(ConnectionResetError("reset"))
    await run(flow("fake_op: {}", modifiers="    retry: {delay: 0s}\n"), service, clock=JumpingClock())
    assert service.count("begin") == 1
    await run(
        flow("fake_op: {}", modifiers="    retry: {delay: 0s, on: [connection_lost]}\n"), service, clock=JumpingClock()
    )
    assert service.count("begin") == 1 + 3


async def test_a_begin_that_fails_gives_the_lease_back() -> None:
    service = Service()
    service.hooks["begin"] = failing(ValueError("not now"))
    result, _ = await run(flow("fake_op: {}"), service)
    assert result.failure is not None
    assert (result.failure.type, result.failure.step) == ("task", "t")
    assert about(service) == ["lease", "release"]
    assert service.clean()


async def test_a_rollback_that_fails_or_hangs_costs_the_handle_and_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(number: int) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(transactions, "RELEASE_TIMEOUT", 0.02)
    for hook in (failing(ValueError("cannot")), hang):
        service = Service()
        service.hooks["rollback"] = hook
        result, _ = await run(flow("fake_op: {}", "raise: {type: conflict, message: mine}"), service)
        assert result.failure is not None
        assert result.failure.detail == "mine"
        assert about(service) == GIVEN_UP
        assert service.clean()
    assert "a transaction could not be rolled back" in caplog.text


async def test_no_handle_in_time() -> None:
    service = Service(capacity=1)
    text = """flow: f
connections: {c: {type: fake, acquire_timeout: 20ms}}
steps:
  - parallel: [{fake_nap: {}}, {id: t, transaction: c, do: []}]
"""
    result, _ = await run(text, service)
    assert result.failure is not None
    assert (result.failure.type, result.failure.step) == ("timeout", "parallel#1.t")
    assert "came free in time" in result.failure.detail
    assert service.count("begin") == 0
    assert service.clean()


async def test_a_step_that_gets_no_turn_in_time_has_sent_nothing() -> None:
    service = Service()
    steps = "parallel: [{fake_nap: {timeout: 60ms, id: n}}, {fake_op: {id: late, timeout: 10ms}}]"
    result, _ = await run(flow(steps + "\n        fail_fast: false"), service)
    assert result.failure is not None
    assert any("did not come free in time" in each for each in (result.failure.detail, *result.failure.notes))
    assert service.seen == []
    assert service.clean()


async def test_a_transaction_around_a_stream_of_a_pool_of_one_fails_at_once() -> None:
    service = Service(capacity=1)
    text = f"""{HEAD}  - fake_stream: {{id: s}}
  - for_each: ${{s.rows}}
    do: [{{transaction: c, do: [{{fake_op: {{}}}}]}}]
"""
    result, _ = await run(text, service)
    assert result.failure is not None
    assert result.failure.type == "limit"
    assert service.clean()
