"""`flowlang test`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from flowlang.cli.output import colours, err, out, out_json, say, stdout_reserved

if TYPE_CHECKING:
    from flowlang.testing.collect import Report
    from flowlang.testing.runner import Outcome


@click.command()
@click.argument("paths", metavar="[FILE|FOLDER]...", nargs=-1, type=click.Path())
@click.option("-k", "name", metavar="TEXT", help="Only tests with this in their name.")
@click.option("-x", "stop_early", is_flag=True, help="Stop at the first test that fails.")
@click.option("--record", is_flag=True, help="Use the real services, and write what they reply for later runs.")
@click.option("--coverage", is_flag=True, help="Show which steps and branches no test took.")
@click.option("--fail-under", type=click.FloatRange(0, 100), metavar="PERCENT", help="Fail when less was taken.")
@click.option("--junit", "junit_file", metavar="FILE", help="Write a report in JUnit's XML.")
@click.option("--json", "as_json", is_flag=True, help="Exactly one JSON object on stdout.")
@click.option("--files-root", metavar="DIR", help="Where the file tasks may read and write (default: here).")
def test(
    paths: tuple[str, ...],
    name: str | None,
    stop_early: bool,
    record: bool,
    coverage: bool,
    fail_under: float | None,
    junit_file: str | None,
    as_json: bool,
    files_root: str | None,
) -> int:
    """Run the tests of flows: `*.test.yaml` files, or those in folders (default: here and below).

    Exit codes: 0 all passed, 1 some failed or there were none, 2 a test file or its flow is invalid.
    """
    import gc
    import os

    from flowlang.testing.collect import run_tests

    if files_root is not None and not os.path.isdir(files_root):
        raise click.BadParameter(f"no folder `{files_root}`", param_hint="--files-root")
    if not gc.isenabled():  # `main` put it off; what is there by now stays to the end
        gc.freeze()
        gc.enable()
    tell = None if as_json else _tell
    try:
        with stdout_reserved():
            report = run_tests(
                *paths, name=name, record=record, stop_early=stop_early, files_root=files_root, on_outcome=tell
            )
    except FileNotFoundError as error:
        raise click.BadParameter(f"there is no file or folder `{error}`", param_hint="FILE|FOLDER") from None
    if junit_file is not None:
        _write_junit(report, junit_file)
    if as_json:
        from flowlang.testing.report import to_record

        out_json(to_record(report, coverage=coverage or fail_under is not None))
    else:
        _show(report, coverage=coverage)
    return _code(report, fail_under)


def _tell(outcome: Outcome) -> None:
    from flowlang.testing.report import line_of
    from flowlang.views.text import painter

    say(line_of(outcome, painter(colours(sys.stderr))))


def _show(report: Report, *, coverage: bool) -> None:
    from flowlang.testing.report import coverage_text, problems_text, summary
    from flowlang.views.findings import findings_text
    from flowlang.views.text import painter

    colour = colours(sys.stderr)
    if report.findings:
        say(findings_text(report.findings, report.sources, colour=colour) + "\n")
    for each in report.failed:
        say(f"\n{each.file}: {each.name}\n\n{problems_text(each, report.sources, colour=colour)}")
    if report.failed:
        say("")
    if coverage and report.outcomes:
        out(coverage_text(report.coverage, painter(colours(sys.stdout))))
    for path in report.recorded:
        say(f"recorded {path}")
    out(summary(report))


def _write_junit(report: Report, path: str) -> None:
    from flowlang.testing.junit import junit_xml

    with open(path, "w", encoding="utf-8") as file:
        file.write(junit_xml(report))


def _code(report: Report, fail_under: float | None) -> int:
    if report.exit_code == 0 and fail_under is not None and report.coverage.share() < fail_under:
        err(f"error: {report.coverage.share():.1f} % of steps and branches were taken, less than {fail_under:g} %")
        return 1
    return report.exit_code
