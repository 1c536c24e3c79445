"""JSON Schema (2020-12) of a file of tests (`*.test.yaml`), for editors: its keys, words and kinds of values.

What depends on the flow that is tested (its inputs, steps and outputs) is the check's.
"""

from __future__ import annotations

from flowlang.views.keys import Key
from flowlang.views.schema.kinds import Schema, closed, definitions, ref

SHARED = (
    Key("real", "texts", "Connections that may really be used."),
    Key("recorded", "texts", "Connections whose replies are recorded, and replayed ever after."),
    Key("strict", "boolean", "Nothing at all is done for real."),
    Key("now", "text", "When the run begins by its own clock: `2026-01-01T00:00:00Z`."),
    Key("seed", "count", "What its chance begins with, a whole number; 0 when left out."),
    Key("env", "values", "Variables of the environment: texts by name."),
    Key("secrets", "values", "Secrets: texts by name."),
    Key("inputs", "values", "Values of the flow's inputs."),
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
    Key("outputs", "any", "All outputs of the flow."),
    Key("reason", "any", "Of an early `exit`."),
    Key("error", "error", "The failure: its class, or `{type, detail, step}`."),
    Key("calls", "any", "All calls, in order: names of steps, or `{step, inputs, times}`, `{task, inputs, times}`."),
    Key("steps", "states", "How steps ended, by name."),
    Key("logs", "any", "The texts of `log` steps, in order."),
    Key("duration", "any", "How long the run took by its own clock: a duration, or a matcher of seconds."),
)
ERROR = (
    Key("type", "class", "Its class."),
    Key("detail", "message", "A part of its text."),
    Key("step", "text", "The step that failed, or one around it."),
)
STATES = ("succeeded", "failed", "skipped", "cancelled", "not_run")


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
            "mocks": {"type": "object", "additionalProperties": closed(MOCK)},
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
