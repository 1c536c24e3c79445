"""`flowlang plugin docs`."""

from __future__ import annotations

from pathlib import Path

import click

from flowlang.cli.catalogue import Refused
from flowlang.cli.output import err, out
from flowlang.exceptions import PluginError


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 when a page is not current.")
def docs(folder: Path, check: bool) -> int:
    """Write the page of each plugin in DIR (default: here), `docs/<type>-reference.md`: settings, tasks, example.

    The texts come from the code: descriptions in the schema, docstrings of the tasks, the example flow.
    """
    from flowlang.authoring.apart import described
    from flowlang.authoring.pages import page, place
    from flowlang.authoring.project import read

    try:
        records = described(read(folder))
    except PluginError as error:
        raise Refused(str(error)) from error
    stale = False
    for record in records:
        if record["problem"] is not None:
            raise Refused(f"`{record['type']}` cannot be used: {record['problem']}")
        target, text = place(folder, record["type"]), page(record)
        if target.is_file() and target.read_text("utf-8") == text:
            out(f"{target} is current")
        elif check:
            stale = True
            err(f"error: {target} is not current: run `flowlang plugin docs {folder}`")
        else:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, "utf-8", newline="\n")
            out(f"{target} written")
    return int(stale)
