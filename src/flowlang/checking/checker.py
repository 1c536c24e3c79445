"""The check: one walk over a flow that finds what is wrong and, when nothing is, leaves a plan.

`Checker` holds what the walk shares: the findings, the catalogue of tasks, the operations collected so far. The
walk itself is in `steps`, `calls` and `values`; each rule has a file in `rules`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from flowlang.checking.catalogue import Catalogue
from flowlang.checking.facts import Facts
from flowlang.checking.literal_secrets import Sources
from flowlang.checking.scope import Entry, Layout, Scope
from flowlang.diagnostics import Diagnostic, Edit, Fix, Severity, Span, ordered
from flowlang.document import model
from flowlang.document.nodes import Scalar
from flowlang.expressions.syntax import Problem
from flowlang.expressions.types import ANY, STRING, Type, record
from flowlang.expressions.unit import Unit
from flowlang.plan import ROOTS, Operation, Plan
from flowlang.records import frozen

if TYPE_CHECKING:
    from flowlang.connections.registry import PluginRegistry

ReadText = Callable[[str], str]


@dataclass(slots=True)
class Checked:
    """What a check found: `plan` is None when there are errors. `sources` maps file names to their text, for
    snippets; literal secrets in it are masked. `name` is the flow's, when it says one."""

    findings: list[Diagnostic]
    plan: Plan | None
    name: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    output_types: Mapping[str, Type] = field(default_factory=dict)
    text: str | bytes = ""
    file: str = ""

    @property
    def flow(self) -> model.Flow | None:
        """The model of the flow, read anew: it is many times the size of the plan, and hardly ever asked for."""
        from flowlang.document.parse import parse_flow

        return parse_flow(self.text, self.file)[0]

    @property
    def hints(self) -> list[Diagnostic]:
        """What the flow declares and never uses, told apart from the findings: nothing is wrong with it. Worked out
        anew each time, and none while there are errors."""
        from flowlang.checking.rules.unused import hints

        flow = self.flow if self.plan is not None else None
        return ordered(hints(flow, self.plan)) if flow is not None and self.plan is not None else []

    @property
    def ok(self) -> bool:
        return self.plan is not None


@frozen
class Callee:
    """A subflow that can be called, and the types of its outputs."""

    plan: Plan
    outputs: Mapping[str, Type]


CalleeKey = tuple[str, frozenset[str]]
"""The path of a subflow, and those of its inputs that a secret reaches although they do not declare it."""

MOST = 200
"""Errors told of one file, and as many warnings; a file of nothing but mistakes must not take minutes to explain."""


