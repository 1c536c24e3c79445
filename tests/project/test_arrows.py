"""The import arrows of the architecture: who may import whom. Each row is checked on its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "src"
TEMPLATES = ROOT / "flowlang/authoring/templates"

# Row → what its modules may import of our own, besides their own folder and what is open to all. A name stands for
# the module and everything below it. The longest row that matches a module counts.
OPEN = ("flowlang.exceptions", "flowlang.diagnostics", "flowlang.records")
FACES = (
    "flowlang.api",
    "flowlang.describing",
    "flowlang.editing",
    "flowlang.explaining",
    "flowlang.runs",
    "flowlang.workers",
    "flowlang.trials",
    "flowlang.history",
    "flowlang.views",
)
ARROWS: dict[str, tuple[str, ...]] = {
    "exceptions": (),
    "diagnostics": (),
    "records": (),
    "masking": (),
    "mending": (),
    "expressions": (),
    "document": ("flowlang.expressions",),
    "tasks": ("flowlang.expressions",),
    "connections.base": ("flowlang.tasks",),
    "connections.registry": ("flowlang.connections.base",),
    "connections.config": ("flowlang.expressions", "flowlang.connections.base", "flowlang.masking"),
    "connections.stages": (
        "flowlang.connections.base",
        "flowlang.connections.config",
        "flowlang.connections.endpoints",
        "flowlang.connections.lifecycle",
        "flowlang.masking",
    ),
    "connections.lifecycle": ("flowlang.connections.registry", "flowlang.connections.config"),
    "connections.pools": ("flowlang.connections.lifecycle", "flowlang.connections.config"),
    # Plugins, and what they share. A plugin registers itself through `flowlang.connections`.
    "connections": (
        "flowlang.connections.base",
        "flowlang.connections.registry",
        "flowlang.tasks",
        "flowlang.expressions",
    ),
    # Connection types that are described in YAML: read like flows, made into plugins on top of the type `http`.
    "services": ("flowlang.document", "flowlang.expressions", "flowlang.tasks", "flowlang.connections"),
    "plan": ("flowlang.document", "flowlang.tasks", "flowlang.expressions"),
    "checking": (
        "flowlang.document",
        "flowlang.tasks",
        "flowlang.connections",
        "flowlang.expressions",
        "flowlang.plan",
    ),
    "events": ("flowlang.masking",),
    "engine": ("flowlang.plan", "flowlang.events", "flowlang.connections.lifecycle", "flowlang.masking"),
    "dryrun": ("flowlang.plan", "flowlang.expressions", "flowlang.masking"),
    "tracecontext": (),
    "telemetry": ("flowlang.events", "flowlang.masking", "flowlang.tracecontext", "flowlang.views"),
    # Cron expressions mean what the check read in them.
    "durable.schedules": ("flowlang.document", "flowlang.durable", "flowlang.plan"),
    "durable": ("flowlang.engine", "flowlang.events", "flowlang.plan", "flowlang.tasks", "flowlang.tracecontext"),
    "history": ("flowlang.events", "flowlang.durable", "flowlang.plan"),
    "views": ("flowlang.plan", "flowlang.tasks", "flowlang.events", "flowlang.dryrun", "flowlang.history"),
    "secretstore": ("flowlang.document",),
    "api": (
        "flowlang.expressions",
        "flowlang.document",
        "flowlang.tasks",
        "flowlang.connections",
        "flowlang.plan",
        "flowlang.checking",
        "flowlang.events",
        "flowlang.engine",
        "flowlang.dryrun",
        "flowlang.durable",
        "flowlang.history",
        "flowlang.views",
        "flowlang.masking",
        "flowlang.mending",
        "flowlang.secretstore",
    ),
    # Runs that are kept: what `api` is to runs in memory.
    "runs": (
        "flowlang.api",
        "flowlang.checking",
        "flowlang.connections",
        "flowlang.durable",
        "flowlang.engine",
        "flowlang.events",
        "flowlang.history",
        "flowlang.plan",
        "flowlang.secretstore",
    ),
    # Runs that others execute: submitted, queued, scheduled.
    "workers": (
        "flowlang.api",
        "flowlang.checking",
        "flowlang.durable",
        "flowlang.engine",
        "flowlang.events",
        "flowlang.plan",
        "flowlang.runs",
    ),
    # What editors ask: as `api`, for texts that are being written.
    "editing": (
        "flowlang.document",
        "flowlang.tasks",
        "flowlang.connections",
        "flowlang.checking",
        "flowlang.views",
        "flowlang.api",
    ),
    # What is shown of a flow that takes its text, its plan and its plugins together.
    "explaining": ("flowlang.document", "flowlang.connections", "flowlang.checking", "flowlang.plan", "flowlang.views"),
    # A connection that is tested: its settings are computed as a run computes them.
    "trials": (
        "flowlang.document",
        "flowlang.connections",
        "flowlang.expressions",
        "flowlang.plan",
        "flowlang.engine",
        "flowlang.secretstore",
        "flowlang.api",
    ),
    # The runner of tests stands where a run is made: it reads what the check knows and replaces parts of the engine.
    "testing": (
        "flowlang.api",
        "flowlang.connections",
        "flowlang.checking",
        "flowlang.document",
        "flowlang.engine",
        "flowlang.events",
        "flowlang.expressions",
        "flowlang.masking",
        "flowlang.plan",
        "flowlang.secretstore",
        "flowlang.tasks",
        "flowlang.views",
    ),
    # The conformance kit stands where a plugin meets the engine: it opens plugins itself, and runs flows with them.
    "conformance": (
        "flowlang.api",
        "flowlang.connections",
        "flowlang.engine",
        "flowlang.events",
        "flowlang.expressions",
        "flowlang.tasks",
    ),
    # Plugins begun, looked at and compared: what is known of them, and what the kit sees of them.
    "authoring": ("flowlang.connections", "flowlang.conformance", "flowlang.describing", "flowlang.views"),
    # What is known of connection types, as records.
    "describing": ("flowlang.connections", "flowlang.views"),
    "cli": FACES,
    "server": FACES,
    "ui": FACES,
    "lsp": FACES,
    # The package itself: the public names, and `python -m flowlang`.
    "__init__": ("flowlang.api", "flowlang.connections.pools", "flowlang.engine", "flowlang.tasks"),
    "__main__": ("flowlang.cli",),
}
# Further arrows, each to one module, each with its reason. None may stand here unused.
ALSO: dict[tuple[str, str], str] = {
    ("connections.base", "flowlang.connections.config"): "the default `validate_config` is the schema check",
    ("connections.registry", "flowlang.connections.config"): "a broken schema is found when the plugin is loaded",
    ("connections.registry", "flowlang.tasks"): "the methods of a plugin become specs here",
    ("connections.lifecycle", "flowlang.connections.base"): "what it opens, leases and closes is a ConnectionPlugin",
    ("connections", "flowlang.services.files"): "an entry point may name a service file in its package",
    ("checking", "flowlang.services.project"): "a flow may use the services that lie around it",
    ("api", "flowlang.services.project"): "which types there are for a flow in a folder",
    ("trials", "flowlang.services.project"): "the connection of a flow may be to a service of its project",
    ("editing", "flowlang.services"): "a service that is being written is checked, and those of a project are known",
    ("testing", "flowlang.services"): "the tests in the files of services, and the services of a project",
    ("runs", "flowlang.masking"): "secret inputs of a run that is recorded",
    ("durable", "flowlang.masking"): "inputs that are masked cannot be compared",
    ("history", "flowlang.tasks.tagged"): "a value that cannot be read is left out, and told of",
    ("history", "flowlang.masking"): "what was sealed is shown as what is masked",
    ("durable", "flowlang.connections.errors"): "what cannot be kept is a failure of a class like any other",
    ("engine", "flowlang.expressions"): "frames hold their marks, inputs their types, failures their limits",
    ("engine", "flowlang.tasks"): "streams and contexts are what a task is given, and gives back",
    ("engine", "flowlang.document.model"): "a retry policy is the same record in the file and in the plan",
    ("engine", "flowlang.document.unfit"): "a value that does not fit its input is told as the check tells it",
    ("engine", "flowlang.connections.errors"): "the class of a failure is decided by the plugins' tables",
    ("engine", "flowlang.connections._sql.once"): "how a step that is done once is written into its database",
    ("engine", "flowlang.connections.dependencies"): "a failure to import a driver says how to install it",
    ("dryrun", "flowlang.engine.inputs"): "inputs are accepted as a run accepts them",
    ("dryrun", "flowlang.connections.config"): "which settings of a connection are secret",
    ("dryrun", "flowlang.tasks.values"): "an argument may be SQL with the values bound to it",
    ("views", "flowlang.masking"): "a dry run's masks are shown bare, other texts in quotes",
    ("editing", "flowlang.testing.read"): "a file of tests that is being written is checked as one",
    ("editing", "flowlang.testing.tested"): "and what it may name is offered",
    ("lsp", "flowlang.document.model"): "the outline of a flow, and what its inputs say",
    ("lsp", "flowlang.expressions"): "the table of functions, where an expression begins, and the types of its parts",
    ("cli", "flowlang.lsp"): "`flowlang lsp` starts it",
    ("telemetry", "flowlang.tasks.values"): "the statement of a task is shown without the values bound to it",
    ("engine", "flowlang.tracecontext"): "who leases a connection hears of the requests that are sent on it",
    ("connections", "flowlang.tracecontext"): "requests carry the trace that they belong to",
    ("api", "flowlang.tracecontext"): "the trace that a caller names is that of the run",
    ("cli", "flowlang.tracecontext"): "the variable `TRACEPARENT`, which shells hand on",
    ("cli", "flowlang.telemetry"): "`--events` and `--otel` are listeners of a run",
    ("cli", "flowlang.connections"): "the `connection` commands show what the registry knows",
    ("cli", "flowlang.events"): "a run that begins is handed the sink of the screen",
    ("cli", "flowlang.expressions"): "`explain` shows the table of functions",
    ("cli", "flowlang.tasks"): "`explain` shows the file tasks, and values leave as JSON by their map",
    ("cli", "flowlang.engine.inputs"): "the text of `-i` is read by the declared type",
    ("cli", "flowlang.testing"): "`test` runs the tests of flows",
    ("cli", "flowlang.services"): "`check` reads the files of services, and `connection` shows them",
    ("conformance", "flowlang.services.files"): "a service is looked at in a fresh process by its file",
    ("testing", "flowlang.conformance"): "`flowlang.testing` is the face of the conformance kit, too",
    ("cli", "flowlang.authoring"): "the commands of `plugin` write, look at and compare plugins",
    ("cli", "flowlang.conformance"): "`plugin test` is the command of the conformance kit",
    ("cli", "flowlang.secretstore"): "the file of `--secrets`",
    ("views", "flowlang.document.model"): "a flow shown with its defaults",
    ("views", "flowlang.expressions.syntax"): "the names that expressions read",
    ("views", "flowlang.document.nodes"): "which of its keys the author wrote",
    ("views", "flowlang.document.scalar_style"): "a flow that is written down again, in the quotes that `fmt` uses",
    ("views", "flowlang.connections.stages"): "the stages of a connection that was tested",
    ("views", "flowlang.expressions.types"): "the types of parameters as the schema of an editor",
    ("engine", "flowlang.connections.config"): "a run resolves its connections' config when it starts",
    ("engine", "flowlang.connections.base"): "the prototypes that a plan names are ConnectionPlugins",
}
# One file of a folder each. They may use the folder's small helpers, but no other row of it that they do not name.
FACE_ROWS = {row for row, arrows in ARROWS.items() if arrows is FACES}
FILE_ROWS = {row for row in ARROWS if row.startswith("connections.")}


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name below `flowlang`."""
    found = {}
    for path in sorted((ROOT / "flowlang").rglob("*.py")):
        if TEMPLATES in path.parents:
            continue  # parts of packages to come
        parts = path.relative_to(ROOT / "flowlang").with_suffix("").parts
        found[".".join(parts if len(parts) == 1 or parts[-1] != "__init__" else parts[:-1])] = path
    return found


