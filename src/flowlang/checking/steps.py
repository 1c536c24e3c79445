"""The walk over the steps: a block, a step with its modifiers, and what comes into sight behind it.

What a step does is checked by the function for its kind: in `calls` for tasks, in `verbs` for the rest. Each is put
into `WALKERS` by `walker`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flowlang.checking.checker import Checker
from flowlang.checking.rules import names_taken, stream_use, unreachable
from flowlang.checking.scope import Entry, Scope, Unseen, mentions, without
from flowlang.checking.values import condition, facts, held
from flowlang.diagnostics import Span, Text, Words
from flowlang.document import model
from flowlang.document.texts import with_article
from flowlang.expressions.types import BOOLEAN, INTEGER, STRING, Type, array, record
from flowlang.plan import Caching, Call, Evaluator, Modified, Site, Step
from flowlang.records import frozen

_POSITION = record({"file": STRING, "line": INTEGER, "column": INTEGER})
ERROR = record(
    dict.fromkeys(("type", "title", "detail", "flow", "step"), STRING)
    | {"attempt": INTEGER, "connection": STRING.or_null(), "position": _POSITION}
    | {"retryable": BOOLEAN, "outcome_unknown": BOOLEAN, "cause": array(STRING), "notes": array(STRING)}
)
"""What `error` holds in a handler: `exceptions.Failure.as_value`."""

# The literal words of the verbs, for paths and events.
_VERBS: dict[type, str] = {
    model.SetStep: "set",
    model.IfStep: "if",
    model.SwitchStep: "switch",
    model.ForEachStep: "for_each",
    model.ParallelStep: "parallel",
    model.TransactionStep: "transaction",
    model.TryStep: "try",
    model.WaitStep: "wait",
    model.SubflowStep: "subflow",
    model.ExitStep: "exit",
    model.RaiseStep: "raise",
    model.LogStep: "log",
}


@frozen
class Service:
    """What a task step is to its modifiers. `repeatable`: doing it twice does no harm; `retry`: the policy of its
    service, for steps without one."""

    repeatable: bool
    cache: Caching | None = None
    key: Evaluator | None = None
    retry: model.Retry | None = None


@dataclass(slots=True)
class Walked:
    """What the walk made of one step: its plan, and what its id holds afterwards (None: the verb has no outputs)."""

    step: Step | None
    outputs: Type | None = None
    slot: int = 0
    ends: bool = False  # it never lets the next step run
    service: Service | None = None


Walker = Callable[[Checker, Scope, Any, Site], Walked]
WALKERS: dict[type, Walker] = {}


def walker(kind: type) -> Callable[[Walker], Walker]:
    """Puts a function into `WALKERS`: the one for steps of `kind`."""

    def put(function: Walker) -> Walker:
        WALKERS[kind] = function
        return function

    return put


def slot_of(scope: Scope, step: model.Step) -> int:
    """The place of a step's outputs."""
    id_ = step.modifiers.id
    return scope.slot_for(id_.text) if id_ is not None else scope.layout.place()


# ---------------------------------------------------------------- blocks


def block(
    checker: Checker, scope: Scope, steps: Sequence[model.Step], prefix: str = ""
) -> tuple[tuple[Step, ...], bool]:
    """The plan of a list of steps, in `scope`, and whether it always ends the flow (or fails) before its end."""
    for name, loop in ids(steps):
        if loop is not None:
            scope.unseen[name.text] = _inside_loop(name, loop)
        elif not scope.recurs(name.text):
            scope.unseen[name.text] = Unseen("later", label(name))
    planned: list[Step] = []
    ended: model.Step | None = None
    told = False
    for number, step in enumerate(steps, 1):
        if checker.full:
            break
        if ended is not None and not told:
            checker.add(unreachable.check(step, ended))
            told = True
        walked = one(checker, scope, step, prefix, number)
        if walked.step is not None:
            planned.append(walked.step)
        if walked.ends and ended is None:
            ended = step
    return tuple(planned), ended is not None


