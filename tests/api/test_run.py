"""`run`, `start` and `run_sync`: results, refusals, secrets and variables, cancellation from outside."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import flowlang
from flowlang.connections import ConnectionPlugin, PluginRegistry
from flowlang.events import Event, LogWritten

SECRETS = """\
flow: s
connections:
  db: {type: sqlite, database: "${env.DB_FILE}"}
vars: {mode: "${env.MODE}"}
steps:
  - set: {a: "${secrets.first}", b: "${secrets.second}"}
    id: s
"""
ONE = """\
flow: one
connections:
  db: {type: sqlite, database: ":memory:"}
steps:
  - sqlite_query: {id: q, query: SELECT 1 AS n}
outputs:
  - {name: n, value: "${q.rows[0].n}"}
"""
SLEEP = """\
flow: slow
steps:
  - nap: {id: n}
on_cancel:
  - log: cancelled
finally:
  - log: finally
"""


@flowlang.task(effect="none")
async def nap() -> None:
    await asyncio.sleep(60)


def logs(events: list[Event]) -> list[str]:
    return [each.message for each in events if isinstance(each, LogWritten)]


def test_a_result_has_the_shape_that_is_documented() -> None:
    record = flowlang.run_sync(text="flow: f\nsteps:\n  - log: hi\n").to_record()
    assert list(record) == ["run_id", "flow", "status", "outputs", "error", "reason", "started_at", "duration_ms"]
    assert (record["flow"], record["status"], record["outputs"], record["error"]) == ("f", "succeeded", {}, None)


def test_a_refused_run_is_invalid_and_has_no_id() -> None:
    flow = "flow: f\ninputs:\n  - {name: n, type: integer, required: true}\nsteps:\n  - log: hi\n"
    result = flowlang.run_sync(text=flow, inputs={"n": "5", "m": 1})
    record = result.to_record()
    assert (record["run_id"], record["status"], record["error"]["type"]) == (None, "invalid", "validation")
    assert {each.code for each in result.findings} == {"invalid-input", "unknown-input"}


def test_a_finding_on_an_input_underlines_the_name_that_it_is_about() -> None:
    """One that is not declared: the declared one that was meant, or else the key `inputs`, or the flow's name."""
    flow = "flow: f\ninputs:\n  - {name: amount, type: integer, required: true}\nsteps:\n  - log: hi\n"
    rows = flow.splitlines()
    found = flowlang.run_sync(text=flow, inputs={"amuont": 1, "colour": "red"}).findings
    spots = {}
    for each in found:
        start, end = each.span.start, each.span.end
        assert start.line == end.line
        spots[each.message] = (start.line, rows[start.line - 1][start.column - 1 : end.column - 1])
    assert spots == {
        "the flow has no input `amuont`": (3, "amount"),
        "the flow has no input `colour`": (2, "inputs"),
        "input `amount` (integer, required) is missing": (3, "amount"),
    }
    (none,) = flowlang.run_sync(text="flow: f\nsteps:\n  - log: hi\n", inputs={"n": 1}).findings
    assert (str(none.span.start), str(none.span.end)) == ("1:7", "1:8")


def test_a_setting_that_is_refused_when_the_run_starts_is_underlined() -> None:
    flow = "flow: f\nconnections:\n  db: {type: sqlite, database: ':memory:', pool_size: '${env.SIZE}'}\nsteps:\n"
    flow += "  - sqlite_query: {query: SELECT 1}\n"
    (found,) = flowlang.run_sync(text=flow, env={"SIZE": "many"}).findings
    assert flow.splitlines()[2][found.span.start.column - 1 : found.span.end.column - 1] == "'${env.SIZE}'"


def test_every_missing_secret_and_variable_is_named_at_once_with_its_place() -> None:
    result = flowlang.run_sync(text=SECRETS, env={})
    assert [(each.message, each.span.start.line) for each in result.findings] == [
        ("the variable `DB_FILE` of the environment is not set", 3),
        ("the variable `MODE` of the environment is not set", 4),
        ("secret `first` is not set", 6),
        ("secret `second` is not set", 6),
    ]
    assert flowlang.check(text=SECRETS).ok


def test_secrets_come_from_the_caller_then_a_folder_then_the_environment(tmp_path: Path) -> None:
    flow = """\
flow: s
steps:
  - set: {a: "${hash(secrets.one)}", b: "${hash(secrets.two)}", c: "${hash(secrets.three)}"}
    id: s
  - show: {a: "${secrets.one}", b: "${secrets.two}", c: "${secrets.three}"}
"""
    seen: list[str] = []

    @flowlang.task(effect="none")
    def show(a: str, b: str, c: str) -> None:
        seen.extend([a, b, c])

    (tmp_path / "one").write_text("from-folder-1\n")
    (tmp_path / "two").write_text("from-folder-2\n")
    env = {
        "FLOWLANG_SECRETS_DIR": str(tmp_path),
        "FLOWLANG_SECRET_one": "from-env-1",
        "FLOWLANG_SECRET_THREE": "from-env-3",
    }
    result = flowlang.run_sync(text=flow, secrets={"one": "from-caller"}, env=env, tasks=[show])
    assert result.succeeded, result.failure
    assert seen == ["from-caller", "from-folder-2", "from-env-3"]


