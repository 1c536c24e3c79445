"""What a dry run says is what a run then does: the same calls, in the same order, with the same arguments."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.checking import flowgen
from tests.checking.test_plans import TASKS
from tests.engine.support import JumpingClock, Service, registry_of, tasks
from tests.engine.test_cases import CASES

import flowlang
from flowlang import api
from flowlang.dryrun.records import DryRun
from flowlang.dryrun.scope import BoundSql
from flowlang.dryrun.unknown import Unknown, is_known
from flowlang.events import Event, StepCancelled, StepFailed, StepStarted
from flowlang.tasks.values import Sql

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = 10_000  # turns


async def started(source: Any, inputs: Mapping[str, Any], **options: Any) -> tuple[list[StepStarted], Any]:
    """The calls of a real run, in order, and its result."""
    events: list[Event] = []
    result = await flowlang.run(source, inputs, on_event=events.append, **options)
    return [each for each in events if isinstance(each, StepStarted) and each.inputs is not None], result


def agrees(planned: Any, real: Any) -> bool:
    """Whether a planned value is the real one as far as it is known."""
    if isinstance(planned, Unknown):
        return True
    if isinstance(planned, BoundSql):
        return isinstance(real, Sql) and planned.text == "?".join(real.texts) and agrees(planned.values, real.values)
    if isinstance(planned, dict):
        return (
            isinstance(real, dict)
            and planned.keys() == real.keys()
            and all(agrees(each, real[key]) for key, each in planned.items())
        )
    if isinstance(planned, list):
        return isinstance(real, (list, tuple)) and len(planned) == len(real) and all(map(agrees, planned, real))
    return type(planned) is type(real) and planned == real


def whole(value: Any) -> bool:
    """Whether nothing in a planned value is unknown."""
    return is_known(value.values) if isinstance(value, BoundSql) else is_known(value)


def anywhere(path: str) -> str:
    """The path with every turn of a loop as any turn."""
    return re.sub(r"\[(\d+|\*)\]", "[*]", path)


def ordered(path: str) -> bool:
    """Whether a step runs beside no other."""
    return "parallel" not in path and not path.startswith("p.")


def compare(told: DryRun, real: list[StepStarted], *, smooth: bool = True) -> None:
    """Every real call was planned, with arguments that agree; every certain one came unless something failed; none in
    another order."""
    planned = {entry.call.path: entry for entry, _ in told.calls() if entry.call is not None}
    patterns = {anywhere(path) for path in planned}
    for event in real:
        assert anywhere(event.path) in patterns, f"{event.path} was not planned"
        entry = planned.get(event.path) or planned.get(anywhere(event.path))
        if entry is None:
            continue  # a turn that is not told by itself
        call = entry.call
        assert call is not None
        assert entry.how != "skipped"
        assert (call.operation, call.connection) == (event.operation, event.connection)
        assert agrees(dict(call.arguments), dict(event.inputs or {})), (call.arguments, event.inputs)
    came = {event.path for event in real}
    assert not smooth or [path for path, entry in planned.items() if entry.how == "runs" and path not in came] == []
    order = [path for path in dict.fromkeys(event.path for event in real) if path in planned and ordered(path)]
    assert order == [path for path in planned if path in set(order)]


# ---------------------------------------------------------------- the cases of the engine


@pytest.mark.parametrize("case", CASES)
async def test_the_cases_of_the_engine_do_what_was_planned(case: dict[str, Any], tmp_path: Path) -> None:
    """Each verb, each modifier, each way to fail: what is told is right, and a certain end is the end."""
    for name, text in {**case.get("files", {}), "flow.yaml": case["flow"]}.items():
        (tmp_path / name).write_text(text, "utf-8")
    options = {"tasks": tasks(), "registry": registry_of(Service())}
    told = api.plan(tmp_path / "flow.yaml", case.get("inputs"), **options)
    events: list[Event] = []
    result = await flowlang.run(
        tmp_path / "flow.yaml", case.get("inputs"), on_event=events.append, clock=JumpingClock(), **options
    )
    real = [each for each in events if isinstance(each, StepStarted) and each.inputs is not None]
    failed = any(isinstance(each, (StepFailed, StepCancelled)) for each in events)
    compare(told, real, smooth=not failed)
    if told.ends == "failed":
        assert result.status == "failed"
    if not failed and result.status == "succeeded":
        for output, value in told.outputs.items():
            assert agrees(value, result.outputs[output]), (output, value, result.outputs)


# ---------------------------------------------------------------- the examples


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("hello", {"name": "Ada", "shout": True}),
        ("orders", {}),
        ("orders", {"customer": "Grace", "express": True, "lines": [{"sku": "ink", "quantity": 1}]}),
        ("nobel", {"database": ":memory:", "top": 3}),
        ("nobel", {"database": ":memory:", "extreme": "oldest", "prize": "physics"}),
    ],
)
async def test_the_examples_do_what_was_planned(
    name: str, inputs: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    file = f"examples/{name}.yaml"
    told = api.plan(file, inputs)
    assert os.listdir(tmp_path) == ["examples"], "nothing is opened"
    real, result = await started(file, inputs)
    assert result.status == "succeeded"
    compare(told, real)
    for output, value in told.outputs.items():
        assert agrees(value, result.outputs[output])


# ---------------------------------------------------------------- a corpus


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 120, 20))
async def test_what_is_known_of_a_random_flow_is_what_it_does(first: int) -> None:
    """Tasks that fail, branches that are not decided, values that nobody knows yet: what is said is right."""
    known = 0
    for seed in range(first, first + 20):
        text, expected = flowgen.flow(seed)
        told = api.plan(text=text, inputs=flowgen.INPUTS, tasks=TASKS, turns=EVERYTHING)
        real, result = await started(flowlang.load(text=text, tasks=TASKS), flowgen.INPUTS)
        assert result.outputs == expected
        compare(told, real)
        for output, value in told.outputs.items():
            assert agrees(value, expected[output]), (seed, output, value, expected[output])
            known += is_known(value)
    assert known > 20, "most of it was not known: this proves nothing"


class Decided(flowgen.Generator):
    """Flows in which no value comes from a call: everything is known before."""

    def call(self, known: list[flowgen.Known], depth: int) -> flowgen.Expr:
        return ("twice", next(self.names), self.expression(known))

    def handled(self, known: list[flowgen.Known], depth: int) -> flowgen.Expr:
        return self.call(known, depth)

    def tried(self, known: list[flowgen.Known], depth: int) -> flowgen.Expr:
        return self.choice(known, depth)  # whether a step fails is not known before


CALL = re.compile(r"twice: \{id: (\w+), x: (.*)\}$", re.MULTILINE)


@pytest.mark.parametrize("first", range(0, 60, 10))
async def test_a_flow_of_known_values_does_exactly_what_was_planned(first: int) -> None:
    """On SQLite: the calls of the dry run are those of the run, all of them, in that order, argument by argument."""
    calls = 0
    for seed in range(first, first + 10):
        generator, known = Decided(random.Random(seed)), []  # type: ignore[var-annotated]
        steps = generator.block(known, 2, 8)
        text = CALL.sub(r'sqlite_query: {id: \1, query: "SELECT ? AS v", params: [\2]}', flowgen.yaml(steps, known))
        text = text.replace("steps:\n", 'connections:\n  db: {type: sqlite, database: ":memory:"}\nsteps:\n', 1)
        told = api.plan(text=text, inputs=flowgen.INPUTS, turns=EVERYTHING)
        real, result = await started(flowlang.load(text=text), flowgen.INPUTS)
        assert result.status == "succeeded"
        compare(told, real)
        entries = [entry for entry, _ in told.calls()]
        assert [each.how for each in entries] == ["runs"] * len(real)
        assert all(whole(value) for each in entries if each.call for value in each.call.arguments.values())
        assert told.outputs == result.outputs
        calls += len(real)
    assert calls > 10


def test_a_stream_is_not_known_before_it_is_read() -> None:
    told = api.plan(ROOT / "examples/nobel.yaml")
    call = next(entry.call for entry, _ in told.calls() if entry.call and entry.call.path == "imported")
    assert str(call.arguments["records"]) == "${facts.rows}"
