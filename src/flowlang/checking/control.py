"""The verbs that steer a run, `while`, `until`, `try` and `wait`: how each is checked, and its part of the plan."""

from __future__ import annotations

from flowlang.checking.checker import Checker
from flowlang.checking.remembered import hide_itself, remember
from flowlang.checking.rules import names_taken, stream_across_wait, unreachable_handler, wait_value
from flowlang.checking.scope import Branch, Entry, Scope, Unseen, merged
from flowlang.checking.steps import ERROR, Walked, behind, block, ids, label, slot_of, walker
from flowlang.checking.values import Wanted, condition, evaluator, facts, held
from flowlang.document import model
from flowlang.expressions.types import ANY, INTEGER, TIMESTAMP, record
from flowlang.plan import Handler, Repeat, Site, Step, Try, Wait
from flowlang.records import frozen

# ---------------------------------------------------------------- while, until


@walker(model.RepeatStep)
def repeat(checker: Checker, scope: Scope, step: model.RepeatStep, site: Site) -> Walked:
    """The body runs in the frame around it, turn after turn, so what it defines is known from the turn before, too."""
    slot, index = slot_of(scope, step), scope.layout.place()
    first = len(scope.layout.given)
    around = scope.inner()
    remember(checker, scope, around, step)
    hide_itself(scope, around, step)
    around.holding = frozenset(each for each in scope.holding if "index" not in each)
    around.add("index", Entry(INTEGER, "loop index `index`", scope.layout, index, kind="root"))
    if checker.facts is not None:
        checker.facts.inside(step.span.start, step.span.start.column + 1, around)
    looks_first = step.kind == "while"
    guard = condition(checker, around, step.condition, step.kind) if looks_first else None
    inner = around.inner()
    if looks_first:
        inner.present = inner.present | facts(step.condition, True)
        inner.holding = inner.holding | held(step.condition, True)
    body, ends = block(checker, inner, step.body, "")
    if guard is None:
        guard = condition(checker, inner, step.condition, step.kind)
    scope.streams.update(inner.streams)
    left = behind(inner.entries, step.span)
    if looks_first:
        why = f"the `while` at {step.span.start} may not run even once"
        left = {name: each.maybe(why) for name, each in left.items()}
    else:
        scope.present = scope.present | inner.present
    scope.leave(left)
    if not ends:
        scope.present = scope.present | facts(step.condition, not looks_first)
    written = tuple(dict.fromkeys(scope.layout.given[first:]))
    planned = Repeat(site, step.kind, guard, body, step.max_iterations, step.interval, slot, index, written)
    return Walked(planned, record({"count": INTEGER}), slot, ends=ends and not looks_first)


# ---------------------------------------------------------------- try


@frozen
class _Tried:
    """One way through a `try`: its steps, what it leaves, what is known behind it, and whether it ends the flow."""

    steps: tuple[Step, ...]
    scope: Scope
    ends: bool


@walker(model.TryStep)
def try_(checker: Checker, scope: Scope, step: model.TryStep, site: Site) -> Walked:
    """The body, or as much of it as there was, then the first handler that fits. A handler sees nothing of the body:
    its places are emptied."""
    checker.add(unreachable_handler.check(step))
    first = len(scope.layout.given)
    around = scope.inner()
    body = _way(checker, around.inner(), step.body, f"{site.path}.try.")
    slots = tuple(dict.fromkeys(scope.layout.given[first:]))
    around.reusable.update({name: entry.slot for name, entry in body.scope.entries.items()})
    ways, handlers = [body], []
    for number, catch in enumerate(step.catches, 1):
        handler, way = _catch(checker, around, step, body, catch, f"{site.path}.catch{number}.")
        handlers.append(handler)
        ways.append(way)
    for way in ways:
        scope.streams.update(way.scope.streams)
    going_on = [each for each in ways if not each.ends]
    why = f"a failure is handled at {step.catches[0].span.start}" if step.catches else ""
    left = [Branch(behind(each.scope.entries, step.span), None) for each in going_on]
    entries = merged(left, why=why, remedy="define it in every `catch`")
    finally_, broken_off = _finally(checker, scope, step, ways, site)
    for way in ways:
        if way.ends:
            for name, entry in way.scope.entries.items():
                reason = f"{entry.label} cannot be read here: its part of the `try` always ends the flow"
                scope.unseen[name] = Unseen("hidden", entry.label, reason)
    scope.leave(entries)
    if going_on:
        scope.present = scope.present | frozenset.intersection(*(each.scope.present for each in going_on))
    planned = Try(site, body.steps, tuple(handlers), finally_, slots)
    return Walked(planned, None, ends=broken_off or not going_on)


