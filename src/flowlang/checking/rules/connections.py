"""Connections and their plugins: the type is installed in the version that is wanted, its driver is there, and the
config fits the plugin's own JSON Schema. What comes from `env` and `secrets` is checked when the run starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from flowlang.checking.catalogue import Catalogue
from flowlang.connections._messages import CONFIG_MISSING, CONFIG_UNKNOWN_KEY
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.config import ConfigProblem, Prepared, check_literal, prepare, schema_of
from flowlang.connections.dependencies import missing, pip_line
from flowlang.connections.registry import PluginRecord, PluginRegistry
from flowlang.diagnostics import Diagnostic, Span, code, nearest, respelt
from flowlang.document import model
from flowlang.exceptions import PluginError

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Places:
    """Where the parts of a config are written, by path: each value, and each key."""

    values: dict[Path, Span] = field(default_factory=dict)
    keys: dict[Path, Span] = field(default_factory=dict)


TYPE = code(
    "unknown-connection-type",
    """No installed plugin provides a connection's type.

`flowlang connection list` shows the types that are installed. A plugin of its own package brings its type with
`pip install`; nothing needs to be configured for it.

```yaml wrong
flow: f
connections: {db: {type: sqlit, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, connection: db, query: SELECT 1}
```

```yaml
flow: f
connections: {db: {type: sqlite, database: ":memory:"}}
steps:
  - sqlite_query: {id: q, connection: db, query: SELECT 1}
```
""",
    fix="guess",
)
BROKEN = code(
    "broken-plugin",
    """A plugin is installed but cannot be used.

It cannot be imported, breaks the contract of plugins, clashes with another one, or its schema is not a JSON Schema.
The finding tells the reason; `flowlang connection list` shows it too. Nothing in the flow can mend it: install another
version of the plugin's package, or tell its author.
""",
)
DRIVER = code(
    "missing-driver",
    """A connection's plugin is there, and a package that it needs is not.

`check` warns, so that a flow can be checked on a machine without drivers; `run` refuses it, and so does
`check --strict`. The help of the finding is the line that installs what is missing.

```yaml fragment
connections:
  api: {type: myservice, api_key: "${env.API_KEY}"}     # pip install 'myservice-client>=1.0.0'
```
""",
)
VERSION = code(
    "plugin-version",
    """A plugin that the flow asks for under `plugins` is not installed, or in another version.

`plugins` maps connection types to version ranges (PEP 440), so that a flow says what it was written for.

```yaml wrong
flow: f
plugins: {sqlite: ">=99"}
steps:
  - log: hello
```

```yaml
flow: f
plugins: {sqlite: ">=0.1"}
steps:
  - log: hello
```
""",
)


def plugin_of(
    connection: model.Connection, catalogue: Catalogue, wanted: str = ""
) -> tuple[ConnectionPlugin | None, list[Diagnostic]]:
    """The installed plugin of a connection, or why there is none. `wanted`: the versions that the flow asks for."""
    name, span = connection.type.text, connection.type.span
    if not name:
        return None, []  # the document has reported that there is no type
    provider = catalogue.provider(name)
    if provider.plugin is None and name not in catalogue.registry:
        return None, [_unknown_type(name, span, catalogue.registry.names(), wanted)]
    return provider.plugin, [] if provider.plugin is not None else [Diagnostic(BROKEN, provider.problem, span)]


def _unknown_type(name: str, span: Span, known: Sequence[str], wanted: str) -> Diagnostic:
    close = nearest(name, known)
    help_ = f"did you mean `{close}`?" if close else _install(name, wanted)
    return Diagnostic(
        TYPE,
        f"no plugin for connection type `{name}` is installed",
        span,
        notes=(f"installed types: {', '.join(f'`{each}`' for each in known) or 'none'}",),
        suggestion=help_,
        fix=respelt(span, close),
    )


def _install(name: str, wanted: str) -> str:
    """The command that installs the plugin of a type, by the name that `flowlang plugin new` gives its package."""
    if not _TYPE_NAME.fullmatch(name):
        return "install the package that brings its plugin"
    return f"`{_pip(f'flowlang-{name}'.replace('_', '-'), wanted)}`, if its package is called as plugins' packages are"


def _pip(package: str, wanted: str) -> str:
    import shlex

    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return f"pip install {shlex.quote(f'{package}{SpecifierSet(wanted)}')}"
    except InvalidSpecifier:  # another finding tells of it
        return f"pip install {package}"


_TYPE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def versions(flow: model.Flow, registry: PluginRegistry) -> Iterator[Diagnostic]:
    """The types and version ranges under `plugins`."""
    if not flow.plugins:
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion

    reported = {each.type.text for each in flow.connections}  # the connection itself says that its type is unknown
    files = _files(flow, registry)
    for name, wanted in flow.plugins:
        try:
            specifier = SpecifierSet(wanted.text)
        except InvalidSpecifier:
            message = f"`{wanted.text}` is not a version range"
            yield Diagnostic(VERSION, message, wanted.span, suggestion="forms: `>=1.2`, `>=1.2,<2`, `==1.2.*`, `~=1.2`")
            continue
        meant = [*([name.text] if name.text in registry else ()), *files.get(name.text, ())]
        if not meant and name.text not in reported:
            yield _unknown_type(name.text, name.span, registry.names(), wanted.text)
        for each in meant:
            try:
                plugin = registry.get(each)
                fits = specifier.contains(plugin.version, prereleases=True)
            except (PluginError, InvalidVersion) as error:
                if each not in reported:
                    yield Diagnostic(BROKEN, str(error), name.span)
                continue
            if not fits:
                yield _misfit(registry.info(each), plugin.version, wanted)


def _files(flow: model.Flow, registry: PluginRegistry) -> dict[str, list[str]]:
    """The types that the flow's connections name by the path of a file, by the name of the service in it."""
    found: dict[str, list[str]] = {}
    for type_ in dict.fromkeys(each.type.text for each in flow.connections if each.type.text in registry):
        name = registry.info(type_).name
        if name != type_:
            found.setdefault(name, []).append(type_)
    return found


