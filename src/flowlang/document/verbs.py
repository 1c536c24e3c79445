"""The verbs of the language: one parse function each, and the table that says which keys stand beside them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, cast

from flowlang.diagnostics import one_slip
from flowlang.document import codes
from flowlang.document.context import Context
from flowlang.document.control import LOOP_KEYS, TRY_KEYS, read_repeat, read_try, read_wait
from flowlang.document.empty import note_empty
from flowlang.document.fields import Fields, kind_of, wrong_type
from flowlang.document.guards import read_guard
from flowlang.document.model import (
    Case,
    Computed,
    Constant,
    ExitStep,
    ForEachStep,
    Guard,
    IfStep,
    LogStep,
    Name,
    ParallelStep,
    RaiseStep,
    SetStep,
    Step,
    SubflowStep,
    SwitchStep,
    TransactionStep,
    Value,
)
from flowlang.document.modifiers import SERVICE, StepFields
from flowlang.document.nodes import Mapping, Node, Scalar, Sequence
from flowlang.document.tasks import read_task
from flowlang.document.texts import shown
from flowlang.exceptions import ERROR_CLASSES
from flowlang.records import frozen


@frozen
class Verb:
    """`keys` stand beside the verb's own key, modifiers not counted."""

    read: Callable[[StepFields], Step | None]
    keys: tuple[str, ...] = ()


def _steps(context: Context, key: str, node: Node | None) -> tuple[Step, ...]:
    from flowlang.document.steps import steps_of

    return steps_of(context, key, node) if node is not None else ()


def _value(fields: Fields, key: str) -> Value | None:
    node = fields.node(key)
    return fields.context.value(node) if node is not None else None


# ---------------------------------------------------------------- set, if, switch


def _set(fields: StepFields) -> SetStep | None:
    values = fields.object("set", "an object of names and values")
    if values is None:
        return None
    if not values.entries:
        wrong_type(fields.context, "set", values, "names and values")
    return SetStep(fields.context.entries(values), fields.modifiers(), fields.mapping)


Branch = tuple[Guard | None, tuple[Step, ...]]


def _if(fields: StepFields) -> IfStep:
    context = fields.context
    if "elif" not in fields:
        note_empty(fields, "then")
    readers: list[Callable[[], Branch]] = [partial(_branch, fields)]
    for item in fields.items("elif", Mapping):
        if isinstance(item, Mapping):
            readers.append(partial(_branch, Fields(context, item, "an `elif`", ("if", "then"))))
        else:
            wrong_type(context, "elif", item, "objects with `if` and `then`")
    if "else" in fields:
        readers.append(lambda: (None, _steps(context, "else", fields.node("else"))))
    found = context.branches(readers)
    branches = tuple([(guard, steps) for guard, steps in found if guard is not None])
    otherwise = found[-1][1] if "else" in fields else None
    return IfStep(branches, otherwise, fields.modifiers(guard=False), fields.mapping)


def _branch(fields: Fields) -> Branch:
    node = fields.required("if")
    if node is None:
        node = Scalar(True, "true", "plain", fields.context.source, fields.mapping.start, fields.mapping.start)
    guard = read_guard(fields.context, "if", node)
    return guard, _steps(fields.context, "then", fields.required("then"))


def _switch(fields: StepFields) -> SwitchStep | None:
    context = fields.context
    subject = _value(fields, "switch")
    if isinstance(subject, Constant):
        message = f"`switch` compares a computed value; {shown(subject.scalar.text)} never changes"
        help_ = f"did you mean `${{{subject.scalar.text}}}`?" if _is_path(subject.scalar) else None
        context.findings.add(codes.NOT_AN_EXPRESSION, message, subject.span, help_, severity="warning")
    fields.required("cases")
    defaults = [(fields.span("default"), fields.node("default"))] if "default" in fields else []
    readers: list[Callable[[], Case | tuple[Step, ...] | None]] = []
    for item in fields.items("cases", Mapping):
        if not isinstance(item, Mapping):
            wrong_type(context, "cases", item, "objects with `when` and `do`")
            continue
        case = Fields(context, item, "a case", ("when", "do", "default"), also=_CASE_ALIASES)
        if "default" in case:
            defaults.append((case.span("default"), case.node("default")))
            for key in ("when", "do"):
                if key in case:
                    message = f"`{key}` stands beside `default`, which is taken when no case is"
                    context.findings.add(codes.SEVERAL_VERBS, message, case.span(key), "make two items of it")
        else:
            readers.append(partial(_case, case))
    defaults.sort(key=lambda each: each[0])
    for span, _ in defaults[1:]:
        message = f"`default` is already defined at {defaults[0][0].start}"
        context.findings.add(codes.GIVEN_TWICE, message, span, "remove one of the two")
    readers.extend(partial(_steps, context, "default", node) for _, node in defaults[:1])
    found = context.branches(readers)
    cases = tuple([each for each in found if isinstance(each, Case)])
    default = found[-1] if defaults else None
    if len(readers) == len(defaults) < 2 and isinstance(listed := fields.node("cases"), Sequence):
        _caseless(context, listed, defaults=bool(defaults))
    if subject is None:
        return None
    return SwitchStep(
        subject, cases, default if isinstance(default, tuple) else None, fields.modifiers(), fields.mapping
    )


