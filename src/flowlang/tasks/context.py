"""What a task may know of the step it runs in, when it asks for `context`."""

from __future__ import annotations

import logging
from dataclasses import field

from flowlang.records import frozen

_LOG = logging.getLogger("flowlang.task")


@frozen
class Context:
    """The surroundings of one attempt of one step.

    `step` is the step's path (`outer[3].charge`), the same over retries; `attempt` counts from 1.
    `idempotency_key` is the same over retries of the step: hand it to services that understand one.
    A task that runs in a thread asks `cancelled` now and then and returns early when it is set.
    """

    run_id: str
    flow: str
    step: str
    attempt: int
    idempotency_key: str
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger] = field(default=_LOG)
    _cancelled: list[bool] = field(default_factory=lambda: [False], repr=False, compare=False)

    @property
    def given_key(self) -> str | None:
        """The `idempotency_key` that the flow gave the step; None for the one that every step has by itself."""
        return None if self.idempotency_key == f"{self.run_id}:{self.step}" else self.idempotency_key

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for this attempt any more: the step was cancelled, or its time limit has passed."""
        return self._cancelled[0]

    def abandon(self) -> None:
        """Called by the engine: from now on `cancelled` is True."""
        self._cancelled[0] = True
