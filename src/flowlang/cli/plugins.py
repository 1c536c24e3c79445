"""`flowlang connection list|info|deps|install`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from flowlang import describing
from flowlang.cli import catalogue
from flowlang.cli.catalogue import Refused
from flowlang.cli.output import colours, err, is_terminal, out, out_json
from flowlang.views.text import Paint, painter

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def complete_type(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from flowlang.services.project import here

    return [CompletionItem(name) for name in here().names() if name.startswith(incomplete)]


def a_type(*, required: bool = True) -> Decorator:
    """The argument TYPE, completed from the known types."""
    return click.argument(
        "kind", metavar="TYPE" if required else "[TYPE]", required=required, shell_complete=complete_type
    )


def _paint() -> Paint:
    return painter(colours(sys.stdout))


as_json = click.option("--json", "as_json", is_flag=True, help="As one JSON document.")


@click.command("list")
@as_json
def list_types(as_json: bool) -> None:
    """Every connection type there is, with those that cannot be used and why."""
    from flowlang import api
    from flowlang.views.connections import list_text

    records = [describing.listed(each) for each in api.plugins()]
    if as_json:
        out_json(records)
    else:
        out(list_text(records, _paint()))


@click.command("list")
@as_json
def list_plugins(as_json: bool) -> int:
    """Every plugin that is installed: its package, its entry point, where it stands, what it lacks. Exit code 1 when
    one cannot be used."""
    from flowlang import api
    from flowlang.views.connections import plugins_text

    records = [describing.installed(each) for each in api.plugins()]
    if as_json:
        out_json(records)
    else:
        out(plugins_text(records, _paint()))
    return int(any(each["problem"] is not None for each in records))


@click.command()
@a_type()
@as_json
def info(kind: str, as_json: bool) -> int:
    """Everything about a connection type: where it comes from, what it needs, its settings, its tasks."""
    from flowlang.views.connections import info_text

    record = describing.described(catalogue.found(kind))
    if as_json:
        out_json(record)
    else:
        out(info_text(record, _paint()))
    return 0 if record["problem"] is None else 1


@click.command()
@a_type(required=False)
@click.option("--check", is_flag=True, help="Exit code 1 when something is missing.")
@as_json
def deps(kind: str | None, check: bool, as_json: bool) -> int:
    """What connection types need installed, and what is there. No driver is imported."""
    from flowlang import api
    from flowlang.views.connections import deps_text

    found = [catalogue.found(kind)] if kind is not None else list(api.plugins())
    records = [describing.required(each) for each in found]
    if as_json:
        out_json(records)
    else:
        out(deps_text(records, _paint()) or "there are no connection types")
    lacking = any(each["problem"] or not all(one["satisfied"] for one in each["dependencies"]) for each in records)
    return 1 if check and lacking else 0


@click.command()
@a_type()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show the command only.")
def install(kind: str, yes: bool, dry_run: bool) -> int:
    """Install what a connection type needs, into the Python that runs FlowLang.

    The exact command is shown first. On a terminal it asks; elsewhere it needs --yes.
    """
    import shlex

    from flowlang.connections.dependencies import missing

    lacking = missing(catalogue.usable(kind))
    if not lacking:
        out(f"{kind}: everything it needs is installed")
        return 0
    command = [*_installer(), *map(_requirement, lacking)]
    out(f"$ {shlex.join(command)}")
    if dry_run:
        return 0
    if not yes:
        if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
            raise Refused("not on a terminal: give --yes to run this command")
        if not click.confirm("Run it?", err=True):
            err("nothing was installed")
            return 1
    code = _run(command)
    if code:
        err(f"error: the installer ended with exit code {code}; what it says of it stands above")
        return 1
    return _looked_again(kind)


def _looked_again(kind: str) -> int:
    """Whether the type has all that it needs now: an installer may have been told to put things elsewhere."""
    import importlib

    from flowlang.connections.dependencies import missing

    importlib.invalidate_caches()
    lacking = ", ".join(f"`{each.requirement}` ({each.reason})" for each in missing(catalogue.usable(kind)))
    if lacking:
        err(f"error: the installer has ended well, and yet {sys.executable} lacks {lacking}")
        return 1
    out(f"{kind}: everything it needs is installed")
    return 0


def _installer() -> list[str]:
    """pip of this interpreter, or uv where pip is absent."""
    import importlib.util
    import shutil

    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install"]
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--python", sys.executable]
    raise Refused(f"neither pip nor uv is there: `{sys.executable} -m ensurepip` brings pip")


def _requirement(dependency: Any) -> str:
    """A requirement as an argument. What is none could be an option of the installer, and is refused."""
    from packaging.requirements import InvalidRequirement, Requirement

    text = str(dependency.requirement).partition(";")[0].strip()
    try:
        Requirement(text)
    except InvalidRequirement as error:
        raise Refused(f"the plugin asks for {text!r}, which is no requirement: {str(error).splitlines()[0]}") from error
    return text


def _run(command: list[str]) -> int:
    import subprocess

    try:
        return subprocess.run(command, check=False).returncode
    except OSError as error:
        raise Refused(f"cannot run {command[0]}: {error.strerror}") from error
