"""`flowlang plugin test`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.catalogue import Refused
from flowlang.cli.output import err, out, out_json, stdout_reserved
from flowlang.cli.plugins import as_json
from flowlang.cli.scaffolds import settings

if TYPE_CHECKING:
    from flowlang.conformance.folder import Examined
    from flowlang.conformance.model import Report


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(exists=True, file_okay=False))
@settings
@click.option("--tier", "tiers", multiple=True, type=click.Choice(["contract", "quality"]), help="Only this tier.")
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="Only checks of this group, as `secrets`.")
@as_json
def test(folder: str, settings: dict[str, str], tiers: tuple[str, ...], groups: tuple[str, ...], as_json: bool) -> int:
    """Prove a plugin with the conformance kit: run the tests in DIR (default: here) that are `PluginConformance`.

    They run against the double that their fixture starts; `--set` gives settings of the real service instead. Shown is
    what failed, was waived or skipped, each with its reason, and the score. Exit codes: 0 nothing failed, 1 something
    did or no check was selected, 2 it cannot be tried.
    """
    examined = _examined(folder, settings, tiers, groups)
    if as_json:
        out_json({"problems": list(examined.problems), "plugins": [_record(each) for each in examined.reports]})
        return 0 if examined.ok else 1
    for each in examined.problems:
        err(f"error: {each}\n")
    for report in examined.reports:
        out(str(report))
    if not examined.reports and not examined.problems:
        err("error: no check was selected, which proves nothing")
        err("  = help: a class of its tests has to inherit `flowlang.testing.PluginConformance`")
    return 0 if examined.ok else 1


def _examined(folder: str, settings: dict[str, str], tiers: tuple[str, ...], groups: tuple[str, ...]) -> Examined:
    try:
        import pytest  # noqa: F401 - whether it is there
    except ImportError as error:
        raise Refused("the tests of a plugin run under pytest, which is not installed: pip install pytest") from error
    from flowlang.conformance.folder import examine
    from flowlang.conformance.model import GROUPS, TIERS

    if unknown := [each for each in groups if each not in GROUPS]:
        raise click.BadParameter(f"no group `{unknown[0]}`; there are {', '.join(GROUPS)}", param_hint="--group")
    with stdout_reserved():
        return examine(folder, settings, tiers=tiers or TIERS, groups=groups or tuple(GROUPS))


def _record(report: Report) -> dict[str, Any]:
    outcomes = [
        {"check": each.check.id, "tier": each.check.tier, "status": each.status, "reason": each.reason}
        for each in report.outcomes
    ]
    return {"plugin": report.plugin, "ok": report.ok, "score": round(report.score, 4), "outcomes": outcomes}
