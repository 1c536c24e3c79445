"""Steps that clean up: under a limit of their own, and without hiding what went wrong before them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from flowlang.engine.fiber import Fiber
from flowlang.engine.steps import run_block
from flowlang.exceptions import Failure, StepError
from flowlang.plan import Frame, Step

GRACE = 30.0  # seconds


@dataclass(slots=True)
class Cleaned:
    """How a clean-up ended: nothing went wrong when there is no `failure`. `requests` are those to cancel it."""

    failure: Failure | None = None
    status: Literal["failed", "cancelled"] = "failed"
    requests: int = 0


async def clean_up(name: str, steps: Sequence[Step], frame: Frame, fiber: Fiber) -> Cleaned:
    """Run the steps of `name` (`on_cancel`, `finally`) within the grace period. Only how that ended is told; nothing
    is raised, except a defect. The requests to cancel that led here must have been absorbed; another one cuts it short.
    """
    limit = asyncio.timeout(GRACE)
    plan = fiber.activation.plan
    try:
        async with limit:
            await run_block(steps, frame, fiber)
        return Cleaned()
    except asyncio.CancelledError:
        detail = f"`{name}` was cut short by a cancellation"
        return Cleaned(Failure("cancelled", detail, flow=plan.flow, file=plan.file), "cancelled", fiber.absorb())
    except StepError as error:
        return Cleaned(error.failure)
    except TimeoutError:
        if not limit.expired():
            raise
        detail = f"`{name}` took longer than its grace period of {GRACE:g} s"
        return Cleaned(Failure("timeout", detail, flow=plan.flow, file=plan.file))


def noted(failure: Failure, name: str, other: Failure) -> Failure:
    """`failure` with a note that the clean-up `name` failed as well."""
    return replace(failure, notes=(*failure.notes, f"`{name}` failed as well: {other.detail}"))
