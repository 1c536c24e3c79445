"""`flowlang lsp`."""

from __future__ import annotations

import os
import sys

import click

from flowlang.cli.catalogue import Refused

_MISSING = "the language server needs pygls, which is not installed: pip install 'flowlang[lsp]'"


@click.command()
def lsp() -> None:
    """Run the language server for flows, over stdin and stdout. Editors start it; it takes no options.

    Findings while you type, completion, hover, definitions, renaming, quick fixes.
    """
    try:
        from flowlang.lsp.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol", "cattrs", "attrs"):
            raise
        raise Refused(_MISSING) from error
    # Whatever a plugin prints when it is imported must not stand between two messages.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as stdout:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.stdin.buffer, stdout)
