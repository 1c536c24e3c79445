"""Tests of flows: `*.test.yaml` files, run with mocks, recordings and time that jumps.

    report = flowlang.testing.run_tests("flows/")
    assert report.ok, report.failed

See `docs/testing.md`. Names are loaded when they are first used: pytest imports this package in every session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowlang.testing.collect import Report, run_tests
    from flowlang.testing.runner import Outcome

_HOME = {"Report": "collect", "run_tests": "collect", "Outcome": "runner"}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'flowlang.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"flowlang.testing.{home}"), name)


__all__ = ["Outcome", "Report", "run_tests"]
