"""`expect` of a test file."""

from __future__ import annotations

from flowlang.checking.rules.task_parameters import UNKNOWN as UNKNOWN_PARAMETER
from flowlang.document import codes as document_codes
from flowlang.document.fields import Fields, wrong_type
from flowlang.document.guards import read_guard
from flowlang.document.model import Name
from flowlang.document.nodes import Mapping, Node, Scalar, Sequence
from flowlang.exceptions import ERROR_CLASSES
from flowlang.expressions.codes import UNKNOWN_OUTPUT
from flowlang.expressions.durations import parse_duration
from flowlang.expressions.types import ANY
from flowlang.plan import Exit
from flowlang.testing.model import Called, Error, Expect
from flowlang.testing.patterns import MATCHERS, Contains, Exactly, Items, Keys, Pattern, That
from flowlang.testing.places import Place, Target
from flowlang.testing.surroundings import Surroundings

EXPECT_KEYS = ("status", "outputs", "reason", "error", "calls", "steps", "logs", "duration")
ERROR_KEYS = ("type", "detail", "step")
CALL_KEYS = ("step", "task", "inputs", "times")
STATUSES = ("succeeded", "failed", "timed_out", "cancelled", "invalid")
STATES = ("succeeded", "failed", "skipped", "cancelled", "not_run")
_IT = {"it": ANY}


def read_expect(case: Fields, around: Surroundings) -> Expect:
    """What a test expects: that the run succeeds, where it says nothing else."""
    node = case.object("expect")
    mapping = node if node is not None else Mapping((), case.mapping.source, case.mapping.start, case.mapping.start)
    named = case.node("name")
    place = named.span if named is not None else case.at
    fields = Fields(
        around.context, mapping, "`expect`", EXPECT_KEYS, also={"log": "logs", "output": "outputs"}, at=place
    )
    error = _error(fields, around)
    status = fields.word("status", STATUSES) or ("failed" if error is not None else "succeeded")
    stated = fields.node("status")
    calls, in_full = _calls(fields, around)
    return Expect(
        status=Name(status, stated.span if stated is not None else error.span if error is not None else place),
        outputs=_outputs(fields, around),
        reason=_pattern_of(fields, "reason", around),
        error=error,
        calls=calls,
        calls_in_full=in_full,
        calls_at=fields.span("calls") if "calls" in fields else place,
        steps=_steps(fields, around),
        logs=_pattern_of(fields, "logs", around),
        duration=_duration(fields, around),
    )


# ---------------------------------------------------------------- patterns


def read_pattern(node: Node, what: str, around: Surroundings) -> Pattern:
    """A value, and a matcher where one stands in its place."""
    if isinstance(node, Sequence):
        return Items(
            tuple([read_pattern(each, f"{what}[{at}]", around) for at, each in enumerate(node.items)]), node.span
        )
    if isinstance(node, Scalar):
        return Exactly(around.value(node, what), node.span)
    if any(key.text.startswith("$") for key, _ in node.entries):
        return _matcher(node, what, around)
    return Keys(tuple([(key.text, read_pattern(each, key.text, around)) for key, each in node.entries]), node.span)


def _matcher(node: Mapping, what: str, around: Surroundings) -> Pattern:
    fields = Fields(around.context, node, "a matcher", MATCHERS)
    if len(node.entries) > 1:
        key = node.entries[1][0]
        message = "a matcher stands alone: one of `$contains` and `$that`"
        around.findings.add(document_codes.GIVEN_TWICE, message, key.span, "remove the other keys")
    inner = fields.node("$contains")
    if inner is not None:
        return Contains(read_pattern(inner, what, around), node.span)
    condition = fields.node("$that")
    guard = read_guard(around.context, "$that", condition) if condition is not None else None
    if guard is None or condition is None:
        return Exactly(lambda frame, reader: None, node.span)  # reported
    text = condition.text if isinstance(condition, Scalar) else "$that"
    return That(around.formulas.condition(guard, "$that", _IT), text, condition.span)


def _pattern_of(fields: Fields, key: str, around: Surroundings) -> Pattern | None:
    node = fields.node(key)
    return read_pattern(node, key, around) if node is not None else None


def _outputs(fields: Fields, around: Surroundings) -> Pattern | None:
    node = fields.node("outputs")
    if node is None:
        return None
    if not isinstance(node, Mapping):
        wrong_type(around.context, "outputs", node, "an object of names and values")
        return None
    named = node
    inner = node.get("$contains")
    if isinstance(inner, Mapping):
        named = inner
    known = {each.name for each in around.plan.outputs}
    if not any(isinstance(each.step, Exit) and each.step.outputs is not None for each in around.places):
        for key, _ in named.entries:
            if key.text not in known and not key.text.startswith("$"):
                around.unknown(UNKNOWN_OUTPUT, f"the flow has no output `{key.text}`", key, known)
    return read_pattern(node, "outputs", around)


