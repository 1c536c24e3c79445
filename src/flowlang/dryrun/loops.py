"""Loops, `try` and subflows in a dry run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowlang.dryrun.frames import blank, blur, merge
from flowlang.dryrun.records import Entry
from flowlang.dryrun.scope import ON, Failed, Outcome, Scope
from flowlang.dryrun.unknown import Unknown
from flowlang.dryrun.walk import Told, joined, walk, walker
from flowlang.expressions.runtime import UNSET, kind_of
from flowlang.plan import Frame, Handler, Loop, Repeat, Try

# ---------------------------------------------------------------- for_each


@walker(Loop)
def loop(step: Loop, frame: Frame, scope: Scope) -> Told:
    items = scope.known(step.items, frame, "${" + scope.said(step.items) + "}")
    if isinstance(items, Unknown):
        return _any_turn(step, items, frame, scope)
    if isinstance(items, Mapping):
        items = [{"key": key, "value": value} for key, value in items.items()]
    if not isinstance(items, (list, tuple)):
        raise Failed("validation", f"`for_each` needs a list, an object or a stream, not {kind_of(items)}")
    size = step.batch_size
    turns = [list(items[at : at + size]) for at in range(0, len(items), size)] if size else items
    return _turns(step, turns, frame, scope)


def _any_turn(step: Loop, items: Unknown, frame: Frame, scope: Scope) -> Told:
    """One turn, for whatever there will be."""
    turn = blank(frame, step.size)
    turn[1], turn[2] = Unknown(), Unknown()
    entries, outcome = walk(step.body, turn, scope.below(step.site, "*").perhaps())
    each = f"for each {'batch' if step.batch_size else 'item'} of {scope.story.shown(items)}"
    frame[step.slot] = Unknown()
    leaky = outcome.leaky or outcome.end == "exit"
    told = scope.way(step.site, "for_each", each, entries)
    return [told], Outcome(risky=True, leaky=leaky)


def _turns(step: Loop, items: Sequence[Any], frame: Frame, scope: Scope) -> Told:
    shown = scope.story.turns_of(len(items))
    told: list[Entry] = []
    results: list[Any] = []
    failed, so_far, inner = 0, ON, scope
    for index, item in enumerate(items[:shown]):
        entry, outcome, result = _turn(step, item, index, frame, inner)
        told.append(entry)
        results.append(result)
        failed += outcome.end == "failed"
        lost = outcome.end == "failed" and failed > step.max_failures
        if outcome.end == "exit" or lost:
            so_far = so_far.then(outcome)
            break
        leaky = outcome.leaky and outcome.end != "failed"
        so_far = so_far.then(Outcome(risky=outcome.risky, leaky=leaky))
        inner = inner.perhaps() if leaky else inner
    else:
        if shown < len(items):
            told.append(scope.entry(step.site, "more", f"… and {_count(len(items) - shown, 'more turn')}"))
    unsure = so_far.risky and (step.max_failures > 0 or so_far.leaky)
    frame[step.slot] = Unknown() if unsure or failed else _outputs(step, len(items), shown, results)
    return [scope.entry(step.site, "for_each", _count(len(items), "turn"), entries=tuple(told))], so_far


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"


def _outputs(step: Loop, count: int, shown: int, results: list[Any]) -> dict[str, Any]:
    outputs: dict[str, Any] = {"count": count, "failed": 0}
    if step.collect is not None:
        outputs["results"] = [*results, *(Unknown() for _ in range(count - shown))]
    return outputs


def _turn(step: Loop, item: Any, index: int, frame: Frame, scope: Scope) -> tuple[Entry, Outcome, Any]:
    turn = blank(frame, step.size)
    turn[1], turn[2] = item, index
    inner = scope.below(step.site, index)
    entries, outcome = walk(step.body, turn, inner)
    result = None
    if step.collect is not None and not outcome.end:
        try:
            result = inner.known(step.collect, turn)
        except Failed as failed:
            text = f"collect: {failed.error_class}: {failed.detail}"
            entries = [*entries, scope.entry(step.site, "collect", text, "fails")]
            outcome = Outcome("failed", risky=True, error_class=failed.error_class)
    return scope.entry(step.site, "turn", str(index), entries=tuple(entries)), outcome, result


# ---------------------------------------------------------------- while, until


@walker(Repeat)
def repeat(step: Repeat, frame: Frame, scope: Scope) -> Told:
    """Turns as long as the condition is decided; what may follow from then on is told in a word."""
    for slot in step.slots:
        frame[slot] = UNSET
    frame[step.index_slot], frame[step.slot] = 0, {"count": 0}
    looks_first = step.kind == "while"
    again = scope.holds(step.condition, frame) if looks_first else True
    told: list[Entry] = []
    so_far, turn, before = ON, 0, frame.copy()
    most = scope.story.turns_of(step.max_iterations)
    while again and turn < most and not so_far.leaky:
        before = frame.copy()
        frame[step.index_slot] = turn
        entries, outcome = walk(step.body, frame, scope.below(step.site, turn))
        told.append(scope.entry(step.site, "turn", str(turn), entries=tuple(entries)))
        so_far = so_far.then(outcome)
        if outcome.end:
            return [scope.entry(step.site, step.kind, scope.said(step.condition), entries=tuple(told))], so_far
        turn += 1
        frame[step.slot] = {"count": turn}
        frame[step.index_slot] = turn if looks_first else turn - 1
        holds = scope.holds(step.condition, frame)
        again = holds if looks_first or holds is None else not holds
    so_far = so_far.then(_beyond(step, again, turn, told, before, frame, scope))
    return [scope.entry(step.site, step.kind, scope.said(step.condition), entries=tuple(told))], so_far


def _beyond(
    step: Repeat, again: bool | None, turn: int, told: list[Entry], before: Frame, frame: Frame, scope: Scope
) -> Outcome:
    """What comes after the turns that were told: nothing, one too many, or more that are not."""
    if again is False:
        return ON
    if again and turn == step.max_iterations:
        text = f"limit: its {_count(turn, 'turn')} have run, and its condition asks for more"
        told.append(scope.entry(step.site, step.kind, text, "fails"))
        return Outcome("failed", risky=True, error_class="limit")
    outcome = ON
    condition = f"{step.kind} {scope.said(step.condition)}, {_count(step.max_iterations, 'turn')} at most"
    if turn:
        told.append(scope.entry(step.site, "more", f"… and again, {condition}"))
        blur(frame, before)
    else:
        own = frame.copy()
        entries, outcome = walk(step.body, own, scope.below(step.site, "*").perhaps())
        told.append(scope.way(step.site, "turn", condition, entries))
        merge(frame, [frame.copy(), own])
    frame[step.slot] = frame[step.index_slot] = Unknown()
    return Outcome(risky=True, leaky=outcome.leaky or outcome.end == "exit")


# ---------------------------------------------------------------- try


@walker(Try)
def try_(step: Try, frame: Frame, scope: Scope) -> Told:
    before = frame.copy()
    for slot in step.slots:
        before[slot] = UNSET
    body, outcome = walk(step.body, frame, scope)
    told = [scope.entry(step.site, "try", entries=tuple(body))]
    if outcome.end == "failed":
        ended = _caught(step, outcome, told, frame, before, scope)
    elif outcome.risky:
        ended = _may_be_caught(step, outcome, told, frame, before, scope)
    else:
        ended = outcome
    if step.finally_:
        entries, last = _finally(step, outcome, before, frame, scope)
        told.append(scope.entry(step.site, "finally", entries=tuple(entries)))
        ended = last if last.end else replace(ended, risky=ended.risky or last.risky, leaky=ended.leaky or last.leaky)
    return told, ended


def _finally(step: Try, outcome: Outcome, before: Frame, frame: Frame, scope: Scope) -> Told:
    """It runs behind a failure that nobody handled, too: what the body gives is not certain in it."""
    own = frame.copy()
    if outcome.risky:
        merge(own, [frame, before])
    seen = own.copy()
    told = walk(step.finally_, own, scope)
    for place in range(1, len(frame)):
        if own[place] is not seen[place]:
            frame[place] = own[place]
    return told


def _caught(step: Try, outcome: Outcome, told: list[Entry], frame: Frame, before: Frame, scope: Scope) -> Outcome:
    """The body fails for certain: the first handler for its class, or none."""
    for each in step.handlers:
        if each.on and outcome.error_class not in each.on:
            continue
        own = before.copy()
        own[each.error_slot] = Unknown()
        holds = scope.holds(each.guard, own) if each.guard is not None else True
        if holds is False:
            continue
        inner = scope if holds else scope.perhaps()
        entries, ended = walk(each.body, own, inner)
        told.append(inner.entry(step.site, "catch", _caught_text(each, scope), entries=tuple(entries)))
        frame[:] = own
        return ended if holds else Outcome("", ended.risky, leaky=True)
    return outcome


def _may_be_caught(
    step: Try, outcome: Outcome, told: list[Entry], frame: Frame, before: Frame, scope: Scope
) -> Outcome:
    outcomes, left = [outcome], [] if outcome.end else [frame.copy()]
    for each in step.handlers:
        own = before.copy()
        own[each.error_slot] = Unknown()
        entries, ended = walk(each.body, own, scope.perhaps())
        text = f"if it fails with {_caught_text(each, scope)}"
        told.append(scope.way(step.site, "catch", text, entries))
        outcomes.append(ended)
        if not ended.end:
            left.append(own)
    if left:
        merge(frame, left)
    return joined(outcomes)


def _caught_text(each: Handler, scope: Scope) -> str:
    text = " or ".join(sorted(each.on)) or "any failure"
    return text + (f", if {scope.said(each.guard)}" if each.guard is not None else "")