def _misfit(record: PluginRecord, version: str, wanted: model.Name) -> Diagnostic:
    """That a plugin has another version than the flow asks for; with the command that brings one, when a package of
    its own has brought it."""
    if record.source.startswith("file "):
        message = f"service `{record.name}` ({record.source}) is version {version}, the flow asks for `{wanted.text}`"
        return Diagnostic(VERSION, message, wanted.span)
    message = f"plugin `{record.name}` is installed as {version}, the flow asks for `{wanted.text}`"
    upgrade = _pip(record.source.partition(" ")[0], wanted.text) if record.entry_point is not None else None
    return Diagnostic(VERSION, message, wanted.span, suggestion=upgrade)


def config(
    connection: model.Connection,
    plugin: ConnectionPlugin,
    values: dict[str, object],
    dynamic: set[Path],
    places: Places,
) -> tuple[Prepared | None, list[Diagnostic]]:
    """What the schema says of the values that are known before the run; with the ready config, when all are known and
    nothing is wrong."""
    ready = None
    try:
        if dynamic:
            found = check_literal(plugin, values, dynamic)
        else:
            ready = prepare(plugin, values)
            found = list(ready.problems)
    except PluginError as error:
        return None, [Diagnostic(BROKEN, str(error), connection.type.span)]
    meant = {_meant(each, plugin, connection) for each in found if each.code == CONFIG_UNKNOWN_KEY}
    refused = []
    for problem in found:
        lacking = (problem.suggestion or "").partition(":")[0]
        if problem.code != CONFIG_MISSING or (*problem.path, lacking) not in meant:  # it is there, mistyped
            refused.append(_finding(connection, plugin, problem, places))
    return None if refused else ready, refused


HOST_KEYS = ("type", "lazy", "connect_timeout", "acquire_timeout")


def _meant(problem: ConfigProblem, plugin: ConnectionPlugin, connection: model.Connection) -> Path | None:
    """The path that a mistyped key most likely meant: one of the plugin's, or of the keys that every connection has."""
    *above, key = problem.path
    close = _CLOSE.fullmatch(problem.suggestion or "")
    if above:
        return (*above, close[1]) if close else None
    given = {name.text for name, _ in (*connection.config.entries, *connection.host_entries)}
    known = [*schema_of(plugin).get("properties", {}), *HOST_KEYS]
    found = nearest(str(key), [each for each in known if each not in given])
    return (found,) if found is not None else None


_CLOSE = re.compile(r"did you mean `([^`]+)`\?")


def _finding(
    connection: model.Connection, plugin: ConnectionPlugin, problem: ConfigProblem, places: Places
) -> Diagnostic:
    path, suggestion, fix = tuple(problem.path), problem.suggestion, None
    unknown = problem.code == CONFIG_UNKNOWN_KEY
    spans = places.keys if unknown else places.values
    while path and path not in spans:
        path = path[:-1]
    span = spans.get(path, connection.name.span)
    close = _meant(problem, plugin, connection) if unknown else None
    word = str(close[-1]) if close else next(iter(_CLOSE.findall(suggestion or "")), None)
    if word is not None:
        suggestion, fix = f"did you mean `{word}`?", respelt(span, word)
    elif problem.code == CONFIG_MISSING:
        suggestion = f"add `{suggestion}`"
    message = f"connection `{connection.name.text}`: {problem.message}"
    return Diagnostic(problem.code, message, span, suggestion=suggestion, fix=fix)


def driver(connection: model.Connection, plugin: ConnectionPlugin) -> Iterator[Diagnostic]:
    try:
        lacking = missing(plugin)
    except PluginError as error:
        yield Diagnostic(BROKEN, str(error), connection.type.span)
        return
    if not lacking:
        return
    needs = ", ".join(f"`{each.requirement}` is not installed (found: {each.installed or 'none'})" for each in lacking)
    message = f"plugin `{plugin.name}` found, but {needs}"
    yield Diagnostic(DRIVER, message, connection.type.span, "warning", suggestion=pip_line(lacking))