def ids(
    steps: Sequence[model.Step], loop: model.ForEachStep | None = None
) -> list[tuple[model.Name, model.ForEachStep | None]]:
    """The ids defined in a block and in the blocks inside it, each with the outermost loop around it."""
    found: list[tuple[model.Name, model.ForEachStep | None]] = []
    for step in steps:
        if step.modifiers.id is not None:
            found.append((step.modifiers.id, loop))
        around = step if loop is None and isinstance(step, model.ForEachStep) else loop
        for word, inner in model.blocks(step):
            found += ids(inner, loop if word == "on_error" else around)
    return found


def label(name: model.Name) -> Text:
    return Words("step `{0.text}` ({0.span.start})", name)


def _inside_loop(name: model.Name, loop: model.ForEachStep) -> Unseen:
    why = Words("{} runs inside the loop at {.span.start}: its outputs belong to one turn", label(name), loop)
    remedy = "give the loop `collect` and read its `results`"
    if loop.modifiers.id is None:
        remedy = "give the loop an `id` and `collect`, and read its `results`"
    return Unseen("hidden", label(name), why, remedy)


# ---------------------------------------------------------------- one step


def one(checker: Checker, scope: Scope, step: model.Step, prefix: str, number: int) -> Walked:
    """One step with its modifiers; its id comes into sight."""
    modifiers = step.modifiers
    guard: Evaluator | None = None
    present, holding = scope.present, scope.holding
    if checker.facts is not None:
        checker.facts.before(step, scope)
    if modifiers.guard is not None:
        guard = condition(checker, scope, modifiers.guard, "if")
        scope.present = present | facts(modifiers.guard, True)
        scope.holding = holding | held(modifiers.guard, True)
    if modifiers.id is not None:
        checker.add(names_taken.step_id(modifiers.id, scope))
        scope.busy = modifiers.id.text
    site = _site(checker, step, prefix, number)
    slots, names, redefined = len(scope.layout.given), len(scope.added), len(scope.redefined)
    walked = WALKERS[type(step)](checker, scope, step, site)
    written = scope.layout.given[slots:]
    own = scope.added[names:]
    shown = scope.present
    scope.present, scope.holding = without(scope.redefined[redefined:], present, holding)
    handled = _handler(checker, scope, step, site, own)
    certain = modifiers.guard is None and not modifiers.continue_on_error
    if certain and handled is None:
        scope.present = shown  # what a step's branches found out holds behind it
    planned = _modified(checker, step, site, walked, guard, handled, written)
    _into_sight(scope, step, walked, handled, own)
    if checker.facts is not None:
        checker.facts.after(step, scope)
    return Walked(planned, walked.outputs, walked.slot, walked.ends and certain and (handled is None or handled.ends))


def operation_of(step: model.Step) -> str:
    """The task or verb of a step, as events name it."""
    if isinstance(step, model.TaskStep):
        return step.task.text
    return step.kind if isinstance(step, model.RepeatStep) else _VERBS[type(step)]


def _site(checker: Checker, step: model.Step, prefix: str, number: int) -> Site:
    operation = operation_of(step)
    id_ = step.modifiers.id.text if step.modifiers.id is not None else None
    start = step.start
    return Site(prefix + (id_ or f"{operation}#{number}"), operation, checker.flow.file, start.line, start.column, id_)


# ---------------------------------------------------------------- modifiers


@frozen
class Handled:
    steps: tuple[Step, ...]
    error_slot: int
    ends: bool
    left: dict[str, Entry]


def _handler(checker: Checker, scope: Scope, step: model.Step, site: Site, own: Sequence[str]) -> Handled | None:
    """`on_error`: its steps see `error`, and nothing of the step that failed."""
    if step.modifiers.on_error is None:
        return None
    around = scope.inner()
    slot = scope.layout.place()
    around.add("error", Entry(ERROR, "root `error`", scope.layout, slot, kind="root"))
    for name in own:
        entry = scope.entries[name]
        around.add(name, entry.hidden(Words("{} belongs to the step that failed: it has no outputs here", entry.label)))
    if step.modifiers.id is not None:
        id_ = step.modifiers.id
        why = f"{label(id_)} has failed when this runs: it has no outputs"
        around.unseen[id_.text] = Unseen("hidden", label(id_), why, "read what went wrong from `error`")
    inner = around.inner()
    steps, ends = block(checker, inner, step.modifiers.on_error, f"{site.path}.on_error.")
    scope.streams.update(inner.streams)
    return Handled(steps, slot, ends, inner.entries)


