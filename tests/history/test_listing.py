"""`flowlang runs list|logs|watch`, and runs that are named by the beginning of their ids."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

import flowlang
from flowlang import runs
from flowlang.durable.flows import stored
from flowlang.durable.store import Store
from flowlang.exceptions import StoreError
from flowlang.history.listing import Filter, find, listed

FLOW = stored("orders", "/flows/orders.yaml", {"/flows/orders.yaml": "flow: orders\nsteps: []\n"})
OTHER = stored("other", "/flows/other.yaml", {"/flows/other.yaml": "flow: other\nsteps: []\n"})


async def ids(store: Store, **wanted: Any) -> list[str]:
    return [each.run.id for each in await listed(store, Filter(**wanted))]


async def test_runs_by_flow_state_queue_and_time(store: Store) -> None:
    for number in range(3):
        await store.add(FLOW, "{}", {}, run_id=f"a{number}")
    await store.add(OTHER, "{}", {}, run_id="b0", queue="slow")
    done = await store.add(OTHER, "{}", {}, run_id="b1", owner="nobody")
    assert await store.finish(done, "failed")
    assert set(await ids(store)) == {"a0", "a1", "a2", "b0", "b1"}
    assert (await ids(store))[0] == "b1", "the newest first"
    assert set(await ids(store, flow="orders")) == {"a0", "a1", "a2"}
    assert await ids(store, states=frozenset({"failed"})) == ["b1"]
    assert set(await ids(store, states=frozenset({"failed", "queued"}), flow="other")) == {"b0", "b1"}
    assert await ids(store, queue="slow") == ["b0"]
    assert await ids(store, id="b", limit=1) == ["b1"]
    assert await ids(store, since=time.time() + 60) == []
    assert len(await ids(store, until=time.time() + 60)) == 5


async def test_a_run_whose_process_is_gone_is_told_as_that(store: Store, flows: Any) -> None:
    run_id = await flows.lost(store, flows.write("- look: {id: a}"), "a")
    await store.add(FLOW, "{}", {}, run_id="in-memory", owner="gone", durable=False)
    assert await ids(store, states=frozenset({"interrupted"})) == [run_id]
    assert await ids(store, states=frozenset({"lost"})) == ["in-memory"]
    assert await ids(store, states=frozenset({"running"})) == []
    assert [each.id for each in await runs.interrupted(store)] == [run_id]
    with pytest.raises(StoreError, match="only recorded"):
        await runs.resume("in-mem", store=store)


async def test_a_limit_counts_those_that_are_in_the_state_asked_for(file_store: Store, flows: Any) -> None:
    run_id = await flows.lost(file_store, flows.write("- look: {id: a}"), "a")
    async with runs.hosting(file_store) as host:
        await file_store.add(FLOW, "{}", {}, run_id="alive", owner=host.executor.id)
        assert await ids(file_store, states=frozenset({"running"}), limit=1) == ["alive"]
        assert await ids(file_store, states=frozenset({"interrupted"}), limit=1) == [run_id]


async def test_the_beginning_of_an_id_is_enough_while_it_is_the_only_one(store: Store) -> None:
    for name in ("abc-1", "abd-2", "xyz"):
        await store.add(FLOW, "{}", {}, run_id=name)
    assert (await find(store, "abc")).id == "abc-1"
    with pytest.raises(StoreError, match=r"several runs begin with `ab`: .*`abc-1`"):
        await find(store, "ab")
    for wrong in ("nope", "", "a%", "ab_", "x\0y", "..", "x" * 300):
        with pytest.raises(StoreError):
            await find(store, wrong)
    assert {each.run.id: each.short for each in await listed(store, Filter())} == {
        "abc-1": "abc-1",
        "abd-2": "abd-2",
        "xyz": "xyz",
    }
    for name in ("12345678-a", "12345678-b", "12345679-a"):
        await store.add(FLOW, "{}", {}, run_id=name)
    assert [each.short for each in await listed(store, Filter(id="1"))] == ["12345679", "12345678-b", "12345678-a"]
    assert [each.short for each in await listed(store, Filter(id="12345678-b"))] == ["12345678-b"]


async def test_the_table_and_the_array(file_store: Store, flows: Any, cli: Callable[..., Any]) -> None:
    flows.broken("a")
    result = await runs.run(flows.write("- look: {id: a, value: it}"), store=file_store)
    code, shown, _ = await cli("runs", "list", "--state", "failed,lost", "--since", "1h", "--store", file_store.url)
    assert code == 0
    assert str(result.run_id)[:8] in shown
    assert "a: task: it cannot be looked at" in shown
    code, shown, _ = await cli("runs", "list", "--json", "--store", file_store.url)
    assert [each["run_id"] for each in json.loads(shown)] == [result.run_id]
    code, shown, err = await cli("runs", "list", "--flow", "none", "--store", file_store.url)
    assert (code, shown, err) == (0, "", "no runs\n")


async def test_each_filter_of_the_command(file_store: Store, cli: Callable[..., Any]) -> None:
    await file_store.add(FLOW, "{}", {}, run_id="a1")
    await file_store.add(OTHER, "{}", {}, run_id="b1", queue="slow")
    done = await file_store.add(FLOW, "{}", {}, run_id="b2", owner="nobody")
    assert await file_store.finish(done, "failed")
    for words, wanted in (
        (["b"], {"b1", "b2"}),
        (["--flow", "other"], {"b1"}),
        (["--queue", "slow"], {"b1"}),
        (["--state", "failed", "--state", "queued"], {"a1", "b1", "b2"}),
        (["--until", "1h"], set()),
        (["--since", "2026-01-01T08:00", "--state", "failed"], {"b2"}),
        (["--limit", "1"], {"b2"}),
    ):
        code, shown, _ = await cli("runs", "list", *words, "--json", "--store", file_store.url)
        assert (code, {each["run_id"] for each in json.loads(shown)}) == (0, wanted), words


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--state", "fialed"], "did you mean `failed`?"), (["--since", "yesterday"], "neither a time")],
)
async def test_filters_that_make_no_sense(words: list[str], told: str, cli: Callable[..., Any]) -> None:
    code, _, err = await cli("runs", "list", *words)
    assert code == 2
    assert told in err


async def test_logs_as_lines_and_as_events(file_store: Store, flows: Any, cli: Callable[..., Any]) -> None:
    run_id = await flows.lost(file_store, flows.write("- log: hello\n- look: {id: a, value: 1}"), "a")
    await runs.resume(run_id, store=file_store)
    code, shown, _ = await cli("runs", "logs", run_id[:8], "--store", file_store.url)
    assert code == 0
    lines = [line.split(" ", 2)[2] for line in shown.splitlines()]
    assert lines[0] == "began"
    assert [line for line in lines if "hello" in line] == [lines[1]]
    assert "went on" in lines
    assert lines[-1] == "succeeded"
    code, shown, _ = await cli("runs", "logs", run_id[:8], "--json", "--store", file_store.url)
    kinds = [json.loads(line)["event"] for line in shown.splitlines()]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"


async def test_logs_are_followed_to_the_end(file_store: Store, flows: Any, cli: Callable[..., Any]) -> None:
    async with runs.hosting(file_store) as host:
        handle = await runs.begin(host, flowlang.load(flows.write("- wait: {signal: go}\n- log: gone on")))
        reading = asyncio.create_task(cli("runs", "logs", str(handle.run_id), "--follow", "--store", file_store.url))
        await runs.send_signal(str(handle.run_id), "go", store=file_store)
        await handle
        code, shown, _ = await reading
    assert code == 0
    assert "gone on" in shown
    assert shown.endswith("succeeded\n")


async def test_a_run_is_watched_to_its_end(store: Store, store_url: str, flows: Any, cli: Callable[..., Any]) -> None:
    flows.broken("b")
    steps = "- id: go\n  wait: {signal: go}\n- look: {id: b, value: it}"
    async with runs.hosting(store) as host:
        handle = await runs.begin(host, flowlang.load(flows.write(steps)))
        watching = asyncio.create_task(cli("runs", "watch", str(handle.run_id)[:12], "--store", store_url))
        await runs.send_signal(str(handle.run_id), "go", store=store)
        assert (await handle).status == "failed"
        code, _, err = await watching
    assert code == 1
    assert "failed b  look" in err
    assert "id: b" in err, "the snippet"
