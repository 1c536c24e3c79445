"""Cancellation at every point: leases come back, `finally` runs once, connections close, nothing is left running."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.engine.support import Service, registry_of, story, tasks, until

import flowlang
from flowlang.engine.result import RunResult
from flowlang.events import Event

EVERYTHING = """\
flow: f
connections:
  a: {type: one}
  b: {type: two}
  later: {type: one, lazy: true}
steps:
  - one_op: {id: first, connection: a}
  - parallel:
      - do: [{two_op: {}}, {one_op: {connection: a}}]
      - one_op: {connection: later}
      - {id: tried, one_fail: {connection: a, times: 1}, retry: {max_attempts: 2, delay: 0s}}
  - one_stream: {id: s, connection: a, count: 4}
  - for_each: ${s.rows}
    as: row
    do: [{two_op: {value: "${row.n}"}}]
  - transaction: a
    do:
      - {one_op: {connection: a}}
      - parallel: [{one_op: {connection: a}}, {one_stream: {connection: a}}, {two_op: {}}]
      - {one_op: {connection: a}}
  - {two_op: {id: limited}, timeout: 30s, retry: {max_attempts: 2, attempt_timeout: 20s}}
  - {id: s2, subflow: sub.yaml}
on_cancel: [{log: cancelled}]
finally: [{two_op: {id: last}}, {log: finally}]
"""
SUB = """\
flow: sub
connections: {c: {type: two}}
steps: [{two_op: {id: inner}}]
finally: [{log: sub finally}]
"""
SLOW = "flow: f\nsteps: [{nap: {id: n}}]\non_cancel: [{log: on_cancel}]\nfinally: [{log: finally}]\n"


class Stage:
    """One run that can be stopped after any number of turns of the event loop."""

    def __init__(self, folder: Any) -> None:
        (folder / "sub.yaml").write_text(SUB)
        self.path = folder / "flow.yaml"
        self.path.write_text(EVERYTHING)
        self.one, self.two = Service("one"), Service("two")
        self.events: list[Event] = []
        self.before = asyncio.all_tasks()
        self.options: dict[str, Any] = {
            "registry": registry_of(self.one, self.two),
            "on_event": self.events.append,
        }

    def start(self) -> flowlang.RunHandle:
        self.handle = flowlang.start(str(self.path), **self.options)
        return self.handle

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    def proven(self, result: RunResult) -> None:
        told = story(self.events)
        assert self.one.clean(), self.one.log
        assert self.two.clean(), self.two.log
        assert self.one.count("begin") <= self.one.count("commit") + self.one.count("rollback")
        assert self.one.crossed == []
        assert self.one.count("connect") == self.one.count("disconnect")
        assert self.two.count("connect") == self.two.count("disconnect")
        assert self.one.count("lease") == self.one.count("release") + self.one.count("discard")
        begun = any(each.startswith("start") for each in told)
        assert told.count("log finally") <= 1
        assert told.count("log sub finally") <= 1
        if begun and result.status != "invalid":
            assert told.count("start finally.last (two_op)") == 1
        starts = [each.split(" ")[1] for each in told if each.startswith("start")]
        ends = [each.split(" ")[1].rstrip(":") for each in told if each.startswith(("ok", "failed", "cancelled"))]
        assert sorted(starts) == sorted(ends)
        assert asyncio.all_tasks() == self.before


async def length(folder: Any) -> int:
    stage = Stage(folder)
    stage.start()
    turns = 0
    while not stage.handle.done:
        await asyncio.sleep(0)
        turns += 1
    result = await stage.handle
    assert result.succeeded, result.failure
    stage.proven(result)
    return turns


async def test_cancelled_once_at_every_point(tmp_path: Any) -> None:
    statuses = set()
    for turns in range(await length(tmp_path) + 2):
        stage = Stage(tmp_path)
        stage.start()
        await stage.turns(turns)
        stage.handle.cancel()
        stage.handle.cancel()  # asking again means nothing
        result = await stage.handle
        statuses.add(result.status)
        stage.proven(result)
        told = story(stage.events)
        if result.status == "cancelled" and any(each.startswith("start s") for each in told):
            assert told.count("log cancelled") == 1 or "start finally.last (two_op)" in told
    assert statuses == {"cancelled", "succeeded"}


@pytest.mark.parametrize("gap", [1, 2, 3, 5, 8, 13])
async def test_cancelled_twice_at_every_point(tmp_path: Any, gap: int) -> None:
    """The second one cuts the clean-up short, not the closing."""
    for turns in range(0, await length(tmp_path), 3):
        stage = Stage(tmp_path)
        waiting = asyncio.ensure_future(flowlang.run(stage.path, **stage.options))
        await stage.turns(turns)
        waiting.cancel()
        await stage.turns(gap)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled() or waiting.result().succeeded
        assert stage.one.clean()
        assert stage.two.clean()
        assert asyncio.all_tasks() == stage.before


@pytest.mark.parametrize("where", ["connect", "get", "release", "disconnect"])
async def test_cancelled_while_the_plugin_is_busy(where: str) -> None:
    service = Service()
    busy, go = asyncio.Event(), asyncio.Event()

    async def wait(number: int) -> None:
        busy.set()
        await go.wait()

    service.hooks[where] = wait
    flow = "flow: f\nconnections: {c: {type: fake}}\nsteps: [{fake_op: {id: a}}]\nfinally: [{log: finally}]\n"
    handle = flowlang.start(None, text=flow, registry=registry_of(service))  # type: ignore[arg-type]
    await busy.wait()
    handle.cancel()
    await asyncio.sleep(0)
    go.set()
    result = await handle
    assert result.status == ("succeeded" if where == "disconnect" else "cancelled")
    assert service.clean()
    assert service.count("disconnect") == 1


async def test_a_run_that_is_cancelled_before_it_began_is_cancelled() -> None:
    handle = flowlang.start(None, text=SLOW, tasks=tasks())  # type: ignore[arg-type]
    handle.cancel()
    result = await handle
    assert (result.status, result.failure and result.failure.type) == ("cancelled", "cancelled")


async def test_from_outside_the_cancellation_goes_on_after_the_clean_up() -> None:
    events: list[Event] = []
    task = asyncio.ensure_future(flowlang.run(text=SLOW, tasks=tasks(), on_event=events.append))
    await until(lambda: "start n (nap)" in story(events))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert story(events)[1:] == [
        "cancelled n",
        "start on_cancel.log#1 (log)", "log on_cancel", "ok on_cancel.log#1",
        "start finally.log#1 (log)", "log finally", "ok finally.log#1",
    ]  # fmt: skip
    assert type(events[-1]).__name__ == "RunFinished"


async def test_a_second_cancellation_cuts_on_cancel_short_and_finally_still_runs() -> None:
    flow = SLOW.replace("[{log: on_cancel}]", "[{nap: {id: slow}}, {log: never}]")
    events: list[Event] = []
    task = asyncio.ensure_future(flowlang.run(text=flow, tasks=tasks(), on_event=events.append))
    for wanted in ("start n (nap)", "start on_cancel.slow (nap)"):
        await until(lambda wanted=wanted: wanted in story(events))
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "log finally" in story(events)
    assert "log never" not in story(events)


async def test_a_second_cancellation_reaches_the_clean_up_inside_a_branch(tmp_path: Any) -> None:
    """Otherwise this would take the whole grace period."""
    (tmp_path / "sub.yaml").write_text("flow: sub\nsteps: [{nap: {id: n}}]\nfinally: [{nap: {id: slow}}]\n")
    path = tmp_path / "flow.yaml"
    path.write_text("flow: f\nsteps: [parallel: [{id: s, subflow: sub.yaml}, {nap: {}}]]\n")
    events: list[Event] = []
    task = asyncio.ensure_future(flowlang.run(path, tasks=tasks(), on_event=events.append))
    for wanted in ("n (nap)", "finally.slow (nap)"):
        await until(lambda wanted=wanted: any(each.endswith(wanted) for each in story(events)))
        task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done
    assert task.cancelled()


async def test_cancelled_during_finally_of_a_run_that_had_succeeded() -> None:
    flow = "flow: f\nsteps: [{log: hi}]\nfinally: [{nap: {id: n}}]\n"
    events: list[Event] = []
    handle = flowlang.start(None, text=flow, tasks=tasks(), on_event=events.append)  # type: ignore[arg-type]
    await until(lambda: "start finally.n (nap)" in story(events))
    handle.cancel()
    result = await handle
    assert result.status == "cancelled"
    assert result.failure is not None
    assert "cut short" in result.failure.detail


CLEANING = """\
flow: f
steps:
  - id: outer
    parallel:
      - id: kept
        try: [{nap: {id: n}}]
        finally: [{fail: {message: not tidied}}]
      - subflow: sub.yaml
        id: called
