"""A test file: text → `Suite`, with everything that is wrong with it, against the flow that it tests."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from collections.abc import Mapping as Table
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flowlang.checking.literal_secrets import Sources
from flowlang.checking.rules.connection_choice import UNKNOWN
from flowlang.diagnostics import Diagnostic, Position, Span, has_errors, nearest, ordered
from flowlang.document import codes as document_codes
from flowlang.document.context import Context
from flowlang.document.fields import Fields, wrong_type
from flowlang.document.findings import meant
from flowlang.document.model import Name
from flowlang.document.nodes import Mapping, Node, Scalar
from flowlang.document.yaml_codes import TOP_LEVEL
from flowlang.document.yaml_reader import read_yaml
from flowlang.engine.inputs import UNKNOWN_INPUT
from flowlang.expressions.types import ANY
from flowlang.masking import SHORTEST
from flowlang.plan import Wait
from flowlang.records import frozen
from flowlang.testing import codes
from flowlang.testing.model import Case, Formula, Mock, Signal, Suite
from flowlang.testing.places import places
from flowlang.testing.read_expect import read_expect
from flowlang.testing.read_mocks import read_mocks
from flowlang.testing.surroundings import Surroundings
from flowlang.testing.values import Formulas
from flowlang.testing.virtual import START

if TYPE_CHECKING:
    from flowlang.api import Tasks
    from flowlang.checking.checker import Checked
    from flowlang.connections.registry import PluginRegistry

SHARED = ("real", "recorded", "strict", "now", "seed", "env", "secrets", "inputs", "mocks")
FILE_KEYS = ("flow", *SHARED, "tests")
CASE_KEYS = ("name", *SHARED, "signals", "cancel_at", "expect")
SIGNAL_KEYS = ("name", "payload", "at")
SUFFIX = ".test.yaml"


@frozen
class Read:
    """What was read of a test file. `suite` is None when there are errors; `sources` are the texts of all files."""

    suite: Suite | None
    findings: tuple[Diagnostic, ...]
    sources: Table[str, str]


def read_suite(
    file: str,
    *,
    registry: PluginRegistry | None = None,
    tasks: Tasks | None = None,
    raw: bytes | None = None,
    check: Callable[[str], Checked] | None = None,
) -> Read:
    """The tests in `file`. Raises `OSError` when it cannot be read.

    `raw` is its text where that is not the file's, and `check` checks the flow at a path in another way: for editors,
    in which both may not be saved yet.
    """
    from flowlang import api
    from flowlang.connections import plugin_registry
    from flowlang.services.project import with_services

    if raw is None:
        with open(file, "rb") as opened:
            raw = opened.read()
    check = check or (lambda path: api.check(path, registry=registry, tasks=tasks))
    text = raw.decode("utf-8-sig", "replace")
    node, found = read_yaml(raw, file)
    if not isinstance(node, Mapping):
        return Read(None, tuple(_no_object(each) for each in ordered(found)), {file: text})
    context = Context(node.source)
    fields = Fields(context, node, "a test file", FILE_KEYS, also={"cases": "tests", "of": "flow"})
    checked = _flow(fields, file, check)
    if checked is None or checked.plan is None or checked.flow is None:
        flow_findings = checked.findings if checked is not None else []
        sources = {**(checked.sources if checked is not None else {}), file: text}
        return Read(None, tuple(ordered([*found, *context.findings.all, *flow_findings])), sources)
    project = with_services(registry or plugin_registry, os.path.dirname(os.path.abspath(checked.file)))
    formulas = Formulas(checked.flow, project, context)
    around = Surroundings(context, formulas, checked.plan, tuple(places(checked.plan)))
    cases = _cases(fields, around)
    findings = ordered([*found, *context.findings.all, *formulas.findings])
    secrets = tuple(text for _, text in around.literals)
    suite = Suite(file, checked, around.places, cases, secrets) if not has_errors(findings) else None
    return Read(suite, tuple(findings), {**checked.sources, file: _masked(file, text, around)})


def _masked(file: str, text: str, around: Surroundings) -> str:
    """The text of a test file, as snippets may show it: secrets are `*`, where they are given and wherever else."""
    sources = Sources()
    sources.add(file, text)
    sources.mark(file, around.literals)
    shown = sources[file]
    for _, secret in around.literals:
        if len(secret) >= SHORTEST:
            shown = shown.replace(secret, "*" * len(secret))
    return shown


def unreadable(file: str, error: OSError) -> Diagnostic:
    """That a file cannot be read, and why."""
    from flowlang.api import UNREADABLE

    start = Position(1, 1)
    reason = (error.strerror or str(error)).lower()
    return Diagnostic(UNREADABLE, f"cannot read `{file}`: {reason}", Span(start, start, file))


def _no_object(finding: Diagnostic) -> Diagnostic:
    """What is said of a text that is no flow, for one that is no test file."""
    if finding.code != TOP_LEVEL:
        return finding
    return replace(
        finding,
        code=document_codes.WRONG_TYPE,
        message="a test file is an object with the key `tests`",
        suggestion=None,
        fix=None,
    )


def _flow(fields: Fields, file: str, check: Callable[[str], Checked]) -> Checked | None:
    """The flow of a test file, checked; None, and a finding, when there is none."""
    folder = os.path.dirname(file)
    if "flow" in fields:
        name = fields.text("flow")
        if name is None:
            return None
        path, written, span = _path(file, name.text), name.text, name.span
    else:
        path, span = _path(file), fields.at
        written = os.path.basename(path)
    if not os.path.isfile(path):
        beside = [each for each in _flows_in(os.path.dirname(path) or ".") if each != os.path.basename(file)]
        close = nearest(os.path.basename(path), beside)
        help_ = meant(os.path.join(os.path.dirname(os.path.relpath(path, folder or ".")), close)) if close else None
        fields.findings.add(
            codes.NO_FLOW, f"there is no flow `{written}`", span, help_ or "name the flow's file with `flow:`"
        )
        return None
    return check(path)


def _path(file: str, written: str | None = None) -> str:
    """Of the flow of a test file: where it says so, or else beside it."""
    if written is None:
        return file.removesuffix(SUFFIX) + ".yaml"
    return os.path.normpath(os.path.join(os.path.dirname(file), written))


_FLOW = re.compile(r"""^flow:[ \t]+(["']?)([^"'\n#]+?)\1[ \t]*(?:#.*)?$""", re.MULTILINE)


def flow_of(text: str, file: str) -> str | None:
    """The path of the flow of a test file whose text is not YAML yet; None when there is no such file."""
    written = _FLOW.search(text)
    path = _path(file, written[2] if written is not None else None)
    return path if os.path.isfile(path) else None


def _flows_in(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [each for each in names if each.endswith((".yaml", ".yml")) and not each.endswith(SUFFIX)]


# ---------------------------------------------------------------- tests


def _cases(fields: Fields, around: Surroundings) -> tuple[Case, ...]:
    fields.required("tests")
    shared = _Settings(fields, around, None)
    found: dict[str, Case] = {}
    for node in fields.items("tests", Mapping):
        if not isinstance(node, Mapping):
            wrong_type(fields.context, "tests", node, "objects with `name`")
            continue
        case = _case(node, around, shared)
        if case is None:
            continue
        earlier = found.setdefault(case.name.text, case)
        if earlier is not case:
            message = f"test `{case.name.text}` is already defined at {earlier.name.span.start}"
            fields.findings.add(document_codes.ALREADY_DEFINED, message, case.name.span, "rename one of the two")
    return tuple(found.values())


def _case(node: Mapping, around: Surroundings, shared: _Settings) -> Case | None:
    fields = Fields(around.context, node, "a test", CASE_KEYS, also={"id": "name", "mock": "mocks", "given": "inputs"})
    fields.required("name")
    name = fields.text("name", numbers=True)
    expect = read_expect(fields, around)
    refusal = expect.status.text == "invalid"
    own = _Settings(fields, around, shared, checked=not refusal)
    signals = _signals(fields, around)
    cancel_at = fields.duration("cancel_at")
    if name is None:
        return None
    if not refusal and not own.mistyped:
        _all_there(own.inputs, around, name)
    return Case(
        name=name,
        inputs=own.inputs,
        env=own.env,
        secrets=own.secrets,
        mocks=own.mocks,
        real=own.real,
        recorded=own.recorded,
        strict=own.strict,
        now=own.now,
        seed=own.seed,
        signals=signals,
        cancel_at=cancel_at,
        expect=expect,
    )


class _Settings:
    """What a file says for all of its tests, and a test for itself: the test's own wins, name by name."""

    def __init__(self, fields: Fields, around: Surroundings, outer: _Settings | None, *, checked: bool = True) -> None:
        self._fields = fields
        self._around = around
        self.mistyped: bool = outer.mistyped if outer else False  # an input: it may be the one that is missing
        self.inputs: dict[str, Formula] = {**(outer.inputs if outer else {}), **self._inputs(checked=checked)}
        self.env: dict[str, str] = {**(outer.env if outer else {}), **self._texts("env")}
        self.secrets: dict[str, str] = {**(outer.secrets if outer else {}), **self._texts("secrets")}
        mine = read_mocks(fields, around, shared=outer is None)
        named = {each.target.text for each in mine}
        kept = [each for each in (outer.mocks if outer else ()) if each.target.text not in named]
        self.mocks: tuple[Mock, ...] = (*mine, *kept)
        self.real: frozenset[str] = self._connections("real", outer.real if outer else frozenset())
        self.recorded: frozenset[str] = self._connections("recorded", outer.recorded if outer else frozenset())
        self.strict: bool = fields.boolean("strict", outer.strict if outer else False)
        self.now: datetime = self._now() or (outer.now if outer else START)
        seed = fields.integer("seed", least=0)
        self.seed: int = seed if seed is not None else outer.seed if outer else 0

    def _inputs(self, *, checked: bool) -> dict[str, Formula]:
        """The inputs, each of its declared type; anything goes where a refusal is expected (not `checked`)."""
        node = self._fields.object("inputs", "an object of names and values")
        declared = {each.name: each for each in self._around.plan.inputs}
        found: dict[str, Formula] = {}
        for key, value in node.entries if node is not None else ():
            if checked and key.text not in declared:
                self._around.unknown(UNKNOWN_INPUT, f"the flow has no input `{key.text}`", key, declared)
                self.mistyped = True
                continue
            type_ = declared[key.text].type if checked else ANY
            found[key.text] = self._around.value(value, key.text, type_)
            if key.text in declared and declared[key.text].secret and isinstance(value, Scalar):
                self._around.literals.append((value.span, value.text))
        return found

    def _texts(self, key: str) -> dict[str, str]:
        node = self._fields.object(key, "an object of names and texts")
        if node is None:
            return {}
        inner = Fields(self._around.context, node, f"`{key}`", [each.text for each, _ in node.entries])
        found = {}
        for name, value in node.entries:
            if isinstance(value, Scalar) and value.value == "":
                found[name.text] = ""
                continue
            text = inner.text(name.text, numbers=True)
            if text is not None:
                found[name.text] = text.text
                if key == "secrets":
                    self._around.literals.append((text.span, text.text))
        return found

    def _connections(self, key: str, outer: frozenset[str]) -> frozenset[str]:
        names = self._fields.names(key)
        known = {each.name for place in self._around.places for each in place.plan.connections}
        known |= {each.name for each in self._around.plan.connections}
        for each in names or ():
            if each.text not in known:
                self._around.unknown(UNKNOWN, f"there is no connection `{each.text}`", each, known)
        return outer if names is None else frozenset(each.text for each in names)

    def _now(self) -> datetime | None:
        from flowlang.expressions import FUNCTIONS, ExpressionError

        name = self._fields.text("now")
        if name is None:
            return None
        try:
            moment: datetime = FUNCTIONS["parse_time"].call(name.text)
        except ExpressionError as error:
            self._around.findings.add(document_codes.WRONG_TYPE, f"`now` expects a timestamp: {error}", name.span)
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _all_there(inputs: Table[str, Any], around: Surroundings, name: Name) -> None:
    from flowlang.engine.inputs import INVALID_INPUT

    missing = [each.name for each in around.plan.inputs if each.required and each.name not in inputs]
    if missing:
        words = ", ".join(f"`{each}`" for each in missing)
        message = f"this test gives no {words}, which the flow requires"
        around.findings.add(INVALID_INPUT, message, name.span, f"add it under `inputs`: `{missing[0]}: …`")


def _signals(fields: Fields, around: Surroundings) -> tuple[Signal, ...]:
    known = {each.step.signal for each in around.places if isinstance(each.step, Wait) and each.step.signal}
    found = []
    for node in fields.items("signals", Mapping):
        signal = _signal(node, around, known)
        if signal is not None:
            found.append(signal)
    return tuple(found)


def _signal(node: Node, around: Surroundings, known: set[str]) -> Signal | None:
    if not isinstance(node, Mapping):
        wrong_type(around.context, "signals", node, "objects with `name`")
        return None
    inner = Fields(around.context, node, "a signal", SIGNAL_KEYS)
    inner.required("name")
    name = inner.text("name")
    payload = inner.node("payload")
    at = inner.duration("at") or 0.0
    formula = around.value(payload, "payload") if payload is not None else None
    if name is None:
        return None
    if name.text not in known:
        around.unknown(codes.UNKNOWN_STEP, f"no `wait` of the flow is for a signal `{name.text}`", name, known)
    return Signal(name.text, formula, at)
