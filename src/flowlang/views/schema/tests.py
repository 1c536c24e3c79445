"""JSON Schema (2020-12) of a file of tests (`*.test.yaml`), for editors: its keys, words and kinds of values.

What depends on the flow that is tested (its inputs, steps and outputs) is the check's. Where the flow is known its
names are in the schema, to be offered and explained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowlang.document.model import Input
from flowlang.expressions.types import Type
from flowlang.records import frozen
from flowlang.views.keys import Key
from flowlang.views.schema.kinds import Schema, closed, definitions, of_type, ref, told

SHARED = (
    Key("real", "services", "Connections that may really be used."),
    Key("recorded", "services", "Connections whose replies are recorded, and replayed ever after."),
    Key("strict", "boolean", "Nothing at all is done for real."),
    Key("now", "text", "When the run begins by its own clock: `2026-01-01T00:00:00Z`."),
    Key("seed", "count", "What its chance begins with, a whole number; 0 when left out."),
    Key("env", "values", "Variables of the environment: texts by name."),
    Key("secrets", "values", "Secrets: texts by name."),
    Key("inputs", "inputs", "Values of the flow's inputs."),
    Key("mocks", "mocks", "What steps and tasks answer: names of steps, or of tasks."),
)
FILE = (
    Key("flow", "text", "Path of the flow, from the folder of this file; else the file's own name without `.test`."),
    *SHARED,
    Key("tests", "tests", "The tests.", True),
)
CASE = (
    Key("name", "message", "What the test is called.", True),
    *SHARED,
    Key("signals", "signals", "Signals that arrive."),
    Key("cancel_at", "duration", "How long after its beginning the run is cancelled."),
    Key("expect", "expect", "What has to be so in the end; the run has to succeed where this says nothing else."),
)
SIGNAL = (
    Key("name", "text", "Name of the signal.", True),
    Key("payload", "any", "What comes with it."),
    Key("at", "duration", "How long after the beginning."),
)
REPLY = (
    Key("returns", "any", "The outputs; `${inputs.x}` is what the call was given, `${call}` its number from 1."),
    Key("raises", "raises", "A failure: an error class, or `{type, message, retryable, retry_after}`."),
    Key("delay", "duration", "How long the answer takes."),
)
MOCK = (
    *REPLY,
    Key("each", "replies", "Answers, one for each call; attempts of a retry are calls."),
    Key("recorded", "boolean", "The answers are those of the recording."),
    Key("may_be_idle", "boolean", "It is all right when nothing calls it."),
)
RAISES = (
    Key("type", "class", "The error class.", True),
    Key("message", "message", "What it says."),
    Key("retryable", "boolean", "Whether another try may help, in place of what the class says."),
    Key("retry_after", "duration", "How long the service asks to wait."),
)
STATUSES = ("succeeded", "failed", "timed_out", "cancelled", "invalid")
EXPECT = (
    Key("status", STATUSES, "How the run ends; `invalid` when it is refused for its inputs."),
    Key("outputs", "outputs", "All outputs of the flow."),
    Key("reason", "any", "Of an early `exit`."),
    Key("error", "error", "The failure: its class, or `{type, detail, step}`."),
    Key("calls", "calls", "All calls, in order: names of steps, or `{step, inputs, times}`, `{task, inputs, times}`."),
    Key("steps", "states", "How steps ended, by name."),
    Key("logs", "any", "The texts of `log` steps, in order."),
    Key("duration", "any", "How long the run took by its own clock: a duration, or a matcher of seconds."),
)
ERROR = (
    Key("type", "class", "Its class."),
    Key("detail", "message", "A part of its text."),
    Key("step", "step", "The step that failed, or one around it."),
)
STATES = ("succeeded", "failed", "skipped", "cancelled", "not_run")


@frozen
class Answers:
    """What may be mocked: a step that calls something, or a task. `outputs` are what it gives, as far as is known."""

    about: str
    outputs: Mapping[str, Type]


@frozen
class Tested:
    """The names of a flow that its tests may use. `steps` has what each is, `calls` those of them that can be mocked,
    `tasks` the tasks and subflows that they call."""

    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    connections: tuple[str, ...]
    steps: Mapping[str, str]
    calls: Mapping[str, Answers]
    tasks: Mapping[str, Answers]


def tests_schema() -> Schema:
    """The schema of a file of tests."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "Tests of a flow: inputs, mocks, expectations.",
        **closed(FILE),
        "$defs": {
            **definitions(),
            "tests": {"type": "array", "items": closed(CASE)},
            "signals": {"type": "array", "items": closed(SIGNAL)},
            "services": ref("texts"),
            "inputs": ref("values"),
            "outputs": {},
            "calls": {},
            "step": ref("text"),
            "mock": closed(MOCK),
            "mocks": {"type": "object", "additionalProperties": ref("mock")},
            "replies": {"type": "array", "items": closed(REPLY)},
            "raises": _short(RAISES),
            "error": _short(ERROR),
            "expect": closed(EXPECT),
            "states": {"type": "object", "additionalProperties": {"enum": list(STATES)}},
        },
    }


def _short(keys: tuple[Key, ...]) -> Schema:
    """An error class, or an object of `keys`."""
    return {"if": {"type": "object"}, "then": closed(keys), "else": ref("class")}


# ---------------------------------------------------------------- the names of a flow


def schema_for(flow: Tested) -> Schema:
    """The schema of a file of tests of `flow`."""
    schema = tests_schema()
    return {**schema, "$defs": {**schema["$defs"], **_of_names(flow)}}


def _of_names(flow: Tested) -> dict[str, Schema]:
    """The definitions in which a name of the flow may stand."""
    called = {**flow.tasks, **flow.calls}
    states: Schema = {"enum": list(STATES)}
    word = {"step": _words(flow.calls, called), "task": _words(flow.tasks, called)}
    call: Schema = {"type": "object", "properties": {**word, "inputs": {}, "times": ref("positive")}}
    return {
        "services": {"type": "array", "items": {"enum": list(flow.connections)}},
        "inputs": {"type": "object", "properties": {each.name.text: _input(each) for each in flow.inputs}},
        "outputs": {"type": "object", "properties": {name: {} for name in flow.outputs}},
        "calls": {
            "type": "array",
            "items": {"if": {"type": "object"}, "then": call, "else": _words(called, called)},
        },
        "step": {"enum": list(flow.steps), "markdownEnumDescriptions": list(flow.steps.values())},
        "mocks": {"type": "object", "properties": {name: _mock(each) for name, each in called.items()}},
        "states": {
            "type": "object",
            "properties": {name: {**told(each), **states} for name, each in flow.steps.items()},
        },
    }


def _input(declared: Input) -> Schema:
    return {**told(declared.description or f"An input of the flow: {declared.type}."), **of_type(declared.type)}


def _mock(answers: Answers) -> Schema:
    outputs = {name: of_type(each) for name, each in answers.outputs.items()}
    own: Schema = {"type": "object", "properties": {"returns": {"type": "object", "properties": outputs}}}
    return {**told(answers.about), "allOf": [ref("mock"), own]}


def _words(names: Iterable[str], known: Mapping[str, Answers]) -> dict[str, Any]:
    words = list(names)
    return {"enum": words, "markdownEnumDescriptions": [known[each].about for each in words]}
