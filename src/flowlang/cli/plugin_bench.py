"""`flowlang plugin bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.catalogue import Refused
from flowlang.cli.output import err, out, out_json, stdout_reserved
from flowlang.cli.plugins import as_json
from flowlang.cli.scaffolds import settings

if TYPE_CHECKING:
    from flowlang.conformance.measuring import Measured


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(exists=True, file_okay=False))
@settings
@click.option("--soak", default=2_000, show_default=True, type=click.IntRange(20), help="Operations to look for leaks.")
@as_json
def bench(folder: str, settings: dict[str, str], soak: int, as_json: bool) -> int:
    """Measure the plugin whose conformance tests stand in DIR (default: here), against the double that they start.

    Shown are the times of opening and of a lease, an operation on a handle and the same as a step of a flow; then what
    many operations leave behind. `--set` gives settings of the real service. Exit codes: 0 nothing is left behind, 1
    something is, 2 it cannot be measured.
    """
    found, problems = _measured(folder, settings, soak)
    if as_json:
        out_json({"problems": problems, "plugins": [_record(each) for each in found]})
    else:
        for problem in problems:
            err(f"error: {problem}")
        for each in found:
            _tell(each)
    if not found and not problems:
        raise Refused("nothing was measured: a class of its tests has to inherit `flowlang.testing.PluginConformance`")
    return int(bool(problems) or any(each.left for each in found))


def _measured(folder: str, settings: dict[str, str], soak: int) -> tuple[list[Measured], list[str]]:
    try:
        import pytest  # noqa: F401 - whether it is there
    except ImportError as error:
        raise Refused("the tests of a plugin run under pytest, which is not installed: pip install pytest") from error
    from flowlang.conformance.folder import examine
    from flowlang.conformance.measuring import measured
    from flowlang.conformance.model import Check
    from flowlang.conformance.subject import Subject

    found: list[Measured] = []

    async def measure(subject: Subject) -> None:
        found.append(await measured(subject, soak))

    instead = Check("bench", "costs", "quality", (), measure, "It can be measured.")
    with stdout_reserved():
        examined = examine(folder, settings, instead=instead)
    failed = [each.reason for report in examined.reports for each in report.outcomes if each.status != "passed"]
    return found, [*examined.problems, *failed]


def _tell(found: Measured) -> None:
    out(f"{found.plugin}")
    out(f"  open and close         {_time(found.open)}")
    out(f"  lease and give back    {_time(found.lease)}")
    out(f"  {found.operation}, held{' ' * max(1, 16 - len(found.operation))} {_time(found.call)}")
    out(f"  the same as a step     {_time(found.step)}  ({found.step / found.call:.2f} ×)")
    left = ", ".join(found.left) or "nothing"
    out(f"  after {found.soaked:,} operations: {left} left, {max(found.growth, 0):.0f} bytes kept for each")


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:9.1f} µs" if seconds < 0.001 else f"{seconds * 1e3:9.2f} ms"


def _record(found: Measured) -> dict[str, Any]:
    names = ("plugin", "open", "lease", "operation", "call", "step", "soaked", "left", "growth")
    return {name: getattr(found, name) for name in names}