def _caseless(context: Context, listed: Sequence, *, defaults: bool) -> None:
    """A `switch` that has nothing to choose from, unless what stands there is wrong in another way, which is told."""
    if any(not isinstance(item, Mapping) for item in listed.items):
        return
    what = "its `default` always runs" if defaults else "nothing in it ever runs"
    help_ = "add a case: `- {when: …, do: […]}`"
    context.findings.add(codes.WRONG_TYPE, f"`cases` has no case, so {what}", listed.span, help_)


def _case(fields: Fields) -> Case | None:
    when = fields.required("when")
    steps = _steps(fields.context, "do", fields.required("do"))
    if when is None:
        return None
    nodes = when.items if isinstance(when, Sequence) else (when,)
    if not nodes:
        wrong_type(fields.context, "when", when, "a value or a list of values")
    return Case(tuple([fields.context.value(each) for each in nodes]), steps, fields.mapping)


# ---------------------------------------------------------------- loops and branches


def _is_path(scalar: Scalar) -> bool:
    return isinstance(scalar.value, str) and all(part.isidentifier() for part in scalar.text.split("."))


def _for_each(fields: StepFields) -> ForEachStep | None:
    context = fields.context
    items = _value(fields, "for_each")
    if isinstance(items, Constant):
        message = f"`for_each` expects a list, an object or a stream, this is {kind_of(items.scalar)}"
        help_ = f"did you mean `${{{items.scalar.text}}}`?" if _is_path(items.scalar) else None
        context.findings.add(codes.NOT_AN_EXPRESSION, message, items.span, help_)
        items = context.broken(items.at, items.scalar)
    word = fields.text("as")
    node = fields.node("as")
    variable = context.name(node, "loop variable") if word and isinstance(node, Scalar) else None
    body = _steps(context, "do", fields.required("do"))
    collect = _value(fields, "collect")
    if collect is None:
        note_empty(fields, "do")
    at_once = fields.integer("max_concurrency", least=1) or 1
    if items is None:
        return None
    return ForEachStep(
        items,
        variable or Name("item", fields.key("for_each")),
        body,
        collect,
        at_once,
        fields.integer("batch_size", least=1),
        fields.integer("max_failures", least=0) or 0,
        fields.modifiers(),
        fields.mapping,
    )


def _parallel(fields: StepFields) -> ParallelStep | None:
    node = fields.node("parallel")
    if not isinstance(node, Sequence):
        wrong_type(fields.context, "parallel", node or fields.mapping, "a list of steps", "begin each with `- `")
        return None
    note_empty(fields, "parallel")
    branches = tuple([_parallel_branch(fields.context, item) for item in node.items])
    return ParallelStep(
        branches,
        fields.integer("max_concurrency", least=1),
        fields.boolean("fail_fast", True),
        fields.modifiers(),
        fields.mapping,
    )


def _parallel_branch(context: Context, item: Node) -> tuple[Step, ...]:
    from flowlang.document.steps import read_step

    if isinstance(item, Mapping) and _is_group(context, item):
        group = Fields(context, item, "a branch of `parallel`", ("do",))
        note_empty(group, "do", "branch")
        return _steps(context, "do", group.node("do"))
    step = read_step(context, item)
    return () if step is None else (step,)


def _is_group(context: Context, item: Mapping) -> bool:
    """Whether a branch is `{do: […]}`, or is meant to be."""
    keys = [key.text for key, _ in item.entries]
    if "do" in keys:
        return not any(key in VERBS or context.findings.nearest(key, VERBS) for key in keys if key != "do")
    return len(keys) == 1 and isinstance(item.entries[0][1], Sequence) and one_slip(keys[0], "do")


