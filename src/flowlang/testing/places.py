"""The steps of a flow as tests name them: by id, by path (`orders.charge`), or by turn (`orders[2].charge`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from flowlang.plan import (
    Call,
    Choose,
    Loop,
    Modified,
    Operation,
    Parallel,
    Plan,
    Repeat,
    Site,
    Step,
    Subflow,
    Switch,
    Transaction,
    Try,
)
from flowlang.records import frozen

_TURN = re.compile(r"\[\d+\]")
_PART = re.compile(r"(?P<name>[^.\[\]]+)(?:\[(?P<turn>\d+)\])?", re.ASCII)


@frozen
class Place:
    """A step of the flow under test or of one of its subflows. `path` is that of its events, without the turns.

    `step` is the bare step, `modified` what stands around it. `operation` is the task of a call.
    """

    path: str
    site: Site
    step: Step
    modified: Modified | None
    operation: Operation | None
    plan: Plan

    @property
    def task(self) -> str | None:
        """The name that a call is mocked by; None when the step is no call."""
        if self.operation is not None:
            return self.operation.spec.name
        return self.step.plan.flow if isinstance(self.step, Subflow) else None

    @property
    def connection(self) -> str | None:
        return self.operation.connection_name if self.operation is not None else None


def untold(path: str) -> str:
    """`path` without its turns."""
    return _TURN.sub("", path)


@frozen
class Target:
    """What a test names: the steps at the end of a path, or (`task`) every call of a task."""

    text: str
    parts: tuple[tuple[str, int | None], ...] = ()
    task: bool = False

    @property
    def weight(self) -> tuple[bool, int, int]:
        """The more a target says, the more it counts."""
        return not self.task, sum(turn is not None for _, turn in self.parts), len(self.parts)

    def fits(self, path: str, task: str | None) -> bool:
        """Whether it means the call at `path`, turns included. A path's parts may leave out blocks in between."""
        if self.task:
            return task == self.text
        wanted, seen = list(self.parts), [_part(each) for each in path.split(".")]
        if not seen or not _same(wanted.pop(), seen.pop()):
            return False
        while wanted and seen:
            if _same(wanted[-1], seen.pop()):
                wanted.pop()
        return not wanted


def read_target(text: str) -> Target | None:
    """A step as a test names it; None when it is no path at all."""
    parts = []
    for each in text.split("."):
        match = _PART.fullmatch(each)
        if match is None:
            return None
        parts.append(_part(each))
    return Target(text, tuple(parts))


def _part(text: str) -> tuple[str, int | None]:
    match = _PART.fullmatch(text)
    if match is None:
        return text, None
    return match["name"], int(match["turn"]) if match["turn"] is not None else None


def _same(wanted: tuple[str, int | None], seen: tuple[str, int | None]) -> bool:
    return wanted[0] == seen[0] and (wanted[1] is None or wanted[1] == seen[1])


# ---------------------------------------------------------------- the walk


def blocks(step: Step) -> list[tuple[str, tuple[Step, ...]]]:
    """The lists of steps inside a bare step, each with the word that its paths know it by. An `else` and a
    `default` are there also when the flow writes none."""
    if isinstance(step, Choose):
        taken = [(f"elif{at}" if at else "then", body) for at, (_, body) in enumerate(step.branches)]
        return [*taken, ("else", step.otherwise)]
    if isinstance(step, Switch):
        return [*((f"case{at}", body) for at, (_, body) in enumerate(step.cases, 1)), ("default", step.default)]
    if isinstance(step, Parallel):
        return [(f"branch{at}", body) for at, body in enumerate(step.branches, 1)]
    if isinstance(step, (Loop, Repeat, Transaction)):
        return [("do", step.body)]
    if isinstance(step, Try):
        handlers = [(f"catch{at}", each.body) for at, each in enumerate(step.handlers, 1)]
        return [("try", step.body), *handlers, ("finally", step.finally_)]
    return []


def places(plan: Plan, prefix: str = "") -> Iterator[Place]:
    """Every step of a flow, in the order of the text, those of its subflows included."""
    yield from _walk(plan.steps, plan, prefix)
    yield from _walk(plan.on_cancel, plan, f"{prefix}on_cancel.")
    yield from _walk(plan.finally_, plan, f"{prefix}finally.")


def _walk(steps: Sequence[Step], plan: Plan, prefix: str) -> Iterator[Place]:
    for step in steps:
        modified = step if isinstance(step, Modified) else None
        bare = step.body if isinstance(step, Modified) else step
        path = prefix + bare.site.path
        operation = plan.operations[bare.operation] if isinstance(bare, Call) else None
        yield Place(path, bare.site, bare, modified, operation, plan)
        if isinstance(bare, Subflow):
            yield from places(bare.plan, f"{path}.")
        inner = f"{path}." if isinstance(bare, (Loop, Repeat)) else prefix
        for _, body in blocks(bare):
            yield from _walk(body, plan, inner)
        if modified is not None and modified.handler is not None:
            yield from _walk(modified.handler, plan, prefix)
