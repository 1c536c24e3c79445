"""What editors ask: the schema of a flow file here, and all that is known of a text while it is being written."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flowlang.api import UNREADABLE
from flowlang.diagnostics import Diagnostic, Position, Span, ordered
from flowlang.exceptions import PluginError

if TYPE_CHECKING:
    from flowlang.checking.facts import Facts
    from flowlang.connections.registry import PluginRecord, PluginRegistry
    from flowlang.services.project import ProjectRegistry
    from flowlang.tasks.spec import TaskSpec
    from flowlang.views.names import Symbol
    from flowlang.views.schema import ConnectionType
    from flowlang.views.schema.tests import Tested


# ---------------------------------------------------------------- the schema


def schema(registry: PluginRegistry | None = None, tasks: Iterable[TaskSpec] = ()) -> dict[str, Any]:
    """The JSON Schema of a flow file where the plugins of `registry` are installed; `tasks` are a flow's own. Services
    that `registry` was asked for by the path of their file are types of that name."""
    from flowlang.checking.catalogue import file_tasks
    from flowlang.services.project import ProjectRegistry, here
    from flowlang.views.schema import flow_schema

    registry = registry or here()
    records = list(registry.records())
    if isinstance(registry, ProjectRegistry):
        known = {each.name for each in records}
        records += [replace(each, name=name) for name, each in registry.services().items() if name not in known]
    types = [_type(each, registry) for each in records]
    return flow_schema(types, [*(each.spec for each in file_tasks().values()), *tasks])


def tests_schema(flow: Tested | None) -> dict[str, Any]:
    """The JSON Schema of a file of tests, of those of `flow` where that is known."""
    from flowlang.views.schema import tests

    return tests.schema_for(flow) if flow is not None else tests.tests_schema()


def service_schema() -> dict[str, Any]:
    """The JSON Schema of the file of a service."""
    from flowlang.connections.http.settings import SCHEMA
    from flowlang.views.schema.services import service_schema as made

    return made(SCHEMA["properties"]["auth"])


def _type(record: PluginRecord, registry: PluginRegistry) -> ConnectionType:
    """A connection type; one that cannot be used is named, and nothing is said of its config."""
    from flowlang.connections import _schema
    from flowlang.connections.config import schema_of
    from flowlang.views.schema import ConnectionType

    if record.plugin is None or record.problem is not None:
        return ConnectionType(record.name, f"Cannot be used: {record.problem}", None, False)
    try:
        config, specs = schema_of(record.plugin), tuple(registry.tasks(record.name).values())
    except PluginError as error:
        return ConnectionType(record.name, f"Cannot be used: {error}", None, False)
    about = str(record.plugin.description)
    return ConnectionType(record.name, about, config, _schema.is_closed(config, config), specs)


# ---------------------------------------------------------------- a text that is being written


@dataclass(slots=True, eq=False)
class Analysis:
    """All that is known of one text. `findings` are those of the text as it stands, with hints at what nothing uses.

    Blocks that are empty yet count as empty lists in `facts`. When the text cannot be read as YAML at the moment,
    `facts` and `symbols` are those of the text with the lines that are in the way left blank (`mended`), so that every
    place is the same. `reached` are the files that were read for it, `registry` the types as the flow sees them, and
    `services` those of them that are described in YAML, by the name that the flow has for each. `tested` has the names
    of the flow that a file of tests is about."""

    file: str
    text: str
    findings: tuple[Diagnostic, ...]
    facts: Facts
    mended: bool
    reached: frozenset[str]
    registry: ProjectRegistry | None = None
    services: Mapping[str, PluginRecord] = field(default_factory=dict)
    tested: Tested | None = None
    _symbols: list[Symbol] | None = None

    def reaches(self, file: str) -> bool:
        """Whether it was made from `file`, a path without links."""
        import os

        return any(os.path.realpath(each) == file for each in self.reached)

    @property
    def service_texts(self) -> tuple[tuple[str, type | None], ...]:
        """Equal as long as the services are: a service has a class of its own for each text of its file."""
        return tuple((name, type(each.plugin) if each.plugin else None) for name, each in self.services.items())

    @property
    def symbols(self) -> list[Symbol]:
        """Every name that the flow defines. Looked for when somebody asks, as hardly anybody does while typing."""
        from flowlang.views.names import names_of

        if self._symbols is None:
            self._symbols = names_of(self.facts.flow) if self.facts.flow is not None else []
        return self._symbols


_TRIES = 4


def analyse(
    text: str,
    file: str,
    read: Callable[[str], str],
    *,
    line: int | None = None,
    pause: Callable[[], None] = lambda: None,
) -> Analysis:
    """Check `text` as the file `file`. `read` gives the text of a file that the flow reaches (`OSError`: none), so
    that an editor can show what is not saved yet. `line` (from 1) is where the author writes. `pause` is called every
    now and then: it may hold the check up."""
    from flowlang.checking.checker import Checked
    from flowlang.checking.facts import Facts
    from flowlang.checking.flows import check_text
    from flowlang.checking.rules import unused

    reached: set[str] = set()

    def noted(path: str) -> str:
        reached.add(path)
        return read(path)

    registry = _types(file, noted)

    def checked(attempt: str) -> tuple[Checked, Facts]:
        pause()
        facts = Facts(pause=pause)
        return check_text(attempt, file, registry=registry, tasks={}, read=noted, facts=facts), facts

    paused = gc.isenabled()
    gc.disable()  # as for every check: it makes a great many objects and hardly any garbage
    try:
        found, facts = checked(text)
        hints = unused.hints(facts.flow, found.plan) if facts.flow is not None and found.plan is not None else ()
        findings, mended = tuple(ordered([*found.findings, *hints])), False
        filled = _filled(text)
        if facts.flow is not None and filled != text:
            better = checked(filled)[1]
            facts = better if better.flow is not None else facts
        for attempt in _mends(text, found.findings, line) if facts.flow is None else ():
            better = checked(_filled(attempt))[1]
            if better.flow is not None:
                facts, mended = better, True
                break
        flow = facts.flow
        services = registry.services(each.type.text for each in flow.connections) if flow is not None else {}
    finally:
        if paused:
            gc.enable()
    return Analysis(file, text, findings, facts, mended, frozenset(reached), registry, services)


def _types(file: str, read: Callable[[str], str]) -> ProjectRegistry:
    """The types as the flow in `file` sees them, with the services as `read` has them."""
    import os

    from flowlang.connections import plugin_registry
    from flowlang.services.project import with_services

    return with_services(plugin_registry, os.path.dirname(os.path.abspath(file)), read)


def analyse_service(text: str, file: str) -> Analysis:
    """Check `text` as the file of a service. Nothing is known of names."""
    from flowlang.checking.facts import Facts
    from flowlang.services.read import read_service

    findings = read_service(file, text.encode("utf-8", "surrogatepass")).findings
    return Analysis(file, text, findings, Facts(), False, frozenset())


def analyse_tests(text: str, file: str, read: Callable[[str], str]) -> Analysis:
    """Check `text` as the file of tests `file`, with the flow that it tests. An error of that flow stands at the head:
    nothing can be said of its tests before it is mended. Of names only those of the flow are known, also while the
    text is not YAML."""
    from flowlang.checking.checker import Checked
    from flowlang.checking.facts import Facts
    from flowlang.checking.flows import check_text
    from flowlang.testing.read import flow_of, read_suite
    from flowlang.testing.tested import tested

    reached: set[str] = set()
    flows: dict[str, Checked] = {}

    def noted(path: str) -> str:
        reached.add(path)
        return read(path)

    def checked(path: str) -> Checked:
        flows[path] = check_text(noted(path), path, registry=_types(path, noted), tasks={}, read=noted)
        return flows[path]

    try:
        found = read_suite(file, raw=text.encode("utf-8", "surrogatepass"), check=checked).findings
        if not flows and (path := flow_of(text, file)) is not None:
            checked(path)
    except OSError as error:  # the flow: it is there, and cannot be read
        found = (Diagnostic(UNREADABLE, f"the flow cannot be read: {error}", _head(file)),)
    findings = [each for each in found if each.span.file == file]
    elsewhere = next((each for each in found if each.span.file != file and each.severity == "error"), None)
    if elsewhere is not None:
        message = f"the flow has an error, at {elsewhere.span}: {elsewhere.message}"
        findings.append(Diagnostic(elsewhere.code, message, _head(file)))
    names = tested(next(iter(flows.values()))) if flows else None
    return Analysis(file, text, tuple(ordered(findings)), Facts(), False, frozenset(reached), tested=names)


def _head(file: str) -> Span:
    return Span(Position(1, 1), Position(2, 1), file)


def subflow_file(analysis: Analysis, name: str) -> str | None:
    """The file of the subflow that a flow calls `name`."""
    import os

    from flowlang.checking.rules.subflow_call import file_of

    return file_of(os.path.dirname(os.path.abspath(analysis.file)), name)


def why_not_renamed(analysis: Analysis, symbol: Symbol, name: str) -> str | None:
    """Why `symbol` cannot be called `name`; None when it can."""
    from flowlang.document.names import trouble_with

    if analysis.mended:
        return "the file cannot be read as YAML at the moment: mend that first"
    trouble = trouble_with(name, symbol.kind)
    if trouble is not None:
        return trouble.message
    rivals = {"step", "loop variable"} if symbol.kind in ("step", "loop variable") else {symbol.kind}
    for each in analysis.symbols:
        if each is not symbol and each.name == name and each.kind in rivals:
            where = f" ({each.definitions[0].start})" if each.definitions else ""
            return f"`{name}` is already a {each.kind}{where}"
    return None


def _mends(text: str, findings: Iterable[Diagnostic], line: int | None) -> Iterator[str]:
    """`text` with the lines blank that may be in the way: the one that is being written, those with findings."""
    lines = text.split("\n")
    wrong = [each.span.start.line for each in findings]
    for number in dict.fromkeys([*([line] if line is not None else []), *wrong[:_TRIES]]):
        if 1 <= number <= len(lines):
            for blank in (_without_value, _blank):
                yield _with(lines, number, blank)
    if line is not None and wrong:
        lines[line - 1 : line] = [_blank(lines[line - 1])] if line <= len(lines) else []
        yield _with(lines, wrong[0], _blank)


_BLOCK = re.compile(r"( *(?:- +)*)(?:do|then|else|default|try|finally|on_error|on_cancel|steps): *")


def _filled(text: str) -> str:
    """`text` with an empty list in each block that nothing was written into yet: without it there would be no step
    around the first one that is."""
    lines = text.split("\n")
    following = ""
    for number in range(len(lines) - 1, -1, -1):
        row = lines[number]
        block = _BLOCK.fullmatch(row)
        if block is not None:
            column, indent = len(block[1]), len(following) - len(following.lstrip(" "))
            if indent < column or (indent == column and not following.lstrip().startswith("-")):
                lines[number] = row.rstrip() + " []"
        if row.strip() and not row.lstrip().startswith("#"):
            following = row
    return "\n".join(lines)


def _with(lines: list[str], number: int, change: Callable[[str], str]) -> str:
    return "\n".join([*lines[: number - 1], change(lines[number - 1]), *lines[number:]])


def _without_value(line: str) -> str:
    """`key: …` without its value."""
    key, colon, _ = line.partition(": ")
    return key + colon.rstrip() if colon else _blank(line)


def _blank(line: str) -> str:
    return ""
