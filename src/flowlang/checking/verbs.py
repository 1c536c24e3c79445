"""The verbs of the language: how each is checked, and the part of the plan that it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flowlang.checking.checker import Checker
from flowlang.checking.handing_on import hands_on
from flowlang.checking.remembered import hide_itself, remembered_by
from flowlang.checking.rules import (
    exit_in_cleanup,
    exit_outputs,
    names_taken,
    not_iterable,
    secret_stored,
    stream_use,
    subflow_call,
    subflow_input,
    switch_cases,
)
from flowlang.checking.scope import Branch, Entry, Scope, Unseen, mentions, merged
from flowlang.checking.steps import Walked, behind, block, ids, label, one, slot_of, walker
from flowlang.checking.values import Compiler, Wanted, condition, evaluator, facts, held, in_dict, text
from flowlang.diagnostics import Text, Words
from flowlang.document import model
from flowlang.exceptions import ERROR_CLASSES
from flowlang.expressions.types import ANY, INTEGER, STRING, Type, array, holds_secret, record
from flowlang.plan import Assign, Choose, Exit, Log, Loop, Parallel, Raise, Site, Step, Subflow, Switch
from flowlang.records import frozen

# ---------------------------------------------------------------- values


@walker(model.SetStep)
def set_(checker: Checker, scope: Scope, step: model.SetStep, site: Site) -> Walked:
    """Each value sees those before it under the step's own id."""
    slot = slot_of(scope, step)
    inner = scope.inner()
    id_ = step.modifiers.id
    types: dict[str, Type] = {}
    values = []
    before = remembered_by(scope, [step]).values()
    fields = {name: each for entry in before for name, each in (entry.type.fields or {}).items()}
    for name, value in step.values:
        if id_ is not None and types:
            inner.add(id_.text, Entry(record({**fields, **types}), label(id_), scope.layout, slot, id_))
        code, types[name.text] = evaluator(checker, inner, value, Wanted(name.text, keeps=True), name.text)
        values.append((name.text, code))
    return Walked(Assign(site, tuple(values), slot, _secret(types)), record(types), slot)


def _secret(types: dict[str, Type]) -> frozenset[str]:
    return frozenset(name for name, given in types.items() if holds_secret(given))


# ---------------------------------------------------------------- choices


@walker(model.IfStep)
def if_(checker: Checker, scope: Scope, step: model.IfStep, site: Site) -> Walked:
    """A condition is looked at when those before it did not hold, and its steps run when it does."""
    outer = scope.present
    holding: frozenset[str] | None = scope.holding
    guards, bodies = [], []
    for at, (guard, steps) in enumerate(step.branches):
        guards.append(condition(checker, scope, guard, "if"))
        prefix = f"{site.path}.{'then' if not at else f'elif{at}'}."
        bodies.append(_Body(prefix, steps, scope.present | facts(guard, True), _also(holding, held(guard, True))))
        scope.present = scope.present | facts(guard, False)
        holding = _also(holding, held(guard, False))
    unmatched = _Body(f"{site.path}.else.", step.otherwise or (), scope.present, holding)
    scope.present = outer
    why = Words("guard at {.span.start}", step.branches[0][0]) if step.branches else ""
    remedy = "add an `else` that defines it" if step.otherwise is None else "define it in every branch"
    planned, ends = _exclusive(checker, scope, step, [*bodies, unmatched], why, remedy)
    return Walked(Choose(site, tuple(zip(guards, planned, strict=False)), planned[-1]), None, ends=ends)


def _also(holding: frozenset[str] | None, more: frozenset[str]) -> frozenset[str] | None:
    """None, once a condition cannot be put into words."""
    return holding | more if holding is not None and more else None


@walker(model.SwitchStep)
def switch(checker: Checker, scope: Scope, step: model.SwitchStep, site: Site) -> Walked:
    subject, subject_type = evaluator(checker, scope, step.subject, Wanted("switch", keeps=True), "switch")
    looked_at = switch_cases.Cases(subject_type)
    cases, bodies = [], []
    for number, case in enumerate(step.cases, 1):
        codes = []
        for value in case.when:
            code, given = evaluator(checker, scope, value, Wanted("when", keeps=True), "when")
            checker.add(looked_at.check(value, given))
            codes.append(code)
        cases.append(tuple(codes))
        bodies.append(_Body(f"{site.path}.case{number}.", case.steps, scope.present, None))
    bodies.append(_Body(f"{site.path}.default.", step.default or (), scope.present, None))
    remedy = "add a `default` that defines it" if step.default is None else "define it in every case"
    planned, ends = _exclusive(checker, scope, step, bodies, Words("switch at {.span.start}", step), remedy)
    return Walked(Switch(site, subject, tuple(zip(cases, planned, strict=False)), planned[-1]), None, ends=ends)


