"""The plan that a valid flow becomes: it computes what the flow says, and it is made once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.checking import flowgen
from tests.checking.plugins import MemoPlugin, registry

import flowlang
from flowlang.plan import Choose, Log, Loop, Modified, Parallel, Plan, Repeat, Step, Subflow, Switch, Try


@flowlang.task
async def twice(x: int) -> dict:
    return {"v": 2 * x}


@flowlang.task
async def boom(x: int) -> dict:
    raise ValueError("as it should")


TASKS = [twice, boom]

# ---------------------------------------------------------------- what it computes


@pytest.mark.parametrize("first", range(0, 100, 10))
async def test_a_random_flow_gives_what_an_interpreter_gives(first: int) -> None:
    """Branches, loops, parallel and failed steps put every value where later expressions read it."""
    for seed in range(first, first + 10):
        text, expected = flowgen.flow(seed)
        flow = flowlang.load(text=text, tasks=TASKS)
        result = await flowlang.run(flow, flowgen.INPUTS)
        assert result.status == "succeeded", (result.failure, text)
        assert result.outputs == expected, text


# ---------------------------------------------------------------- paths and places


def paths(steps: Sequence[Step], frame: str = "") -> Iterator[str]:
    """The paths of all steps, those in loop turns under the loop's, as the engine puts them together."""
    for step in steps:
        if isinstance(step, Modified):
            yield from paths(step.handler or (), frame)
            yield from paths([step.body], frame)
            continue
        yield frame + step.site.path
        if isinstance(step, Choose):
            for _, body in step.branches:
                yield from paths(body, frame)
            yield from paths(step.otherwise, frame)
        elif isinstance(step, Switch):
            for _, body in step.cases:
                yield from paths(body, frame)
            yield from paths(step.default, frame)
        elif isinstance(step, Parallel):
            for body in step.branches:
                yield from paths(body, frame)
        elif isinstance(step, Try):
            for body in (step.body, *(each.body for each in step.handlers), step.finally_):
                yield from paths(body, frame)
        elif isinstance(step, (Loop, Repeat)):
            yield from paths(step.body, f"{frame}{step.site.path}[]/")


def plan_of(text: str, **options: object) -> Plan:
    checked = flowlang.check(text=text, **options)  # type: ignore[arg-type]
    assert checked.plan is not None, [str(each) for each in checked.findings]
    return checked.plan


@pytest.mark.parametrize("seed", range(300, 330))
def test_every_step_has_a_path_of_its_own(seed: int) -> None:
    """A path names one step: journals and events tell steps apart by it."""
    plan = plan_of(flowgen.flow(seed, size=12)[0], tasks=TASKS)
    found = Counter(paths(plan.steps))
    assert found
    assert [path for path, count in found.items() if count > 1] == []


def test_branches_that_exclude_each_other_share_a_place() -> None:
    """The same id in two branches is read from one place behind them, and a retry of the whole empties it."""
    text = """
flow: f
inputs: [{name: a, type: boolean, default: true}, {name: b, type: boolean, default: true}]
steps:
  - if: inputs.a
    then:
      - {id: x, set: {n: 1}}
    else:
      - if: inputs.b
        retry: 2
        then:
          - {id: x, set: {n: 2}}
        else:
          - {id: x, set: {n: 3}}
  - log: "${x.n}"
"""
    outer = plan_of(text).steps[0]
    assert isinstance(outer, Choose)
    (first,) = outer.branches[0][1]
    (inner,) = outer.otherwise
    assert isinstance(inner, Modified)
    assert isinstance(inner.body, Choose)
    places = [first.slot, inner.body.branches[0][1][0].slot, inner.body.otherwise[0].slot]  # type: ignore[union-attr]
    assert len(set(places)) == 1
    assert inner.slots == (places[0],)


