"""Runs as results: those that left their process before their end, and those that are read from a store."""

from __future__ import annotations

from flowlang.durable.records import StoredRun
from flowlang.durable.run import DurableRun, Left
from flowlang.engine.result import RunResult
from flowlang.exceptions import Failure
from flowlang.history.tree import shown

STATUS = {"attention": "needs_attention", "waiting": "waiting"}


def left_result(record: StoredRun, left: Left, run: DurableRun | None = None) -> RunResult:
    """A run that left this process before its end, as a result."""
    status = STATUS.get(left.why, "interrupted")
    notes = (f"it goes on with `flowlang runs resume {record.id}`",)
    if left.why == "attention":
        notes = (
            f"look at the service, then `flowlang runs resume {record.id} --retry {left.path}`"
            f" or `--skip {left.path} --outputs JSON`",
        )
    failure = Failure(
        "internal" if left.why != "store" else "unavailable", left.detail or left.why, flow=record.flow, step=left.path,
        outcome_unknown=left.why == "attention", notes=notes,
    )  # fmt: skip
    return RunResult(record.id, record.flow, status, {}, failure, masker=run.masker if run is not None else None)


def result_of(record: StoredRun, state: str) -> RunResult:
    """A stored run as a result; its outputs where they are no secret. `state`: as the history tells it."""
    from datetime import UTC, datetime

    outputs = shown(record.outputs)
    began = record.started_at
    return RunResult(
        record.id, record.flow, state, outputs if isinstance(outputs, dict) else {}, record.error, record.reason,
        started_at=datetime.fromtimestamp(began, UTC) if began is not None else None,
        duration=record.ended_at - began if began is not None and record.ended_at is not None else 0.0,
    )  # fmt: skip
