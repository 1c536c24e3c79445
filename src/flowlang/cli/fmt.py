"""`flowlang fmt`."""

from __future__ import annotations

import sys

import click

from flowlang.cli.output import colours, err, out, say, told, write_utf8


@click.command()
@click.argument("paths", metavar="[FILE|FOLDER|-]...", nargs=-1, type=click.Path())
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit code 1 when a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
def fmt(paths: tuple[str, ...], only_check: bool, diff: bool) -> int:
    """Put flows into their canonical form: layout, never meaning. Comments stay.

    A folder (`.` when nothing is given) stands for the flows in it and below, `-` for stdin, which goes to stdout.
    Exit code 1 when `--check` found something to do, 2 when a file is not YAML.
    """
    from flowlang.cli.rewriting import flow_files

    if "-" in paths and len(paths) > 1:
        raise click.UsageError("`-` is stdin, and goes without other files")
    changed, same, refused = 0, 0, 0
    for path in paths if paths == ("-",) else flow_files(paths or (".",)):
        done = _one(path, write=not (only_check or diff), diff=diff, quiet=only_check)
        changed, same, refused = changed + (done == 1), same + (done == 0), refused + (done == 2)
    if paths != ("-",) and not diff:
        _tell(changed, same, refused, only_check)
    return 2 if refused else 1 if only_check and changed else 0


def _one(path: str, *, write: bool, diff: bool, quiet: bool) -> int:
    """0 when the file is as it should be, 1 when it was not, 2 when it is refused."""
    from flowlang import api
    from flowlang.cli.rewriting import difference, rewrite
    from flowlang.exceptions import InvalidFlowError
    from flowlang.views.findings import findings_text

    name = "<stdin>" if path == "-" else path
    try:
        before = sys.stdin.buffer.read() if path == "-" else api.read_bytes(path)
        after = api.format_text(before, name)
    except OSError as error:
        err(f"error: {told(error)}")
        return 2
    except InvalidFlowError as error:
        source = before.decode("utf-8", "replace").removeprefix("\ufeff")
        say(findings_text(error.findings, {name: source}, colour=colours(sys.stderr)))
        return 2
    changes = after.encode("utf-8") != before
    if diff and changes:
        out(difference(name, before.decode("utf-8"), after))
    if path == "-" and write:
        write_utf8(after.removesuffix("\n"))
    elif changes and write:
        rewrite(path, after)
        out(f"formatted {path}")
    elif changes and quiet and not diff:
        err(f"{name} would change")
    return int(changes)


def _tell(changed: int, same: int, refused: int, only_check: bool) -> None:
    from flowlang.views.text import many

    told = [f"{many(changed, 'file')} {'to format' if only_check else 'formatted'}"] if changed else []
    told += [f"{many(same, 'file')} left as {'it is' if same == 1 else 'they are'}"] if same else []
    told += [f"{many(refused, 'file')} refused"] if refused else []
    out(", ".join(told) or "no flows here")
