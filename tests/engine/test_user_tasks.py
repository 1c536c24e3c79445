"""Users' own tasks: async and plain, what is injected, what they return, and what they may raise."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.engine.support import JumpingClock, Service, run

import flowlang
from flowlang.exceptions import FlowExecutionError

ONE = "flow: f\nsteps:\n  - work: {id: w}\n"


async def outcome(function: Any, flow: str = ONE, **options: Any) -> flowlang.RunResult:
    result, _ = await run(flow, tasks={"work": function}, **options)
    return result


async def test_a_plain_function_runs_off_the_event_loop() -> None:
    here = threading.get_ident()

    def work() -> dict[str, Any]:
        return {"elsewhere": threading.get_ident() != here}

    result = await outcome(work, ONE + "outputs: [{name: o, value: '${w.elsewhere}'}]\n")
    assert result.outputs == {"o": True}


async def test_the_context_is_the_same_over_retries_but_for_the_attempt() -> None:
    seen: list[Any] = []

    async def work(context: flowlang.Context) -> dict[str, Any]:
        seen.append(context)
        if len(seen) < 3:
            raise ValueError("not yet")
        return {}

    flow = "flow: f\nsteps:\n  - for_each: [1]\n    id: l\n    do: [{work: {id: w}, retry: {delay: 1s}}]\n"
    result = await outcome(work, flow, clock=JumpingClock(), run_id="r1")
    assert result.succeeded
    assert [(each.step, each.attempt, each.idempotency_key) for each in seen] == [
        ("l[0].w", attempt, "r1:l[0].w") for attempt in (1, 2, 3)
    ]
    assert {(each.run_id, each.flow) for each in seen} == {("r1", "f")}


@pytest.mark.parametrize("plain", [False, True])
async def test_a_connection_is_injected_and_given_back(plain: bool) -> None:
    service = Service()

    async def asynchronous(n: int, connection: Any) -> dict[str, Any]:
        return {"handle": connection, "n": n}

    def synchronous(n: int, connection: Any) -> dict[str, Any]:
        return {"handle": connection, "n": n}

    flow = "flow: f\nconnections: {c: {type: fake}}\nsteps:\n  - work: {id: w, connection: c, n: 3}\n"
    flow += "outputs: [{name: o, value: '${w.handle}'}]\n"
    result, _ = await run(flow, service, tasks={"work": synchronous if plain else asynchronous})
    assert result.outputs == {"o": "1:1"}
    assert service.log == ["connect 1", "lease 1", "release 1", "disconnect 1"]


async def test_a_thread_sees_that_nobody_waits_any_more() -> None:
    begun, seen = threading.Event(), threading.Event()

    def work(context: flowlang.Context) -> dict[str, Any]:
        begun.set()
        while not context.cancelled:
            begun.wait(0.001)
        seen.set()
        return {}

    result = await outcome(work, ONE + "    timeout: 20ms\n")
    assert result.failure is not None
    assert result.failure.type == "timeout"
    assert await asyncio.to_thread(seen.wait, 10)


async def test_tasks_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import flowlang\n\n@flowlang.task\nasync def twice(n: int) -> dict[str, int]:\n    return {'n': 2 * n}\n",
        "utf-8",
    )
    path = tmp_path / "flow.yaml"
    path.write_text(
        "flow: f\ntasks: [mine.py]\nsteps: [{twice: {id: t, n: 4}}]\noutputs: [{name: n, value: '${t.n}'}]\n"
    )
    assert (await flowlang.run(path)).outputs == {"n": 8}


async def test_a_task_file_that_cannot_be_imported_is_a_failure_of_class_config(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import flowlang\n\n@flowlang.task\nasync def t() -> None:\n    pass\n\nraise OSError('no disk')\n", "utf-8"
    )
    path = tmp_path / "flow.yaml"
    path.write_text("flow: f\ntasks: [mine.py]\nsteps: [{t: {}}]\n")
    result = await flowlang.run(path)
    assert result.failure is not None
    assert result.failure.type == "config"
    assert "mine.py:7" in result.failure.detail


# ---------------------------------------------------------------- what they return


@pytest.mark.parametrize(("value", "words"), [(5, "returned int"), ([1], "returned list"), ("text", "returned str")])
async def test_what_is_no_dict_is_a_failure(value: Any, words: str) -> None:
    async def work() -> Any:
        return value

    result = await outcome(work)
    assert result.failure is not None
    assert words in result.failure.detail
    assert not result.failure.retryable


async def test_nothing_is_no_outputs_and_other_mappings_are_dicts() -> None:
    from types import MappingProxyType

    async def nothing() -> None:
        return None

    async def other() -> Any:
        return MappingProxyType({"a": 1})

    assert (await outcome(nothing)).succeeded
    assert (await outcome(other, ONE + "outputs: [{name: o, value: '${w}'}]\n")).outputs == {"o": {"a": 1}}


async def test_a_listed_output_that_is_missing_is_named() -> None:
    async def work() -> dict[str, Any]:
        return {"a": 1, "c": 2}

    result = await outcome(work, "flow: f\nsteps:\n  - work: {id: w, outputs: [a, b]}\n")
    assert result.failure is not None
    assert "listed output `b`; it returned `a`, `c`" in result.failure.detail


# ---------------------------------------------------------------- what they raise


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
@pytest.mark.parametrize(
    ("error", "class_", "retryable", "words"),
    [
        (ValueError("odd"), "task", True, "odd"),
        (ValueError(), "task", True, "ValueError"),
        (Mute(), "task", True, "Mute"),
        (KeyError("k"), "task", True, "'k'"),
        (FileNotFoundError(2, "No such file"), "not_found", False, "No such file"),
        (FlowExecutionError("full", error_class="limit"), "limit", False, "full"),
        (FlowExecutionError("once", retryable=False), "task", False, "once"),
        (FlowExecutionError("again", error_class="conflict", retryable=True), "conflict", True, "again"),
        (ExceptionGroup("several", [ValueError("a"), ConnectionRefusedError("b")]), "connect", True, "several"),
        (BaseExceptionGroup("worse", [SystemExit(1)]), "task", True, "worse"),
        (SystemExit(3), "task", False, "it tried to end the process: SystemExit: 3"),
        (asyncio.CancelledError(), "cancelled", False, "nobody asked the run to stop"),
        (StopIteration(), "task", True, "StopIteration"),
        (TimeoutError("slow"), "timeout", True, "slow"),
    ],
    ids=repr,
)
async def test_what_a_task_raises_is_its_steps_failure(
    error: BaseException, class_: str, retryable: bool, words: str, plain: bool
) -> None:
    async def asynchronous() -> dict[str, Any]:
        raise error

    def synchronous() -> dict[str, Any]:
        raise error

    result = await outcome(synchronous if plain else asynchronous, ONE + "finally: [{log: finally}]\n")
    failure = result.failure
    assert failure is not None
    assert result.status == "failed"
    assert (failure.type, failure.retryable, failure.step, failure.line) == (class_, retryable, "w", 3)
    assert words in failure.detail


@pytest.mark.parametrize("count", [1, 3])
async def test_the_same_in_a_branch(count: int) -> None:
    async def work() -> dict[str, Any]:
        raise asyncio.CancelledError

    branches = ", ".join("{work: {}}" for _ in range(count))
    result = await outcome(work, f"flow: f\nsteps:\n  - parallel: [{branches}, {{log: hi}}]\n")
    assert result.failure is not None
    assert (result.status, result.failure.type) == ("failed", "cancelled")


async def test_the_causes_are_told_in_their_own_words() -> None:
    async def work() -> dict[str, Any]:
        try:
            raise OSError("disk full")
        except OSError as error:
            raise RuntimeError("cannot save") from error

    result = await outcome(work)
    assert result.failure is not None
    assert result.failure.cause == ("RuntimeError: cannot save", "OSError: disk full")


async def test_the_failure_of_another_run_is_not_taken_for_ones_own() -> None:
    """A task that runs a flow itself and raises its error: the step is the task's, not that of the other flow."""
    from flowlang.exceptions import Failure, StepError

    async def work() -> dict[str, Any]:
        raise StepError(Failure("auth", "no entry", flow="other", step="inner"))

    result = await outcome(work)
    assert result.failure is not None
    assert (result.failure.type, result.failure.flow, result.failure.step) == ("auth", "f", "w")