on_cancel: [{fail: {message: on_cancel broke}}]
finally: [{fail: {message: finally broke}}]
"""
CLEANING_SUB = "flow: sub\ntasks: [own.py]\nsteps: [{wait: 1h}]\nfinally: [{broken: {}}]\n"
BROKEN = """\
from flowlang import task

@task(effect="none")
async def broken() -> None:
    raise ValueError("the subflow was not tidied")
"""


async def test_nothing_that_goes_wrong_in_a_clean_up_is_lost(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A cancellation has no failure to note it on: it is told with that of the run, wherever in its tree it was."""
    for name, content in (("flow.yaml", CLEANING), ("sub.yaml", CLEANING_SUB), ("own.py", BROKEN)):
        (tmp_path / name).write_text(content)
    events: list[Event] = []
    handle = flowlang.start(str(tmp_path / "flow.yaml"), tasks=tasks(), on_event=events.append)
    await until(lambda: all(any(kind in told for told in story(events)) for kind in ("(nap)", "(wait)")))
    handle.cancel()
    result = await handle
    assert result.failure is not None
    assert (result.status, result.failure.detail) == ("cancelled", "the run was cancelled")
    assert sorted(result.failure.notes) == [
        "`finally` failed as well: finally broke",
        "`finally` of `outer.kept` failed: not tidied",
        "`on_cancel` failed as well: on_cancel broke",
        "in `outer.called`: `finally` failed as well: the subflow was not tidied",
    ]
    assert all(each in caplog.text for each in result.failure.notes if "outer" in each)


