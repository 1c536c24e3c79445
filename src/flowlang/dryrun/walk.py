"""The walk of a dry run: one function for each kind of step, like the engine's, but nothing is sent.

A walker takes `(step, frame, scope)` and gives what is told of the step, and how it ends. What a call would return is
`Unknown`; a condition that is not decided leads both ways, each on a copy of the frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flowlang.dryrun.frames import merge
from flowlang.dryrun.records import Entry, How, PlannedCall
from flowlang.dryrun.scope import ON, Failed, Outcome, Scope
from flowlang.dryrun.unknown import Missing, Undecided, Unknown
from flowlang.expressions.runtime import UNSET
from flowlang.masking import MASK
from flowlang.plan import (
    Assign,
    Call,
    Choose,
    Exit,
    Frame,
    Log,
    Modified,
    Parallel,
    Raise,
    Site,
    Step,
    Switch,
    Transaction,
    Wait,
)

Told = tuple[list[Entry], Outcome]
Walker = Callable[[Any, Frame, Scope], Told]
WALKERS: dict[type, Walker] = {}


def walker(kind: type) -> Callable[[Walker], Walker]:
    def put(function: Walker) -> Walker:
        WALKERS[kind] = function
        return function

    return put


def walk(steps: Sequence[Step], frame: Frame, scope: Scope) -> Told:
    """A list of steps, up to one that certainly ends it."""
    told: list[Entry] = []
    so_far = ON
    for step in steps:
        entries, outcome = one(step, frame, scope)
        told += entries
        so_far = so_far.then(outcome)
        if outcome.end:
            break
        if outcome.leaky:
            scope = scope.perhaps()
    return told, so_far


def one(step: Step, frame: Frame, scope: Scope) -> Told:
    """One step. What certainly fails is told where it does."""
    try:
        return WALKERS[type(step)](step, frame, scope)
    except Failed as failed:
        entry = scope.entry(step.site, step.site.operation, f"{failed.error_class}: {failed.detail}", "fails")
        return [entry], Outcome("failed", risky=True, error_class=failed.error_class)


def ways(scope: Scope, frame: Frame, bodies: Sequence[Callable[[Frame, Scope], Told]]) -> list[Told]:
    """Each of several ways of which one is gone, on a frame of its own; `frame` is what they leave behind."""
    told, left = [], []
    for body in bodies:
        own = frame.copy()
        entries, outcome = body(own, scope.perhaps())
        told.append((entries, outcome))
        if not outcome.end:
            left.append(own)
    if left:
        merge(frame, left)
    return told


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """How several ways end of which one is gone."""
    risky = any(each.risky for each in outcomes)
    ends = {each.end for each in outcomes}
    if "" not in ends and outcomes:
        end = outcomes[0].end if len(ends) == 1 else "exit"
        return Outcome(end, risky, leaky=True, error_class=outcomes[0].error_class if end == "failed" else "")
    risky = risky or "failed" in ends
    return Outcome("", risky, any(each.end == "exit" or each.leaky for each in outcomes))


# ---------------------------------------------------------------- calls and values


@walker(Call)
def call(step: Call, frame: Frame, scope: Scope) -> Told:
    arguments = scope.value(step.arguments, frame)
    shown = scope.hidden(arguments, step.secret_arguments)
    planned = PlannedCall(scope.prefix + step.site.path, step.site.operation, step.connection, shown)
    notes = (f"at most {step.timeout:g} s",) if step.timeout else ()
    frame[step.slot] = Unknown()
    return [scope.entry(step.site, "call", call=planned, notes=notes)], Outcome(risky=True)


@walker(Assign)
def assign(step: Assign, frame: Frame, scope: Scope) -> Told:
    values: dict[str, Any] = {}
    before = frame[step.slot]  # set in a loop's turn before, or not at all
    seen = values if before is UNSET else Missing() if isinstance(before, Unknown) else dict(before)
    frame[step.slot] = seen
    for name, evaluator in step.values:
        seen[name] = values[name] = scope.known(evaluator, frame)
    frame[step.slot] = values
    return [scope.entry(step.site, "set", values=scope.hidden(values, step.secret_names))], ON


@walker(Log)
def log(step: Log, frame: Frame, scope: Scope) -> Told:
    return [scope.entry(step.site, "log", scope.shown(step.message, scope.known(step.message, frame)))], ON


@walker(Raise)
def raise_(step: Raise, frame: Frame, scope: Scope) -> Told:
    message = scope.shown(step.message, scope.known(step.message, frame))
    how: How = "fails" if scope.certain else "maybe"
    entry = scope.entry(step.site, "raise", f"{step.error_class}: {message}", how)
    return [entry], Outcome("failed", risky=True, error_class=step.error_class)


@walker(Exit)
def exit_(step: Exit, frame: Frame, scope: Scope) -> Told:
    reason = scope.shown(step.reason, scope.known(step.reason, frame)) if step.reason is not None else ""
    values = scope.known(step.outputs, frame) if step.outputs is not None else {}
    status = "failure" if step.status == "failure" else ""
    text = ": ".join(filter(None, (status, reason)))
    shown = scope.hidden(values, step.secret_outputs) if isinstance(values, Mapping) else {}
    outcome = Outcome("exit", outputs=values, secret_outputs=step.secret_outputs, error_class="task" if status else "")
    return [scope.entry(step.site, "exit", text, values=shown)], outcome


@walker(Wait)
def wait(step: Wait, frame: Frame, scope: Scope) -> Told:
    if step.signal is not None:
        limit = f", {step.timeout:g} s at most" if step.timeout is not None else ""
        text = f"for the signal `{step.signal}`{limit}"
    elif step.until is not None:
        text = f"until {scope.shown(step.until, scope.known(step.until, frame))}"
    else:
        assert step.duration is not None
        duration = scope.known(step.duration, frame)
        if isinstance(duration, timedelta):
            duration = duration.total_seconds()
        text = scope.shown(step.duration, duration).removesuffix(".0")
        text += " s" if isinstance(duration, (int, float)) else ""
    frame[step.slot] = Unknown()
    return [scope.entry(step.site, "wait", text)], Outcome(risky=step.signal is not None)


# ---------------------------------------------------------------- choices


@walker(Choose)
def choose(step: Choose, frame: Frame, scope: Scope) -> Told:
    """Conditions that are decided choose; the first that is not opens several ways."""
    open_: list[tuple[str, tuple[Step, ...]]] = []
    skipped: list[Entry] = []
    last: tuple[str, tuple[Step, ...]] | None = ("otherwise" if step.branches else "", step.otherwise)
    for condition, body in step.branches:
        said, holds = scope.said(condition), scope.holds(condition, frame)
        if holds is False:
            skipped.append(scope.entry(step.site, "then", f"`{said}` does not hold", "skipped"))
        elif holds is None:
            open_.append((f"if {said}", body))
        else:
            last = (f"`{said}` holds", body)
            break
    assert last is not None
    return _chosen(step.site, "if", [*open_, last], skipped, frame, scope)


@walker(Switch)
def switch(step: Switch, frame: Frame, scope: Scope) -> Told:
    subject = scope.known(step.subject, frame)
    said = scope.said(step.subject)
    shown = scope.shown(step.subject, subject)
    open_: list[tuple[str, tuple[Step, ...]]] = []
    last: tuple[str, tuple[Step, ...]] = ("otherwise" if step.cases else "", step.default)
    skipped: list[Entry] = []
    for candidates, body in step.cases:
        values = [scope.known(each, frame) for each in candidates]
        equal = _equal(subject, values)
        wanted = shown if shown == MASK else " or ".join(map(scope.shown, candidates, values))
        if equal is False:
            skipped.append(scope.entry(step.site, "case", f"`{said}` is {shown}, not {wanted}", "skipped"))
        elif equal is None:
            open_.append((f"if {said} is {wanted}", body))
        else:
            last = (f"`{said}` is {shown}", body)
            break
    return _chosen(step.site, "switch", [*open_, last], skipped, frame, scope)


def _equal(subject: Any, values: Sequence[Any]) -> bool | None:
    """Whether one of `values` equals `subject` as flows mean it; None when that is not known."""
    unsure = False
    for value in values:
        try:
            if subject == value and isinstance(subject, bool) == isinstance(value, bool):
                return None if unsure else True
        except Undecided:
            unsure = True
    return None if unsure else False


def _chosen(
    site: Site,
    kind: str,
    found: Sequence[tuple[str, tuple[Step, ...]]],
    skipped: Sequence[Entry],
    frame: Frame,
    scope: Scope,
) -> Told:
    """The ways that are left: one, or several of which a run goes one."""
    if len(found) == 1:
        text, body = found[0]
        entries, outcome = walk(body, frame, scope)
        way = [scope.entry(site, "then", text, entries=tuple(entries))] if entries or not skipped else []
        return [scope.entry(site, kind, entries=(*skipped, *way))], outcome
    *first, (last, otherwise) = found
    if last.startswith("`"):
        found = [*first, (f"otherwise, for {last}", otherwise)]
    told = ways(scope, frame, [lambda own, inner, body=body: walk(body, own, inner) for _, body in found])  # type: ignore[misc]
    entries = [scope.way(site, "then", text, inner) for (text, _), (inner, _) in zip(found, told, strict=True) if inner]
    return [scope.entry(site, kind, entries=(*skipped, *entries))], joined([outcome for _, outcome in told])


# ---------------------------------------------------------------- blocks


@walker(Parallel)
def parallel(step: Parallel, frame: Frame, scope: Scope) -> Told:
    """Branches cannot read each other: told one after the other they are what they are side by side."""
    branches, outcomes = [], []
    for number, branch in enumerate(step.branches, 1):
        entries, outcome = walk(branch, frame, scope)
        branches.append(scope.entry(step.site, "branch", str(number), entries=tuple(entries)))
        outcomes.append(outcome)
    limit = f"{step.max_concurrency} at once" if step.max_concurrency is not None else ""
    ended = next((each for kind in ("failed", "exit") for each in outcomes if each.end == kind), ON)
    outcome = replace(ended, risky=any(each.risky for each in outcomes), leaky=any(each.leaky for each in outcomes))
    return [scope.entry(step.site, "parallel", limit, entries=tuple(branches))], outcome


@walker(Transaction)
def transaction(step: Transaction, frame: Frame, scope: Scope) -> Told:
    entries, outcome = walk(step.body, frame, scope)
    text = f"on {step.connection_name}"
    return [scope.entry(step.site, "transaction", text, entries=tuple(entries))], replace(outcome, risky=True)


# ---------------------------------------------------------------- modifiers


@walker(Modified)
def modified(step: Modified, frame: Frame, scope: Scope) -> Told:
    if step.guard is None:
        return _handled(step, frame, scope)
    said, holds = scope.said(step.guard), scope.holds(step.guard, frame)
    if holds is False:
        entry = scope.entry(step.site, step.site.operation, f"`{said}` does not hold", "skipped")
        return [entry], ON
    if holds:
        entries, outcome = _handled(step, frame, scope)
        return [_noted(entries[0], f"`{said}` holds"), *entries[1:]], outcome
    told = ways(scope, frame, [lambda own, inner: _handled(step, own, inner), lambda own, inner: ([], ON)])
    entry = scope.way(step.site, "then", f"if {said}", told[0][0])
    return [entry], joined([outcome for _, outcome in told])


def _noted(entry: Entry, *notes: str) -> Entry:
    return replace(entry, notes=(*entry.notes, *filter(None, notes)))


def _handled(step: Modified, frame: Frame, scope: Scope) -> Told:
    """The step, and what runs when it fails."""
    before = frame.copy()
    entries, outcome = one(step.body, frame, scope)
    notes = []
    if step.retry is not None:
        notes.append(f"up to {step.retry.max_attempts} attempts")
    if step.timeout is not None:
        notes.append(f"{step.timeout:g} s for all of it")
    if step.idempotency_key is not None:
        notes.append(f"key {scope.shown(step.idempotency_key, scope.known(step.idempotency_key, before))}")
    if step.cache is not None:
        key = scope.shown(step.cache.key, scope.known(step.cache.key, before))
        notes.append(f"kept for {step.cache.ttl:g} s as {key}")
    if step.continue_on_error:
        notes.append("goes on when it fails")
    entries = [_noted(entries[0], *notes), *entries[1:]] if entries else entries
    if step.handler is None and not step.continue_on_error:
        return entries, outcome
    failing = before
    for slot in step.slots:
        failing[slot] = UNSET
    if step.handler is None:
        return entries, _went_on(step, frame, failing, outcome)
    return _with_handler(step, entries, outcome, frame, failing, scope)


def _went_on(step: Modified, frame: Frame, failing: Frame, outcome: Outcome) -> Outcome:
    if outcome.end == "failed":
        frame[:] = failing
        return ON
    if outcome.risky:
        merge(frame, [frame.copy(), failing])
    return replace(outcome, risky=False)


def _with_handler(
    step: Modified, entries: list[Entry], outcome: Outcome, frame: Frame, failing: Frame, scope: Scope
) -> Told:
    """What `on_error` does: for certain when the step fails for certain, else perhaps."""
    assert step.handler is not None
    failing[step.error_slot] = Unknown()
    if outcome.end == "failed":
        frame[:] = failing
        inner, ended = walk(step.handler, frame, scope)
        return [*entries, scope.entry(step.site, "on_error", entries=tuple(inner))], ended
    if not outcome.risky:
        return entries, outcome
    inner, ended = walk(step.handler, failing, scope.perhaps())
    told = scope.way(step.site, "on_error", "if it fails", inner)
    if not ended.end and not outcome.end:
        merge(frame, [frame.copy(), failing])
    leaky = outcome.leaky or ended.end == "exit" or ended.leaky
    return [*entries, told], replace(outcome, risky=ended.risky or ended.end == "failed", leaky=leaky)
