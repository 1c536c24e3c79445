"""What the ids in the body of a `while` or `until` hold before their step runs in this turn: what the latest turn left.

Their steps are not checked yet at that point, so only what can be told beforehand is said of their types: the outputs
that a task declares, the names that a `set` gives. Whether they hold something secret is worked out from what their
steps read, in rounds, because a turn may read what another step of the turn before has read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from flowlang.checking import calls
from flowlang.checking.checker import Checker
from flowlang.checking.rules import subflow_call
from flowlang.checking.scope import Entry, Scope, Unseen
from flowlang.checking.steps import behind, ids, label
from flowlang.document import model
from flowlang.document.walk import expressions
from flowlang.expressions.infer import infer
from flowlang.expressions.syntax import Expression
from flowlang.expressions.types import ANY, INTEGER, Type, array, holds_secret, record, union


def remember(checker: Checker, scope: Scope, around: Scope, step: model.RepeatStep) -> None:
    """Put the ids of the body into `around`, each with the place where its step will write; `scope` is outside."""
    names = [name.text for name, loop in ids(step.body) if loop is None]
    for name in names:
        scope.redefine(name)  # an outer turn may have left something, which the first turn does not see
    around.recurring = frozenset(names)
    why = f"the `{step.kind}` at {step.span.start} may be in its first turn"
    found: dict[str, Entry] = {}
    inside: dict[str, list[model.Step]] = {}
    for each in _steps(step.body):
        id_ = each.modifiers.id
        if id_ is None:
            continue
        place = around.reusable.get(id_.text)
        if place is None:
            place = around.reusable[id_.text] = scope.slot_for(id_.text)
        inside.setdefault(id_.text, []).append(each)
        known = _outputs(checker, each)
        if known is not None:
            if id_.text in found:  # in another branch of the same choice
                known = union(found[id_.text].type, known)
            found[id_.text] = Entry(known, label(id_), scope.layout, place, id_.span).maybe(why)
    around.entries.update(behind(found, step.span))
    _mark_secrets(around, {name: inside[name] for name in found})


def remembered_by(scope: Scope, steps: Sequence[model.Step]) -> dict[str, Entry]:
    """Of the ids in `steps`, those that may hold what an earlier turn left."""
    names = [name.text for name, _ in ids(steps) if scope.recurs(name.text)]
    found = {name: scope.entry(name) for name in names}
    return {name: entry for name, entry in found.items() if entry is not None}


def hide_itself(scope: Scope, inner: Scope, step: model.ForEachStep | model.RepeatStep) -> None:
    """Inside a loop its own id holds neither this turn's outputs nor those of the turn before."""
    id_ = step.modifiers.id
    if id_ is not None and scope.recurs(id_.text):
        why = f"{label(id_)} is this very step: its outputs can be read behind it"
        inner.unseen[id_.text] = Unseen("hidden", label(id_), why)


def _steps(steps: Sequence[model.Step]) -> Iterator[model.Step]:
    """The steps that write into the frame around them: all but those in the turns of a `for_each`."""
    for step in steps:
        yield step
        for word, inner in model.blocks(step):
            if not isinstance(step, model.ForEachStep) or word == "on_error":
                yield from _steps(inner)


def _outputs(checker: Checker, step: model.Step) -> Type | None:
    """What is known of a step's outputs without checking it; None when it has none."""
    if isinstance(step, model.TaskStep):
        with checker.unheard():
            known, _ = calls.resolve(checker, step)
        return calls.outputs_of(checker, step, known.spec)[0] if known is not None else ANY
    if isinstance(step, model.SubflowStep):
        callee = subflow_call.known(checker, step)
        return subflow_call.outputs(step, callee) if callee is not None else ANY
    if isinstance(step, model.SetStep):
        return record({name.text: ANY for name, _ in step.values})
    if isinstance(step, model.ForEachStep):
        results = {"results": array(ANY)} if step.collect is not None else {}
        return record({"count": INTEGER, "failed": INTEGER, **results})
    if isinstance(step, model.RepeatStep):
        return record({"count": INTEGER})
    return record({"payload": ANY}) if isinstance(step, model.WaitStep) and step.signal is not None else None


def _mark_secrets(around: Scope, inside: dict[str, list[model.Step]]) -> None:
    """Mark what may hold something secret. `around` has the entries; it is asked until nothing more is found."""
    read = {name: list(expressions(tuple(steps))) for name, steps in inside.items()}
    plain = {name for name in read if not holds_secret(around.entries[name].type)}
    while True:
        found = {name for name in plain if any(_touches_secret(each, around) for each in read[name])}
        if not found:
            return
        plain -= found
        for name in found:
            entry = around.entries[name]
            around.entries[name] = replace(entry, type=_secret(entry.type))


def _touches_secret(expression: Expression, scope: Scope) -> bool:
    names = {each.id for each in ast.walk(expression.tree) if isinstance(each, ast.Name)}
    bindings = [scope.lookup(name) for name in names]
    if not any(each is not None and holds_secret(each.type) for each in bindings):
        return False
    return infer(expression, scope).secret


def _secret(given: Type) -> Type:
    if given.fields is None:
        return replace(given, secret=True)
    return replace(given, fields={name: replace(each, secret=True) for name, each in given.fields.items()})
