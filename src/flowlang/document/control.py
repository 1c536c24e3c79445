"""The verbs that steer a run: `while`, `until`, `try`, `wait`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from flowlang.document import codes
from flowlang.document.context import Context
from flowlang.document.empty import note_empty
from flowlang.document.fields import Fields, wrong_type
from flowlang.document.guards import read_guard, unknown_guard
from flowlang.document.model import Catch, Constant, Guard, Name, RepeatStep, Step, TryStep, Value, WaitStep
from flowlang.document.modifiers import StepFields
from flowlang.document.nodes import Mapping, Scalar, Sequence
from flowlang.exceptions import ERROR_CLASSES

LOOP_KEYS = ("do", "max_iterations", "interval")
TRY_KEYS = ("catch", "finally")
_WAITED = ("until", "signal", "timeout")
_CATCH_ALIASES = {"type": "on", "types": "on", "class": "on", "when": "if", "then": "do", "steps": "do", "name": "as"}


def _block(fields: Fields, key: str) -> tuple[Step, ...]:
    from flowlang.document.steps import read_steps

    fields.required(key)
    return read_steps(fields, key)


# ---------------------------------------------------------------- while, until


def read_repeat(kind: Literal["while", "until"], fields: StepFields) -> RepeatStep:
    context, node = fields.context, fields.node(kind)
    condition: Guard
    if node is None or (isinstance(node, Scalar) and node.value is None):
        fields.findings.add(codes.WRONG_TYPE, f"`{kind}` expects a condition, this is empty", fields.at)
        condition = unknown_guard(context, fields.at)
    else:
        condition = read_guard(context, kind, node)
    body = _block(fields, "do")
    note_empty(fields, "do")
    fields.required("max_iterations")
    most = fields.integer("max_iterations", least=1) or 1
    interval = fields.duration("interval") or 0.0
    return RepeatStep(kind, condition, body, most, interval, fields.modifiers(), fields.mapping)


# ---------------------------------------------------------------- try


def read_try(fields: StepFields) -> TryStep:
    """The handlers may define the ids of the body again: what a failed body left is gone when one of them runs."""
    from flowlang.document.steps import read_steps

    context = fields.context
    readers: list[Callable[[], Catch | tuple[Step, ...] | None]] = [lambda: read_steps(fields, "try")]
    for item in fields.items("catch", Mapping):
        if isinstance(item, Mapping):
            readers.append(partial(_catch, context, item))
        else:
            wrong_type(context, "catch", item, "objects with `on`, `if`, `as` and `do`")
    body, *found = context.branches(readers)
    note_empty(fields, "try")
    node = fields.node("catch")
    if isinstance(node, Sequence) and not node.items:
        message = "`catch` has no handlers, so every failure goes on as if there were no `try`"
        help_ = "add a handler: `- do: […]` takes every class of error"
        fields.findings.add(codes.WRONG_TYPE, message, fields.span("catch"), help_)
    elif "catch" not in fields and "finally" not in fields:
        message = "`catch` is missing in a `try`"
        help_ = "add `catch: [{on: […], do: […]}]`, or `finally: […]` when nothing is to be handled"
        fields.findings.add(codes.MISSING_KEY, message, fields.at, help_)
    return TryStep(
        body if isinstance(body, tuple) else (),
        tuple([each for each in found if isinstance(each, Catch)]),
        read_steps(fields, "finally"),
        fields.modifiers(),
        fields.mapping,
    )


def _catch(context: Context, node: Mapping) -> Catch:
    fields = Fields(context, node, "a `catch`", ("on", "if", "as", "do"), also=_CATCH_ALIASES)
    guard, word, name = fields.node("if"), fields.text("as"), fields.node("as")
    named = word is not None and word.text != "error"  # which it is called anyway
    return Catch(
        on=fields.named("on", tuple(ERROR_CLASSES)),
        guard=read_guard(context, "if", guard) if guard is not None else None,
        variable=context.name(name, "error variable") if named and isinstance(name, Scalar) else None,
        steps=_block(fields, "do"),
        at=node,
    )


# ---------------------------------------------------------------- wait


def read_wait(fields: StepFields) -> WaitStep | None:
    context, node = fields.context, fields.node("wait")
    duration: Value | None = None
    until: Value | None = None
    signal: Name | None = None
    timeout: float | None = None
    if isinstance(node, Mapping):
        inner = Fields(context, node, "a `wait`", _WAITED, also={"for": "signal", "event": "signal"}, at=fields.at)
        moment = inner.node("until")
        until = context.value(moment) if moment is not None else None
        signal, timeout = inner.text("signal"), inner.limit("timeout")
        _one_of(inner)
    elif isinstance(node, Scalar) and node.value is not None:
        duration = context.value(node)
        if isinstance(duration, Constant) and fields.duration("wait") is None:
            duration = None
    else:
        wrong_type(context, "wait", node or fields.mapping, "a duration, or an object with `until` or `signal`")
    modifiers = fields.modifiers()
    if duration is None and until is None and signal is None:
        return None
    return WaitStep(duration, until, signal, timeout, modifiers, fields.mapping)


def _one_of(fields: Fields) -> None:
    """`until` or `signal`, and `timeout` only beside the latter."""
    if "until" not in fields and "signal" not in fields:
        message = "a `wait` with an object needs `until` or `signal`"
        fields.findings.add(codes.MISSING_KEY, message, fields.at, "a duration stands alone: `wait: 30s`")
    elif "until" in fields and "signal" in fields:
        message = "a `wait` ends at a time or with a signal; this one has `until` and `signal`"
        help_ = "to stop waiting for the signal after a while, give it a `timeout`"
        fields.findings.add(codes.SEVERAL_VERBS, message, fields.span("signal"), help_)
    if "timeout" in fields and "signal" not in fields:
        message = "`timeout` belongs to `signal`; a time comes by itself"
        fields.findings.add(codes.UNKNOWN_KEY, message, fields.span("timeout"), "remove it")
