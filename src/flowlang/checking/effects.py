"""Which steps may be done again when nobody knows whether they were done (see `docs/effects.md`)."""

from __future__ import annotations

from flowlang.document import model
from flowlang.tasks.spec import TaskSpec


def rerun(spec: TaskSpec, modifiers: model.Modifiers) -> bool:
    """Whether a step may run again after an attempt whose outcome is unknown: after a lost link, a time limit, a crash.

    It may when it changes nothing, when doing it twice is the same as doing it once, and when its key makes the service
    do it once, or stands in the database beside what it does (`exactly_once`). A task that does not say what it does is
    taken for one that writes.
    """
    if spec.effect in ("none", "read") or spec.idempotent is True or modifiers.exactly_once:
        return True
    return modifiers.idempotency_key is not None and "context" in spec.injects