@frozen
class _Body:
    """One of several branches, what is known to be there inside it, and the conditions that hold there, when they
    can be put into words."""

    prefix: str
    steps: Sequence[model.Step]
    present: frozenset[str]
    holding: frozenset[str] | None


Choice = model.IfStep | model.SwitchStep


def _exclusive(
    checker: Checker, scope: Scope, step: Choice, bodies: Sequence[_Body], why: Text, remedy: str
) -> tuple[list[tuple[Step, ...]], bool]:
    """The plans of branches of which exactly one runs, and whether each of them ends the flow. The last is what runs
    when no condition held, empty when the author wrote none. A branch that ends the flow leaves nothing behind, and
    what all the others know is known from here on."""
    verb = Words("`{}` at {.span.start}", "if" if isinstance(step, model.IfStep) else "switch", step)
    around = scope.inner()
    for id_, _ in ids([step]):
        if scope.recurs(id_.text):
            continue
        reason = Words("{} is in another branch of the {}: only one of them runs", label(id_), verb)
        around.unseen[id_.text] = Unseen("hidden", label(id_), reason)
    planned, left, consumed = [], [], []
    known: list[frozenset[str]] = []
    for body in bodies:
        inner = around.inner()
        inner.present = body.present
        inner.holding = body.holding or scope.holding
        steps, ends = block(checker, inner, body.steps, body.prefix)
        planned.append(steps)
        consumed.append(inner.streams)
        around.reusable.update({name: entry.slot for name, entry in inner.entries.items()})
        if not ends:
            own = body.holding - scope.holding if body.holding is not None else None
            if own is not None and any(mentions(each, name) for each in own for name in inner.redefined):
                own = None  # the condition was about what stood there before this branch
            left.append(Branch(behind(inner.entries, step), own))
            known.append(inner.present)
            continue
        for name, entry in inner.entries.items():
            reason = Words("{} cannot be read here: its branch of the {} always ends the flow", entry.label, verb)
            scope.unseen[name] = Unseen("hidden", entry.label, reason)
    for streams in consumed:
        scope.streams.update(streams)
    scope.leave(merged(left, why=why, remedy=remedy))
    scope.present = scope.present.union(frozenset.intersection(*known)) if known else scope.present
    return planned, not left


# ---------------------------------------------------------------- loops and branches


@walker(model.ForEachStep)
def for_each(checker: Checker, scope: Scope, step: model.ForEachStep, site: Site) -> Walked:
    slot = slot_of(scope, step)
    items, source = evaluator(checker, scope, step.items, Wanted("for_each"), "for_each")
    checker.add(not_iterable.check(source, step.items))
    if source.kind == "stream":
        checker.add(stream_use.check(step.items, scope))
    checker.add(names_taken.loop_variable(step, scope))
    inner = scope.turn()
    hide_itself(scope, inner, step)
    inner.over_stream = step if source.kind == "stream" else scope.over_stream
    variable = step.variable
    named = f"loop variable `{variable.text}`"
    place = inner.layout.place()
    inner.add(variable.text, Entry(_item(source, step), named, inner.layout, place, variable, kind="variable"))
    inner.add("index", Entry(INTEGER, "loop index `index`", inner.layout, inner.layout.place(), kind="root"))
    if checker.facts is not None:
        checker.facts.inside(step.items.span.end, step.span.start.column + 1, inner)
        if step.collect is not None:
            checker.facts.inside(step.collect.span.start, 1, inner)
    body, _ = block(checker, inner, step.body, "")
    outputs: dict[str, Type] = {"count": INTEGER, "failed": INTEGER}
    collect = None
    if step.collect is not None:
        collect, collected = evaluator(checker, inner, step.collect, Wanted("collect", keeps=True), "collect")
        outputs["results"] = array(collected)
    scope.streams.update(inner.streams)
    outside = {name: each for name, each in inner.entries.items() if each.layout is not inner.layout}
    scope.leave({name: each for name, each in outside.items() if each.state == "hidden"})  # a `wait` closed them
    loop = Loop(
        site, items, body, inner.layout.size, slot, collect, step.batch_size, step.max_concurrency, step.max_failures,
        hands_on(checker, step, body),
    )  # fmt: skip
    return Walked(loop, record(outputs), slot)


def _item(source: Type, step: model.ForEachStep) -> Type:
    """The type of what one turn gets."""
    item = source.items if source.kind in ("array", "stream") and source.items is not None else ANY
    if source.kind == "object":
        item = record({"key": STRING, "value": replace(ANY, secret=holds_secret(source))})
    if source.secret:
        item = replace(item, secret=True)
    return array(item) if step.batch_size is not None else item


