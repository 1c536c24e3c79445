"""A whole flow in a dry run: inputs, vars, connections, steps, outputs, clean-up; and a subflow inside of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flowlang.connections.config import schema_of, secret_paths, secret_texts
from flowlang.diagnostics import Diagnostic
from flowlang.dryrun import loops  # noqa: F401 - it fills the table of `walk`
from flowlang.dryrun.frames import blank, blur
from flowlang.dryrun.records import DryRun, Entry, PlannedConnection
from flowlang.dryrun.scope import ON, Failed, Outcome, Scope, Story
from flowlang.dryrun.unknown import Missing, Unknown
from flowlang.dryrun.walk import Told, walk, walker
from flowlang.engine.inputs import accept
from flowlang.masking import MASK
from flowlang.plan import ROOTS, Frame, Plan, Site, Subflow


def dry_run(
    plan: Plan,
    given: Mapping[str, Any],
    *,
    env: Mapping[str, str],
    secrets: Mapping[str, str],
    turns: int,
) -> tuple[DryRun | None, list[Diagnostic]]:
    """What a run of `plan`, compiled by `PartialUnit`, would do, or what is wrong with the inputs. `turns`: how many
    turns of a loop are told."""
    missing: list[str] = []
    inputs, findings = accept(plan, given, missing)
    if findings:
        return None, findings
    story = Story(turns, Missing(env), Missing(secrets))
    inputs |= {name: Unknown(f"${{inputs.{name}}}") for name in missing}
    scope = Scope(plan, story)
    entries, outcome, frame, connections = _activated(plan, inputs, scope)
    outputs: Mapping[str, Any] = {}
    if not outcome.end:
        try:
            outputs = _outputs(plan, frame, scope)
        except Failed as failed:
            site = Site("outputs", "outputs", plan.file, plan.outputs[0].line, plan.outputs[0].column)
            entries.append(scope.entry(site, "outputs", f"{failed.error_class}: {failed.detail}", "fails"))
            outcome = replace(outcome, end="failed")
    elif outcome.outputs:
        outputs = scope.hidden(outcome.outputs, outcome.secret_outputs)
    entries += _cleanups(plan, frame, scope)
    shown = scope.hidden(inputs, frozenset(each.name for each in plan.inputs if each.secret))
    ends = outcome.end if not outcome.leaky else ""
    told = DryRun(plan.flow, plan.file, shown, tuple(missing), connections, tuple(entries), outputs, ends)
    return told, []


def _activated(
    plan: Plan, inputs: Mapping[str, Any], scope: Scope
) -> tuple[list[Entry], Outcome, Frame, tuple[PlannedConnection, ...]]:
    """A plan at work: its frame, its connections, and its steps walked."""
    story = scope.story
    story.masker.add([inputs.get(each.name) for each in plan.inputs if each.secret and _told(inputs.get(each.name))])
    frame = blank(None, plan.size)
    frame[ROOTS.inputs], frame[ROOTS.env], frame[ROOTS.secrets] = inputs, story.env, story.secrets
    frame[ROOTS.run] = {"id": Unknown(), "attempt": 1, "started_at": Unknown(), "trigger": "manual"}
    values: dict[str, Any] = {}
    frame[ROOTS.vars] = values
    try:
        for name, evaluator in plan.vars:
            values[name] = scope.known(evaluator, frame)
            if name in plan.secret_vars and _told(values[name]):
                story.masker.add(values[name])
        connections = tuple(_connection(plan, at, frame, scope) for at in range(len(plan.connections)))
    except Failed as failed:
        site = Site("vars", "vars", plan.file, 1, 1)
        entry = scope.entry(site, "vars", f"{failed.error_class}: {failed.detail}", "fails")
        return [entry], Outcome("failed", error_class=failed.error_class), frame, ()
    entries, outcome = walk(plan.steps, frame, scope)
    return entries, outcome, frame, connections


def _told(value: Any) -> bool:
    return not isinstance(value, Unknown)


def _connection(plan: Plan, at: int, frame: Frame, scope: Scope) -> PlannedConnection:
    """The settings of a connection. Secrets stand there as the flow says them, or masked."""
    each = plan.connections[at]
    own = frame.copy()
    own[ROOTS.secrets] = Missing()  # their values have no place in a story
    config = scope.known(each.config, own)
    if each.plugin is not None:
        schema = schema_of(each.plugin)
        scope.story.masker.add([text for text in secret_texts(schema, config) if text[:2] != "${"])
        hidden = secret_paths(schema, config)
        config = _masked(config, (), hidden)
    return PlannedConnection(each.name, each.type, each.lazy, scope.hidden(config, frozenset()))


def _masked(value: Any, path: tuple[str | int, ...], hidden: frozenset[tuple[str | int, ...]]) -> Any:
    if path in hidden:
        return value if isinstance(value, Unknown) else MASK
    if isinstance(value, Mapping):
        return {key: _masked(each, (*path, str(key)), hidden) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(each, (*path, index), hidden) for index, each in enumerate(value)]
    return value


def _outputs(plan: Plan, frame: Frame, scope: Scope) -> dict[str, Any]:
    """The flow's outputs as they may be shown. Raises `Failed` for one that cannot be computed."""
    values = {each.name: scope.known(each.value, frame) for each in plan.outputs}
    return scope.hidden(values, frozenset(each.name for each in plan.outputs if each.secret))


