"""`flowlang plugin diff`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.catalogue import Refused
from flowlang.cli.output import colours, out, out_json
from flowlang.cli.plugins import as_json
from flowlang.exceptions import PluginError

if TYPE_CHECKING:
    from flowlang.authoring.changes import Difference

_STYLES = {"major": "error", "minor": "warning", "patch": "dim"}


@click.command()
@click.argument("old", type=click.Path(exists=True, path_type=Path))
@click.argument("new", type=click.Path(exists=True, path_type=Path))
@as_json
def diff(old: Path, new: Path, as_json: bool) -> int:
    """What the plugin in NEW changes for the users of the one in OLD, and the version that this asks for.

    Each is a folder or a wheel. Compared are settings, tasks, parameters and outputs. Exit codes: 0 the version of NEW
    is high enough, 1 it is too low, 2 one of them cannot be used.
    """
    from flowlang.authoring.changes import differences
    from flowlang.views.text import painter

    try:
        found = differences(_records(old), _records(new))
        enough = all(each.enough for each in found)
    except PluginError as error:
        raise Refused(str(error)) from error
    if as_json:
        out_json({"enough": enough, "plugins": [_record(each) for each in found]})
        return int(not enough)
    paint = painter(colours(sys.stdout))
    for each in found:
        _tell(each, paint)
    return int(not enough)


def _records(path: Path) -> list[dict[str, Any]]:
    from flowlang.authoring.apart import described
    from flowlang.authoring.project import read

    records = described(read(path))
    for each in records:
        if each["problem"] is not None:
            raise PluginError(f"`{each['type']}` of `{path}` cannot be used: {each['problem']}")
    return records


def _tell(found: Difference, paint: Callable[..., str]) -> None:
    versions = f"{found.name}: {found.old} → {found.new}"
    for each in found.changes:
        out(f"{paint(f'{each.level:5}', _STYLES[each.level])}  {each.where}: {each.text}")
    if not found.changes:
        out(f"{versions}, nothing that users see has changed")
    elif found.enough:
        out(f"{versions} is high enough for a {found.required} change")
    else:
        out(f"{versions} is too low for a {found.required} change: {found.least} or higher")


def _record(found: Difference) -> dict[str, Any]:
    changes = [{"level": each.level, "where": each.where, "text": each.text} for each in found.changes]
    about = {"plugin": found.name, "old": found.old, "new": found.new, "required": found.required}
    return {**about, "least": found.least, "enough": found.enough, "changes": changes}
