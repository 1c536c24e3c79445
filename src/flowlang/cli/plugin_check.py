"""`flowlang plugin check`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from flowlang.cli.catalogue import Refused
from flowlang.cli.output import colours, out, out_json
from flowlang.cli.plugins import as_json
from flowlang.exceptions import PluginError


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(exists=True, path_type=Path))
@click.option("--strict", is_flag=True, help="Exit code 1 for warnings too.")
@as_json
def check(folder: Path, strict: bool, as_json: bool) -> int:
    """Find what is wrong with the plugin in DIR (default: here; a wheel will do) without opening anything.

    Looked at are its package, its settings, its tasks and its example. Its driver is not imported and need not be
    installed. Exit codes: 0 no error, 1 errors, 2 there is no plugin.
    """
    from flowlang.authoring import static
    from flowlang.authoring.project import read
    from flowlang.views.text import painter

    try:
        project = read(folder)
        found = static.findings(project)
    except PluginError as error:
        raise Refused(str(error)) from error
    failed = any(strict or each.severity == "error" for each in found)
    if as_json:
        keys = ("severity", "plugin", "code", "message")
        out_json({"ok": not failed, "findings": [{key: getattr(each, key) for key in keys} for each in found]})
        return int(failed)
    paint = painter(colours(sys.stdout))
    for each in found:
        about = f"`{each.plugin}`: " if each.plugin else ""
        out(f"{paint(each.severity, each.severity)} {each.code}: {about}{each.message}")
    names = ", ".join(each.name for each in project.plugins)
    errors = sum(each.severity == "error" for each in found)
    out(f"{names}: {_counted(errors, 'error')}, {_counted(len(found) - errors, 'warning')}")
    return int(failed)


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
