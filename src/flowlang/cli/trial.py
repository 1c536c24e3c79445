"""`flowlang connection test`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.catalogue import Refused
from flowlang.cli.given import explained, pairs, secrets_of, typed
from flowlang.cli.output import colours, err, out, out_json, say
from flowlang.cli.plugins import as_json, complete_type
from flowlang.cli.scaffolds import settings
from flowlang.diagnostics import visible

if TYPE_CHECKING:
    from flowlang import api
    from flowlang.trials import Tested

FAILED = 3  # the exit code of `run` for a connection that does not open


def _limit(ctx: click.Context, param: click.Parameter, given: str | None) -> float | None:
    """A duration as flows write it, in seconds."""
    from flowlang.expressions.durations import parse_duration

    if given is None:
        return None
    seconds = parse_duration(given)
    if seconds is None or not 0 < seconds <= 86400:
        raise click.BadParameter("expected a duration of at most a day, as `500ms`, `5s`, `2m`", ctx, param)
    return seconds


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.option("-f", "--flow", "file", metavar="FLOW", type=click.Path(), help="The flow that has the connection.")
@click.option("--type", "kind", metavar="TYPE", shell_complete=complete_type, help="A type, in place of a flow.")
@settings
@click.option(
    "-i", "--input", "texts", metavar="NAME=VALUE", multiple=True, callback=pairs,
    help="An input, where the flow's `vars` need one.",
)  # fmt: skip
@click.option("--secrets", "secrets_file", metavar="FILE", help="Secrets: lines NAME=value, or YAML.")
@click.option("--connect-timeout", "limit", metavar="DURATION", callback=_limit, help="For the whole test, as `5s`.")
@as_json
def test(
    name: str | None,
    file: str | None,
    kind: str | None,
    settings: dict[str, str],
    texts: dict[str, str],
    secrets_file: str | None,
    limit: float | None,
    as_json: bool,
) -> int:
    """Open a connection stage by stage, and say what is wrong with it.

    Either the connection NAME of a flow (`-f`), or one of a type (`--type`) with settings of its own (`--set`).
    Exit codes: 0 it can be used, 2 nothing could be tested, 3 a stage failed.
    """
    from flowlang.exceptions import InvalidFlowError, PluginError
    from flowlang.trials import NoSuchConnection

    _check_usage(name, file, kind, settings)
    secrets, findings = secrets_of(secrets_file) if secrets_file is not None else ({}, [])
    checked: api.Checked | None = None
    try:
        if findings:
            raise InvalidFlowError("the secrets cannot be read", findings)
        checked = _checked(file, kind, name or "connection", settings)
        told = _tested(checked, name or "connection", texts, secrets, limit)
    except InvalidFlowError as error:
        return _invalid(error.findings, checked.sources if checked is not None else {}, as_json=as_json)
    except NoSuchConnection as error:
        raise Refused(f"there is no connection `{visible(name or '')}` in {visible(file or '')}; {error}") from error
    except PluginError as error:
        raise Refused(str(error)) from error
    _tell(told, file, as_json=as_json)
    return FAILED if told.trial.failed is not None else 0


def _check_usage(name: str | None, file: str | None, kind: str | None, settings: Mapping[str, str]) -> None:
    if (file is None) == (kind is None):
        raise click.UsageError("give a connection of a flow, `NAME -f FLOW`, or a type, `--type TYPE --set KEY=VALUE`")
    if file is not None and name is None:
        raise click.UsageError("which connection of the flow? `flowlang connection test NAME -f FLOW`")
    if file is not None and settings:
        raise click.UsageError("`--set` goes with `--type`: the settings of a flow's connection stand in the flow")


def _checked(file: str | None, kind: str | None, name: str, settings: Mapping[str, str]) -> api.Checked:
    from flowlang import api
    from flowlang.trials import described

    if file is not None:
        return api.check(file)
    return api.check(text=described(kind or "", name, settings), file="--set")


def _tested(
    checked: api.Checked, name: str, texts: Mapping[str, str], secrets: Mapping[str, str], limit: float | None
) -> Tested:
    import asyncio
    import os

    from flowlang.cli.output import stdout_reserved
    from flowlang.exceptions import InvalidFlowError
    from flowlang.trials import try_connection

    values, reasons = typed(checked.plan.inputs, texts) if checked.plan is not None else (dict(texts), {})
    try:
        with stdout_reserved():
            return asyncio.run(
                try_connection(checked, name, inputs=values, secrets=secrets, env=os.environ, limit=limit)
            )
    except InvalidFlowError as error:
        raise InvalidFlowError(str(error), explained(error.findings, reasons)) from error


def _tell(told: Tested, file: str | None, *, as_json: bool) -> None:
    from flowlang.views.text import painter
    from flowlang.views.trials import trial_record, trial_text

    place = told.place if file is not None else None
    record = trial_record(told.trial, place)
    if as_json:
        out_json(record)
    else:
        out(trial_text(record, painter(colours(sys.stdout))))


def _invalid(findings: Any, sources: Mapping[str, str], *, as_json: bool) -> int:
    from flowlang.views.findings import findings_text

    if as_json:
        out_json({"error": {"type": "invalid", "findings": [each.to_record() for each in findings]}})
        return 2
    say(findings_text(findings, sources, colour=colours(sys.stderr)))
    err("nothing was tested")
    return 2