def test_equal_operations_are_one() -> None:
    """The same task on the same connection is one operation, on another connection another."""
    text = """
flow: f
connections: {a: {type: memo}, b: {type: memo}}
steps:
  - memo_find: {connection: a}
  - memo_find: {connection: a}
  - memo_find: {connection: b}
"""
    plan = plan_of(text, registry=registry())
    assert [each.connection_name for each in plan.operations] == ["a", "b"]


# ---------------------------------------------------------------- secrets


def test_what_a_secret_feeds_is_marked() -> None:
    """Taint follows secrets through sets, loops, objects, functions and task outputs, and stops where it should."""
    text = """
flow: f
inputs:
  - {name: pin, type: string, secret: true, default: a}
  - {name: keys, type: array, secret: true, default: []}
connections: {notes: {type: memo}}
steps:
  - id: s
    set:
      a: ${secrets.A}
      b: "x ${inputs.pin}"
      c: ${json(inputs)}
      d: ${inputs.keys[0]}
      e: {f: "${secrets.A}", g: 1}
  - id: t
    set: {a: "${s.a}", b: "${s.e.g}", c: "${s.e}", d: "${json(s)}", e: "${len(s.b) > 1}", f: plain}
  - for_each: ${inputs.keys}
    do:
      - log: "${item}"
  - memo_find: {id: n}
  - id: u
    set: {token: "${n.token}", total: "${n.total}"}
  - memo_save: {entry: {key: "${s.a}"}, password: literal}
  - log: "${s.a}"
  - log: "${s.e.g}"
  - raise: {message: "${n.token}"}
outputs:
  - {name: token, value: "${t.a}"}
  - {name: plain, value: "${t.f}"}
"""
    plan = plan_of(text, registry=registry())
    first, second, loop, find, third, save, log, other, failed = plan.steps
    assert first.secret_names == {"a", "b", "c", "d", "e"}
    assert second.secret_names == {"a", "c", "d", "e"}
    assert loop.body[0].secret
    assert find.secret_outputs
    assert third.secret_names == {"token"}
    assert save.secret_arguments == {"entry", "password"}
    assert (log.secret, other.secret, failed.secret) == (True, False, True)
    assert [each.secret for each in plan.outputs] == [True, False]
    assert list(plan.secret_names) == ["A"]


def test_a_subflow_keeps_the_taint(tmp_path: Path) -> None:
    """A secret output of a subflow is secret to its caller, and so is a declared secret input."""
    (tmp_path / "inner.yaml").write_text(
        "flow: inner\ninputs: [{name: pin, type: string, secret: true, required: true}, {name: x, type: string}]\n"
        "steps: [{log: hello}]\noutputs: [{name: pin, value: '${inputs.pin}'}, {name: x, value: '${inputs.x}'}]\n"
    )
    outer = tmp_path / "outer.yaml"
    outer.write_text(
        "flow: outer\nsteps:\n  - {subflow: inner, id: i, inputs: {pin: a, x: b}}\n"
        "outputs: [{name: pin, value: '${i.pin}'}, {name: x, value: '${i.x}'}]\n"
    )
    plan = flowlang.check(outer).plan
    assert plan is not None
    step = plan.steps[0]
    assert isinstance(step, Subflow)
    assert step.secret_arguments == {"pin"}
    assert [each.secret for each in plan.outputs] == [True, False]


def test_literal_secrets_are_masked_in_what_snippets_show() -> None:
    """A secret written into the file never reaches a snippet, and every other character keeps its place."""
    text = """
flow: f
inputs: [{name: pin, type: string, secret: true, default: canary-1}]
connections:
  api:
    type: myservice
    api_key: "canary-2"
    base_url: https://ada:canary-3@example.com/canary
    auth: {user: ada, password: canary-4}
  other: {type: nothing, token: 'canary-5'}
steps: [{log: hello}]
"""
    source = flowlang.check(text=text, registry=registry()).sources["<text>"]
    assert "canary-" not in source
    assert "@example.com/canary" in source
    assert [len(line) for line in source.split("\n")] == [len(line) for line in text.split("\n")]


