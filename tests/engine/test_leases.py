"""Connections in a run: each opened and closed once, each lease given back once, whatever happens in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.engine.support import JumpingClock, Service, run

from flowlang.connections import lifecycle
from flowlang.engine import operations
from flowlang.events import ConnectionClosed, ConnectionOpened

HEAD = "flow: f\nconnections:\n  c: {type: fake}\nsteps:\n"
TWO = "flow: f\nconnections: {a: {type: one}, b: {type: two}}\nsteps:\n  - one_op: {id: x}\n  - two_op: {id: y}\n"


def hang_in(service: Service, what: str, *numbers: int) -> None:
    async def hang(number: int) -> None:
        if not numbers or number in numbers:
            await asyncio.sleep(3600)

    service.hooks[what] = hang


def break_in(service: Service, what: str, error: BaseException, *numbers: int) -> None:
    async def fail(number: int) -> None:
        if not numbers or number in numbers:
            raise error

    service.hooks[what] = fail


# ---------------------------------------------------------------- giving back


@pytest.mark.parametrize(
    ("step", "status", "back"),
    [
        ("fake_op: {id: a}", "succeeded", ["release 1"]),
        ("fake_fail: {id: a}", "failed", ["release 1"]),
        ("fake_fail: {id: a, error: connection_lost}", "failed", ["discard 1"]),
        ("fake_nap: {id: a}\n    timeout: 10ms", "failed", ["discard 1"]),
        ("fake_fail: {id: a, times: 2}\n    retry: {delay: 1s}", "succeeded", ["release 1"] * 3),
        ("fake_op: {id: a, value: 1, outputs: [nothing]}", "failed", ["release 1"]),
    ],
)
async def test_a_lease_comes_back_once_and_broken_ones_are_discarded(step: str, status: str, back: list[str]) -> None:
    service = Service()
    result, _ = await run(f"{HEAD}  - {step}\n", service, clock=JumpingClock())
    assert result.status == status
    assert [each for each in service.log if each.startswith(("release", "discard"))] == back
    assert service.clean()


async def test_a_cancelled_step_discards_its_lease() -> None:
    service = Service()
    flow = f"{HEAD}  - parallel: [{{fake_nap: {{id: a}}}}, {{fake_fail: {{id: b, error: auth}}}}]\n"
    result, _ = await run(flow, service)
    assert result.failure is not None
    assert result.failure.type == "auth"
    assert (service.count("discard"), service.count("release")) == (1, 1)
    assert service.clean()


async def test_a_release_that_fails_is_followed_by_a_discard_and_fails_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = Service()
    break_in(service, "release", RuntimeError("cannot reset"))
    result, _ = await run(f"{HEAD}  - fake_op: {{id: a}}\n", service)
    assert result.succeeded
    assert service.count("discard") == 1
    assert service.clean()
    assert "a lease could not be given back: RuntimeError: cannot reset" in caplog.text


@pytest.mark.parametrize("step", ["fake_op: {id: a}", "fake_fail: {id: a}", "fake_nap: {id: a}\n    timeout: 20ms"])
async def test_a_release_that_hangs_is_given_up(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the step has no limit of its own, and its operation was looked at while it waited."""
    monkeypatch.setattr(lifecycle, "RELEASE_TIMEOUT", 0.02)
    monkeypatch.setattr(operations, "RELEASE_TIMEOUT", 0.02)
    service = Service()
    hang_in(service, "release")
    slow = "  - fake_op: {id: first, value: 1}\n" if "op" in step else ""
    await run(f"{HEAD}{slow}  - {step}\n", service)
    assert service.clean()


async def test_a_release_is_limited_even_when_the_operation_had_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "RELEASE_TIMEOUT", 0.02)
    service = Service()
    hang_in(service, "release")
    kind = service.plugin()

    async def slow(self: Any, connection: Any = None) -> dict[str, Any]:
        await asyncio.sleep(0.02)  # longer than one look of the watch
        return {}

    kind.op = slow  # type: ignore[attr-defined]
    service.plugin = lambda: kind  # type: ignore[method-assign]
    result, _ = await run(f"{HEAD}  - fake_op: {{id: a}}\n", service)
    assert result.succeeded
    assert service.count("discard") == 1
    assert service.clean()


# ---------------------------------------------------------------- a single client