@pytest.mark.parametrize("how", ["swallows", "wraps", "groups"])
async def test_a_task_cannot_get_around_a_cancellation(how: str) -> None:
    @flowlang.task
    async def stubborn() -> dict[str, Any]:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            if how == "wraps":
                raise RuntimeError("the driver was interrupted") from error
            if how == "groups":
                raise BaseExceptionGroup("all", [error]) from None
        return {}

    events: list[Event] = []
    flow = "flow: f\nsteps: [{stubborn: {id: s}, retry: 3, continue_on_error: true}, {log: never}]\n"
    handle = flowlang.start(None, text=flow, tasks=[stubborn], on_event=events.append)  # type: ignore[arg-type]
    for _ in range(20):
        await asyncio.sleep(0.001)  # long enough for the watch to have looked
    handle.cancel()
    assert (await handle).status == "cancelled"
    assert "log never" not in story(events)


async def test_the_step_after_a_handled_time_limit_can_wait_and_be_cancelled() -> None:
    """No request to stop is left over from a limit that passed."""
    flow = "flow: f\nsteps: [{nap: {id: a}, timeout: 10ms, continue_on_error: true}, {nap: {id: b}}]\n"
    events: list[Event] = []
    handle = flowlang.start(None, text=flow, tasks=tasks(), on_event=events.append)  # type: ignore[arg-type]
    await until(lambda: "start b (nap)" in story(events))
    handle.cancel()
    assert (await handle).status == "cancelled"
    assert story(events)[-1] == "cancelled b"


async def test_a_run_whose_loop_is_gone_does_not_try_to_wait() -> None:
    service = Service()
    text = "flow: f\nconnections: {c: {type: fake}}\nsteps: [{fake_nap: {id: n}}]\nfinally: [{log: finally}]\n"
    handle = flowlang.start(None, text=text, registry=registry_of(service))  # type: ignore[arg-type]
    await until(lambda: "nap" in service.log)
    handle._task.get_coro().close()  # type: ignore[union-attr]
    handle.cancel()
    await asyncio.wait([handle._task])
