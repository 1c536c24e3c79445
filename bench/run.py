"""`make bench`: measure FlowLang against floors taken in the same run. `--write FILE` publishes the table.

    python bench/run.py [NAME …] [--write FILE]

NAMEs choose figures: step, parallel, turns, cancel, startup, smallest, insert, stream, load, editor, check, fmt,
expressions, web, documents, cache, databases, moves.
The exit code is 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import compileall
import datetime
import sys
from pathlib import Path

import figures
from harness import BENCH, ROOT, Figure, machine

PAGE = """# Benchmarks

What FlowLang costs on top of the work itself. Each figure stands beside a *floor*: the same work by hand, measured in
the same run, in turn with ours, as the median of several rounds. Look at the ratio; the times depend on the machine.

Taken on {date} with `make bench`: {machine}.

{table}

## Method

{methods}

Bytecode is compiled before anything is measured. The targets are promises: `make bench` fails when one is missed.
"""


def table(found: list[Figure]) -> str:
    """The figures as a table in markdown."""
    rows = ["| what | floor | ours | measured | target |", "|---|---|---|---|---|"]
    rows += [
        f"| {each.what} | {each.floor} | {each.ours} | {each.shown} | {each.aim}{'' if each.met else ' **missed**'} |"
        for each in found
    ]
    return "\n".join(rows)


def page(found: list[Figure], where: str) -> str:
    """The page of the docs."""
    methods = "\n".join(f"- **{each.what}**: {each.method}." for each in found)
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return PAGE.format(date=date, machine=where, table=table(found), methods=methods)


def show(figure: Figure) -> None:
    mark = " " if figure.target is None else "✓" if figure.met else "✗"
    print(f"{mark} {figure.what}: {figure.shown}  (target {figure.aim or '–'})")
    print(f"    ours {figure.ours}" + (f", floor {figure.floor}" if figure.floor else ""))
    print(f"    {figure.method}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure FlowLang against floors taken in the same run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which figures: {', '.join(figures.ALL)}")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page with the table, in markdown")
    options = parser.parse_args()
    if unknown := set(options.names) - set(figures.ALL):
        parser.error(f"no figure is called {', '.join(sorted(unknown))}")
    for folder in (ROOT / "src", BENCH):
        compileall.compile_dir(folder, quiet=2)
    where = machine()
    print(where)
    found: list[Figure] = []
    for name in options.names or figures.ALL:
        for figure in figures.ALL[name]():
            show(figure)
            found.append(figure)
    if options.write:
        options.write.write_text(page(found, where), encoding="utf-8")
    return 0 if all(each.met for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
