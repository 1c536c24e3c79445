"""The command line. `main` is what `flowlang` and `python -m flowlang` call."""

from __future__ import annotations

from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line on `args` (the process's own by default) and leave with its exit code."""
    import gc

    gc.disable()  # until a flow runs: starting up makes a great many objects and hardly any garbage
    try:
        from flowlang.cli.app import serve

        code = serve(args)
    except KeyboardInterrupt:  # Ctrl-C while all of it is loaded; `serve` looks after the rest
        code = 130
    raise SystemExit(code)


__all__ = ["main"]
