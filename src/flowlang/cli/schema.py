"""`flowlang schema`."""

from __future__ import annotations

from pathlib import Path

import click

from flowlang.cli.output import out_json, say


@click.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write it to this file instead of stdout.")
@click.option("--tests", is_flag=True, help="That of a file of tests (*.test.yaml), not of a flow.")
@click.option("--service", is_flag=True, help="That of the file of a service (*.service.yaml), not of a flow.")
def schema(output: str | None, tests: bool, service: bool) -> None:
    """Print the JSON Schema of a flow file, for editors; with --tests or --service that of another file.

    That of a flow has the settings and tasks of every installed plugin: write it anew after installing one.
    """
    from flowlang import editing
    from flowlang.views.jsontext import record_json

    if tests and service:
        raise click.UsageError("--tests and --service are two files: take one")
    made = editing.tests_schema(None) if tests else editing.service_schema() if service else editing.schema()
    if output is None:
        out_json(made)
        return
    Path(output).write_text(record_json(made, 2) + "\n", encoding="utf-8")
    say(f"wrote {output}")
