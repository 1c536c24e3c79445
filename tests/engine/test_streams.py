"""A stream owns its lease until it is exhausted or closed, or its block ends; it has one consumer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.engine.support import Service, run, tasks

import flowlang
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.stream import Stream, regrouped

HEAD = "flow: f\nconnections: {c: {type: fake}}\nsteps:\n"


async def of(*batches: list[Any]) -> AsyncIterator[list[Any]]:
    for each in batches:
        yield each


def back(service: Service) -> list[str]:
    return [each for each in service.log if each.startswith(("release", "discard", "cursor"))]


@pytest.mark.parametrize(
    ("body", "given_back"),
    [
        ("  - {id: l, for_each: '${s.rows}', as: r, do: [{log: '${r.n}'}]}\n", ["cursor closed", "release 1"]),
        ("  - {id: l, for_each: '${s.rows}', as: r, do: [exit: {}]}\n", ["cursor closed", "release 1"]),
        (
            "  - {id: l, for_each: '${s.rows}', as: r, do: [{raise: {message: no}}], continue_on_error: true}\n",
            ["cursor closed", "release 1"],
        ),
        ("  - log: not read\n", ["cursor closed", "release 1"]),
        ("  - raise: {message: no}\n", ["cursor closed", "release 1"]),
        (
            "  - {id: l, for_each: '${s.rows}', as: r, timeout: 10ms, do: [{nap: {}}], continue_on_error: true}\n",
            ["cursor closed", "release 1"],
        ),
    ],
    ids=["exhausted", "exit", "failure in the body", "never read", "failure after it", "time limit"],
)
async def test_a_lease_comes_back_once_however_the_reading_ends(body: str, given_back: list[str]) -> None:
    service = Service()
    await run(f"{HEAD}  - fake_stream: {{id: s, count: 9}}\n{body}", service, tasks=tasks())
    assert back(service) == given_back
    assert service.clean()


async def test_the_lease_comes_back_before_the_step_after_the_loop() -> None:
    service = Service(capacity=1)
    flow = HEAD + "  - fake_stream: {id: s}\n  - for_each: ${s.rows}\n    do: [log: row]\n  - fake_op: {}\n"
    result, _ = await run(flow, service)
    assert result.succeeded
    assert service.clean()


async def test_a_stream_of_a_branch_ends_with_the_parallel() -> None:
    service = Service()
    flow = HEAD + "  - parallel: [fake_stream: {id: s}, fake_fail: {id: b, error: auth}, fake_stream: {id: t}]\n"
    result, _ = await run(flow, service)
    assert result.status == "failed"
    assert service.clean()


async def test_a_failure_on_the_way_is_classified_and_the_handle_discarded() -> None:
    service = Service()
    flow = (
        f"{HEAD}  - fake_stream: {{id: s, fail_at: 2}}\n  - for_each: ${{s.rows}}\n    id: l\n    do: [{{log: row}}]\n"
    )
    result, _ = await run(flow, service)
    failure = result.failure
    assert failure is not None
    assert (failure.type, failure.step, failure.connection) == ("connection_lost", "l", "c")
    assert back(service) == ["cursor closed", "discard 1"]
    assert service.clean()


async def test_a_failure_to_begin_is_the_steps_own_and_is_retried() -> None:
    service = Service()
    flow = HEAD + "  - fake_stream: {id: s, fail_at: 0}\n"
    flow += "    retry: {max_attempts: 2, delay: 0s, on: [connection_lost]}\n"
    result, _ = await run(flow, service)
    assert result.failure is not None
    assert (result.failure.step, result.failure.attempt) == ("s", 2)
    assert back(service) == ["cursor closed", "discard 1"] * 2
    assert service.clean()


async def test_a_step_inside_on_a_pool_of_one_fails_at_once_with_the_reason() -> None:
    service = Service(capacity=1)
    flow = f"{HEAD}  - fake_stream: {{id: s}}\n  - for_each: ${{s.rows}}\n    do: [{{fake_op: {{id: inner}}}}]\n"
    result, _ = await run(flow, service)
    failure = result.failure
    assert failure is not None
    assert failure.type == "limit"
    assert "its only handle is held by a stream" in failure.detail
    assert service.clean()


async def test_branches_inside_the_loop_are_told_as_well() -> None:
    service = Service(capacity=1)
    flow = HEAD + "  - fake_stream: {id: s}\n  - for_each: ${s.rows}\n    do: [parallel: [fake_op: {}, log: a]]\n"
    result, _ = await run(flow, service)
    assert result.failure is not None
    assert result.failure.type == "limit"
    assert service.clean()


async def test_a_sibling_branch_waits_for_the_stream_to_end() -> None:
    service = Service(capacity=1)
    flow = f"""{HEAD}  - parallel:
      - do: [{{fake_stream: {{id: s}}}}, {{for_each: "${{s.rows}}", do: [{{log: row}}]}}]
      - fake_op: {{id: other}}
