"""Where the steps of a plan are, by the paths that the journal knows them by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from flowlang.plan import Call, Loop, Plan, Repeat, Site, Step, Subflow
from flowlang.tasks.spec import TaskSpec

_TURN = re.compile(r"\[\d+\]")
_NO_STEPS = ("site", "arguments", "plan")
_SECRET: dict[int, tuple[Plan, tuple[Call, ...]]] = {}  # by the identity of plans, which are the same for many runs
_MOST = 256


def static(path: str) -> str:
    """The path in the flow, whatever the turn: `outer[*].charge`."""
    return _TURN.sub("[*]", path)


def site_of(plan: Plan, path: str) -> Site | None:
    """Where the step of this path, with its turns, is written."""
    wanted = static(path)
    return next((step.site for known, step in places(plan) if known == wanted), None)


def task_of(plan: Plan, path: str) -> TaskSpec | None:
    """The task that the step of this path calls, in the flow or a subflow of it."""
    known, wanted = dict(places(plan)), static(path)
    step = known.get(wanted)
    if not isinstance(step, Call):
        return None
    around = [(outer, each.plan) for outer, each in known.items() if isinstance(each, Subflow)]
    owners = [(len(outer), owner) for outer, owner in around if wanted.startswith(f"{outer}.")]
    return max(owners, key=lambda each: each[0], default=(0, plan))[1].operations[step.operation].spec


def places(plan: Plan, prefix: str = "") -> Iterator[tuple[str, Step]]:
    """Every step with its path, `[*]` standing for the turns of loops; those of its subflows included."""
    yield from _within(plan.steps, prefix)
    yield from _within(plan.on_cancel, f"{prefix}on_cancel.")
    yield from _within(plan.finally_, f"{prefix}finally.")


def secret_calls(plan: Plan) -> tuple[Call, ...]:
    """The calls whose outputs hold a secret."""
    known = _SECRET.get(id(plan))
    if known is None or known[0] is not plan:
        found = tuple(step for _, step in places(plan) if isinstance(step, Call) and step.secret_outputs)
        if len(_SECRET) >= _MOST:
            _SECRET.clear()
        known = _SECRET[id(plan)] = plan, found
    return known[1]


def _within(value: Any, prefix: str) -> Iterator[tuple[str, Step]]:
    if isinstance(value, tuple):
        for each in value:
            yield from _within(each, prefix)
        return
    if not is_dataclass(value) or isinstance(value, (Plan, Site)):
        return
    site = getattr(value, "site", None)
    if site is not None:
        yield prefix + site.path, value  # type: ignore[misc]  # what has a site is a step
    if isinstance(value, Subflow):
        yield from places(value.plan, f"{prefix}{value.site.path}.")
        return
    inner = f"{prefix}{value.site.path}[*]." if isinstance(value, (Loop, Repeat)) else prefix
    for each in fields(value):
        if each.name not in _NO_STEPS:
            yield from _within(getattr(value, each.name), inner)
