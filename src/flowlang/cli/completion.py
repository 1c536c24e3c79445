"""`flowlang completion`."""

from __future__ import annotations

import click

from flowlang.cli.output import out


@click.command(epilog='bash, zsh: eval "$(flowlang completion bash)"; fish: flowlang completion fish | source')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    from flowlang.cli.commands import root

    kind = get_completion_class(shell)
    assert kind is not None  # the choice above lists what click has
    out(kind(root, {}, "flowlang", "_FLOWLANG_COMPLETE").source())