def _duration(fields: Fields, around: Surroundings) -> Pattern | None:
    """Seconds: a duration, or a matcher."""
    node = fields.node("duration")
    if node is None or isinstance(node, Mapping):
        return read_pattern(node, "duration", around) if node is not None else None
    if isinstance(node, Scalar) and "${" not in node.text and parse_duration(node.value) is None:
        fields.duration("duration")  # says what is wrong
        return None
    if not isinstance(node, Scalar) or "${" in node.text:
        wrong_type(around.context, "duration", node, "a duration")
        return None
    seconds = parse_duration(node.value)
    return Exactly(lambda frame, reader: seconds, node.span)


# ---------------------------------------------------------------- the failure, the calls, the steps


def _error(fields: Fields, around: Surroundings) -> Error | None:
    """`error: unavailable`, or all of it."""
    node = fields.node("error")
    if node is None:
        return None
    classes = tuple(ERROR_CLASSES)
    if isinstance(node, Scalar):
        word = fields.word("error", classes)
        return Error(Name(word, node.span), None, None, node.span, node.span) if word else None
    if not isinstance(node, Mapping):
        wrong_type(around.context, "error", node, "an object with `type`, or an error class")
        return None
    inner = Fields(around.context, node, "`error`", ERROR_KEYS, also={"class": "type", "message": "detail"})
    word = inner.word("type", classes)
    detail = inner.text("detail", numbers=True)
    step = inner.text("step")
    target = around.target(step.text, step.span, calls=False, tasks=False) if step is not None else None
    type_ = Name(word, inner.entries["type"][1].span) if word is not None else None
    at = fields.span("error")
    return Error(type_, detail, target[0] if target is not None else None, step.span if step is not None else at, at)


def _calls(fields: Fields, around: Surroundings) -> tuple[tuple[Called, ...] | None, bool]:
    """The calls that are expected, and whether these are all."""
    node = fields.node("calls")
    in_full = True
    if isinstance(node, Mapping):
        inner = Fields(around.context, node, "`calls`", ("$contains",))
        items = inner.items("$contains")
        in_full = False
    elif node is None:
        return None, True
    else:
        items = fields.items("calls")
    return tuple([called for each in items if (called := _called(each, around)) is not None]), in_full


def _called(node: Node, around: Surroundings) -> Called | None:
    if isinstance(node, Scalar):
        meant = around.target(node.text, node.span, calls=True)
        return Called(meant[0], (), 1, node.span) if meant is not None else None
    if not isinstance(node, Mapping):
        wrong_type(around.context, "calls", node, "the names of steps, or objects with `step`")
        return None
    fields = Fields(around.context, node, "a call", CALL_KEYS)
    key = "task" if "task" in fields and "step" not in fields else "step"
    fields.required(key)
    name = fields.text(key)
    meant = around.target(name.text, name.span, calls=True) if name is not None else None
    times = fields.integer("times", least=1)
    inputs = _call_inputs(fields, around, meant)
    if name is None or meant is None:
        return None
    return Called(meant[0], inputs, times if times is not None else 1, name.span)


def _call_inputs(
    fields: Fields, around: Surroundings, meant: tuple[Target, list[Place]] | None
) -> tuple[tuple[Name, Pattern], ...]:
    node = fields.object("inputs", "an object of names and values")
    if node is None:
        return ()
    places = meant[1] if meant is not None else []
    known = {name for each in places for name in _parameters(each)}
    open_ = meant is None or any(each.operation is None or each.operation.spec.extra for each in places)
    found = []
    for key, value in node.entries:
        if not open_ and key.text not in known:
            around.unknown(UNKNOWN_PARAMETER, f"task `{places[0].task}` has no parameter `{key.text}`", key, known)
        found.append((Name(key.text, key.span), read_pattern(value, key.text, around)))
    return tuple(found)


def _parameters(place: Place) -> list[str]:
    return [each.name for each in place.operation.spec.parameters] if place.operation is not None else []


def _steps(fields: Fields, around: Surroundings) -> tuple[tuple[Target, Name], ...]:
    node = fields.object("steps", "an object of steps and how each ended")
    if node is None:
        return ()
    inner = Fields(around.context, node, "`steps`", [key.text for key, _ in node.entries])
    found = []
    for key, value in node.entries:
        meant = around.target(key.text, key.span, calls=False, tasks=False)
        word = inner.word(key.text, STATES)
        if meant is not None and word is not None:
            found.append((meant[0], Name(word, value.span)))
    return tuple(found)