def _transaction(fields: StepFields) -> TransactionStep | None:
    connection = fields.text("transaction")
    body = _steps(fields.context, "do", fields.required("do"))
    note_empty(fields, "do")
    modifiers = fields.modifiers()
    return TransactionStep(connection, body, modifiers, fields.mapping) if connection is not None else None


def _subflow(fields: StepFields) -> SubflowStep | None:
    flow = fields.text("subflow")
    inputs = fields.object("inputs", "an object with the inputs of the subflow")
    arguments = fields.context.entries(inputs) if inputs is not None else ()
    step = SubflowStep(
        flow or Name("", fields.at), arguments, fields.names("outputs"), fields.modifiers(), fields.mapping
    )
    return step if flow is not None else None


# ---------------------------------------------------------------- exit, raise, log

Status = Literal["success", "failure"]
_CASE_ALIASES = {"then": "do", "steps": "do", "if": "when", "case": "when", "value": "when", "else": "default"}
_STATUS = ("success", "failure")
_STATUS_WORDS = {"succeeded": "success", "ok": "success", "failed": "failure", "error": "failure"}


def _exit(fields: StepFields) -> ExitStep:
    context, node = fields.context, fields.node("exit")
    reason: Value | None = None
    status: Status = "success"
    outputs = None
    if isinstance(node, Mapping):
        inner = Fields(context, node, "an `exit`", ("reason", "status", "outputs"), at=fields.at)
        reason = _text(inner, "reason")
        status = cast("Status", inner.word("status", _STATUS, _STATUS_WORDS) or "success")
        named = inner.object("outputs", "an object of names and values")
        outputs = context.entries(named) if named is not None else None
    elif isinstance(node, Sequence):
        wrong_type(context, "exit", node, "a reason, or an object with `reason`, `status`, `outputs`")
    elif node is not None and node.value is not None:
        reason = _text(fields, "exit")
    return ExitStep(reason, status, outputs, fields.modifiers(), fields.mapping)


def _raise(fields: StepFields) -> RaiseStep | None:
    node = fields.node("raise")
    if not isinstance(node, Mapping):
        help_ = "write `raise: {message: …}`"
        wrong_type(fields.context, "raise", node or fields.mapping, "an object with `type` and `message`", help_)
        return None
    inner = Fields(fields.context, node, "a `raise`", ("type", "message"), at=fields.at)
    written = inner.text("type")
    word = inner.word("type", tuple(ERROR_CLASSES)) if written else None
    kind = Name(word, written.span) if word and written else None
    inner.required("message")
    message = _text(inner, "message")
    modifiers = fields.modifiers()
    return RaiseStep(kind, message, modifiers, fields.mapping) if message is not None else None


def _log(fields: StepFields) -> LogStep | None:
    message = _text(fields, "log")
    modifiers = fields.modifiers()
    return LogStep(message, modifiers, fields.mapping) if message is not None else None


def _text(fields: Fields, key: str) -> Constant | Computed | None:
    """A text with or without expressions; numbers and booleans are taken as they are."""
    node = fields.node(key)
    if node is None:
        return None
    if not isinstance(node, Scalar) or node.value is None:
        fields.wrong(key, node, "text")
        return None
    return fields.context.scalar(node)


VERBS: dict[str, Verb] = {
    "task": Verb(read_task, ("inputs", *SERVICE)),
    "set": Verb(_set),
    "if": Verb(_if, ("then", "elif", "else")),
    "switch": Verb(_switch, ("cases", "default")),
    "for_each": Verb(_for_each, ("do", "as", "max_concurrency", "batch_size", "max_failures", "collect")),
    "while": Verb(partial(read_repeat, "while"), LOOP_KEYS),
    "until": Verb(partial(read_repeat, "until"), LOOP_KEYS),
    "parallel": Verb(_parallel, ("max_concurrency", "fail_fast")),
    "transaction": Verb(_transaction, ("do", "idempotency_key", "exactly_once")),
    "try": Verb(read_try, TRY_KEYS),
    "subflow": Verb(_subflow, ("inputs", "outputs")),
    "wait": Verb(read_wait),
    "exit": Verb(_exit),
    "raise": Verb(_raise),
    "log": Verb(_log),
}