async def test_a_broken_single_client_is_replaced_by_the_next_lease() -> None:
    service = Service(single=True)
    flow = f"{HEAD}  - fake_fail: {{id: a, error: connection_lost, times: 1}}\n"
    flow += "    retry: {delay: 1s, on: [connection_lost]}\n"
    result, events = await run(flow + "outputs: [{name: n, value: '${a.instance}'}]\n", service, clock=JumpingClock())
    assert result.outputs == {"n": 2}
    assert service.log == [
        "connect 1", "lease 1", "fail connection_lost", "discard 1", "disconnect 1",
        "connect 2", "lease 2", "fail connection_lost", "release 2", "disconnect 2",
    ]  # fmt: skip
    assert sum(isinstance(each, ConnectionOpened) for each in events) == 2
    assert sum(isinstance(each, ConnectionClosed) for each in events) == 2


async def test_a_broken_single_client_is_closed_when_its_last_lease_is_back() -> None:
    service = Service(single=True)
    done = asyncio.Event()
    kind = service.plugin()

    async def slow(self: Any, connection: Any = None) -> dict[str, Any]:
        await done.wait()
        service.log.append("slow done")
        return {"instance": self.number}

    async def fresh(self: Any, connection: Any = None) -> dict[str, Any]:
        done.set()
        return {"instance": self.number}

    kind.no_lease, kind.op = slow, fresh  # type: ignore[attr-defined]
    service.plugin = lambda: kind  # type: ignore[method-assign]
    flow = f"""{HEAD}  - parallel:
      - fake_ping: {{id: old}}
      - do:
          - {{fake_fail: {{id: bad, error: connection_lost}}, continue_on_error: true}}
          - fake_op: {{id: new}}
  - fake_fail: {{id: after, times: 0}}
outputs: [{{name: n, value: ["${{old.instance}}", "${{new.instance}}"]}}]
"""
    result, _ = await run(flow, service)
    assert result.outputs == {"n": [1, 2]}
    closing, ended = service.log.index("disconnect 1"), service.log.index("slow done")
    assert ended < closing < service.log.index("fail task")  # at once, not at the end of the run
    assert service.log.index("disconnect 2") > closing
    assert service.count("disconnect") == 2
    assert service.clean()


# ---------------------------------------------------------------- opening and closing


async def test_connections_close_in_reverse_order() -> None:
    one, two = Service("one"), Service("two")
    result, events = await run(TWO, one, two)
    assert result.succeeded
    assert one.clean()
    assert two.clean()
    assert [each.connection for each in events if isinstance(each, ConnectionClosed)] == ["b", "a"]


async def test_connections_open_at_the_same_time() -> None:
    """Each waits for the other one to have begun: one after the other would never end."""
    one, two = Service("one"), Service("two")
    met = asyncio.Barrier(2)

    async def meet(number: int) -> None:
        await met.wait()

    one.hooks["connect"] = two.hooks["connect"] = meet
    result, _ = await run(TWO, one, two)
    assert result.succeeded


async def test_when_one_cannot_open_the_others_are_closed_and_no_step_runs() -> None:
    one, two = Service("one"), Service("two")
    hang_in(one, "connect")
    break_in(two, "connect", ConnectionRefusedError("refused"))
    result, events = await run(TWO + "finally: [{log: never}]\n", one, two)
    assert result.failure is not None
    assert (result.failure.type, result.failure.connection, result.failure.line) == ("connect", "b", 2)
    assert (one.count("disconnect"), two.count("disconnect")) == (1, 1)
    assert one.clean()
    assert two.clean()
    assert not [each for each in events if "Step" in type(each).__name__ or "Log" in type(each).__name__]


async def test_an_open_connection_is_closed_when_another_one_fails() -> None:
    one, two = Service("one"), Service("two")

    async def late(number: int) -> None:
        await asyncio.sleep(0.01)
        raise OSError("no route")

    two.hooks["connect"] = late
    result, _ = await run(TWO, one, two)
    assert result.status == "failed"
    assert one.log == ["connect 1", "disconnect 1"]
    assert one.clean()
    assert two.clean()


async def test_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    hang_in(service, "connect")
    result, _ = await run(
        HEAD.replace("type: fake", "type: fake, connect_timeout: 10ms") + "  - fake_op: {}\n", service
    )
    assert result.failure is not None
    assert result.failure.detail == "no connection within 0.01 s"
    assert service.count("disconnect") == 1
    assert service.clean()


async def test_acquire_timeout_says_that_the_pool_is_exhausted() -> None:
    service = Service(capacity=1)
    flow = HEAD.replace("type: fake", "type: fake, acquire_timeout: 20ms")
    flow += "  - parallel: [{fake_nap: {id: a}}, {fake_op: {id: b}}]\n"
    result, _ = await run(flow, service)
    failure = result.failure
    assert failure is not None
    assert (failure.type, failure.step, failure.outcome_unknown) == ("timeout", "parallel#1.b", False)
    assert "pool is exhausted" in failure.notes[0]
    assert "1 in use" in failure.notes[0]
    assert "0.02 s" in failure.notes[0]
    assert service.clean()