def _into_sight(scope: Scope, step: model.Step, walked: Walked, handled: Handled | None, own: Sequence[str]) -> None:
    """What is known of a step's outputs, and of those inside it, behind the step."""
    modifiers = step.modifiers
    why: Text = ""
    needs = None
    if modifiers.guard is not None:
        why = Words("guard at {.span.start}", modifiers.guard)
        if (handled is None or handled.ends) and not modifiers.continue_on_error:
            needs = held(modifiers.guard, True) or None
    elif handled is not None and not handled.ends:
        why = f"its failure is handled at {modifiers.spans['on_error'].start}"
    elif modifiers.continue_on_error:
        why = f"the flow goes on when it fails: `continue_on_error` at {modifiers.spans['continue_on_error'].start}"
    if modifiers.id is not None and walked.outputs is not None:
        id_ = modifiers.id
        if scope.recurs(id_.text):
            scope.redefine(id_.text)
        scope.add(id_.text, Entry(walked.outputs, label(id_), scope.layout, walked.slot, id_))
        own = [*own, id_.text]
    elif modifiers.id is not None:
        id_ = modifiers.id
        why_not = Words("{} has no outputs: it is {}", label(id_), with_article(operation_of(step)))
        scope.unseen[id_.text] = Unseen("hidden", label(id_), why_not)
    if needs is not None and any(mentions(each, name) for each in needs for name in own if scope.recurs(name)):
        needs = None  # the condition was about what stood there before this step
    if why:
        for name in own:
            scope.add(name, scope.entries[name].maybe(why, None, needs))
    if handled is not None:
        note = f"it is defined where a failure is handled, at {modifiers.spans['on_error'].start}"
        scope.leave({name: entry.maybe(note) for name, entry in behind(handled.left, step).items()})


def behind(entries: dict[str, Entry], where: Span | model.Located) -> dict[str, Entry]:
    """The names of a block as they are behind it: a stream that it opened is closed."""
    found = {}
    for name, entry in entries.items():
        fields = entry.type.fields
        if fields and entry.state != "hidden" and all(each.kind == "stream" for each in fields.values()):
            span = where if isinstance(where, Span) else where.span
            entry = entry.hidden(stream_use.closed(str(entry.label), span), "read it inside the block")
        found[name] = entry
    return found


def attempt_limit(checker: Checker, step: model.TaskStep, retry: model.Retry | None) -> float:
    """Seconds for one attempt at a task that is retried by `retry`, 0 for no limit."""
    defaults = checker.flow.defaults
    limit = step.modifiers.timeout if step.modifiers.timeout is not None else defaults.timeout
    return (limit if retry is None else retry.attempt_timeout) or 0.0


_NO_SERVICE = Service(repeatable=False)
_NOTHING = (None,) * 6


def _modified(
    checker: Checker,
    step: model.Step,
    site: Site,
    walked: Walked,
    guard: Evaluator | None,
    handled: Handled | None,
    written: Sequence[int],
) -> Step | None:
    """The step under its modifiers. A single operation with a time limit and nothing else needs no wrapping."""
    body, modifiers, defaults = walked.step, step.modifiers, checker.flow.defaults
    if body is None:
        return None
    service = isinstance(step, model.TaskStep)
    timeout = modifiers.timeout if modifiers.timeout is not None or not service else defaults.timeout
    about = walked.service or _NO_SERVICE
    retry = modifiers.retry if modifiers.retry is not None or not service else defaults.retry or about.retry
    if retry is None and isinstance(body, Call):
        timeout = None  # that of its only attempt, see `attempt_limit`
    if (guard, timeout, retry, handled, about.cache, about.key) == _NOTHING and not modifiers.continue_on_error:
        return body
    return Modified(
        site=site,
        body=body,
        guard=guard,
        timeout=timeout,
        retry=retry,
        repeatable=about.repeatable,
        handler=handled.steps if handled is not None else None,
        error_slot=handled.error_slot if handled is not None else 0,
        continue_on_error=modifiers.continue_on_error,
        slots=tuple(dict.fromkeys(written)),
        cache=about.cache,
        idempotency_key=about.key,
    )
