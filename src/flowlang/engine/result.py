"""How a run ended, as a record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flowlang.diagnostics import Diagnostic
from flowlang.exceptions import Failure
from flowlang.masking import MASK, Masker
from flowlang.records import frozen


@frozen
class RunResult:
    """How a run ended.

    `status`: succeeded, failed, timed_out, cancelled, skipped (see `concurrency` of a flow), or invalid (refused before
    it began: `run_id` is None and `findings` say why). `outputs` holds native values; `to_record()` is the masked,
    machine-readable form.
    """

    run_id: str | None
    flow: str | None
    status: str
    outputs: dict[str, Any]
    failure: Failure | None = None
    reason: str | None = None
    started_at: datetime | None = None
    duration: float = 0.0  # seconds
    findings: tuple[Diagnostic, ...] = ()
    secret_outputs: frozenset[str] = frozenset()
    masker: Masker | None = None

    @property
    def succeeded(self) -> bool:
        return self.status == "succeeded"

    def shown_outputs(self) -> dict[str, Any]:
        """The outputs as any sink may show them: tainted ones replaced, known secrets scrubbed."""
        outputs = {name: MASK if name in self.secret_outputs else value for name, value in self.outputs.items()}
        return outputs if self.masker is None else self.masker.value(outputs)

    def shown_failure(self) -> str:
        """The failure on one line, masked: where, of which class, and the first line of why. Empty without one."""
        if self.failure is None:
            return ""
        why = next(iter(self.failure.detail.strip().splitlines()), "")
        told = (
            f"{self.failure.step}: {self.failure.type}: {why}" if self.failure.step else f"{self.failure.type}: {why}"
        )
        return told if self.masker is None else self.masker.text(told)

    def to_record(self) -> dict[str, Any]:
        """`{run_id, flow, status, outputs, error, reason, started_at, duration_ms}` with secrets masked."""
        error: dict[str, Any] | None = None
        if self.status == "invalid":
            error = {"type": "validation", "findings": [each.to_record() for each in self.findings]}
        elif self.failure is not None:
            error = self.failure.as_value()
        reason = self.reason
        if self.masker is not None:
            error, reason = self.masker.value(error), self.masker.value(reason)
        return {
            "run_id": self.run_id,
            "flow": self.flow,
            "status": self.status,
            "outputs": self.shown_outputs(),
            "error": error,
            "reason": reason,
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "duration_ms": round(self.duration * 1000, 3),
        }

    def __repr__(self) -> str:
        return f"<RunResult {self.status}: {self.flow}, {self.duration:.3f} s>"
