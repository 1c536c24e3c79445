"""The kit over a folder: the tests of a plugin's package that are `PluginConformance`, run and told as reports."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flowlang.conformance.face import GIVEN, PROPERTY, PluginConformance
from flowlang.conformance.model import GROUPS, TIERS, Check, Outcome, Report, all_checks
from flowlang.records import frozen

_USAGE = (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.INTERRUPTED)


@frozen
class Examined:
    """`reports`: one for each plugin with such a test. `problems`: why tests could not be collected or set up; pytest
    tells more."""

    reports: tuple[Report, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """At least one check was carried out, and none failed."""
        return bool(self.reports) and not self.problems and all(each.ok for each in self.reports)


def examine(
    folder: str | os.PathLike[str],
    config: Mapping[str, Any] | None = None,
    *,
    tiers: Collection[str] = TIERS,
    groups: Collection[str] = tuple(GROUPS),
    instead: Check | None = None,
) -> Examined:
    """Run the conformance tests below `folder` with pytest, as `pytest` in that folder would.

    `config`: settings that count more than those of the tests' own fixture, for the real service. `instead`: carried
    out once for each such class in place of the checks, with its settings and its service.
    """
    listener = _Listener(config or {}, tiers, groups, instead)
    ours = "ignore::pytest.PytestAssertRewriteWarning"  # FlowLang is imported already, and need not be rewritten
    words = ["-p", "no:cacheprovider", "-p", "no:terminal", "-W", ours, "-o", "addopts=", "."]
    with _inside(Path(folder)):
        code = pytest.main(words, plugins=[listener])
    if code in _USAGE and not listener.problems:
        listener.problems.append(f"pytest ended with {pytest.ExitCode(code).name}: run it there to see why")
    return Examined(tuple(listener.reports()), tuple(listener.problems))


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """pytest reads the configuration of the folder that it is run in."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class _Listener:
    """A plugin of pytest: it keeps the kit's tests, and notes how each ends."""

    def __init__(
        self, config: Mapping[str, Any], tiers: Collection[str], groups: Collection[str], instead: Check | None
    ) -> None:
        self.problems: list[str] = []
        self._config, self._tiers, self._groups, self._instead = config, tiers, groups, instead
        self._told: list[Mapping[str, Any]] = []

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[GIVEN] = self._config

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [each for each in items if self._wanted(each)]
        if self._instead is not None:
            items[:] = {each.cls: each for each in items}.values()  # type: ignore[attr-defined]
            for each in items:
                each.callspec.params["check"] = self._instead  # type: ignore[attr-defined]

    def _wanted(self, item: pytest.Item) -> bool:
        kind = getattr(item, "cls", None)
        if not isinstance(kind, type) or not issubclass(kind, PluginConformance):
            return False
        check = getattr(item, "callspec", None) and item.callspec.params.get("check")  # type: ignore[attr-defined]
        return check is None or (check.tier in self._tiers and check.group in self._groups)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._problem(report.nodeid or "collection", report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties).get(PROPERTY)
        if report.when == "call" and isinstance(told, Mapping):
            self._told.append(told)
        elif report.failed:
            self._problem(report.nodeid, report)

    def _problem(self, where: str, report: pytest.CollectReport | pytest.TestReport) -> None:
        lines = report.longreprtext.strip().splitlines() or ["it failed"]
        told = [each[1:].strip() for each in lines if each.startswith("E ")] or lines[-1:]
        self.problems.append(f"{where}: {' '.join(told)}")

    def reports(self) -> Iterator[Report]:
        checks = {each.id: each for each in (*all_checks(), *filter(None, [self._instead]))}
        for plugin in dict.fromkeys(each["plugin"] for each in self._told):
            own = (each for each in self._told if each["plugin"] == plugin)
            yield Report(plugin, tuple(Outcome(checks[each["check"]], each["status"], each["reason"]) for each in own))
