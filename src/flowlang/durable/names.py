"""What may be the name of a queue or a signal, a key for `dedup`, and a priority."""

from __future__ import annotations

from flowlang.diagnostics import visible
from flowlang.exceptions import StoreError

_LONGEST = 200  # characters
_SHOWN = 40  # of one that is too long
_HIGHEST = 2**31 - 1  # what an integer of PostgreSQL holds


def refuse_name(what: str, name: str) -> None:
    """Raises `StoreError` for what can be no name of a `queue`, a `signal` or a `key`."""
    if not name or len(name) > _LONGEST or not name.isprintable():
        shown = visible(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…")
        raise StoreError(f"`{shown}` cannot be a {what}: write 1 to {_LONGEST} characters, all of which can be printed")
    if what == "queue" and ":" in name:
        raise StoreError(f"`{name}` cannot be a queue: what is behind a `:` is a number of runs for `flowlang worker`")


def refuse_priority(priority: int) -> None:
    """Raises `StoreError` for one that a store cannot hold."""
    if abs(priority) > _HIGHEST:
        raise StoreError(f"a priority is from -{_HIGHEST} to {_HIGHEST}, not {priority}")


__all__ = ["refuse_name", "refuse_priority"]
