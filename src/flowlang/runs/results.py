"""Runs as results: those that left their process before their end, and those that are read from a store."""

from __future__ import annotations

from flowlang.durable.execution import reason_of
from flowlang.durable.records import StoredRun
from flowlang.durable.run import DurableRun, Left
from flowlang.engine.result import RunResult
from flowlang.history.values import shown

STATUS = {"attention": "needs_attention", "waiting": "waiting"}


def left_result(left: Left, run: DurableRun) -> RunResult:
    """A run that left this process before its end, as a result."""
    spent = max(0.0, run.store.time() - run.started_at.timestamp())
    return RunResult(
        run.run_id, run.record.flow, STATUS.get(left.why, "interrupted"), {}, reason_of(run, left),
        started_at=run.started_at, duration=spent, masker=run.masker,
    )  # fmt: skip


def result_of(record: StoredRun, state: str) -> RunResult:
    """A stored run as a result; its outputs where they are no secret. `state`: as the history tells it."""
    from datetime import UTC, datetime

    outputs = shown(record.outputs, "", [])
    began = record.started_at
    return RunResult(
        record.id, record.flow, state, outputs if isinstance(outputs, dict) else {}, record.error, record.reason,
        started_at=datetime.fromtimestamp(began, UTC) if began is not None else None,
        duration=record.ended_at - began if began is not None and record.ended_at is not None else 0.0,
    )  # fmt: skip
