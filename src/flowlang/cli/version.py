"""`flowlang version`."""

from __future__ import annotations

import click

from flowlang import __version__
from flowlang.cli.output import out, out_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, with Python and platform.")
def version(as_json: bool) -> None:
    """Print the version."""
    if not as_json:
        out(f"flowlang {__version__}")
        return
    import platform

    out_json({"flowlang": __version__, "python": platform.python_version(), "platform": platform.platform()})
