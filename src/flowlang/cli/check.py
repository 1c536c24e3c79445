"""`flowlang check`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from flowlang.cli.output import colours, err, out, out_json

if TYPE_CHECKING:
    from flowlang.diagnostics import Diagnostic
    from flowlang.services.read import Read as OfService
    from flowlang.testing.read import Read


@click.command()
@click.argument("files", metavar="FILE|FOLDER...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="For people, for programs, for code-scanning services, for workflow logs.",
)
@click.option("--strict", is_flag=True, help="A warning counts as an error.")
@click.option("--fix", is_flag=True, help="Mend first what has a safe fix.")
@click.option("--unsafe-fixes", is_flag=True, help="With --fix: apply the guesses, too.")
@click.option("--diff", is_flag=True, help="With --fix: write nothing, show what would change.")
def check(files: tuple[str, ...], form: str, strict: bool, fix: bool, unsafe_fixes: bool, diff: bool) -> int:
    """Find everything that is wrong with flows, `*.test.yaml` and `*.service.yaml` files, without running anything.

    Of a folder, every flow, file of tests and service below it is checked. Exit code 2 when there is an error. Hints
    (an input or a step that nothing uses) never count, not even with --strict.
    """
    from flowlang import api, diagnostics
    from flowlang.cli.flowfiles import flow_files

    if (unsafe_fixes or diff) and not fix:
        raise click.UsageError("--unsafe-fixes and --diff go with --fix")
    chosen, empty = flow_files(files)
    if empty:
        raise click.UsageError(f"there is no flow in the folder `{empty[0]}`")
    for file in chosen if fix else ():
        _mend(file, unsafe=unsafe_fixes, diff=diff, tell=out if form == "text" else err)
    findings: list[Diagnostic] = []
    sources: dict[str, str] = {}
    for file in chosen:
        if file.endswith(".test.yaml"):
            tests = _of_tests(file)
            findings += tests.findings
            sources |= tests.sources
        elif file.endswith(".service.yaml"):
            service = _of_service(file)
            findings += service.findings
            sources[file] = service.text
        else:
            checked = api.check(file)
            findings += [*checked.findings, *checked.hints]
            sources |= checked.sources
    findings = diagnostics.ordered(diagnostics.strict(findings) if strict else findings)
    _write(form, findings, sources, len(chosen))
    return 2 if diagnostics.has_errors(findings) else 0


def _mend(file: str, *, unsafe: bool, diff: bool, tell: Callable[[str], None]) -> None:
    """Applies the fixes of a flow's findings. What cannot be read is left to the check that follows."""
    from flowlang import api
    from flowlang.cli.rewriting import difference, rewrite

    try:
        raw = api.read_bytes(file)
        written = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return
    before = written.removeprefix("\ufeff")
    done = api.mend(before, file, unsafe=unsafe)
    if done.text == before:
        return
    if diff:
        tell(difference(file, before, done.text))
        return
    rewrite(file, written[: len(written) - len(before)] + done.text)
    for each in done.mended:
        assert each.fix is not None
        tell(f"fixed {each.span}: {each.fix.title} [{each.code}]")


def _of_tests(file: str) -> Read:
    """What is wrong with a file of tests, and with the flow that it tests."""
    from flowlang.testing.read import Read, read_suite, unreadable

    try:
        return read_suite(file)
    except OSError as error:
        return Read(None, (unreadable(file, error),), {})


def _of_service(file: str) -> OfService:
    """What is wrong with the file of a service."""
    from flowlang.services.read import Read, read_service
    from flowlang.testing.read import unreadable

    try:
        return read_service(file)
    except OSError as error:
        return Read(None, (unreadable(file, error),), "")


def _write(form: str, findings: Sequence[Diagnostic], sources: dict[str, str], files: int) -> None:
    from flowlang import __version__, diagnostics
    from flowlang.views.findings import findings_text, summary

    if form == "json":
        out_json([each.to_record() for each in findings])
    elif form == "sarif":
        out_json(diagnostics.to_sarif(findings, __version__))
    elif form == "github":
        for each in findings:
            out(diagnostics.to_github(each))
    else:
        if findings:
            out(findings_text(findings, sources, colour=colours(sys.stdout)) + "\n")
        out(summary(findings, files))