def _way(checker: Checker, scope: Scope, steps: tuple[model.Step, ...], prefix: str) -> _Tried:
    planned, ends = block(checker, scope, steps, prefix)
    return _Tried(planned, scope, ends)


def _catch(
    checker: Checker, scope: Scope, step: model.TryStep, body: _Tried, catch: model.Catch, prefix: str
) -> tuple[Handler, _Tried]:
    around = scope.inner()
    place = scope.layout.place()
    if catch.variable is None:
        around.add("error", Entry(ERROR, "root `error`", scope.layout, place, kind="root"))
    else:
        name = catch.variable
        checker.add(names_taken.error_variable(name, scope))
        named = f"error variable `{name.text}`"
        around.add(name.text, Entry(ERROR, named, scope.layout, place, name.span, kind="variable"))
    for id_, _ in ids(step.body):
        why = f"{label(id_)} belongs to the `try` that failed: it has no outputs here"
        around.unseen[id_.text] = Unseen("hidden", label(id_), why)
    for text, entry in body.scope.entries.items():
        around.entries[text] = entry.hidden(f"{entry.label} belongs to the `try` that failed: it has no outputs here")
    if checker.facts is not None:
        checker.facts.inside(catch.span.start, catch.span.start.column, around)
    inner = around.inner()
    guard = None
    if catch.guard is not None:
        guard = condition(checker, inner, catch.guard, "if")
        inner.present = inner.present | facts(catch.guard, True)
        inner.holding = inner.holding | held(catch.guard, True)
    way = _way(checker, inner, catch.steps, prefix)
    return Handler(frozenset(each.text for each in catch.on), guard, place, way.steps), way


def _finally(
    checker: Checker, scope: Scope, step: model.TryStep, ways: list[_Tried], site: Site
) -> tuple[tuple[Step, ...], bool]:
    """The steps of `finally`, which see that everything before them may have been cut short; their own ids are
    certain behind the `try`. Also whether they never come to their end."""
    around = scope.inner()
    around.cleaning = "finally"
    for way in ways:
        for name, entry in behind(way.scope.entries, step.span).items():
            around.entries[name] = entry.maybe(f"the `try` at {step.span.start} may have been cut short before it")
    inner = around.inner()
    steps, ends = block(checker, inner, step.finally_, f"{site.path}.finally.")
    scope.streams.update(inner.streams)
    scope.leave(behind(inner.entries, step.span))
    return steps, ends


# ---------------------------------------------------------------- wait


@walker(model.WaitStep)
def wait(checker: Checker, scope: Scope, step: model.WaitStep, site: Site) -> Walked:
    slot = slot_of(scope, step)
    duration = until = None
    if step.duration is not None:
        wanted = Wanted("wait", wait_value.wanted(step.duration))
        duration, given = evaluator(checker, scope, step.duration, wanted, "wait")
        checker.add(wait_value.check(given, step.duration, checker.inputs))
    if step.until is not None:
        until, _ = evaluator(checker, scope, step.until, Wanted("until", TIMESTAMP), "until")
    checker.add(stream_across_wait.check(step, scope))
    stream_across_wait.close(step, scope)
    outputs = record({"payload": ANY}) if step.signal is not None else None
    signal = step.signal.text if step.signal is not None else None
    return Walked(Wait(site, duration, until, signal, step.timeout, slot), outputs, slot)