"""
    result, _ = await run(flow, service)
    assert result.succeeded
    assert service.clean()


async def test_cancelled_while_reading_the_first_batch() -> None:
    service = Service()
    kind = service.plugin()

    async def slow(self: Any, connection: Any = None) -> Any:
        try:
            await asyncio.sleep(3600)
            yield [1]
        finally:
            service.log.append("cursor closed")

    kind.stream = slow  # type: ignore[attr-defined]
    service.plugin = lambda: kind  # type: ignore[method-assign]
    result, _ = await run(f"{HEAD}  - fake_stream: {{id: s}}\n    timeout: 10ms\n", service)
    assert result.failure is not None
    assert result.failure.type == "timeout"
    assert back(service) == ["cursor closed", "discard 1"]
    assert service.clean()


@flowlang.task(effect="read")
async def wrong() -> Any:
    """Yields what is no list."""
    yield [1]
    yield {"a": 1}


async def test_a_batch_that_is_no_list_is_a_failure() -> None:
    flow = "flow: f\nsteps:\n  - wrong: {id: w}\n  - for_each: ${w.rows}\n    id: l\n    do: [{log: row}]\n"
    result, _ = await run(flow, tasks=[wrong])
    assert result.failure is not None
    assert "yielded dict" in result.failure.detail


async def test_a_second_consumer_is_refused_at_run_time() -> None:
    flow = """flow: f
steps:
  - rows: {id: r, count: 4}
  - for_each: [1, 2]
    id: l
    do: [{id: inner, for_each: "${r.rows}", do: [{log: row}]}]
"""
    result, _ = await run(flow, tasks=tasks())
    assert result.status in ("failed", "invalid")
    if result.failure is not None:
        assert result.failure.type == "validation"
        assert "one consumer" in result.failure.detail


# ---------------------------------------------------------------- the stream itself


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
async def test_regrouping_keeps_rows_and_order(size: int) -> None:
    found = [batch async for batch in regrouped(of([1, 2, 3], [], [4, 5], [6, 7, 8, 9], [10]), size)]
    assert [row for batch in found for row in batch] == list(range(1, 11))
    assert all(len(batch) == size for batch in found[:-1])
    assert 0 < len(found[-1]) <= size


async def test_on_close_runs_once_with_the_error_or_none() -> None:
    heard: list[BaseException | None] = []

    async def closed(error: BaseException | None) -> None:
        heard.append(error)

    async def breaks() -> AsyncIterator[list[Any]]:
        yield [1]
        raise OSError("gone")

    stream = Stream(of([1], [2]), closed)
    assert [row async for row in stream.rows()] == [1, 2]
    await stream.aclose()
    broken = Stream(breaks(), closed)
    with pytest.raises(OSError, match="gone"):
        _ = [row async for row in broken.rows()]
    assert heard[0] is None
    assert isinstance(heard[1], OSError)
    assert len(heard) == 2
    with pytest.raises(FlowExecutionError, match="one consumer"):
        await anext(stream.batches())
    unread = Stream(of([1]), closed)
    await unread.aclose()
    with pytest.raises(FlowExecutionError, match="is closed"):
        await anext(unread.batches())


async def test_stopping_in_the_middle_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    stream = Stream(of([1, 2], [3, 4]))
    batches = stream.batches(3)
    assert await anext(batches) == [1, 2, 3]
    await batches.aclose()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert repr(stream) == "<stream, 3 rows read, closed>"