async def test_defaults_retry_covers_opening() -> None:
    service, clock = Service(), JumpingClock()
    break_in(service, "connect", ConnectionRefusedError("refused"), 1, 2)
    flow = "flow: f\ndefaults: {retry: {max_attempts: 3, delay: 20s, jitter: false}}\nconnections: {c: {type: fake}}\n"
    result, _ = await run(f"{flow}steps: [{{fake_op: {{id: a}}}}]\n", service, clock=clock)
    assert result.succeeded
    assert clock.slept == [20, 40]
    assert service.clean()
    assert service.count("connect") == service.count("disconnect") == 3


async def test_a_lazy_connection_is_opened_once_on_first_use_or_never() -> None:
    service = Service()
    flow = HEAD.replace("type: fake", "type: fake, lazy: true")
    await run(f"{flow}  - log: nothing\n", service)
    assert service.log == []
    many = ", ".join("{fake_op: {}}" for _ in range(9))
    result, _ = await run(f"{flow}  - parallel: [{many}]\n", service)
    assert result.succeeded
    assert service.count("connect") == service.count("disconnect") == 1
    assert service.clean()


async def test_a_lazy_connection_that_cannot_open_is_its_steps_failure_and_not_retried_twice_over() -> None:
    service, clock = Service(), JumpingClock()
    break_in(service, "connect", ConnectionRefusedError("refused"))
    flow = "flow: f\ndefaults: {retry: {max_attempts: 3, delay: 1s, jitter: false}}\n"
    flow += "connections: {c: {type: fake, lazy: true}}\nsteps: [{fake_op: {id: a}}]\n"
    result, _ = await run(flow, service, clock=clock)
    failure = result.failure
    assert failure is not None
    assert (failure.type, failure.step, failure.attempt) == ("connect", "a", 3)
    assert service.count("connect") == 3
    assert clock.slept == [1, 2]
    assert service.clean()


async def test_a_steps_time_limit_covers_opening_a_lazy_connection() -> None:
    service = Service()
    hang_in(service, "connect")
    flow = HEAD.replace("type: fake", "type: fake, lazy: true") + "  - {fake_op: {id: a}, timeout: 10ms}\n"
    result, _ = await run(flow, service)
    assert result.failure is not None
    assert (result.failure.type, result.failure.step) == ("timeout", "a")
    assert service.count("disconnect") == 1
    assert service.clean()


@pytest.mark.parametrize("error", [RuntimeError("broken pipe"), SystemExit(3), asyncio.CancelledError()])
async def test_an_error_while_closing_is_reported_and_hides_nothing(error: BaseException) -> None:
    one, two = Service("one"), Service("two")
    break_in(two, "disconnect", error)
    result, events = await run(TWO, one, two)
    assert result.succeeded
    assert one.count("disconnect") == 1
    problems = {each.connection: each.problem for each in events if isinstance(each, ConnectionClosed)}
    assert problems["a"] is None
    assert type(error).__name__ in str(problems["b"])


async def test_closing_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "CLOSE_TIMEOUT", 0.01)
    one, two = Service("one"), Service("two")
    hang_in(two, "disconnect")
    result, events = await run(TWO, one, two)
    assert result.succeeded
    assert one.clean()
    assert "given up" in str(next(each.problem for each in events if isinstance(each, ConnectionClosed)))


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
async def test_a_driver_that_raises_the_wrong_thing_while_connecting_has_failed(error: BaseException) -> None:
    service = Service()
    break_in(service, "connect", error)
    result, _ = await run(f"{HEAD}  - fake_op: {{}}\n", service)
    assert result.status == "failed"
    assert result.failure is not None
    assert result.failure.connection == "c"
    assert service.count("disconnect") == 1
    assert service.clean()


async def test_tasks_that_cannot_be_listed_leave_nothing_open() -> None:
    service = Service()
    kind = service.plugin()
    listed = kind.get_builtin_tasks

    def fails_when_open(self: Any) -> Any:
        if self.number:
            raise RuntimeError("no tasks today")
        return listed(self)

    kind.get_builtin_tasks = fails_when_open  # type: ignore[method-assign]
    service.plugin = lambda: kind  # type: ignore[method-assign]
    result, _ = await run(f"{HEAD}  - fake_op: {{}}\n", service)
    assert result.status == "failed"
    assert service.count("disconnect") == 1
    assert service.clean()
