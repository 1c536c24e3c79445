"""`flowlang schema`."""

from __future__ import annotations

from pathlib import Path

import click

from flowlang.cli.output import out_json, say


@click.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write it to this file instead of stdout.")
def schema(output: str | None) -> None:
    """Print the JSON Schema of a flow file, for editors.

    It has the settings and tasks of every installed plugin: write it anew after installing one.
    """
    from flowlang import editing
    from flowlang.views.jsontext import record_json

    made = editing.schema()
    if output is None:
        out_json(made)
        return
    Path(output).write_text(record_json(made, 2) + "\n", encoding="utf-8")
    say(f"wrote {output}")
