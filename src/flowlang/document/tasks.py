"""Steps that run a task, in both shapes: `- pg_query: {…}` and `- task: pg_query`."""

from __future__ import annotations

from flowlang.diagnostics import Edit, Fix, Position, Span
from flowlang.document import codes, yaml_codes
from flowlang.document.context import Context
from flowlang.document.fields import unknown_key
from flowlang.document.model import Name, TaskStep, Value
from flowlang.document.modifiers import ALIASES, COMMON, LATER, SERVICE, StepFields
from flowlang.document.nodes import Mapping, Node, Scalar
from flowlang.document.texts import shown

_MODIFIERS = (*COMMON, *SERVICE, *LATER)
TASK_KEYS = (*_MODIFIERS, "inputs")
Arguments = tuple[tuple[Name, Value], ...]


def read_task(fields: StepFields) -> TaskStep | None:
    """`- task: NAME` with `inputs`."""
    task = fields.text("task")
    inputs = fields.object("inputs", "an object with the task's parameters")
    arguments = fields.context.entries(inputs) if inputs is not None else ()
    arguments += fields.context.entries(_only(fields.mapping, fields.strangers))
    step = _task_step(fields, task or Name("", fields.at), arguments)
    return step if task is not None else None


def read_named_task(context: Context, node: Mapping, key: Scalar, inner: Node) -> TaskStep:
    """`- NAME: {…}`: parameters and modifiers inside, modifiers beside it, too."""
    beside = [(each, value) for each, value in node.entries if each is not key]
    inside = list(inner.entries) if isinstance(inner, Mapping) else []
    if not isinstance(inner, Mapping):
        inside, beside = _dedented(context, key, beside), [each for each in beside if each[0].text in TASK_KEYS]
    names = {each.text: each for each, _ in inside}
    written = [(each, value) for each, value in inside if each.text in TASK_KEYS]
    for each, value in beside:
        if each.text not in TASK_KEYS:
            _stranger(context, key, each, value)
        elif each.text in names:
            message = f"{shown(each.text)} is already given at {names[each.text].span.start}, inside {shown(key.text)}"
            context.findings.add(codes.GIVEN_TWICE, message, each.span, "remove one of the two")
        else:
            written.append((each, value))
    mapping = Mapping(tuple(written), node.source, node.start, node.stop)
    fields = StepFields(context, mapping, f"a {shown(key.text)} step", TASK_KEYS, at=key).begin()
    parameters = context.entries(_only(node, [(each, value) for each, value in inside if each.text not in TASK_KEYS]))
    more = fields.object("inputs", "an object with the task's parameters")
    arguments = _joined(context, parameters, context.entries(more) if more is not None else ())
    return _task_step(fields, Name(key.text, key), arguments)


def _only(node: Mapping, entries: list[tuple[Scalar, Node]]) -> Mapping:
    return Mapping(tuple(entries), node.source, node.start, node.stop)


def _joined(context: Context, parameters: Arguments, more: Arguments) -> Arguments:
    if not more:
        return parameters
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
    connection = fields.text("connection")
    selected = fields.names("outputs")
    return TaskStep(task, arguments, connection, selected, fields.modifiers(), fields.mapping)


def _dedented(context: Context, key: Scalar, beside: list[tuple[Scalar, Node]]) -> list[tuple[Scalar, Node]]:
    """The parameters of a task that stand beside its key, because they are not indented under it."""
    strangers = [(each, value) for each, value in beside if each.text not in TASK_KEYS]
    if not strangers:
        return []
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
    return strangers


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