def test_default_makes_a_variable_optional() -> None:
    flow = """\
flow: f
vars: {mode: "${default(env.MODE, 'calm')}"}
steps: [{log: "${vars.mode}"}]
outputs: [{name: m, value: "${vars.mode}"}]
"""
    assert flowlang.run_sync(text=flow, env={}).outputs == {"m": "calm"}
    assert flowlang.run_sync(text=flow, env={"MODE": "wild"}).outputs == {"m": "wild"}


async def test_a_cancelled_handle_cleans_up_and_gives_a_result() -> None:
    events: list[Event] = []
    handle = flowlang.start(flowlang.load(text=SLEEP, tasks=[nap]), on_event=events.append)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    handle.cancel()
    handle.cancel()
    result = await handle
    assert (result.status, logs(events)) == ("cancelled", ["cancelled", "finally"])


async def test_a_cancelled_caller_waits_for_the_clean_up() -> None:
    events: list[Event] = []
    napping = asyncio.Event()

    @flowlang.task(name="nap", effect="none")
    async def rest() -> None:
        napping.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(flowlang.run(text=SLEEP, tasks=[rest], on_event=events.append))
    await napping.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert logs(events) == ["cancelled", "finally"]
    assert len(asyncio.all_tasks()) == 1


def test_a_flow_runs_twice_in_two_loops() -> None:
    flow = flowlang.load(text=ONE)
    assert [flowlang.run_sync(flow).outputs for _ in range(2)] == [{"n": 1}, {"n": 1}]


def test_start_refuses_with_an_exception() -> None:
    async def begin() -> None:
        flowlang.start("no-such-file.yaml")

    with pytest.raises(flowlang.InvalidFlowError):
        asyncio.run(begin())


def test_variables_of_the_process_are_seen_by_default_and_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only a dict handed over: the environment of the process, too, can be asked with `default` and `has`."""
    monkeypatch.setenv("FLOW_TEST_THERE", "yes")
    flow = """\
flow: f
vars: {a: "${default(env.FLOW_TEST_THERE, 'no')}", b: "${default(env.FLOW_TEST_GONE, 'no')}"}
steps: [{log: "${vars.a}"}]
outputs: [{name: found, value: "${vars.a} ${vars.b}"}]
"""
    assert flowlang.run_sync(text=flow).outputs == {"found": "yes no"}


def test_a_plugin_that_changes_its_config_changes_it_for_nobody_else() -> None:
    """The config of a flow that is kept, handed to two connections and two runs, is the same each time."""
    seen: list[str] = []

    class Greedy(ConnectionPlugin):
        name = "greedy"
        description = "changes what it is given"
        version = "1.0.0"

        def get_config_schema(self) -> dict[str, Any]:
            return {"type": "object", "properties": {"o": {"type": "object"}}}

        async def connect(self, config: dict[str, Any]) -> object:
            seen.append(repr(config))
            config["o"]["x"] = 99
            return self

        async def disconnect(self) -> None:
            pass

        async def get_connection(self) -> object:
            return self

    registry = PluginRegistry(discover=False)
    registry.register(Greedy)
    flow = "flow: f\nconnections: {a: {type: greedy, o: {x: 1}}, b: {type: greedy, o: {x: 1}}}\nsteps: [{log: hi}]\n"
    for _ in range(2):
        assert flowlang.run_sync(text=flow, registry=registry).succeeded
    assert seen == ["{'o': {'x': 1}}"] * 4


@pytest.mark.parametrize("begun", [False, True], ids=["before its first turn", "while it waits"])
async def test_a_branch_that_somebody_else_cancels_fails_the_block(begun: bool) -> None:
    """The join neither waits for ever for a branch that never reports, nor takes its silence for success."""
    flow = """\
flow: f
steps:
  - parallel:
      - nap: {id: a}
      - nap: {id: b}
"""
    before = asyncio.all_tasks()
    napping = asyncio.Event()

    @flowlang.task(name="nap", effect="none")
    async def rest() -> None:
        napping.set()
        await asyncio.sleep(60)

    running = asyncio.create_task(flowlang.run(text=flow, tasks=[rest]))
    if begun:
        await napping.wait()
    while True:
        branches = [each for each in asyncio.all_tasks() - before if "_branch" in repr(each.get_coro())]
        if branches:
            break
        await asyncio.sleep(0)
    branches[-1].cancel()
    result = await asyncio.wait_for(running, 30)
    assert result.status == "failed"
    assert result.failure is not None
    assert result.failure.type == "cancelled"
    assert asyncio.all_tasks() == before
