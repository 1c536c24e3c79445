"""Finds test files, runs their tests and keeps their recordings: what the command, pytest and programs use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowlang.diagnostics import Diagnostic, Position, Span
from flowlang.services.files import SUFFIX as OF_SERVICES
from flowlang.testing.coverage import Coverage
from flowlang.testing.read import SUFFIX, read_suite, unreadable
from flowlang.testing.recording import BadRecording, Recordings, path_of, read_recordings, write_recordings
from flowlang.testing.runner import Options, Outcome, run_case

if TYPE_CHECKING:
    from flowlang.api import Tasks
    from flowlang.connections.registry import PluginRegistry
    from flowlang.testing.model import Case, Suite

_SKIPPED = frozenset({"node_modules", "__pycache__", "build", "dist"})


@dataclass(slots=True)
class Report:
    """What the tests came to. `findings` are why files could not be used; `sources` are texts for snippets."""

    files: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    findings: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage)
    recorded: list[str] = field(default_factory=list)  # the files that were written
    deselected: int = 0

    @property
    def failed(self) -> list[Outcome]:
        return [each for each in self.outcomes if not each.passed]

    @property
    def ok(self) -> bool:
        """Whether there were tests, and all of them passed."""
        return bool(self.outcomes) and not self.failed and not self.invalid

    @property
    def invalid(self) -> bool:
        return any(each.severity == "error" for each in self.findings)

    @property
    def exit_code(self) -> int:
        """0: all passed, 1: some failed or there were none, 2: a test file or its flow is invalid."""
        return 2 if self.invalid else 0 if self.ok else 1


def find(paths: Sequence[str | os.PathLike[str]]) -> Iterator[str]:
    """The test files at `paths`: files as they are, folders searched. Raises `FileNotFoundError`."""
    for each in paths:
        path = os.fspath(each)
        if os.path.isfile(path):
            yield path
        elif os.path.isdir(path):
            yield from (file for file in walk(path) if file.endswith((SUFFIX, OF_SERVICES)))
        else:
            raise FileNotFoundError(path)


def walk(folder: str) -> Iterator[str]:
    """All files below a folder, in the order of their names; folders that hold no sources are left out."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in _SKIPPED)
        yield from (os.path.normpath(os.path.join(where, name)) for name in sorted(names))


def run_tests(
    *paths: str | os.PathLike[str],
    name: str | None = None,
    record: bool = False,
    stop_early: bool = False,
    files_root: str | None = None,
    tasks: Tasks | None = None,
    registry: PluginRegistry | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> Report:
    """Run the tests in the files and folders at `paths`, by default those below the working directory.

    `name`: only tests with this in their name. `record`: use the real services and write what they reply.
    `stop_early`: end at the first test that fails. `on_outcome` is called after each test. It needs a thread without
    a running event loop. Raises `FileNotFoundError` for a path that is not there.
    """
    report = Report()
    options = Options(record, files_root, registry)
    for file in dict.fromkeys(find(paths or (".",))):
        if file.endswith(OF_SERVICES):
            if not _run_service(file, name, report, stop_early=stop_early, on_outcome=on_outcome):
                break
            continue
        report.files.append(file)
        suite = _suite(file, report, registry, tasks)
        if suite is None:
            continue
        chosen = [each for each in suite.cases if name is None or name.casefold() in each.name.text.casefold()]
        report.deselected += len(suite.cases) - len(chosen)
        if not _run_suite(suite, chosen, options, report, stop_early=stop_early, on_outcome=on_outcome):
            break
    return report


def _run_service(
    file: str, name: str | None, report: Report, *, stop_early: bool, on_outcome: Callable[[Outcome], None] | None
) -> bool:
    """The tests in the file of a service, which may have none. False when the rest need not be run."""
    from flowlang.services.plugin import plugin_of
    from flowlang.services.read import read_service
    from flowlang.testing.of_services import run_trial

    try:
        read = read_service(file)
    except OSError as error:
        report.findings.append(unreadable(file, error))
        return True
    report.findings += read.findings
    report.sources[file] = read.text
    if read.service is None or not read.trials:
        return True
    report.files.append(file)
    kind = plugin_of(read.service)
    chosen = [each for each in read.trials if name is None or name.casefold() in each.name.text.casefold()]
    report.deselected += len(read.trials) - len(chosen)
    for trial in chosen:
        outcome = run_trial(file, kind, trial)
        report.outcomes.append(outcome)
        if on_outcome is not None:
            on_outcome(outcome)
        if stop_early and not outcome.passed:
            return False
    return True


def _suite(file: str, report: Report, registry: PluginRegistry | None, tasks: Tasks | None) -> Suite | None:
    try:
        read = read_suite(file, registry=registry, tasks=tasks)
    except OSError as error:
        report.findings.append(unreadable(file, error))
        return None
    report.findings += read.findings
    report.sources |= read.sources
    return read.suite


def _run_suite(
    suite: Suite,
    cases: Sequence[Case],
    options: Options,
    report: Report,
    *,
    stop_early: bool,
    on_outcome: Callable[[Outcome], None] | None,
) -> bool:
    """The tests of one file. False when the rest need not be run."""
    known, broken = recordings_of(suite)
    new: Recordings = {}
    going = True
    for case in cases:
        outcome = run_case(suite, case, known.get(case.name.text), options)
        if broken is not None and not options.recording:
            outcome = _with_problem(outcome, broken)
        report.coverage.add(suite.places, outcome.events)
        report.outcomes.append(outcome)
        if outcome.passed:
            new[case.name.text] = outcome.recorded
        if on_outcome is not None:
            on_outcome(outcome)
        if stop_early and not outcome.passed:
            going = False
            break
    written = keep(suite, known, new) if options.recording else None
    if written is not None:
        report.recorded.append(written)
    return going


def recordings_of(suite: Suite) -> tuple[Recordings, Diagnostic | None]:
    """The recordings of a test file, and what is wrong with them when they cannot be used."""
    from flowlang.testing import codes

    try:
        return read_recordings(path_of(suite.file)), None
    except BadRecording as error:
        start = Position(1, 1)
        return {}, Diagnostic(codes.RECORDING, str(error), Span(start, start, suite.file))


def _with_problem(outcome: Outcome, problem: Diagnostic) -> Outcome:
    from dataclasses import replace

    return outcome if outcome.passed else replace(outcome, problems=(problem, *outcome.problems))


def keep(suite: Suite, known: Recordings, new: Recordings) -> str | None:
    """Write the recordings: new ones of the tests that passed, the old ones of the others; those of tests that are
    gone go, too. The file that was written; None when nothing has changed."""
    path = path_of(suite.file)
    names = [each.name.text for each in suite.cases]
    merged = {name: new.get(name, known.get(name, ())) for name in names}
    if merged == known or not (any(merged.values()) or os.path.exists(path)):
        return None
    write_recordings(path, merged)
    return path