@cache
def row_of(module: str) -> str | None:
    """The longest row that stands for the module."""
    matching = [row for row in ARROWS if module == row or module.startswith(row + ".")]
    return max(matching, key=len) if matching else None


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """Every module of ours that a file imports, at any depth of the file, with the line."""
    package = path.relative_to(ROOT).parent.parts
    found: list[tuple[int, str]] = []
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            names = [target(base, alias.name) for alias in node.names]
        else:
            continue
        found += ((node.lineno, name) for name in names if name == "flowlang" or name.startswith("flowlang."))
    return tuple(found)


def statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements, however deep: expressions, in which nothing is imported, are most of a tree."""
    inner: list[ast.AST] = [tree]
    while inner:
        node = inner.pop()
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner += getattr(node, field, ())


def target(base: str, name: str) -> str:
    """`from base import name`: the module `base.name` when there is one, else `base`."""
    below = ROOT / base.replace(".", "/") / name
    return f"{base}.{name}" if below.with_suffix(".py").exists() or (below / "__init__.py").exists() else base


def allowed(row: str, imported: str) -> bool:
    own = () if row in FILE_ROWS or row.startswith("__") else (f"flowlang.{row}",)
    if row in FILE_ROWS and is_helper(imported, row.partition(".")[0]):
        return True
    also = (target for source, target in ALSO if source == row)
    if imported == "flowlang":  # the public names alone
        return row in FACE_ROWS
    return any(is_below(imported, each) for each in (*OPEN, *own, *ARROWS[row], *also))


def is_helper(module: str, folder: str) -> bool:
    """The folder itself, or a file right in it that has no row of its own and is no plugin."""
    name = module.removeprefix("flowlang.")
    if (ROOT / "flowlang" / name.replace(".", "/") / "provider.py").exists():
        return False
    return name == folder or (name.startswith(f"{folder}.") and name.count(".") == 1 and row_of(name) == folder)


def is_below(module: str, above: str) -> bool:
    return module == above or module.startswith(above + ".")


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_what_its_row_names(module: str) -> None:
    row = row_of(module)
    assert row, f"`flowlang.{module}` stands in no row of the architecture: add one on purpose"
    path = modules()[module]
    wrong = [f"{path}:{line} imports {name}" for line, name in imports(path) if not allowed(row, name)]
    assert not wrong, f"row `{row}` may import {ARROWS[row] or 'nothing of ours'}\n" + "\n".join(wrong)


@pytest.mark.parametrize(("row", "imported"), ALSO)
def test_a_further_arrow_is_still_needed(row: str, imported: str) -> None:
    used = {name for module, path in modules().items() if row_of(module) == row for _, name in imports(path)}
    assert any(is_below(name, imported) for name in used)


def test_the_rows_have_no_cycle() -> None:
    """The table itself points one way: following it never leads back."""
    rows = {row: {row_of(name.removeprefix("flowlang.")) for name in ARROWS[row]} - {row, None} for row in ARROWS}
    seen: dict[str, bool] = {}

    def visit(row: str, trail: tuple[str, ...]) -> None:
        assert row not in trail, " → ".join([*trail, row])
        if not seen.get(row):
            for each in rows[row]:
                visit(str(each), (*trail, row))
            seen[row] = True

    for row in rows:
        visit(row, ())
