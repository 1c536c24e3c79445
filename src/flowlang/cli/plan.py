"""`flowlang plan`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from flowlang.cli.given import explained, input_options, json_inputs, secrets_of, typed
from flowlang.cli.output import colours, err, out, out_json, say

if TYPE_CHECKING:
    from flowlang.diagnostics import Diagnostic


@click.command()
@click.argument("file", type=click.Path())
@input_options
@click.option("--secrets", "secrets_file", metavar="FILE", help="Secrets: lines NAME=value, or YAML.")
@click.option("--turns", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Turns told of a loop.")
@click.option("--json", "as_json", is_flag=True, help="Exactly one JSON object on stdout, with a record per call.")
def plan(
    file: str, texts: dict[str, str], inputs_file: str | None, secrets_file: str | None, turns: int, as_json: bool
) -> int:
    """Tell what a run of the flow in FILE would do, without doing it: a dry run.

    Every call in order, with its values where they are known. No service is touched and no driver is needed; inputs and
    secrets may be missing. Exit code 2 when a run would be refused.
    """
    from flowlang import api
    from flowlang.exceptions import InvalidFlowError
    from flowlang.views.dryrun import dry_run_record, dry_run_text
    from flowlang.views.text import painter

    checked = api.check(file)
    given, unusable = json_inputs(inputs_file) if inputs_file is not None else ({}, [])
    secrets, more = secrets_of(secrets_file) if secrets_file is not None else ({}, [])
    if checked.plan is None or unusable or more:
        return _refused([*checked.findings, *unusable, *more], checked.sources, as_json=as_json)
    values, reasons = typed(checked.plan.inputs, texts)
    try:
        told = api.plan(file, {**given, **values}, secrets=secrets, turns=turns)
    except InvalidFlowError as error:
        return _refused(explained(error.findings, reasons), checked.sources, as_json=as_json)
    if as_json:
        out_json(dry_run_record(told), indent=None)
    else:
        out(dry_run_text(told, painter(colours(sys.stdout))))
    return 0


def _refused(findings: Sequence[Diagnostic], sources: Mapping[str, str], *, as_json: bool) -> int:
    from flowlang.views.findings import findings_text

    if as_json:
        out_json({"error": {"type": "invalid", "findings": [each.to_record() for each in findings]}}, indent=None)
        return 2
    say(findings_text(findings, sources, colour=colours(sys.stderr)))
    err("a run would be refused")
    return 2
