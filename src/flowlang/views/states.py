"""The states of runs and steps in colours, and times as people read them."""

from __future__ import annotations

from datetime import datetime

STATES = {
    "succeeded": "good", "failed": "error", "timed_out": "error", "lost": "error", "interrupted": "warning",
    "needs_attention": "warning", "parked": "warning", "cancelled": "warning", "cancelling": "warning",
    "unknown": "warning", "unfinished": "warning", "skipped": "dim", "running": "hint", "waiting": "hint",
    "queued": "hint",
}  # fmt: skip


def moment(at: float | None) -> str:
    """A time as people here read it, to the second. A wait may be so long that no calendar has its end."""
    try:
        return "–" if at is None else datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "after the year 9999"
