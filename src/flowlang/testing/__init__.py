"""Tests of flows: `*.test.yaml` files, run with mocks, recordings and time that jumps.

    report = flowlang.testing.run_tests("flows/")
    assert report.ok, report.failed

and tests of connection plugins: what every plugin proves, as one class and one fixture, or as one function.

    class TestAcme(flowlang.testing.PluginConformance):
        plugin = AcmePlugin

        @pytest.fixture
        def config(self):
            return {"url": "acme://localhost:7000"}

    report = flowlang.testing.check_plugin(AcmePlugin, {"url": "acme://localhost:7000"})
    assert report.ok, report

See `docs/testing.md` and `docs/conformance.md`. Names are loaded when they are first used: pytest imports this package
in every session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowlang.conformance.calls import VALUE, Call, Operations, call
    from flowlang.conformance.face import PluginConformance
    from flowlang.conformance.runner import check_plugin
    from flowlang.testing.collect import Report, run_tests
    from flowlang.testing.runner import Outcome

_HOME = {"Report": "testing.collect", "run_tests": "testing.collect", "Outcome": "testing.runner"}
_HOME |= dict.fromkeys(("VALUE", "Call", "Operations", "call"), "conformance.calls")
_HOME |= {"PluginConformance": "conformance.face", "check_plugin": "conformance.runner"}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'flowlang.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"flowlang.{home}"), name)


__all__ = [
    "VALUE",
    "Call",
    "Operations",
    "Outcome",
    "PluginConformance",
    "Report",
    "call",
    "check_plugin",
    "run_tests",
]
