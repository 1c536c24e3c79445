"""Plugins with one defect each. `MUTANTS` names for each check of the kit the plugin that it catches.

Those that do harm when they are imported stand in modules of their own and are named as `module:Class`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from flowlang.connections.base import ConnectionPlugin

T = TypeVar("T", bound=type[ConnectionPlugin])
HERE = __name__
GROUPS = ("static", "config", "lifecycle", "concurrency", "operations", "errors", "secrets", "scaffold")
_FOUND: dict[str, Any] = {
    "static/import-offline": f"{HERE}.needs_driver:NeedsDriver",
    "static/import-quiet": f"{HERE}.starts_thread:StartsThread",
    "static/import-quick": f"{HERE}.slow_import:SlowImport",
}


def catches(check: str) -> Callable[[T], T]:
    """Marks a plugin as the one that `check` catches."""

    def mark(kind: T) -> T:
        assert check not in _FOUND, check
        _FOUND[check] = kind
        return kind

    return mark


def mutants() -> dict[str, Any]:
    """Check id → the class, or where it is."""
    for group in GROUPS:
        import_module(f"{HERE}.of_{group}")
    return _FOUND


def loaded(mutant: Any) -> type[ConnectionPlugin]:
    """The class of a mutant."""
    if not isinstance(mutant, str):
        return mutant
    module, _, name = mutant.partition(":")
    return getattr(import_module(module), name)
