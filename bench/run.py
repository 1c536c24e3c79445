"""`make bench`: measure FlowLang against floors taken in the same run. `--write FILE` publishes the table.

What was measured is kept in docs/data/benchmarks.json, NAME by NAME, and the table is made from all that is there.

    python bench/run.py [NAME …] [--write FILE]

NAMEs choose figures: step, parallel, turns, cancel, startup, smallest, insert, stream, load, editor, check, fmt,
expressions, web, services, documents, cache, databases, moves, sharing.
The exit code is 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import compileall
import datetime
import json
import sys
from pathlib import Path
from typing import Any

import figures
from harness import BENCH, ROOT, Figure, machine

DATA = ROOT / "docs/data/benchmarks.json"
PAGE = """# Benchmarks

What FlowLang costs on top of the work itself. Each figure stands beside a *floor*: the same work by hand, measured in
the same run, in turn with ours, as the median of several rounds. Look at the ratio; the times depend on the machine.

Taken with `make bench`:

{taken}

{table}

## Method

{methods}

Bytecode is compiled before anything is measured. The targets are promises: `make bench` fails when one is missed.
"""


Group = dict[str, Any]  # when and where its figures were taken, and the figures


def as_group(found: list[Figure], where: str) -> Group:
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    figures = [
        {"what": each.what, "floor": each.floor, "ours": each.ours, "shown": each.shown, "aim": each.aim}
        | {"met": each.met, "method": each.method}
        for each in found
    ]
    return {"taken": f"{date}, {where}", "figures": figures}


def publish(name: str, group: Group, file: Path) -> None:
    """Put a group in place of the one kept before, and write the page of all that there are now."""
    kept = json.loads(DATA.read_text("utf-8")) | {name: group}
    kept = {each: kept[each] for each in figures.ALL if each in kept}
    DATA.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
    file.write_text(page(kept), "utf-8")


def page(groups: dict[str, Group]) -> str:
    """The page of the docs."""
    found = [each for group in groups.values() for each in group["figures"]]
    rows = ["| what | floor | ours | measured | target |", "|---|---|---|---|---|"]
    for each in found:
        aim = each["aim"] + ("" if each["met"] else " **missed**")
        rows.append(f"| {each['what']} | {each['floor']} | {each['ours']} | {each['shown']} | {aim} |")
    times: dict[str, list[str]] = {}
    for name, group in groups.items():
        times.setdefault(group["taken"], []).append(name)
    return PAGE.format(
        taken="\n".join(f"- {', '.join(names)}: {taken}" for taken, names in times.items()),
        table="\n".join(rows),
        methods="\n".join(f"- **{each['what']}**: {each['method']}." for each in found),
    )


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
    found: dict[str, list[Figure]] = {}
    for name in options.names or figures.ALL:
        found[name] = figures.ALL[name]()
        for figure in found[name]:
            show(figure)
        if options.write:
            publish(name, as_group(found[name], where), options.write)
    return 0 if all(figure.met for each in found.values() for figure in each) else 1


if __name__ == "__main__":
    sys.exit(main())
