"""Runs that share connections: one instance for all, whoever comes, fails, or is cancelled; and its owner closes it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engine.support import Service, registry_of, until

import flowlang
from flowlang.connections.registry import PluginRegistry
from flowlang.events import ConnectionClosed, ConnectionOpened, Event

FLOW = """
flow: shared
connections: {c: {type: fake, url: "${default(env.URL, 'there')}", password: "${default(env.PASSWORD, 'pw-of-all')}"}}
steps:
  - fake_op: {id: a}
outputs: [{name: instance, value: "${a.instance}"}]
"""
NAPPING = FLOW.replace("fake_op", "fake_nap").replace("a.instance", "1")


class Stage:
    """A service, and runs that share connections to it."""

    def __init__(self, **options: Any) -> None:
        self.service = Service(shareable=True, **options)
        self.registry: PluginRegistry = registry_of(self.service)

    async def run(self, text: str = FLOW, pools: flowlang.Pools | None = None, **options: Any) -> flowlang.RunResult:
        return await flowlang.run(text=text, registry=self.registry, pools=pools, **options)

    def start(self, text: str, pools: flowlang.Pools, **options: Any) -> flowlang.RunHandle:
        flow = flowlang.load(text=text, registry=self.registry, **options)
        return flowlang.start(flow, registry=self.registry, pools=pools)


@pytest.fixture
def stage() -> Iterator[Stage]:
    found = Stage()
    yield found
    assert found.service.clean()
    assert found.service.count("connect") == found.service.count("disconnect")


async def test_runs_one_after_the_other_connect_once(stage: Stage) -> None:
    async with flowlang.Pools() as pools:
        results = [await stage.run(pools=pools) for _ in range(20)]
        assert stage.service.open == [1]
    assert {each.outputs["instance"] for each in results} == {1}
    assert stage.service.log.count("connect 1") == stage.service.log.count("disconnect 1") == 1


async def test_without_pools_each_run_has_its_own(stage: Stage) -> None:
    results = await asyncio.gather(*(stage.run() for _ in range(3)))
    assert {each.outputs["instance"] for each in results} == {1, 2, 3}


async def test_a_plugin_that_is_not_shareable_is_not_shared() -> None:
    stage = Stage()
    stage.service.shareable = False
    stage.registry = registry_of(stage.service)
    async with flowlang.Pools() as pools:
        results = [await stage.run(pools=pools) for _ in range(2)]
    assert {each.outputs["instance"] for each in results} == {1, 2}


async def test_runs_that_begin_at_once_wait_for_one_opening(stage: Stage) -> None:
    async with flowlang.Pools() as pools:
        results = await asyncio.gather(*(stage.run(pools=pools) for _ in range(100)))
        assert stage.service.instances == 1
    assert all(each.succeeded for each in results)


async def test_an_opening_that_fails_is_told_to_all_and_tried_anew_by_the_next(stage: Stage) -> None:
    async def fails(number: int) -> None:
        if number == 1:
            await asyncio.sleep(0)
            raise ConnectionRefusedError("not at pw-of-all")

    stage.service.hooks["connect"] = fails
    async with flowlang.Pools() as pools:
        results = await asyncio.gather(*(stage.run(pools=pools) for _ in range(10)))
        assert stage.service.instances == 1
        assert stage.service.open == []
        assert (await stage.run(pools=pools)).outputs == {"instance": 2}
    failures = [each.failure for each in results]
    assert {each.type for each in failures if each is not None} == {"connect"}
    assert len([each for each in failures if each is not None and "pw-of-all" not in each.detail]) == 10


async def test_who_waits_for_an_opening_that_fails_retries_by_its_own_policy(stage: Stage) -> None:
    async def fails(number: int) -> None:
        if number < 3:
            raise ConnectionRefusedError("later")

    stage.service.hooks["connect"] = fails
    text = FLOW.replace("steps:", "defaults: {retry: {max_attempts: 3, delay: 1ms}}\nsteps:")
    async with flowlang.Pools() as pools:
        results = await asyncio.gather(*(stage.run(text, pools=pools) for _ in range(5)))
    assert all(each.succeeded for each in results)


async def test_cancelling_the_run_that_opens_takes_nothing_from_the_others(stage: Stage) -> None:
    opening, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(number: int) -> None:
        opening.set()
        await go_on.wait()

    stage.service.hooks["connect"] = slowly
    async with flowlang.Pools() as pools:
        first = stage.start(FLOW, pools)
        await opening.wait()
        second = stage.start(FLOW, pools)
        first.cancel()
        assert (await first).status == "cancelled"
        go_on.set()
        assert (await second).outputs == {"instance": 1}


async def test_an_opening_that_nobody_waits_for_any_more_is_given_up(stage: Stage) -> None:
    opening = asyncio.Event()

    async def for_ever(number: int) -> None:
        opening.set()
        await asyncio.sleep(3600)

    stage.service.hooks["connect"] = for_ever
    async with flowlang.Pools() as pools:
        handles = [stage.start(FLOW, pools) for _ in range(3)]
        await opening.wait()
        for each in handles:
            each.cancel()
        assert {(await each).status for each in handles} == {"cancelled"}
        assert stage.service.open == []


async def test_a_cancelled_run_gives_back_its_leases_and_no_more(stage: Stage) -> None:
    async with flowlang.Pools() as pools:
        handles = [stage.start(NAPPING, pools) for _ in range(4)]
        await until(lambda: stage.service.count("nap") == 4)
        handles[0].cancel()
        assert (await handles[0]).status == "cancelled"
        assert len(stage.service.leased) == 3
        assert (await stage.run(pools=pools)).outputs == {"instance": 1}
        for each in handles[1:]:
            each.cancel()
        await asyncio.gather(*handles)


async def test_different_settings_never_share(stage: Stage) -> None:
    secret = "a-secret-of-one"
    async with flowlang.Pools() as pools:
        ends = [
            await stage.run(text, pools=pools, env=env)
            for text, env in (
                (FLOW, {}),
                (FLOW, {"PASSWORD": secret}),
                (FLOW, {"URL": "elsewhere"}),
                (FLOW.replace("type: fake,", "type: fake, connect_timeout: 5s,"), {}),
                (FLOW, {"PASSWORD": secret}),
                (FLOW.replace("type: fake,", "type: fake, acquire_timeout: 5s,"), {}),
            )
        ]
        kept = repr(vars(pools))
    assert [each.outputs["instance"] for each in ends] == [1, 2, 3, 4, 2, 1]
    assert secret not in kept


async def test_another_class_of_the_same_name_does_not_share(stage: Stage) -> None:
    other = registry_of(stage.service)
    async with flowlang.Pools() as pools:
        first = await stage.run(pools=pools)
        second = await flowlang.run(text=FLOW, registry=other, pools=pools)
    assert (first.outputs, second.outputs) == ({"instance": 1}, {"instance": 2})


async def test_a_single_client_that_broke_is_replaced_for_all_runs() -> None:
    stage = Stage(single=True)
    breaking = FLOW.replace("fake_op: {id: a}", "fake_fail: {id: a, error: connection_lost, times: 1}")
    waiting = FLOW.replace("steps:", "steps:\n  - wait: {signal: go}")
    async with flowlang.Pools() as pools:
        other = stage.start(waiting, pools)
        await until(lambda: stage.service.open)
        broken = await stage.run(breaking, pools=pools)
        assert broken.failure is not None
        assert broken.failure.type == "connection_lost"
        assert stage.service.open == []  # its last lease is back
        other.signal("go")
        assert (await other).outputs == {"instance": 2}
        assert (await stage.run(pools=pools)).outputs == {"instance": 2}
    assert stage.service.clean()
    assert stage.service.count("connect") == stage.service.count("disconnect") == 2


# ---------------------------------------------------------------- rest, age and end


async def test_the_last_run_closes_it_when_nothing_is_to_be_idle(stage: Stage) -> None:
    async with flowlang.Pools(idle=0) as pools:
        await asyncio.gather(*(stage.run(pools=pools) for _ in range(5)))
        assert stage.service.open == []
        assert (await stage.run(pools=pools)).outputs == {"instance": 2}
        assert stage.service.open == []


async def test_what_is_idle_for_long_is_closed(stage: Stage) -> None:
    closed = asyncio.Event()

    async def noted(number: int) -> None:
        closed.set()

    stage.service.hooks["disconnect"] = noted
    async with flowlang.Pools(idle=0.01) as pools:
        await stage.run(pools=pools)
        await asyncio.wait_for(closed.wait(), 30)
        assert (await stage.run(pools=pools)).outputs == {"instance": 2}


async def test_what_is_old_is_given_to_no_further_run(stage: Stage) -> None:
    async with flowlang.Pools(lifetime=1e-9) as pools:
        long = stage.start(NAPPING, pools)
        await until(lambda: stage.service.count("nap") == 1)
        assert (await stage.run(pools=pools)).outputs == {"instance": 2}
        assert 1 in stage.service.open
        long.cancel()
        await long
        assert 1 not in stage.service.open


async def test_the_block_waits_for_the_runs_that_go_on(stage: Stage) -> None:
    waiting = FLOW.replace("steps:", "steps:\n  - wait: {signal: go}")
    async with flowlang.Pools() as pools:
        handle = stage.start(waiting, pools)
        asyncio.get_running_loop().call_later(0.01, handle.signal, "go")
    assert handle.done
    assert (await handle).succeeded


async def test_a_block_that_raises_closes_at_once(stage: Stage) -> None:
    async def interrupted() -> None:
        async with flowlang.Pools() as pools:
            begun.append(stage.start(FLOW.replace("steps:", "steps:\n  - wait: {signal: go}"), pools))
            await until(lambda: stage.service.open)
            raise LookupError

    begun: list[flowlang.RunHandle] = []
    with pytest.raises(LookupError):
        await interrupted()
    (handle,) = begun
    assert stage.service.open == []
    handle.signal("go")
    result = await handle
    assert result.failure is not None
    assert (result.failure.type, result.failure.retryable) == ("connect", False)


async def test_trouble_in_closing_is_logged_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()

    async def fails(number: int) -> None:
        raise OSError("pw-of-all did not like it")

    stage.service.hooks["disconnect"] = fails
    async with flowlang.Pools() as pools:
        assert (await stage.run(pools=pools)).succeeded
    assert "did not like it" in caplog.text
    assert "pw-of-all" not in caplog.text


def test_nothing_keeps_the_loop_or_outlives_it() -> None:
    """A program that ends with idle connections ends at once, and closes them."""
    stage = Stage()

    async def main() -> None:
        async with flowlang.Pools(idle=3600) as pools:
            await stage.run(pools=pools)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert stage.service.clean()
    gc.collect()


def test_pools_belong_to_the_loop_and_the_block_they_were_opened_in(stage: Stage) -> None:
    pools = flowlang.Pools()

    async def opened() -> None:
        async with pools:
            with pytest.raises(RuntimeError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, stage.run(pools=pools))

    async def used() -> None:
        await stage.run(pools=pools)

    with pytest.raises(RuntimeError, match="not open"):
        asyncio.run(used())
    asyncio.run(opened())
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(used())
    with pytest.raises(RuntimeError, match="make new ones"):
        asyncio.run(opened())
    with pytest.raises(ValueError, match="idle"):
        flowlang.Pools(idle=-1)


async def test_each_run_is_told_of_the_connection_it_has(stage: Stage) -> None:
    events: list[Event] = []
    async with flowlang.Pools() as pools:
        for _ in range(2):
            await stage.run(pools=pools, on_event=events.append)
    assert [type(each) for each in events if isinstance(each, (ConnectionOpened, ConnectionClosed))] == [
        ConnectionOpened, ConnectionClosed,
    ] * 2  # fmt: skip


# ---------------------------------------------------------------- leases that are kept

HEAD = "flow: nested\nconnections: {c: {type: fake}, d: {type: fake, label: other}}\nsteps:\n"
KEPT = {
    "stream": HEAD + """  - fake_stream: {id: s, connection: c}
  - pause: {}
  - for_each: "${s.rows}"
    do: [{fake_op: {connection: c}}]
