"""The commands and where each lives: a command's module is imported when the command, or its own help, is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem


class Entry(NamedTuple):
    """A command before it is imported. `target` is `module:attribute`; `section` its heading in the help."""

    target: str
    help: str
    section: str


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps, and imports a command when it is used."""

    def __init__(self, *args: Any, entries: dict[str, Entry], examples: Sequence[tuple[str, str]] = (), **more: Any):
        super().__init__(*args, **more)
        self.entries = entries
        self.examples = tuple(examples)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from flowlang.diagnostics import nearest, visible

        if args and args[0] not in self.entries and not args[0].startswith("-") and not ctx.resilient_parsing:
            close = nearest(args[0], self.entries)
            hint = f"did you mean `{close}`?" if close else f"there are {', '.join(self.entries)}"
            raise click.UsageError(f"no command `{visible(args[0])}`; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in dict.fromkeys(each.section for each in self.entries.values()):
            with formatter.section(section):
                rows = [(name, each.help) for name, each in self.entries.items() if each.section == section]
                formatter.write_dl(rows, col_max=16)
        if self.examples:
            with formatter.section("Examples"):
                formatter.write_dl(list(self.examples), col_max=60)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands, without importing any; options only when one was begun."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=each.help) for name, each in self.entries.items() if name.startswith(incomplete)
        ]


COMMANDS = {
    "run": Entry("flowlang.cli.run:run", "Run a flow and show its outputs.", "Flows"),
    "test": Entry("flowlang.cli.test:test", "Run the tests of flows.", "Flows"),
    "check": Entry("flowlang.cli.check:check", "Find what is wrong with flows, without running them.", "Flows"),
    "plan": Entry("flowlang.cli.plan:plan", "Tell what a run would do, without doing it.", "Flows"),
    "graph": Entry("flowlang.cli.graph:graph", "Draw a flow, as mermaid text or SVG.", "Flows"),
    "fmt": Entry("flowlang.cli.fmt:fmt", "Put flows into their canonical form.", "Flows"),
    "explain": Entry("flowlang.cli.explain:explain", "Explain a finding, a function, a task, an error.", "Flows"),
    "schema": Entry("flowlang.cli.schema:schema", "Print the JSON Schema of a flow file, for editors.", "Editors"),
    "lsp": Entry("flowlang.cli.lsp:lsp", "Run the language server for flows; editors start it.", "Editors"),
    "runs": Entry("flowlang.cli.runs:runs", "Runs in a store: look, resume, cancel, signal.", "Runs"),
    "submit": Entry("flowlang.cli.submit:submit", "Hand a run to the workers of a store.", "Runs"),
    "worker": Entry("flowlang.cli.worker:worker", "Execute what is submitted, and take over from the dead.", "Runs"),
    "queue": Entry("flowlang.cli.queues:queue", "Queues: look, limit.", "Runs"),
    "schedule": Entry("flowlang.cli.schedules:schedule", "Schedules: begin runs at times, pause them.", "Runs"),
    "connection": Entry("flowlang.cli.connection:connection", "Connection types: look, install, scaffold.", "Services"),
    "plugin": Entry("flowlang.cli.plugin:plugin", "Connection plugins: write, prove, publish.", "Services"),
    "doctor": Entry("flowlang.cli.doctor:doctor", "Look at the installation.", "Installation"),
    "version": Entry("flowlang.cli.version:version", "Print the version.", "Installation"),
    "completion": Entry("flowlang.cli.completion:completion", "Print a shell's completion script.", "Installation"),
}
EXAMPLES = (
    ("flowlang run orders.yaml -i day=2026-11-23", "run a flow with an input"),
    ("flowlang run orders.yaml --json | jq .outputs", "for programs: one JSON object"),
    ("flowlang check flows/*.yaml", "before you commit"),
    ("flowlang test flows", "run the tests beside the flows"),
    ("flowlang connection info sqlite", "what a connection type offers"),
)


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from flowlang import __version__

        click.echo(f"flowlang {__version__}")
        ctx.exit()


WIDEST = 100  # columns of a help
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": WIDEST}

root = LazyGroup(
    "flowlang",
    entries=COMMANDS,
    examples=EXAMPLES,
    help="Workflows in YAML whose steps are real operations on real services.",
    epilog="Exit codes: 0 done, 1 failed, 2 refused before it ran, 3 could not connect, 124 timed out, 130 cancelled.",
    context_settings=SETTINGS,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version.",
        )
    ],
)