def _cleanups(plan: Plan, frame: Frame, scope: Scope) -> list[Entry]:
    """`on_cancel` and `finally`. A run may have ended anywhere before: what its steps gave is not known there."""
    told = []
    for word, text, steps in (
        ("on_cancel", "if the run is cancelled", plan.on_cancel),
        ("finally", "at the end, whatever it was", plan.finally_),
    ):
        if steps:
            own = frame.copy()
            unset = blank(None, plan.size)
            unset[1 : ROOTS.first_free] = own[1 : ROOTS.first_free]
            blur(own, unset)
            inner = replace(scope, prefix=f"{scope.prefix}{word}.", certain=word == "finally")
            entries, _ = walk(steps, own, inner)
            site = Site(word, word, plan.file, steps[0].site.line, steps[0].site.column)
            if word == "finally":
                told.append(scope.entry(site, word, text, entries=tuple(entries)))
            else:
                told.append(scope.way(site, word, text, entries))
    return told


@walker(Subflow)
def subflow(step: Subflow, frame: Frame, scope: Scope) -> Told:
    """The steps of another flow, below this one's path."""
    plan = step.plan
    arguments = scope.value(step.arguments, frame)
    given = {name: value for name, value in arguments.items() if _told(value)}
    inputs, findings = accept(plan, given, [])
    if findings:
        raise Failed("validation", f"subflow `{plan.flow}`: " + "; ".join(each.message for each in findings))
    inputs |= {name: value for name, value in arguments.items() if not _told(value)}
    inner = replace(scope.below(step.site), plan=plan)
    entries, outcome, own, connections = _activated(plan, inputs, inner)
    opened = [
        inner.entry(Site(each.name, "connect", plan.file, 1, 1), "connection", each.type, values=each.config)
        for each in connections
    ]
    outputs: Any = Unknown()
    if outcome.end == "":
        raw = {each.name: inner.known(each.value, own) for each in plan.outputs}
        outputs = raw if not outcome.leaky else Unknown()
    elif outcome.end == "exit" and isinstance(outcome.outputs, Mapping):
        outputs = outcome.outputs
    if step.selected is not None and isinstance(outputs, Mapping):
        lacking = [name for name in step.selected if name not in outputs]
        if lacking:
            raise Failed("task", f"subflow `{plan.flow}` did not return the listed output `{lacking[0]}`")
        outputs = {name: outputs[name] for name in step.selected}
    frame[step.slot] = outputs
    entries = [*opened, *entries, *_cleanups(plan, own, inner)]
    shown = scope.hidden(arguments, step.secret_arguments)
    told = scope.entry(step.site, "subflow", plan.flow, values=shown, entries=tuple(entries))
    failed = outcome.end == "failed" or (outcome.end == "exit" and outcome.error_class == "task")
    risky = outcome.risky or bool(plan.connections)
    return [told], Outcome("failed", risky=True, error_class="task") if failed else replace(ON, risky=risky)
