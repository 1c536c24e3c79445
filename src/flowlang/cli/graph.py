"""`flowlang graph`."""

from __future__ import annotations

import os
import sys

import click

from flowlang.cli.output import colours, err, say, write_utf8

_TEXTS = {"", ".mmd", ".mermaid", ".md", ".txt"}


@click.command()
@click.argument("file", type=click.Path())
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "svg"]),
    help="Text for mermaid, or a drawing of its own. By the name of OUT, else mermaid.",
)
@click.option("-o", "--out", "target", metavar="OUT", type=click.Path(), help="The file to write instead of stdout.")
@click.option(
    "--depth",
    type=click.IntRange(0, 32),
    default=0,
    show_default=True,
    help="Levels of subflows to draw out; deeper ones are one node each.",
)
def graph(file: str, form: str | None, target: str | None, depth: int) -> int:
    """Draw the flow in FILE: its steps, branches, loops and what happens on errors.

    Exit code 2 when the flow is not valid.
    """
    from flowlang import api
    from flowlang.views.findings import findings_text
    from flowlang.views.graph.mermaid import mermaid
    from flowlang.views.graph.svg import svg

    drawn = form or _form_of(target)
    checked = api.check(file)
    if checked.plan is None:
        say(findings_text(checked.findings, checked.sources, colour=colours(sys.stderr)))
        return 2
    chart = api.chart(checked, depth=depth)
    text = svg(chart) if drawn == "svg" else mermaid(chart)
    if target is None:
        write_utf8(text.rstrip("\n"))
        return 0
    with open(target, "w", encoding="utf-8", newline="\n") as written:
        written.write(text)
    err(f"wrote {target}")
    return 0


def _form_of(target: str | None) -> str:
    """The form that the name of a file asks for."""
    ending = os.path.splitext(target or "")[1].lower()
    if ending == ".svg":
        return "svg"
    if ending in _TEXTS:
        return "mermaid"
    raise click.UsageError(f"no form has the ending `{ending}`: name OUT `.svg` or `.mmd`, or give `--format`")
