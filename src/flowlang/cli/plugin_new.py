"""`flowlang plugin new`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from flowlang.cli.catalogue import Refused
from flowlang.cli.output import err, is_terminal, out
from flowlang.diagnostics import visible
from flowlang.exceptions import PluginError


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--kind", metavar="KIND", help="What the service is like: client, http, sql.")
@click.option("--package", "target", metavar="DIR", type=click.Path(), help="The package's folder [flowlang-NAME].")
@click.option("--in-tree", is_flag=True, help="A folder in FlowLang's own tree, in place of a package.")
def new(name: str | None, kind: str | None, target: str | None, in_tree: bool) -> None:
    """Begin a connection plugin: a package that is whole and passes its own tests, to be changed from there.

    What is left out is asked for on a terminal. Nothing that exists is written over.
    """
    from flowlang.authoring import new as writing

    if in_tree and target is not None:
        raise click.UsageError("`--in-tree` and `--package` are two places: give one of them")
    try:
        name = writing.checked_name(name if name is not None else _asked("Name of the connection type", "NAME"))
        kind = writing.checked_kind(kind if kind is not None else _kind(writing.KINDS))
        if in_tree:
            written = writing.folder(name, kind, writing.tree())
        else:
            written = writing.package(name, kind, Path(target or f"flowlang-{name.replace('_', '-')}"))
    except PluginError as error:
        raise Refused(str(error)) from error
    out("\n".join(visible(str(each)) for each in written))
    place = visible(target or f"flowlang-{name.replace('_', '-')}")
    if in_tree:
        out(f"\nNext: flowlang connection info {name}")
    else:
        out(f"\nNext: cd {place} && pip install --editable '.[dev]' && pytest && flowlang plugin test")


def _asked(question: str, option: str, choices: list[str] | None = None) -> str:
    """The answer of a person. Raises a usage error where nobody can be asked."""
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise click.UsageError(f"{option} is missing, and there is no terminal to ask on")
    answer: str = click.prompt(question, type=click.Choice(choices) if choices else str, err=True)
    return answer


def _kind(kinds: Mapping[str, str]) -> str:
    if is_terminal(sys.stderr):
        for each, about in kinds.items():
            err(f"  {each:8}{about}")
    return _asked("Kind", "--kind", list(kinds))