class Checker:
    """The state of one check of one flow file. `chain` are the flow files on the way here, to find cycles."""

    def __init__(
        self,
        flow: model.Flow,
        *,
        registry: PluginRegistry,
        catalogue: Catalogue,
        read: ReadText,
        sources: Sources,
        chain: tuple[str, ...] = (),
        callees: dict[CalleeKey, Callee | None] | None = None,
        folder: str = "",
        unit: type[Unit] = Unit,
    ) -> None:
        self.flow = flow
        self.registry = registry
        self.catalogue = catalogue
        self.read = read
        self.sources = sources
        self.chain = chain
        self.callees: dict[CalleeKey, Callee | None] = callees if callees is not None else {}
        self.folder = folder or os.getcwd()
        self.unit = unit  # compiles the expressions
        self.findings: list[Diagnostic] = []
        self.full = False  # there were more errors than are told
        self._count = {True: 0, False: 0}  # errors, and the rest
        self.unparsed = False  # the document has errors: what it holds is checked, and nothing is compiled
        self.operations: list[Operation] = []
        self.operation_places: dict[tuple[str, str | None, bool, bool, str | None], int] = {}
        self.given_secrets: set[str] = set()  # connections whose tasks are given secrets
        self.transactions: dict[str, Span] = {}  # connections that are in a transaction here, and where it begins
        self.once: set[str] = set()  # those of them with a step in their transaction that is done exactly once
        self.writing: set[str] = set()  # those of them with a step in their transaction that changes something
        self.whole: model.TransactionStep | None = None  # the transaction around this that is done exactly once
        self.given: dict[
            int, tuple[Type, bool]
        ] = {}  # by the id of a spec: what its task gives, and whether that is secret
        self.signatures: dict[int, Any] = {}  # by the id of a spec: what its parameters want, as `calls` puts it
        self.env_names: dict[str, Span] = {}  # variables that must be set, and where they are first named
        self.secret_names: dict[str, Span] = {}
        self.connections: dict[str, model.Connection] = {each.name.text: each for each in flow.connections}
        self.connection_places = {each.name.text: place for place, each in enumerate(flow.connections)}
        self.of_type: dict[str, list[model.Connection]] = {}
        for each in flow.connections:
            self.of_type.setdefault(each.type.text, []).append(each)
        self.inputs: dict[str, model.Input] = {each.name.text: each for each in flow.inputs}
        self.literals: list[tuple[Span, str]] = []  # secrets written out in the file, and where
        self.exit_types: dict[str, list[Type]] = {}  # what `exit` gives, by output
        self.facts: Facts | None = None  # what an editor wants to know; nobody asks in an ordinary check

    # ------------------------------------------------------------ findings

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        severity: Severity = "error",
        notes: Iterable[str] = (),
        suggestion: str | None = None,
        fix: Fix | None = None,
    ) -> None:
        self.add([Diagnostic(code, message, span, severity, tuple(notes), suggestion, fix)])

    def add(self, findings: Iterable[Diagnostic]) -> None:
        """Rules are generators: once the check is full, what they would say is not even worked out. It is full of
        errors only; warnings beyond the most are left out, and the check goes on."""
        if self.full:
            return
        for each in findings:
            error = each.severity == "error"
            self._count[error] += 1
            if self._count[error] <= MOST:
                self.findings.append(each)
            elif error:
                self.full = True
                return

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Inside, findings are not told: what is looked at will be looked at again."""
        before, self.full = self.full, True
        try:
            yield
        finally:
            self.full = before

    def report_problems(self, problems: Iterable[Problem], scalar: Scalar) -> None:
        """What an expression was found to do wrong, at its place in the file."""
        for each in problems:
            span = scalar.locate(each.start, each.end)
            fix = None
            if each.replacement is not None:
                fix = Fix(each.suggestion or "replace it", (Edit(span, each.replacement),))
            severity = cast("Severity", each.severity)
            self.add([Diagnostic(each.code, each.message, span, severity, each.notes, each.suggestion, fix)])

    # ------------------------------------------------------------ scopes

    def root_scope(self) -> Scope:
        """The names of the first frame, as the steps see them."""
        layout = Layout(first=ROOTS.first_free)
        scope = Scope(layout)
        inputs = record({each.name.text: each.type for each in self.flow.inputs})
        facts = record({"id": STRING, "attempt": Type("integer"), "started_at": Type("timestamp"), "trigger": STRING})

        def root(name: str, type_: Type, slot: int) -> None:
            scope.add(name, Entry(type_, f"root `{name}`", layout, slot, kind="root"))

        root("inputs", inputs, ROOTS.inputs)
        root("vars", record({}, open=True), ROOTS.vars)
        root("secrets", _texts(secret=True), ROOTS.secrets)
        root("run", facts, ROOTS.run)
        root("env", _texts(secret=False), ROOTS.env)
        hide(scope, "env", "`env` is readable only in `connections` and `vars`", "pass it through `vars`")
        for name in self.flow.unread:
            scope.add(name, Entry(ANY, f"step `{name}`", layout, 0))
        return scope


def hide(scope: Scope, name: str, why: str, remedy: str | None = None) -> None:
    """From here on `name` cannot be read."""
    entry = scope.entry(name)
    assert entry is not None
    scope.add(name, entry.hidden(why, remedy))


def show(scope: Scope, name: str) -> None:
    entry = scope.entry(name)
    assert entry is not None
    scope.add(name, replace(entry, state="ready", why="", remedy=None))


def _texts(*, secret: bool) -> Type:
    """An object whose every key is a text: what `env` and `secrets` are to the check."""
    return Type("object", items=Type("string", secret=secret), open=True)