""",
    "two streams": HEAD + """  - fake_stream: {id: s, connection: c}
  - pause: {}
  - fake_stream: {id: t, connection: d}
  - for_each: "${s.rows}"
    do: [{fake_op: {connection: d}}]
""",
    "transaction": HEAD + """  - transaction: c
    do:
      - fake_op: {connection: c}
      - pause: {}
      - fake_op: {connection: d}
""",
}  # fmt: skip


@pytest.mark.parametrize("kind", KEPT)
async def test_runs_that_keep_leases_never_wait_for_one_another(kind: str) -> None:
    """Each of ten runs keeps a handle while it needs another, from a pool of two, or from each other's."""
    stage = Stage(capacity=2)
    go = asyncio.Event()

    @flowlang.task(effect="none")
    async def pause() -> None:
        await go.wait()

    text = KEPT[kind]
    mirrored = text.replace("connection: c", "connection: X").replace("connection: d", "connection: c")
    mirrored = mirrored.replace("connection: X", "connection: d").replace("transaction: c", "transaction: d")
    async with flowlang.Pools() as pools:
        runs = [stage.start(each, pools, tasks=[pause]) for each in (text, mirrored) for _ in range(5)]
        await until(lambda: len(stage.service.leased) == 4)  # both pools are empty
        go.set()
        results = await asyncio.wait_for(asyncio.gather(*runs), 20)
    assert [each.failure for each in results] == [None] * 10
    assert stage.service.clean()
    assert stage.service.crossed == []


async def test_the_pool_bounds_what_all_runs_lease() -> None:
    stage = Stage(capacity=3)
    most = 0

    async def counted(number: int) -> None:
        nonlocal most
        most = max(most, len(stage.service.leased))

    stage.service.hooks["release"] = counted
    async with flowlang.Pools() as pools:
        results = await asyncio.gather(*(stage.run(pools=pools) for _ in range(50)))
    assert all(each.succeeded for each in results)
    assert most <= 3
    assert stage.service.instances == 1


async def test_a_subflow_shares_with_its_caller(stage: Stage, tmp_path: Any) -> None:
    (tmp_path / "inner.yaml").write_text(FLOW)
    outer = FLOW.replace("- fake_op: {id: a}", "- {id: b, subflow: inner.yaml}\n  - fake_op: {id: a}").replace(
        "outputs: [", 'outputs: [{name: inner, value: "${b.instance}"}, '
    )
    (tmp_path / "outer.yaml").write_text(outer)
    async with flowlang.Pools() as pools:
        result = await flowlang.run(tmp_path / "outer.yaml", registry=stage.registry, pools=pools)
    assert result.outputs == {"inner": 1, "instance": 1}
