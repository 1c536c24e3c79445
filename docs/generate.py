"""Writes docs/reference/: functions, findings and error classes from the tables that the program itself uses, and the
picture of an example.

    python docs/generate.py            write the pages
    python docs/generate.py --check    write nothing; exit code 1 and the names of the pages that are not current

`flowlang explain NAME` shows the same texts one at a time.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from flowlang import api
from flowlang.cli.explain import codes
from flowlang.exceptions import ERROR_CLASSES
from flowlang.expressions import FUNCTIONS, Function
from flowlang.expressions.functions import lists, numbers, text, values
from flowlang.views.graph.svg import svg
from flowlang.views.pages import outdented

FOLDER = Path(__file__).resolve().parent / "reference"
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOTE = "<!-- Written by docs/generate.py; change the texts in the code and run `python docs/generate.py`. -->"
GROUPS = {"Text": text, "Numbers": numbers, "Lists and objects": lists, "JSON, times and the outside": values}


def functions_page() -> Iterator[str]:
    """Every function of expressions, by group."""
    yield "# Functions"
    yield (
        f"The {len(FUNCTIONS)} functions that an [expression](../language.md#expressions) may call. A `?` marks an "
        "argument that may be left out, a `*` any number of them. What an example gives is written as JSON."
    )
    yield "\n".join(
        f"- {group}: " + ", ".join(f"[`{each.name}`](#{each.name})" for each in module.FUNCTIONS)
        for group, module in GROUPS.items()
    )
    for group, module in GROUPS.items():
        yield f"## {group}"
        for function in module.FUNCTIONS:
            yield from function_section(function)


def function_section(function: Function) -> Iterator[str]:
    """One function: what it takes and gives, and an example."""
    yield f"### {function.name}"
    yield f"`{function.signature}`: {function.summary}" + (f" {function.doc}" if function.doc else "")
    typed = [
        f"`{each.name}` {' or '.join(dict.fromkeys(map(str, each.types)))}"
        for each in function.parameters
        if any(str(type_) != "any" for type_ in each.types)
    ]
    if typed:
        yield f"Takes {', '.join(typed)}."
    yield textwrap.indent(f"${{{function.example}}}\n→ {function.result}", "    ")


def findings_page() -> Iterator[str]:
    """Every kind of finding, by name."""
    known = codes()
    yield "# Findings"
    yield (
        f"What `flowlang check` and the start of `flowlang run` may say about a flow: {len(known)} kinds, by the code "
        "that stands in brackets behind the severity, as in `error[unknown-output]`."
    )
    for name in sorted(known):
        first, _, rest = known[name].page.partition("\n")
        yield f"## {name}"
        yield first.strip()
        if body := outdented(rest):
            yield body


def errors_page() -> Iterator[str]:
    """The classes of failures."""
    yield "# Error classes"
    yield (
        f"Each failure of a step has one of {len(ERROR_CLASSES)} classes. Flows use the names in `retry.on`, "
        "`retry.unless` and `raise`, and read them as `error.type`; [Errors](../errors.md) says how."
    )
    rows = [
        f"| `{each.name}` | {each.title} | {each.meaning} | {'yes' if each.retryable else 'no'} |"
        for each in ERROR_CLASSES.values()
    ]
    yield "\n".join(["| class | title | meaning | retry may help |", "|---|---|---|---|", *rows])


PAGES: dict[str, Callable[[], Iterable[str]]] = {
    "functions.md": functions_page,
    "findings.md": findings_page,
    "errors.md": errors_page,
}


def picture(flow: str) -> str:
    """A flow of examples/ as SVG."""
    return svg(api.chart(api.check(EXAMPLES / flow)))


def pages() -> dict[str, str]:
    """The pages by file name, as they should be."""
    written = {name: "\n\n".join([NOTE, *page()]) + "\n" for name, page in PAGES.items()}
    return {**written, "orders.svg": picture("orders.yaml")}


def stale() -> list[str]:
    """The names of the pages that are missing or differ from what they should be."""
    return [
        name
        for name, wanted in pages().items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != wanted
    ]


def main() -> int:
    """Write the pages, or with `--check` look only; the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/reference/ from the tables in the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a page is not current")
    if parser.parse_args().check:
        if names := stale():
            sys.stderr.write(f"not current: {', '.join(names)}; run python docs/generate.py\n")
        return 1 if names else 0
    FOLDER.mkdir(exist_ok=True)
    for name, wanted in pages().items():
        (FOLDER / name).write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
