"""Steps that run a task, in both shapes: `- pg_query: {…}` and `- task: pg_query`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from flowlang.diagnostics import Edit, Fix, Position, Span
from flowlang.document import codes, yaml_codes
from flowlang.document.context import Context
from flowlang.document.fields import unknown_key
from flowlang.document.model import Name, TaskStep, Value
from flowlang.document.modifiers import ALIASES, COMMON, SERVICE, StepFields
from flowlang.document.nodes import Mapping, Node, Scalar
from flowlang.document.texts import shown

_MODIFIERS = (*COMMON, *SERVICE)
TASK_KEYS = (*_MODIFIERS, "inputs")
_OWN = frozenset(TASK_KEYS)  # what belongs to the step, and not to its task
Entry = tuple[Scalar, Node]
Arguments = tuple[tuple[Name, Value], ...]


def read_task(fields: StepFields) -> TaskStep | None:
    """`- task: NAME` with `inputs`."""
    task = fields.text("task")
    inputs = fields.object("inputs", "an object with the task's parameters")
    arguments = fields.context.entries(inputs) if inputs is not None else ()
    arguments += fields.context.pairs(fields.strangers)
    step = _task_step(fields, task or Name("", fields.at), arguments)
    return step if task is not None else None


def read_named_task(context: Context, node: Mapping, key: Scalar, inner: Node) -> TaskStep:
    """`- NAME: {…}`: parameters and modifiers inside, modifiers beside it, too."""
    inside = inner.entries if isinstance(inner, Mapping) else ()
    beside = [entry for entry in node.entries if entry[0] is not key] if len(node.entries) > 1 else []
    if beside and not isinstance(inner, Mapping):
        inside, beside = _dedented(context, key, beside), [entry for entry in beside if entry[0].text in _OWN]
    written: list[Entry] = []
    parameters: list[Entry] = []
    for entry in inside:
        (written if entry[0].text in _OWN else parameters).append(entry)
    if beside:
        _add_beside(context, key, beside, inside, written)
    mapping = Mapping(tuple(written), node.source, node.start, node.stop)
    fields = StepFields(context, mapping, _place(key.text), TASK_KEYS, at=key).begin()
    arguments = context.pairs(parameters)
    more = fields.object("inputs", "an object with the task's parameters")
    if more is not None:
        arguments = _joined(context, arguments, context.entries(more))
    return _task_step(fields, Name(key.text, key), arguments)


@lru_cache(maxsize=256)
def _place(task: str) -> str:
    return f"a {shown(task)} step"


def _add_beside(
    context: Context, key: Scalar, beside: list[Entry], inside: Iterable[Entry], written: list[Entry]
) -> None:
    """Add the modifiers that stand beside a task to those `written` inside it."""
    names = {each.text: each for each, _ in inside}
    for each, value in beside:
        if each.text not in _OWN:
            _stranger(context, key, each, value)
        elif each.text in names:
            message = f"{shown(each.text)} is already given at {names[each.text].span.start}, inside {shown(key.text)}"
            context.findings.add(codes.GIVEN_TWICE, message, each.span, "remove one of the two")
        else:
            written.append((each, value))


def _joined(context: Context, parameters: Arguments, more: Arguments) -> Arguments:
    known = {name.text: name for name, _ in parameters}
    joined = list(parameters)
    for name, value in more:
        earlier = known.get(name.text)
        if earlier is None:
            joined.append((name, value))
            continue
        message = f"{shown(name.text)} is already given at {earlier.span.start}, beside `inputs`"
        context.findings.add(codes.GIVEN_TWICE, message, name.span, "remove one of the two")
    return tuple(joined)


def _task_step(fields: StepFields, task: Name, arguments: Arguments) -> TaskStep:
    connection = fields.text("connection") if "connection" in fields.entries else None
    selected = fields.names("outputs") if "outputs" in fields.entries else None
    return TaskStep(task, arguments, connection, selected, fields.modifiers(), fields.mapping)


def _dedented(context: Context, key: Scalar, beside: list[Entry]) -> tuple[Entry, ...]:
    """The parameters of a task that stand beside its key, because they are not indented under it."""
    strangers = [(each, value) for each, value in beside if each.text not in TASK_KEYS]
    if not strangers:
        return ()
    first = strangers[0][0]
    block = context.source.text.rfind("\n", 0, first.start) > key.start
    message = f"{shown(first.text)} stands beside {shown(key.text)}, not inside it"
    edits = []
    for each, _ in beside if block else []:
        start = Position(each.span.start.line, 1)
        edits.append(Edit(Span(start, start, each.source.file), "  "))
    fix = Fix("indent the keys under the task", tuple(edits)) if edits and _one_line_each(beside) else None
    help_ = f"indent it, and the other keys of {shown(key.text)}, by two columns more than the task"
    context.findings.add(yaml_codes.INDENTATION, message, first.span, help_, fix=fix)
    return tuple(strangers)


def _one_line_each(entries: list[tuple[Scalar, Node]]) -> bool:
    return all(isinstance(value, Scalar) and value.style in ("plain", "single", "double") for _, value in entries)


def _stranger(context: Context, task: Scalar, key: Scalar, value: Node) -> None:
    """A key beside a task that is no modifier."""
    near = context.findings.nearest(key.text, _MODIFIERS)
    if near is None and isinstance(value, Mapping):
        message = f"a step does one thing; this one has {shown(task.text)} and {shown(key.text)}"
        context.findings.add(codes.SEVERAL_VERBS, message, key.span, "begin a step of its own with `- `")
    elif near is None and key.text not in ALIASES:
        message = f"unknown key {shown(key.text)} beside {shown(task.text)}"
        help_ = f"if it is a parameter of the task, move it inside {shown(task.text)}"
        context.findings.add(codes.UNKNOWN_KEY, message, key.span, help_)
    else:
        unknown_key(context, key, "a step", _MODIFIERS, set(), ALIASES)
