"""`flowlang connection scaffold|helpers|example`: what plugins write for their users."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from flowlang.cli.catalogue import Refused, usable
from flowlang.cli.output import out
from flowlang.cli.plugins import Decorator, a_type
from flowlang.diagnostics import visible
from flowlang.exceptions import PluginError


def _settings(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """`--set key=value`, once for each key."""
    settings: dict[str, str] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"expected key=value, got {visible(each)!r}", ctx, param)
        if key in settings:
            raise click.BadParameter(f"`{visible(key)}` is given twice", ctx, param)
        settings[key] = value
    return settings


def _connection_name(ctx: click.Context, param: click.Parameter, name: str) -> str:
    if not name.isidentifier():
        raise click.BadParameter(f"{name!r} cannot name a connection: letters, digits and `_` only", ctx, param)
    return name


named = click.option(
    "--name", default="api", show_default=True, callback=_connection_name, help="Name of the connection in the flow."
)
settings = click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True, callback=_settings, help="A setting; may be repeated."
)


def folder(default: str | None = ".") -> Decorator:
    return click.option("-o", "--output", "output", metavar="DIR", default=default, help="Folder to write to.")


@click.command()
@a_type()
@named
@settings
@folder(None)
def scaffold(kind: str, name: str, settings: dict[str, str], output: str | None) -> None:
    """Print the settings of a connection as YAML, to paste under `connections:` of a flow.

    With -o the snippet goes to DIR/TYPE_connection.yaml, below the key `connections`.
    """
    plugin = usable(kind)
    snippet, _ = _asked(kind, "scaffold_connection_config", plugin.scaffold_connection_config, name, **settings)
    text = _snippet(kind, name, snippet)
    if output is None:
        out(text)
        return
    path = Path(output) / f"{kind}_connection.yaml"
    if path.exists():
        raise Refused(f"{path} exists: remove it, or write to another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"connections:\n{text}\n", "utf-8")
    out(f"Generated: {visible(str(path))}")


def _snippet(kind: str, name: str, snippet: object) -> str:
    """The plugin's text, indented as an entry of `connections:`. Refused when it is no YAML of that form."""
    import yaml

    text = textwrap.indent(textwrap.dedent(str(snippet)).strip("\n"), "  ")
    try:
        read = yaml.safe_load(f"connections:\n{text}\n")
    except yaml.YAMLError as error:
        raise Refused(f"plugin `{kind}` wrote a config that is not YAML: {error}") from error
    entries = read["connections"] if isinstance(read, dict) else None
    if not isinstance(entries, dict) or name not in entries:
        raise Refused(f"plugin `{kind}` wrote a config without the connection `{name}`")
    return text


@click.command()
@a_type()
@named
@settings
@folder()
def helpers(kind: str, name: str, settings: dict[str, str], output: str) -> None:
    """Write a Python module that calls each task of a type."""
    _written(kind, "scaffold_task_helpers", usable(kind).scaffold_task_helpers, output, name, settings)


@click.command()
@a_type()
@named
@settings
@folder()
def example(kind: str, name: str, settings: dict[str, str], output: str) -> None:
    """Write a whole flow that uses a type: something to run and to change."""
    _written(kind, "scaffold_example_flow", usable(kind).scaffold_example_flow, output, name, settings)


def _written(
    kind: str, member: str, method: Callable[..., Any], output: str, name: str, settings: dict[str, str]
) -> None:
    path, printed = _asked(kind, member, method, output, name, **settings)
    if printed.strip():
        out("\n".join(visible(line) for line in printed.rstrip("\n").splitlines()))
    if path is not None and str(path) not in printed:
        out(f"Generated: {visible(str(path))}")


def _asked(kind: str, member: str, method: Callable[..., Any], *words: str, **settings: str) -> tuple[Any, str]:
    """What a plugin's method returned and printed. Whatever it raises is its message, never a traceback."""
    from flowlang.connections._capture import captured

    with captured() as output:
        try:
            answer = method(*words, **settings)
        except PluginError as error:
            raise Refused(str(error)) from error
        except OSError as error:
            raise Refused(f"cannot write there: {error}") from error
        except Exception as error:
            raise Refused(f"plugin `{kind}`: {member}() failed: {type(error).__name__}: {error}") from error
    return answer, output.text
