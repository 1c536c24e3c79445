"""What the model of a flow holds for what the file says."""

from __future__ import annotations

import pytest

from flowlang.document import model
from flowlang.document.parse import parse_flow
from flowlang.expressions import types

from .helpers import findings_of, flow, steps


def test_both_shapes_of_a_task_mean_the_same() -> None:
    """`- pg_query: {…}` and `- task: pg_query` differ in nothing but their places."""
    first = steps("  - pg_query: {id: q, connection: db, query: SELECT 1, params: [1], outputs: [rows], timeout: 5s}\n")
    second = steps(
        "  - task: pg_query\n    id: q\n    connection: db\n    inputs: {query: SELECT 1, params: [1]}\n"
        "    outputs: [rows]\n    timeout: 5s\n"
    )
    third = steps(
        "  - pg_query: {query: SELECT 1, inputs: {params: [1]}}\n    id: q\n    connection: db\n"
        "    outputs: [rows]\n    timeout: 5s\n"
    )
    for each in (first, second, third):
        step = each.steps[0]
        assert isinstance(step, model.TaskStep)
        assert step.task.text == "pg_query"
        assert [name.text for name, _ in step.arguments] == ["query", "params"]
        assert step.connection is not None
        assert step.connection.text == "db"
        assert step.selected is not None
        assert [each.text for each in step.selected] == ["rows"]
        assert step.modifiers.id is not None
        assert step.modifiers.id.text == "q"
        assert step.modifiers.timeout == 5.0
        assert set(step.modifiers.spans) == {"id", "connection", "outputs", "timeout"}


def test_constants_and_expressions() -> None:
    """A scalar is a constant unless something in it is computed; `$${` is `${`."""
    step = steps('  - t: {a: 1, b: x, c: "$${x}", d: "${x}", e: "a ${x} $${y}", f: [{g: null}], h: "1"}\n').steps[0]
    assert isinstance(step, model.TaskStep)
    values = {name.text: value for name, value in step.arguments}
    constants = {name: value.value for name, value in values.items() if isinstance(value, model.Constant)}
    assert constants == {"a": 1, "b": "x", "c": "${x}", "h": "1"}
    whole, mixed = values["d"], values["e"]
    assert isinstance(whole, model.Computed)
    assert whole.template.whole is not None
    assert isinstance(mixed, model.Computed)
    assert [part for part in mixed.template.parts if isinstance(part, str)] == ["a ", " ${y}"]
    assert isinstance(values["f"], model.ListValue)
    assert isinstance(values["f"].items[0], model.ObjectValue)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("3", model.Retry(max_attempts=3)),
        ("{}", model.Retry()),
        (
            "{max_attempts: 5, delay: 250ms, backoff: exponential, multiplier: 3, max_delay: 1m, jitter: false, "
            "max_elapsed: 1h, attempt_timeout: 2, on: [connect], unless: [auth, config]}",
            model.Retry(5, 0.25, "exponential", 3, 60.0, False, 3600.0, 2.0, ("connect",), ("auth", "config")),
        ),
        ("{backoff: linear}", model.Retry(backoff="linear")),
        ("{delay: 0s, max_delay: 0s}", model.Retry(delay=0.0, max_delay=0.0)),
    ],
)
def test_retry(written: str, expected: model.Retry) -> None:
    """A retry policy in both forms, with its defaults."""
    from dataclasses import replace

    retry = steps(f"  - log: x\n    retry: {written}\n").steps[0].modifiers.retry
    assert retry is not None
    assert replace(retry, span=None) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("type: integer, required: true", types.INTEGER),
        ("type: integer", types.INTEGER.or_null()),
        ("type: integer, default: 5", types.INTEGER),
        ("type: integer, default: null", types.INTEGER.or_null()),
        ("required: true", types.ANY),
        ("type: array, items: {type: string}, required: true", types.array(types.STRING)),
        ("type: object, properties: {a: {type: number}}, required: true", types.record({"a": types.NUMBER})),
        ("type: string, enum: [a, b], required: true", types.Type("string", enum=("a", "b"))),
        ("type: string, secret: true, required: true", types.Type("string", secret=True)),
        ("type: timestamp, default: '2026-01-01'", types.TIMESTAMP),
        ("type: duration, default: 5s", types.DURATION),
    ],
)
def test_types_of_inputs(written: str, expected: types.Type) -> None:
    """An input's type comes from its declaration; null belongs to it when nothing else is there by default."""
    assert flow(f"flow: F\nsteps: []\ninputs: [{{name: a, {written}}}]\n").inputs[0].type == expected


def test_connections() -> None:
    """The host's own keys are taken out of a connection's config, and kept with their places."""
    found = flow(
        "flow: F\nsteps: []\nconnections:\n  db: {type: postgres, url: '${env.URL}', lazy: true, connect_timeout: 1m}\n"
    ).connections[0]
    assert (found.name.text, found.type.text, found.lazy) == ("db", "postgres", True)
    assert (found.connect_timeout, found.acquire_timeout) == (60.0, 30.0)
    assert [name.text for name, _ in found.config.entries] == ["url"]
    assert [name.text for name, _ in found.host_entries] == ["lazy", "connect_timeout"]


