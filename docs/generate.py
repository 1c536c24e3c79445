"""Writes docs/reference/: verbs, functions, findings, error classes, connection types and tasks, events and telemetry,
from what the program itself uses; and the page that new plugins begin with, as `flowlang plugin docs` writes it.

    python docs/generate.py            write the pages
    python docs/generate.py --check    write nothing; exit code 1 and the names of the pages that are not current

`flowlang explain NAME` shows the same texts one at a time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from flowlang import events
from flowlang.authoring.apart import described as of_project
from flowlang.authoring.new import KINDS
from flowlang.authoring.new import package as new_package
from flowlang.authoring.page import page as new_plugin_page
from flowlang.authoring.pages import page as reference
from flowlang.authoring.pages import place
from flowlang.authoring.project import read
from flowlang.cli.catalogue import found
from flowlang.cli.explain import codes
from flowlang.conformance.model import all_checks
from flowlang.conformance.page import page as conformance_page
from flowlang.connections import plugin_registry
from flowlang.describing import described
from flowlang.diagnostics import Code
from flowlang.exceptions import ERROR_CLASSES, ErrorClass
from flowlang.expressions import FUNCTIONS, Function
from flowlang.expressions.functions import lists, numbers, text, values
from flowlang.expressions.functions.model import Parameter
from flowlang.expressions.types import Type
from flowlang.tasks.files import FILE_TASKS
from flowlang.tasks.signature import spec_of
from flowlang.tasks.spec import TaskSpec
from flowlang.telemetry import names
from flowlang.views.failures import FAILURES, FailurePage
from flowlang.views.pages import fix_text, outdented, retried
from flowlang.views.reference import connection_page, task_page
from flowlang.views.tasks import task_record
from flowlang.views.verbs import VERBS, Verb

FOLDER = Path(__file__).resolve().parent / "reference"
SERVICES = Path(__file__).resolve().parents[1] / "examples/services"
TEMPLATES = Path(__file__).resolve().parents[1] / "src/flowlang/authoring/templates"
RECORDED = Path(__file__).resolve().parent / "data/conformance.json"
MEASURED = Path(__file__).resolve().parent / "data/benchmarks.json"
NOTE = "<!-- Written by docs/generate.py; change the texts in the code and run `python docs/generate.py`. -->"
GROUPS = {"Text": text, "Numbers": numbers, "Lists and objects": lists, "JSON, times and the outside": values}


# For each type the group of `bench/` that measures it, and which of its figures say most in one line.
OVERHEAD: dict[str, tuple[str, dict[str, str]]] = {
    "sqlite": ("insert", {"batch insert of 100,000 rows": "rows in"}),
    "postgres": ("databases", {
        "postgres, 1,000 queries, one after the other": "a query",
        "postgres, insert of 100,000 rows": "rows in",
        "postgres, fetch of 100,000 rows": "rows out",
    }),
    "mysql": ("databases", {
        "mysql, 1,000 queries, one after the other": "a query",
        "mysql, insert of 100,000 rows": "rows in",
        "mysql, fetch of 100,000 rows": "rows out",
    }),
    "mongodb": ("documents", {
        "1,000 `mongo_find_one` in `for_each`": "a read", "`mongo_batch_insert`": "documents in",
        "`mongo_find`": "documents out",
    }),
    "redis": ("cache", {
        "1,000 `redis_get` in `for_each`": "a read", "`redis_batch_set`": "keys in",
        "`redis_mget`": "keys out",
    }),
    "http": ("web", {"1,000 GET in `for_each`": "a GET", "1,000 GET, 16 at once": "16 at once"}),
    "services": ("services", {"1,000 GET of a service in YAML, in `for_each`": "a GET"}),
}  # fmt: skip
FORMS = {
    "guide": "the contract, member by member",
    "short": "[the short form](../plugins.md#the-short-form)",
    "yaml": "[a service in YAML](../services.md)",
}

PUBLISHED = """\
A plugin that is published in a package of its own is not in this list, which is as long as what is tested here. Its
author has the same for a page of its own: [`flowlang plugin docs`](../cli.md#publishing-a-plugin) writes settings and
tasks with the version, [`plugin test`](../cli.md#proving-a-plugin) tells the score, and
[`plugin bench`](../cli.md#measuring-a-plugin) what it costs. Who installs it sees it in `flowlang connection list`
beside those above. To be in this list a plugin comes into the repository, with the server or the double that its tests
run on.\
"""

Pages = Iterator[tuple[str, Iterable[str]]]


# ---------------------------------------------------------------- verbs


def verb_pages() -> Pages:
    """The list of the verbs, and a page for each."""
    yield "verbs.md", _verb_list()
    for verb in VERBS.values():
        yield f"verbs/{verb.name}.md", _verb(verb)


def _verb_list() -> Iterator[str]:
    yield "# Verbs"
    yield "What the steps of the language do. [The language](../language.md) tells of them in their order of use."
    rows = [f"| [`{each.name}`](verbs/{each.name}.md) | {each.summary} |" for each in VERBS.values()]
    yield "\n".join(["| verb | |", "|---|---|", *rows])


def _verb(verb: Verb) -> Iterator[str]:
    yield f"# {verb.name}"
    yield verb.summary
    yield verb.doc
    yield _table("key", verb.keys)
    if verb.outputs:
        yield _table("output", verb.outputs)
    yield "Every step may also have `id`, `description`, `if`, `timeout`, `retry`, `on_error` and `continue_on_error`."
    yield "## Example"
    for name, beside in verb.beside.items():
        yield f"Beside it, `{name}`:"
        yield fenced("yaml", f"file={name}", beside)
    yield fenced("yaml", "run", verb.example)
    yield f"Its outputs: `{verb.result}`" if verb.result != "{}" else "It has no outputs."


def _table(what: str, rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join([f"| {what} | |", "|---|---|", *(f"| `{name}` | {_cell(text)} |" for name, text in rows)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def fenced(*words: str) -> str:
    *info, text = words
    return f"```{' '.join(info)}\n{text.rstrip()}\n```"


# ---------------------------------------------------------------- functions


def function_pages() -> Pages:
    """The list of the functions, and a page for each."""
    yield "functions.md", _function_list()
    for function in FUNCTIONS.values():
        yield f"functions/{function.name}.md", _function(function)


def _function_list() -> Iterator[str]:
    yield "# Functions"
    yield (
        f"The {len(FUNCTIONS)} functions that an [expression](../language.md#expressions) may call. A `?` marks an "
        "argument that may be left out, a `*` any number of them."
    )
    for group, module in GROUPS.items():
        yield f"## {group}"
        rows = [
            f"| [`{_cell(each.signature)}`](functions/{each.name}.md) | {_cell(each.summary)} |"
            for each in module.FUNCTIONS
        ]
        yield "\n".join(["| function | |", "|---|---|", *rows])


def _function(function: Function) -> Iterator[str]:
    yield f"# {function.name}"
    yield f"`{function.signature}`"
    yield function.summary + (f" {function.doc}" if function.doc else "")
    if function.parameters:
        yield _table("argument", [(str(each), _kinds(each)) for each in function.parameters])
    if isinstance(function.returns, Type):
        yield f"Gives {function.returns}."
    yield "## Example"
    yield textwrap.indent(f"${{{function.example}}}\n→ {function.result}", "    ")


def _kinds(parameter: Parameter) -> str:
    kinds = " or ".join(dict.fromkeys(map(str, parameter.types)))
    how = "any number of them" if parameter.variadic else "may be left out" if parameter.optional else ""
    return f"{kinds}; {how}" if how else kinds


# ---------------------------------------------------------------- findings


def finding_pages() -> Pages:
    """The list of the kinds of finding, and a page for each."""
    known = codes()
    yield "findings.md", _finding_list(known)
    for name in sorted(known):
        yield f"findings/{name}.md", _finding(known[name])


_MENDED = {"certain": "`--fix`, where it is certain", "guess": "`--unsafe-fixes`, where there is one", "": "hand"}


def _finding_list(known: Mapping[str, Code]) -> Iterator[str]:
    yield "# Findings"
    yield (
        f"What `flowlang check` and the start of `flowlang run` may say about a flow: {len(known)} kinds, by the code "
        "that stands in brackets behind the severity, as in `error[unknown-output]`."
    )
    rows = [
        f"| [`{name}`](findings/{name}.md) | {_cell(known[name].title)} | {_MENDED[known[name].fix]} |"
        for name in sorted(known)
    ]
    yield "\n".join(["| finding | | mended by |", "|---|---|---|", *rows])


def _finding(code: Code) -> Iterator[str]:
    first, _, rest = code.page.lstrip().partition("\n")
    yield f"# {code.name}"
    yield first.strip()
    if body := outdented(rest):
        yield body
    yield fix_text(code)


# ---------------------------------------------------------------- error classes


def error_pages() -> Pages:
    """The list of the classes of failures, and a page for each."""
    yield "errors.md", _error_list()
    for error in ERROR_CLASSES.values():
        yield f"errors/{error.name}.md", _error(error, FAILURES[error.name])


def _error_list() -> Iterator[str]:
    yield "# Error classes"
    yield (
        f"Each failure of a step has one of {len(ERROR_CLASSES)} classes. Flows use the names in `retry.on`, "
        "`retry.unless`, `catch` and `raise`, and read them as `error.type`; [Errors](../errors.md) says how."
    )
    linked = [(f"[`{each.name}`](errors/{each.name}.md)", each) for each in ERROR_CLASSES.values()]
    rows = [f"| {link} | {_cells(each)} |" for link, each in linked]
    yield "\n".join(["| class | title | meaning | retry may help |", "|---|---|---|---|", *rows])


def _cells(error: ErrorClass) -> str:
    return f"{error.title} | {error.meaning} | {'yes' if error.retryable else 'no'}"


def _error(error: ErrorClass, failure: FailurePage) -> Iterator[str]:
    yield f"# {error.name}"
    yield f"{error.title}: {error.meaning}."
    yield failure.causes
    yield failure.remedy
    yield retried(error)
    yield "## Example"
    yield fenced("yaml", *(["run"] if failure.handled else []), failure.example)


# ---------------------------------------------------------------- connection types and tasks


def connection_pages() -> Pages:
    """The list of the types that come with FlowLang, and a page for each and for each of their tasks."""
    known = [described(each) for each in plugin_registry.records() if each.source == "built-in"]
    services = [described(found(str(path))) for path in sorted(SERVICES.glob("*.service.yaml"))]
    yield "connections.md", _connection_list(known, services)
    for info in services:
        yield f"connections/{info['type']}.md", _service_page(info)
        for task in info["tasks"]:
            yield f"tasks/{task['name']}.md", task_page(task)
    for info in known:
        example = files("flowlang.connections") / info["type"] / "example.yaml"
        yield f"connections/{info['type']}.md", connection_page(info, example.read_text("utf-8"))
        for task in info["tasks"]:
            yield f"tasks/{task['name']}.md", task_page(task)
    for name, function in FILE_TASKS.items():
        yield f"tasks/{name}.md", task_page(task_record(spec_of(function, name=name)))


def _service_page(info: Mapping[str, Any]) -> Iterator[str]:
    name = info["type"]
    yield from connection_page(info, None)
    yield "## Where it is"
    yield (
        f"It is [described in YAML](../../services.md): "
        f"[{name}.service.yaml](../../../examples/services/{name}.service.yaml) is a file to keep in a project, and "
        f"[{name}.example.yaml](../../../examples/services/{name}.example.yaml) a flow that uses it."
    )


def _connection_list(known: Iterable[Mapping[str, Any]], services: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    recorded, measured = (json.loads(path.read_text("utf-8")) for path in (RECORDED, MEASURED))
    yield "# Connection types"
    yield (
        "What this repository holds, with what its own tests and benchmarks found. [Connections](../connections.md) "
        "tells how a flow uses them; `flowlang connection list` shows all that are installed, those of other packages, "
        "too."
    )
    yield _index(known, recorded, "builtin", measured)
    yield (
        "*Conformance* is the part that passed of the quality checks of the [kit](../conformance.md); every type here "
        "passes the whole contract. *Proven on* are the servers of the tests, by their own word. *Overhead* is the "
        "time of a flow beside that of the same work by hand with the driver alone (1 × is as fast), taken in turn, "
        "for a small operation and for many at once; the [benchmarks](../benchmarks.md) have all of it."
    )
    yield "## Services described in YAML"
    yield (
        "Files to keep in a project, or to start from: see [Services without code](../services.md). All stand on the "
        "type [`http`](connections/http.md), so what one costs holds for each; what is not proven of them is what "
        "their servers cannot show."
    )
    yield _index(services, recorded, "services", measured)
    yield "## One plugin, three ways"
    yield "MyService, the example of the guide for plugins, in each form, with what the kit finds of it."
    yield _forms(recorded["forms"])
    yield "## Plugins of other packages"
    yield PUBLISHED
    yield "## Tasks without a connection"
    specs = [spec_of(function, name=name) for name, function in FILE_TASKS.items()]
    rows = [f"| [`{each.name}`](tasks/{each.name}.md) | {_cell(each.summary)} |" for each in specs]
    yield "\n".join(["| task | |", "|---|---|", *rows])


def _index(
    known: Iterable[Mapping[str, Any]], recorded: Mapping[str, Any], part: str, measured: Mapping[str, Any]
) -> str:
    """A line for each type: what it says of itself, what `tests/conformance/recording.py` and `bench/` found."""
    rows = []
    for each in known:
        name = each["type"]
        score = recorded[part].get(name, {}).get("score")
        overhead = _overhead(name if part == "builtin" else part, measured)
        cells = (
            f"[`{name}`](connections/{name}.md)", _cell(each["description"]), each["version"], str(len(each["tasks"])),
            "not examined" if score is None else f"{score:.0%}",
            ", ".join(recorded["servers"].get(name, ())) or "none", _cell(overhead),
        )  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    head = "| type | for | version | tasks | conformance | proven on | overhead |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def _forms(recorded: Mapping[str, Any]) -> str:
    rows = []
    for name, about in FORMS.items():
        found = recorded[name]
        contract = [found["outcomes"][each.id][0] for each in all_checks() if each.tier == "contract"]
        counts = ", ".join(f"{contract.count(each)} {each}" for each in ("passed", "failed", "waived"))
        rows.append(f"| {about} | {found['lines']} | {counts} | {found['score']:.0%} |")
    return "\n".join(["| form | lines | contract | conformance |", "|---|---|---|---|", *rows])


def _overhead(name: str, measured: Mapping[str, Any]) -> str:
    """What `bench/` found for a type: a small operation, and many rows."""
    group, figures = OVERHEAD.get(name, ("", {}))
    found = {each["what"]: each["shown"] for each in measured.get(group, {}).get("figures", ())}
    shown = [f"{label} {found[what]}".replace(" ", "\u00a0") for what, label in figures.items() if what in found]
    return "<br>".join(shown) or "not measured"


def effect_pages() -> Pages:
    """What each task does to the world, and when it may run again."""
    yield "effects.md", _effect_list()


def _effect_list() -> Iterator[str]:
    yield "# Effects of the tasks"
    yield (
        "Whether a step may run again when nobody knows whether it was done, by its task. [Done once, or again]"
        "(../effects.md) tells what follows from it."
    )
    for each in plugin_registry.records():
        if each.source == "built-in":
            sql = hasattr(each.plugin, "dialect")
            yield f"## {each.name}"
            yield _effects(plugin_registry.tasks(each.name).values(), sql=sql)
    yield "## Without a connection"
    yield _effects([spec_of(function, name=name) for name, function in FILE_TASKS.items()], sql=False)


def _effects(specs: Iterable[TaskSpec], *, sql: bool) -> str:
    rows = [
        f"| [`{each.name}`](tasks/{each.name}.md) | {each.effect or 'write'} | {_again(each, sql=sql)} |"
        for each in specs
    ]
    return "\n".join(["| task | effect | runs again |", "|---|---|---|", *rows])


def _again(spec: TaskSpec, *, sql: bool) -> str:
    """When a step that runs the task may run again."""
    if spec.effect in ("none", "read"):
        return (
            "yes; with `exactly_once` where its statement writes"
            if sql and not spec.streams and spec.parameter("query")
            else "yes"
        )
    if spec.idempotent:
        return "yes: done twice it is the same"
    ways = ["by its arguments, as its page says"] if spec.twice is not None else []
    ways += ["with an `idempotency_key`"] if "context" in spec.injects else []
    ways += ["with `exactly_once`"] if sql else []
    return "; ".join(ways) or "no"


# ---------------------------------------------------------------- connection plugins


def authoring_pages() -> Pages:
    """What `flowlang plugin new` writes."""
    yield "../new-plugin.md", new_plugin_page()


def references() -> dict[Path, str]:
    """The page of settings and tasks in the templates of each kind of plugin: what `flowlang plugin docs` makes of
    the plugin that `flowlang plugin new acme` writes."""
    found = {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            new_package("acme", kind, package := Path(folder) / "flowlang-acme")
            (record,) = of_project(read(package))
        found[place(TEMPLATES / kind, "acme")] = reference(record)
    return found


def conformance_pages() -> Pages:
    """What plugins prove; what the kit found is measured by tests/conformance/recording.py."""
    yield "../conformance.md", conformance_page(json.loads(RECORDED.read_text("utf-8")))


# ---------------------------------------------------------------- telemetry


def telemetry_pages() -> Pages:
    """The events, and the spans and metrics that are made of them."""
    yield "events.md", _event_list()
    yield "telemetry.md", _telemetry()


def _event_list() -> Iterator[str]:
    yield "# Events"
    yield (
        "What a run tells, in the form of `--events`. Each has `event` (its kind), `run_id` and `at` (seconds since "
        "the epoch). [Observability](../observability.md) tells how to listen; the records of "
        "[`on_event`](../library.md#events) have the same fields."
    )
    rows = [
        f"| `{events.kind_of(each)}` | {', '.join(f'`{field}`' for field in each._fields[2:])} "
        f"| {_cell(' '.join((each.__doc__ or '').split()))} |"
        for each in events.Event.__args__
    ]
    yield "\n".join(["| event | fields | |", "|---|---|---|", *rows])
    yield (
        "`failure` is an object with the [keys of `error`](../errors.md#handling), or null. `path` names a step by the "
        "ids around it, as in `orders[3].charge`. Bytes are base64 text, decimals and times text; what has no JSON is "
        "there as the text that Python shows for it."
    )


def _telemetry() -> Iterator[str]:
    yield "# Spans and metrics"
    yield (
        "What [`--otel`](../observability.md#traces-and-metrics) sends. Names without `flowlang.` are those of "
        "OpenTelemetry's [semantic conventions](https://opentelemetry.io/docs/specs/semconv/)."
    )
    yield "## Spans"
    rows = [f"| {each.name} | {each.covers} | {_listed(each.attributes)} |" for each in names.SPANS]
    yield "\n".join(["| span | | attributes |", "|---|---|---|", *rows])
    yield (
        "A span that failed has the status *error*, with the failure's text. The instrumentation scope is `flowlang`. "
        "Skipped steps have no span."
    )
    yield "## Attributes"
    yield _table("attribute", names.ATTRIBUTES.items())
    yield "## Metrics"
    rows = [
        f"| `{each.name}` | {each.instrument} | `{each.unit}` | {each.description} | {_listed(each.attributes)} |"
        for each in names.METRICS
    ]
    yield "\n".join(["| metric | instrument | unit | | attributes |", "|---|---|---|---|---|", *rows])
    yield f"Histograms have the bounds {', '.join(f'{each:g}' for each in names.SECONDS)} seconds."


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in words)


GENERATORS: tuple[Callable[[], Pages], ...] = (
    verb_pages, function_pages, finding_pages, error_pages, connection_pages, effect_pages, conformance_pages,
    authoring_pages, telemetry_pages,
)  # fmt: skip


def pages() -> dict[str, str]:
    """The pages by file name, as they should be."""
    return {name: "\n\n".join([NOTE, *page]) + "\n" for make in GENERATORS for name, page in make()}


def stale() -> list[str]:
    """The names of the pages that are missing, not wanted any more, or other than they should be."""
    wanted = pages()
    there = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*.md")}
    there |= {name: FOLDER / name for name in wanted if name.startswith("../") and (FOLDER / name).exists()}
    texts = {name: path.read_text(encoding="utf-8") for name, path in there.items()}
    return sorted(name for name in {*wanted, *there} if wanted.get(name) != texts.get(name))


def main() -> int:
    """Write the pages, or with `--check` look only; the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/reference/ from the tables in the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a page is not current")
    if parser.parse_args().check:
        names = [*stale(), *(str(path) for path, each in references().items() if _there(path) != each)]
        if names:
            sys.stderr.write(f"not current: {', '.join(names)}; run python docs/generate.py\n")
        return 1 if names else 0
    wanted = pages()
    for name in stale():
        if name not in wanted:
            (FOLDER / name).unlink()
    for path, content in ({FOLDER / name: each for name, each in wanted.items()} | references()).items():
        if _there(path) != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    return 0


def _there(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


if __name__ == "__main__":
    raise SystemExit(main())
