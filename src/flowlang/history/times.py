"""Times for programs: the form that the result of `flowlang run --json` has, in every record of what a store holds."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(at: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC, `2026-11-23T08:00:00.250000+00:00`; None for none, and for a time
    that no calendar has: a wait may be that long."""
    if at is None:
        return None
    try:
        return datetime.fromtimestamp(at, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


__all__ = ["instant"]
