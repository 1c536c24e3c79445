"""What is kept of values and events comes back as it was, whatever a task put in it, or is left out."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.durable.codec import Unstorable, decode, encode
from flowlang.durable.lines import chunk, parsed
from flowlang.events import Event, LogWritten, StepFailed, StepStarted, StepSucceeded, to_record
from flowlang.exceptions import Failure

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals() | st.uuids(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_a_value_comes_back_as_it_was(value: dict[str, Any]) -> None:
    assert repr(decode(encode(value))) == repr(value)


def test_half_a_pair_of_characters_is_kept() -> None:
    assert decode(encode({"text": "a\ud800", "n": 2**70})) == {"text": "a\ud800", "n": 2**70}


def test_what_is_no_value_of_a_flow_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    for value in ({"o": object()}, {1: 2}, {"s": {3}}, deep):
        with pytest.raises(Unstorable):
            encode(value)


@pytest.mark.parametrize("text", ["", "{", '{"a":1', "[1,]", '"\\ud8'])
def test_what_is_damaged_is_no_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)


def told(event: Event) -> dict[str, Any]:
    (found,) = parsed(chunk([event]), "r")
    return dict(found)


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_each_kind_of_event_comes_back_in_its_wire_form(kind: Any) -> None:
    failure = Failure("task", "no\nline", file="a.yaml", line=3, column=4, step="s", notes=("one", "two"))
    values = {"run_id": "r", "failure": failure, "inputs": {"a": [1, "é"]}, "outputs": {"b": None}}
    event = kind(*(values.get(name, number + 0.5) for number, name in enumerate(kind._fields)))
    wire = {name: list(value) if isinstance(value, tuple) else value for name, value in to_record(event).items()}
    if "failure" in wire:
        wire["failure"] = {k: list(v) if isinstance(v, tuple) else v for k, v in wire["failure"].items()}
    assert told(event) == wire


def test_several_events_are_a_line_each() -> None:
    events = [LogWritten("r", 1.0, "s", "one\ntwo"), LogWritten("r", 2.0, "s", "\u2028 three\r\n")]
    assert [each["message"] for each in parsed(chunk(events), "r")] == ["one\ntwo", "\u2028 three\r\n"]


def test_what_json_has_no_type_for_is_there_as_text_or_left_out() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    outputs = {"d": Decimal("1.20"), "o": type, (1, 2): "odd"}
    seen = told(StepSucceeded("r", 1.0, "s", 0.5, 1, outputs))
    assert (seen["outputs"]["d"], seen["outputs"]["o"], seen["path"]) == ("1.20", "<class 'type'>", "s")
    assert told(StepStarted("r", 1.0, "s", "op", "db", {"deep": deep})) | {"at": 0} == {
        "event": "step_started", "run_id": "r", "at": 0, "path": "s", "operation": "op", "connection": "db",
        "inputs": None,
    }  # fmt: skip
    assert told(LogWritten("r", 1.0, "s", "half \ud83d"))["message"] == "half \ud83d"
    assert told(StepSucceeded("r", math.inf, "s", 0.5))["path"] == "s"


def test_what_is_very_long_is_in_the_journal_and_not_told_again() -> None:
    seen = told(StepSucceeded("r", 1.0, "s", 0.5, 2, {"rows": ["x" * 1000] * 100}))
    assert (seen["outputs"], seen["attempts"], seen["duration"]) == (None, 2, 0.5)
    failure = Failure("task", "m" * 100_000, step="s")
    assert told(StepFailed("r", 1.0, "s", 0.5, failure))["failure"]["detail"] == "m" * 100_000
