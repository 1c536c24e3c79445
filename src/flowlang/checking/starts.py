"""How runs of a flow begin: the key of `concurrency`, and what `triggers` read and give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowlang.checking.checker import Checker, hide
from flowlang.checking.rules import secret_stored
from flowlang.checking.rules import triggers as rules
from flowlang.checking.scope import Entry, Layout, Scope
from flowlang.checking.values import Compiler, Wanted, text
from flowlang.document import model
from flowlang.expressions.durations import parse_duration
from flowlang.expressions.types import ANY, STRING, Type, holds_secret, record
from flowlang.plan import Admission, Schedule

REQUEST = record(
    {
        "method": STRING,
        "path": STRING,
        "query": Type("object", items=STRING, open=True),
        "headers": Type("object", items=STRING, open=True),
        "body": ANY,
    }
)
"""What `request` holds in the `inputs` of a webhook."""


def concurrency(checker: Checker, scope: Scope) -> Admission | None:
    """Its key is computed when the run starts, from what is fixed by then."""
    limits = checker.flow.concurrency
    if limits is None:
        return None
    key = None
    if limits.key is not None:
        inner = scope.inner()
        for root in ("secrets", "run"):
            hide(inner, root, f"`{root}` is not readable in `concurrency`: a key is made of `inputs` and `vars`")
        key, given = text(checker, inner, limits.key, "key")
        if holds_secret(given):
            checker.add(secret_stored.stored("the `key` of `concurrency`", "runs are told apart by it", limits.key))
    start = limits.span.start
    return Admission(key, limits.limit, limits.on_conflict, start.line, start.column)


def triggers(checker: Checker) -> None:
    told: set[str] = set()  # inputs that no schedule gives: once is enough
    for trigger in checker.flow.triggers:
        settings = {name.text: value for name, value in trigger.settings.entries}
        if trigger.kind == "webhook":
            for value in _secrets(settings.get("auth")):
                checker.add(rules.literal_secret(value))
                checker.literals += [(value.span, value.scalar.text)] if isinstance(value, model.Constant) else []
            _inputs(checker, trigger, settings.get("inputs"))
        else:
            checker.add(rules.not_given(trigger, checker.flow.inputs, told))
            told |= {each.name.text for each in checker.flow.inputs}


def schedules(checker: Checker) -> Iterator[Schedule]:
    """The triggers that are times."""
    for trigger in checker.flow.triggers:
        given: dict[str, Any] = {
            name.text: value.value
            for name, value in trigger.settings.entries
            if isinstance(value, model.Constant) and name.text in Schedule.__dataclass_fields__
        }
        if trigger.kind == "schedule" and isinstance(given.get("cron"), str):
            yield Schedule(kind="schedule", **given)
        elif trigger.kind == "every" and (interval := parse_duration(given.get("interval"))):
            yield Schedule("every", interval=interval, catchup="last")


def _secrets(auth: model.Value | None) -> Iterator[model.Value]:
    """The values of `auth` that only a caller may know."""
    for name, value in auth.entries if isinstance(auth, model.ObjectValue) else ():
        if not isinstance(value, model.ObjectValue):
            yield value
        for inner, each in value.entries if isinstance(value, model.ObjectValue) else ():
            if (name.text, inner.text) in (("hmac", "secret"), ("basic", "password")):
                yield each


def _inputs(checker: Checker, trigger: model.Trigger, inputs: model.Value | None) -> None:
    """With `inputs`, those are what a call gives; without, the keys of its body."""
    if not isinstance(inputs, model.ObjectValue):
        return
    layout = Layout()
    scope = Scope(layout)
    scope.add("request", Entry(REQUEST, "root `request`", layout, layout.place(), kind="root"))
    compiler = Compiler(checker, scope)
    meant: set[str] = set()
    for name, value in inputs.entries:
        declared = checker.inputs.get(name.text)
        if declared is None:
            close = rules.meant(name, checker.inputs)
            meant.add(close or "")
            checker.add(rules.unknown_input(name, close, checker.inputs))
        compiler.value(value, Wanted(name.text, declared.type if declared is not None else ANY, optional=True))
    checker.add(rules.not_given(trigger, checker.flow.inputs, meant | {name.text for name, _ in inputs.entries}))
