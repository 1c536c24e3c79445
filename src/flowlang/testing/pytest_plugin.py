"""`*.test.yaml` files, and the tests in `*.service.yaml` files, as tests of pytest. Installed with FlowLang; it costs
nothing until there is such a file.

[pytest]
flowlang_tests = false     switches it off

`pytest --flowlang-record` uses the real services, and writes what they reply to the tests that pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flowlang.services.trials import Trial
    from flowlang.testing.model import Case, Suite
    from flowlang.testing.recording import Recordings

_RECORDED = pytest.StashKey[list[str]]()  # the files that were written
_OURS = re.compile(r"^(flow|tests)[ \t]*:", re.MULTILINE)
_OF_SERVICE = re.compile(r"^tests[ \t]*:", re.MULTILINE)
_KINDS = (".test.yaml", ".service.yaml")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("flowlang_tests", "collect *.test.yaml files as tests of flows", type="bool", default=True)
    help_ = "use the real services in tests of flows, and record what they reply"
    parser.getgroup("flowlang").addoption("--flowlang-record", action="store_true", help=help_)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RECORDED] = []
    if config.getoption("--flowlang-record") and hasattr(config, "workerinput"):
        raise pytest.UsageError("--flowlang-record writes one file for many tests: run it in one process, with `-n 0`")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for path in config.stash[_RECORDED]:
        terminalreporter.write_line(f"recorded {path}")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A test file of ours. Others may call their files the same, so it has to look like one."""
    kind = next((each for each in _KINDS if file_path.name.endswith(each)), None)
    if kind is None or not parent.config.getini("flowlang_tests"):
        return None
    text = file_path.read_text(encoding="utf-8", errors="replace")
    if kind == ".service.yaml":
        return ServiceFile.from_parent(parent, path=file_path) if _OF_SERVICE.search(text) else None
    return FlowTestFile.from_parent(parent, path=file_path) if _OURS.search(text) else None


class FlowTestFile(pytest.File):
    """A test file: its tests are its items. A file that is invalid is an error of the collection. `recorded` is what
    services replied to the tests that passed; it is written when pytest turns to another file."""

    suite: Suite | None = None
    recorded: Recordings

    def collect(self) -> Iterator[pytest.Item]:
        from flowlang.testing.collect import recordings_of
        from flowlang.testing.read import read_suite

        read = read_suite(_near(self.path))
        if read.suite is None:
            from flowlang.views.findings import findings_text

            errors = [each for each in read.findings if each.severity == "error"]
            raise self.CollectError(findings_text(errors, read.sources))
        recordings, _ = recordings_of(read.suite)
        self.suite, self.recorded = read.suite, {}
        for case in read.suite.cases:
            yield FlowTest.from_parent(
                self, name=case.name.text, suite=read.suite, case=case, recordings=recordings, sources=read.sources
            )

    def teardown(self) -> None:
        from flowlang.testing.collect import keep, recordings_of

        if self.suite is None or not self.config.getoption("--flowlang-record"):
            return
        written = keep(self.suite, recordings_of(self.suite)[0], self.recorded)
        if written is not None:
            self.config.stash[_RECORDED].append(written)


def _near(path: Path) -> str:
    """The path as a user would write it here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


class FlowTest(pytest.Item):
    """One test of a flow."""

    def __init__(self, *, suite: Suite, case: Case, recordings: Recordings, sources: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.suite = suite
        self.case = case
        self.recordings = recordings
        self.sources = sources

    def runtest(self) -> None:
        from flowlang.testing.report import problems_text
        from flowlang.testing.runner import Options, run_case

        recording = bool(self.config.getoption("--flowlang-record"))
        outcome = run_case(self.suite, self.case, self.recordings.get(self.name), Options(recording))
        if not outcome.passed:
            raise FlowTestFailed(problems_text(outcome, self.sources))
        if recording and isinstance(self.parent, FlowTestFile):
            self.parent.recorded[self.name] = outcome.recorded

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, FlowTestFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.case.name.span.start.line - 1, self.name


class ServiceFile(pytest.File):
    """The file of a service with tests in it. A file that is invalid is an error of the collection."""

    def collect(self) -> Iterator[pytest.Item]:
        from flowlang.services.plugin import plugin_of
        from flowlang.services.read import read_service

        file = _near(self.path)
        read = read_service(file)
        if read.service is None:
            from flowlang.views.findings import findings_text

            errors = [each for each in read.findings if each.severity == "error"]
            raise self.CollectError(findings_text(errors, {file: read.text}))
        kind = plugin_of(read.service)
        for trial in read.trials:
            yield ServiceTest.from_parent(self, name=trial.name.text, kind=kind, trial=trial, file=file, text=read.text)


class ServiceTest(pytest.Item):
    """One test of a service."""

    def __init__(self, *, kind: Any, trial: Trial, file: str, text: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind, self.trial = kind, trial
        self.file, self.text = file, text

    def runtest(self) -> None:
        from flowlang.testing.of_services import run_trial
        from flowlang.testing.report import problems_text

        outcome = run_trial(self.file, self.kind, self.trial)
        if not outcome.passed:
            raise FlowTestFailed(problems_text(outcome, {self.file: self.text}))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, FlowTestFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.trial.name.span.start.line - 1, self.name


class FlowTestFailed(Exception):
    """A test of a flow or a service failed; the text says why."""
