"""Which steps may be done again when nobody knows whether they were done (see `docs/effects.md`)."""

from __future__ import annotations

from typing import Any

from flowlang.document import model
from flowlang.tasks.spec import COMPUTED, TaskSpec


def rerun(spec: TaskSpec, step: model.TaskStep) -> bool:
    """Whether a step may run again after an attempt whose outcome is unknown: after a lost link, a time limit, a crash.

    It may when it changes nothing, when doing it twice is the same as doing it once, and when its key makes the service
    do it once, or stands in the database beside what it does (`exactly_once`). A task that does not say what it does is
    taken for one that writes.
    """
    if spec.effect in ("none", "read") or spec.idempotent is True or step.modifiers.exactly_once:
        return True
    if step.modifiers.idempotency_key is not None and "context" in spec.injects:
        return True
    return spec.twice is not None and spec.twice({name.text: _written(value) for name, value in step.arguments})


def _written(value: model.Value) -> Any:
    """An argument as it is written, `COMPUTED` in the place of what is not."""
    if isinstance(value, model.Constant):
        return value.value
    if isinstance(value, model.ListValue):
        return [_written(each) for each in value.items]
    if isinstance(value, model.ObjectValue):
        return {name.text: _written(each) for name, each in value.entries}
    return COMPUTED