@walker(model.ParallelStep)
def parallel(checker: Checker, scope: Scope, step: model.ParallelStep, site: Site) -> Walked:
    """Branches run at the same time: none sees another, and behind them all are seen."""
    around = scope.inner()
    for name, _ in ids([step]):
        why = Words("{} runs at the same time, in another branch of the `parallel` at {.span.start}", label(name), step)
        around.unseen[name.text] = Unseen("hidden", label(name), why, "read it behind the `parallel`")
    branches, left, ends = [], [], False
    for number, branch in enumerate(step.branches, 1):
        own = around.inner()
        own.entries.update(remembered_by(scope, branch))
        inner = own.inner()
        body, ended = _branch(checker, inner, branch, site, number)
        branches.append(body)
        left.append(behind(inner.entries, step))
        around.streams.update(inner.streams)
        ends = ends or ended
    for entries in left:
        scope.leave(entries)
    scope.streams.update(around.streams)
    return Walked(Parallel(site, tuple(branches), step.max_concurrency, step.fail_fast), None, ends=ends)


def _branch(
    checker: Checker, scope: Scope, steps: Sequence[model.Step], site: Site, number: int
) -> tuple[tuple[Step, ...], bool]:
    """A branch of one step is numbered by its place among the branches, so that no two paths are the same."""
    if len(steps) != 1:
        return block(checker, scope, steps, f"{site.path}.branch{number}.")
    walked = one(checker, scope, steps[0], f"{site.path}.", number)
    return ((walked.step,) if walked.step is not None else ()), walked.ends


# ---------------------------------------------------------------- subflows


@walker(model.SubflowStep)
def subflow(checker: Checker, scope: Scope, step: model.SubflowStep, site: Site) -> Walked:
    slot = slot_of(scope, step)
    compiler = Compiler(checker, scope)
    callee = subflow_call.resolve(checker, step)
    declared = {each.name: each for each in callee.plan.inputs} if callee is not None else {}
    arguments, types = [], {}
    for name, value in step.arguments:
        wanted = declared.get(name.text)
        expected = Wanted(name.text, wanted.type if wanted is not None else ANY, True)
        code, types[name.text] = compiler.value(value, expected)
        arguments.append((name.text, code))
    tainted = frozenset(each for each in _secret(types) if each in declared and not declared[each].secret)
    if callee is not None and tainted:
        callee = subflow_call.resolve(checker, step, tainted)
    if callee is None:
        return Walked(None, ANY, slot)
    checker.add(subflow_input.names(step, callee))
    checker.add(subflow_input.bounds(step, callee))
    checker.add(subflow_call.selected(step, callee))
    function = compiler.function(in_dict(arguments), site.path)
    selected = tuple(each.text for each in step.selected) if step.selected is not None else None
    secret = _secret(types) | {name for name, each in declared.items() if each.secret}
    return Walked(
        Subflow(site, callee.plan, function, slot, selected, secret), subflow_call.outputs(step, callee), slot
    )


# ---------------------------------------------------------------- exit, raise, log


@walker(model.ExitStep)
def exit_(checker: Checker, scope: Scope, step: model.ExitStep, site: Site) -> Walked:
    checker.add(exit_in_cleanup.check(step, scope.cleaning))
    reason, given_reason = text(checker, scope, step.reason, "reason") if step.reason is not None else (None, ANY)
    checker.add(secret_stored.shown("the reason of this `exit`", step.reason, given_reason))
    outputs = None
    types: dict[str, Type] = {}
    if step.outputs is not None:
        compiler = Compiler(checker, scope)
        declared = {each.name.text: each.type for each in checker.flow.outputs}
        parts = []
        for name, value in step.outputs:
            wanted = declared.get(name.text) or ANY
            code, types[name.text] = compiler.value(value, Wanted(name.text, wanted, keeps=True, optional=True))
            parts.append((name.text, code))
        checker.add(exit_outputs.check([name for name, _ in step.outputs], declared))
        outputs = compiler.function(in_dict(parts), "outputs")
    for each in checker.flow.outputs:
        given = types.get(each.name.text)
        checker.exit_types.setdefault(each.name.text, []).append(ANY if given is None else given)
    return Walked(
        Exit(site, step.status, reason, outputs, _secret(types), given_reason.secret), None, ends=not scope.cleaning
    )


@walker(model.RaiseStep)
def raise_(checker: Checker, scope: Scope, step: model.RaiseStep, site: Site) -> Walked:
    message, given = text(checker, scope, step.message, "message")
    checker.add(secret_stored.shown("the message of this `raise`", step.message, given))
    error_class = step.error_class.text if step.error_class is not None else "task"
    if error_class not in ERROR_CLASSES:
        error_class = "task"  # the document has reported it
    return Walked(Raise(site, error_class, message, given.secret), None, ends=True)


@walker(model.LogStep)
def log(checker: Checker, scope: Scope, step: model.LogStep, site: Site) -> Walked:
    message, given = text(checker, scope, step.message, "log")
    return Walked(Log(site, message, given.secret), None)