def test_guards() -> None:
    """A condition is one expression, with or without `${…}`, or a group of conditions."""
    step = steps("  - log: x\n    if: {any: [a.b, {none: ['${c} > 1', true]}]}\n").steps[0]
    guard = step.modifiers.guard
    assert isinstance(guard, model.ConditionGroup)
    assert guard.kind == "any"
    first, second = guard.members
    assert isinstance(first, model.Condition)
    assert isinstance(second, model.ConditionGroup)
    assert second.kind == "none"
    assert len(second.members) == 2


def test_if_keeps_its_branches() -> None:
    """`if` and each `elif` is a branch; a second `if` beside a verb is its guard."""
    step = steps("  - if: a\n    then: [{log: x}]\n    elif: [{if: b, then: []}]\n    else: [{log: y}]\n").steps[0]
    assert isinstance(step, model.IfStep)
    assert [len(found) for _, found in step.branches] == [1, 0]
    assert step.otherwise is not None
    assert step.modifiers.guard is None
    guarded = steps("  - parallel: [{log: x}]\n    if: a\n").steps[0]
    assert isinstance(guarded, model.ParallelStep)
    assert guarded.modifiers.guard is not None


def test_for_each_and_parallel() -> None:
    """Loops and branches have their documented defaults."""
    loop = steps("  - for_each: ${a}\n    do: [{log: x}]\n").steps[0]
    assert isinstance(loop, model.ForEachStep)
    assert (loop.variable.text, loop.max_concurrency, loop.batch_size, loop.max_failures) == ("item", 1, None, 0)
    fork = steps("  - parallel: [{log: a}, {do: [{log: b}, {log: c}]}]\n").steps[0]
    assert isinstance(fork, model.ParallelStep)
    assert [len(each) for each in fork.branches] == [1, 2]
    assert (fork.max_concurrency, fork.fail_fast) == (None, True)


def test_default_inside_cases() -> None:
    """`- default: […]` among the cases is the switch's default."""
    for text in (
        "cases: [{when: [a, b], do: []}, {default: [{log: x}]}]",
        "cases: [{when: [a, b], do: []}]\n    default: [{log: x}]",
    ):
        step = steps(f"  - switch: ${{a}}\n    {text}\n").steps[0]
        assert isinstance(step, model.SwitchStep)
        assert [len(case.when) for case in step.cases] == [2]
        assert step.default is not None
        assert len(step.default) == 1


def test_exit_forms() -> None:
    """`exit` alone, with a reason, and in full."""
    found = steps("  - exit:\n  - exit: done\n  - exit: {reason: x, status: failure, outputs: {a: 1}}\n").steps
    forms = [
        (each.reason is not None, each.status, each.outputs is not None)
        for each in found
        if isinstance(each, model.ExitStep)
    ]
    assert forms == [(False, "success", False), (True, "success", False), (True, "failure", True)]


def test_a_broken_file_still_gives_a_flow() -> None:
    """What can be read is in the model, and ids of what cannot are known to be missing."""
    text = "flow: F\nsteps:\n  - set: nothing\n    id: pause\n  - log: x\n    id: hello\n    timeout: soon\n"
    found, findings = parse_flow(text, "flow.yaml")
    assert [each.code for each in findings] == ["wrong-type", "not-a-duration"]
    assert found is not None
    assert [step.modifiers.id.text for step in found.steps if step.modifiers.id] == ["hello"]
    assert found.unread == {"pause"}


def test_a_name_with_a_hyphen_is_one_finding() -> None:
    """A hyphened id is read under its mended name, in expressions, too, so that it is reported once."""
    found, findings = parse_flow("flow: F\nsteps:\n  - {task: t, id: a-b}\n  - log: ${a-b.c}\n", "flow.yaml")
    assert [each.code for each in findings] == ["bad-name"]
    assert found is not None
    assert found.steps[0].modifiers.id is not None
    assert found.steps[0].modifiers.id.text == "a_b"
    log = found.steps[1]
    assert isinstance(log, model.LogStep)
    assert isinstance(log.message, model.Computed)
    assert log.message.template.expressions[0].source == "a_b.c"


def test_branches_of_one_choice_may_share_ids() -> None:
    """Only one branch runs, so each may define the same id; anything after it may not."""
    shared = "  - if: a\n    then: [{task: t, id: x}]\n    else: [{task: t, id: x}]\n"
    assert findings_of("flow: F\nsteps:\n" + shared) == []
    again = findings_of("flow: F\nsteps:\n" + shared + "  - {task: t, id: x}\n")
    assert [each.code for each in again] == ["already-defined"]


def test_findings_are_ordered() -> None:
    """Findings come by place, those of YAML and those of the language together."""
    found = findings_of("flow: F\nflow: G\nstep:\n  - log: x\n    timeout: soon\n    timeout: 5s\n")
    assert [each.span.start.line for each in found] == sorted(each.span.start.line for each in found)
    assert len(found) == 4


def test_text_of_a_flow_is_what_was_read() -> None:
    """The flow keeps its text without the byte order mark, and the label of its file."""
    found, _ = parse_flow("\ufeffflow: F\nsteps: []\n".encode(), "a.yaml")
    assert found is not None
    assert (found.text, found.file) == ("flow: F\nsteps: []\n", "a.yaml")