# ---------------------------------------------------------------- made once


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plan_is_made_once(tmp_path: Path) -> None:
    """The same flow gives the same plan object, until its text changes."""
    path = write(tmp_path / "f.yaml", "flow: f\nsteps: [{log: hello}]\n")
    before = flowlang.check(path).plan
    assert before is not None
    assert flowlang.check(path).plan is before
    write(path, "flow: f\nsteps: [{log: goodbye}]\n")
    assert flowlang.check(path).plan is not before


OWN = "import flowlang\n\n\n@flowlang.task\nasync def own({}) -> None: ...\n"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("inner.yaml", "flow: inner\nsteps: [{log: a}]\n", "flow: inner\nsteps: [{log: b}]\n"),
        ("own.py", OWN.format(""), OWN.format("a=1")),
        ("one.sql", "SELECT 1", "SELECT 2"),
    ],
)
def test_a_change_in_what_a_flow_reaches_makes_a_new_plan(tmp_path: Path, name: str, old: str, new: str) -> None:
    """Subflows, task files and statements belong to the flow: a change in one is a change of the flow."""
    for each, text in (("inner.yaml", "flow: inner\nsteps: [{log: x}]\n"), ("one.sql", "SELECT 0")):
        write(tmp_path / each, text)
    write(tmp_path / "own.py", OWN.format("b=1"))
    path = write(
        tmp_path / "f.yaml",
        "flow: f\ntasks: [own.py]\nconnections: {db: {type: sqlite, database: a.db}}\n"
        "steps:\n  - subflow: inner\n  - own: {}\n  - sqlite_query: {query_file: one.sql}\n",
    )
    write(tmp_path / name, old)
    before = flowlang.check(path)
    assert before.plan is not None, before.findings
    assert flowlang.check(path).plan is before.plan
    write(tmp_path / name, new)
    after = flowlang.check(path)
    assert after.plan is not None
    assert after.plan is not before.plan


def test_a_plugin_that_appears_makes_a_new_plan() -> None:
    """The catalogue of plugins belongs to the key: what was an error may be none now."""
    known = registry()
    text = "flow: f\nsteps: [{log: hello}]\n"
    before = flowlang.check(text=text, registry=known).plan

    class Another(MemoPlugin):
        name = "another"

        def get_builtin_tasks(self) -> dict:  # type: ignore[type-arg]
            return {}

    assert flowlang.check(text=text, registry=known).plan is before
    with known.registered(Another):
        assert flowlang.check(text=text, registry=known).plan is not before


def test_a_flow_with_warnings_is_kept_too(tmp_path: Path) -> None:
    """A warning is no reason to check a flow anew for each run."""
    path = write(tmp_path / "f.yaml", "flow: f\nsteps: [{exit: done}, {log: never}]\n")
    before = flowlang.check(path)
    assert [each.code for each in before.findings] == ["unreachable"]
    assert flowlang.check(path).plan is before.plan


# ---------------------------------------------------------------- secrets from turn to turn

PASSED_ON = """\
flow: f
steps:
  - until: index == 5
    max_iterations: 9
    do:
      - log: "${default(last.v, '')}"
      - log: "${default(plain.v, '')}"
      - {id: last, set: {v: "${default(second.v, '')}"}}
      - {id: second, set: {v: "${default(first.v, '')}"}}
      - {id: first, set: {v: "${secrets.token}"}}
      - {id: plain, set: {v: "${index}"}}
"""


def test_what_an_earlier_turn_read_of_a_secret_is_secret() -> None:
    """A value that wanders from turn to turn is masked where it is read before its own step; others are not."""
    (repeat,) = plan_of(PASSED_ON).steps
    assert isinstance(repeat, Repeat)
    logs = [each for each in repeat.body if isinstance(each, Log)]
    assert [each.secret for each in logs] == [True, False]
