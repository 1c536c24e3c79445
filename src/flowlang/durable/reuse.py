"""A run that retries another: what of that one's journal it may take over instead of doing it again.

A recorded step is taken over when the same operation is called with the same inputs at the same place, and nothing
before it was done anew. "Before" is what the flow orders: of branches and of turns that run at once none is before
another, and the block that they are in is before all that follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from flowlang.durable.records import StoredStep
from flowlang.masking import MASK
from flowlang.plan import Loop, Parallel, Plan, Repeat, Subflow
from flowlang.records import frozen

_TURN = re.compile(r"\[\d+\]")


@frozen
class Around:
    """A block whose parts run at once: its path in the plan, and for `parallel` which branch."""

    path: str
    branch: int | None


class Reuse:
    """`steps`: the journal of the run that is retried. `start`: the step from which on all is done anew, if one was
    named. `own`: the journal of this run, from earlier lives. `why`: for each step that is done anew, the reason."""

    def __init__(self, steps: Sequence[StoredStep], plan: Plan, start: str | None, own: Sequence[StoredStep]) -> None:
        self.recorded = {(each.path, each.nth): each for each in steps}
        self._began = {(each.path, each.nth): each.started_at for each in own}
        self.start = start
        self.why: dict[str, str] = {}
        self.taken = 0
        self.whole: list[str] = []  # transactions that were taken over
        self._around = dict(_walked(plan, "", ()))
        self._anew: dict[str, dict[str, str]] = {}  # by scope: the part of it that was done anew, and the step

    def take(self, path: str, nth: int, operation: str, inputs: str | None) -> StoredStep | None:
        """What is recorded of this call, when it may be taken over; None when it is to be done, which counts as done
        anew from here on."""
        reason = self._reason(path, nth, operation, inputs)
        if reason is None:
            self.taken += 1
            return self.recorded[path, nth]
        self.anew(path, reason)
        return None

    def peek(self, path: str, nth: int, operation: str) -> StoredStep | None:
        """The same for what has no effect: a time that was read, a wait, a signal. Not to take it over changes nothing
        for what follows."""
        return self.recorded[path, nth] if self._reason(path, nth, operation, None) is None else None

    def seen(self, path: str, nth: int) -> bool:
        """A step of this run's own journal: whether it was taken over in that life, or done anew."""
        recorded = self.recorded.get((path, nth))
        if recorded is not None and recorded.started_at == self._began.get((path, nth)):
            return True
        self.anew(path, "in an earlier life of this run")
        return False

    def committed(self, path: str) -> bool:
        """Whether the step is in a transaction that was taken over."""
        return any(path.startswith(f"{each}.") for each in self.whole)

    def _reason(self, path: str, nth: int, operation: str, inputs: str | None) -> str | None:
        known = self.recorded.get((path, nth))
        if self.start is not None and (path == self.start or path.startswith((f"{self.start}.", f"{self.start}["))):
            return "asked for"
        before = self._before(path)
        if before is not None:
            return f"`{before}`, which comes before it, was done again"
        if known is None:
            return "it was not done then"
        if known.state != "succeeded":
            return "it failed then" if known.state == "failed" else "it had no end then"
        if known.operation != operation:
            return f"it was `{known.operation}` then, and is `{operation}` now"
        if known.operation not in _WITHOUT_INPUTS and (inputs is None or known.inputs is None or MASK in inputs):
            return "its inputs cannot be compared: they hold a secret, or are very long"
        return None if known.inputs == inputs else "its inputs are others now"

    def anew(self, path: str, reason: str) -> None:
        """The step is done, or was done in an earlier life of this run."""
        self.why.setdefault(path, reason)
        for scope, part in self._scopes(path):
            self._anew.setdefault(scope, {}).setdefault(part, path)

    def _before(self, path: str) -> str | None:
        """A step that was done anew and that the flow orders before this one."""
        for scope, part in self._scopes(path):
            for other, step in self._anew.get(scope, {}).items():
                if other != part or part == "":
                    return step
        return None

    def _scopes(self, path: str) -> list[tuple[str, str]]:
        """The lines of execution that the step is in, from the outermost to its own, each with the block in it through
        which the next one is reached; "" for the step's own."""
        scopes, scope, parts = [], "", path.split(".")
        for block in self._around.get(_TURN.sub("[*]", path), ()):
            depth = block.path.count(".") + 1
            place = ".".join(parts[:depth])
            if block.branch is None:
                head, bracket, turn = place.rpartition("[")
                scopes.append((scope, head))
                scope = f"{head}{bracket}{turn}"
            else:
                scopes.append((scope, place))
                scope = f"{place}:{block.branch}"
        return [*scopes, (scope, "")]


_WITHOUT_INPUTS = ("transaction", "now", "wait", "signal")


def _walked(plan: Plan, prefix: str, around: tuple[Around, ...]) -> Iterator[tuple[str, tuple[Around, ...]]]:
    """Each step of a plan with the blocks around it whose parts run at once."""
    yield from _inside(plan.steps, prefix, around)
    yield from _inside(plan.on_cancel, f"{prefix}on_cancel.", around)
    yield from _inside(plan.finally_, f"{prefix}finally.", around)


def _inside(value: Any, prefix: str, around: tuple[Around, ...]) -> Iterator[tuple[str, tuple[Around, ...]]]:
    from dataclasses import fields, is_dataclass

    if isinstance(value, tuple):
        for each in value:
            yield from _inside(each, prefix, around)
        return
    site = getattr(value, "site", None)
    if not is_dataclass(value) or isinstance(value, Plan):
        return
    path = prefix + site.path if site is not None else prefix
    if site is not None:
        yield path, around
    if isinstance(value, Subflow):
        yield from _walked(value.plan, f"{path}.", around)
    elif isinstance(value, Parallel):
        for at, branch in enumerate(value.branches):
            yield from _inside(branch, prefix, (*around, Around(path, at)))
    elif isinstance(value, (Loop, Repeat)):
        at_once = isinstance(value, Loop) and value.max_concurrency > 1
        yield from _inside(value.body, f"{path}[*].", (*around, Around(path, None)) if at_once else around)
    else:
        for each in fields(value):
            if each.name not in ("site", "arguments", "plan"):
                yield from _inside(getattr(value, each.name), prefix, around)
