"""`plugin_registry`: every connection type there is, found without importing and imported one at a time.

A type is known from a folder of this package, an entry point of an installed one, or a call of `register`. Where
it stands:  candidate (found) ── load ──▶ claim (a class with that name) ── no rival ──▶ usable.
What cannot be loaded, or is claimed twice, is listed with its reason and never stops the others.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from flowlang.connections._discovery import Candidate, Installed
from flowlang.connections._loading import Loading, in_time
from flowlang.connections.base import ConnectionPlugin
from flowlang.exceptions import PluginError
from flowlang.records import frozen

if TYPE_CHECKING:
    from flowlang.tasks.spec import TaskSpec

_LOG = logging.getLogger("flowlang.connections")


@frozen
class PluginRecord:
    """A plugin as listings show it.

    `plugin` is its prototype, None when it could not be loaded; `source` is "built-in", an installed package and
    its version, or the module that registered it; `entry_point` is what the package's metadata names; `problem`
    says why it cannot be used, None when it can. `printed` is what its import wrote to the terminal.
    """

    name: str
    plugin: ConnectionPlugin | None
    source: str
    entry_point: str | None = None
    problem: str | None = None
    printed: str = ""


class PluginRegistry:
    """The connection types of a process. It holds prototypes only, no state of any run.

    `discover=False` makes one that knows only what is registered with it.
    """

    def __init__(self, *, discover: bool = True) -> None:
        self._discover = discover
        self._guard = threading.RLock()  # held for changes of the tables, never while a plugin is imported
        self._installed: Installed | None = None
        self._candidates: dict[str, list[Candidate]] = {}
        self._loaded: dict[Candidate, PluginRecord] = {}
        self._registered: dict[str, PluginRecord] = {}
        self._history: dict[type, ConnectionPlugin] = {}  # all that ever registered, for modules imported before
        self._settled: dict[str, ConnectionPlugin] = {}  # usable types, until a table changes
        self._owners: dict[str, str] = {}  # task → type, as long as `_settled` holds
        self._specs: dict[type, Mapping[str, TaskSpec]] = {}
        self._registrations = 0
        self._loading: contextvars.ContextVar[Loading | None] = contextvars.ContextVar("loading", default=None)

    # ------------------------------------------------------------ registering

    def register(self, plugin: ConnectionPlugin | type[ConnectionPlugin]) -> None:
        """Make a connection type known. An instance and its class mean the same; the same class again does nothing.

        Raises `PluginError` when it breaks the contract, or when another class has its name or one of its task
        names; what was there stays.
        """
        from flowlang.connections._contract import prototype_of

        prototype = prototype_of(plugin)
        self._history.setdefault(type(prototype), prototype)
        loading = self._loading.get()
        if loading is not None and loading.accepts(prototype, self._candidates):
            loading.found.append(prototype)
            return
        kind = type(prototype)
        if self._installed is not None:
            self._found()  # what was loaded may have been uninstalled since
        with self._guard:
            record = PluginRecord(prototype.name, prototype, f"module {kind.__module__}")
            others = (*self._registered.values(), *self._loaded.values())
            if any(type(each.plugin) is kind for each in others):
                return
            for each in others:
                if clash := _clash(record, each):
                    raise PluginError(clash)
            self._registered[prototype.name] = record
            self._changed()

    @contextmanager
    def registered(self, *plugins: ConnectionPlugin | type[ConnectionPlugin]) -> Iterator[None]:
        """`plugins` are known inside the `with` block only: for tests, and for hosts that embed FlowLang."""
        before = dict(self._registered)
        try:
            for each in plugins:
                self.register(each)
            yield
        finally:
            with self._guard:
                self._registered = before
                self._changed()

    def _changed(self) -> None:
        self._registrations += 1
        self._unsettle()

    def _unsettle(self) -> None:
        self._settled, self._owners = {}, {}

    # ------------------------------------------------------------ finding

    def names(self) -> tuple[str, ...]:
        """Every known type, broken ones included, in order. Nothing is imported."""
        return tuple(sorted({*self._found(), *self._registered}))

    def __contains__(self, name: object) -> bool:
        return name in self._registered or name in self._found()

    def get(self, name: str) -> ConnectionPlugin:
        """The prototype of a type, imported now if it was not. Raises `PluginError` that says why there is none."""
        settled = self.settled(name)
        if settled is not None:
            return settled
        record = self._record(name)
        if record.plugin is None or record.problem is not None:
            raise PluginError(f"connection type `{name}` ({record.source}) cannot be used: {record.problem}")
        self._settled[name] = record.plugin
        return record.plugin

    def settled(self, name: str) -> ConnectionPlugin | None:
        """What `get` gave before, as long as nothing was installed or removed since."""
        self._found()
        return self._settled.get(name)

    def new(self, name: str) -> ConnectionPlugin:
        """A fresh, unopened instance of a type."""
        return type(self.get(name))()

    def info(self, name: str) -> PluginRecord:
        """The record of one type, imported now if it was not. Raises `PluginError` when the type is unknown."""
        return _with_schema_problem(self._record(name))

    def records(self) -> tuple[PluginRecord, ...]:
        """Every plugin there is, broken ones with their problem, by name. Imports all of them, and no driver."""
        self._load_all()
        found = [each for name in self.names() for each in self._checked(self._records_of(name))]
        return tuple(map(_with_schema_problem, found))

    def all(self) -> dict[str, ConnectionPlugin]:
        """The usable types by name."""
        return {each.name: each.plugin for each in self.records() if each.plugin is not None and each.problem is None}

    def find_task(self, task: str, types: Iterable[str] = ()) -> ConnectionPlugin | None:
        """The plugin that owns `task`, None when none does.

        `types` (the flow's own connections) are asked first, then those whose name fits, then the others, so that
        as a rule one plugin is imported. Raises `PluginError` when the name is claimed twice.
        """
        owner = self._owners.get(task)
        if owner is not None:
            return self._settled.get(owner) or self.get(owner)
        claims = (each for name in self._by_likelihood(task, types) for each in self._records_of(name))
        owner = next((each.name for each in claims if each.plugin and task in each.plugin.get_builtin_tasks()), None)
        if owner is None:
            return None
        found = self.get(owner)
        self._owners[task] = owner
        return found

    def tasks(self, name: str) -> Mapping[str, TaskSpec]:
        """The tasks of a type, by name, as their signatures specify them."""
        return self.tasks_of(self.get(name))

    def tasks_of(self, plugin: ConnectionPlugin) -> Mapping[str, TaskSpec]:
        """The same for a plugin of this registry."""
        kind = type(plugin)
        if kind not in self._specs:
            self._specs[kind] = specs_of(plugin, self.info(plugin.name).source)
        return self._specs[kind]

    def fingerprint(self) -> tuple[object, ...]:
        """Equal as long as the same plugins are there: part of the key of anything computed from them."""
        candidates = tuple((each.name, each.source, each.target) for each in self._all_candidates())
        return (self._registrations, tuple(self._registered), candidates)

    # ------------------------------------------------------------ discovering and loading

    def _found(self) -> dict[str, list[Candidate]]:
        """The candidates by name: read again only when something was installed or removed."""
        if not self._discover:
            return self._candidates
        from flowlang import connections
        from flowlang.connections import _discovery as discovery

        folders = tuple(connections.__path__)
        before, self._installed = self._installed, discovery.look(folders, self._installed)
        if before is not None and before.present == self._installed.present:
            return self._candidates
        found: dict[str, list[Candidate]] = {}
        for each in (*discovery.built_ins(connections.__name__, folders), *discovery.entry_points()):
            found.setdefault(each.name, []).append(each)
        with self._guard:
            present = {each for several in found.values() for each in several}
            # What failed before may work now: what it missed may be what was installed.
            self._loaded = {key: each for key, each in self._loaded.items() if key in present and each.problem is None}
            self._candidates = found
            self._unsettle()
        return found

    def _all_candidates(self) -> list[Candidate]:
        return [each for several in self._found().values() for each in several]

    def _record(self, name: str) -> PluginRecord:
        records = self._records_of(name)
        if not records:
            raise PluginError(_unknown(name, self.names()))
        if any(each.plugin is not None and _has_stray_tasks(each.plugin) for each in records):
            self._load_all()  # names without the plugin's prefix may be anyone's, so everyone is asked
        return self._checked(records)[0]

    def _load_all(self) -> None:
        for each in self._all_candidates():
            self._load(each)

    def _records_of(self, name: str) -> list[PluginRecord]:
        """What claims `name`, loaded: candidates and a registration; the same class once."""
        records: list[PluginRecord] = []
        registered = self._registered.get(name)
        own = [registered] if registered is not None else []
        for each in (*map(self._load, self._found().get(name, ())), *own):
            if each.plugin is None or all(type(each.plugin) is not type(other.plugin) for other in records):
                records.append(each)
        return records

    def _checked(self, records: list[PluginRecord]) -> list[PluginRecord]:
        """The records with rivalries as their problem, usable ones first."""
        rivals = [each for each in (*self._loaded.values(), *self._registered.values()) if each.plugin is not None]
        checked = []
        for record in records:
            clash = next(filter(None, (_clash(record, each) for each in rivals)), None) if record.plugin else None
            checked.append(replace(record, problem=clash) if clash else record)
        return sorted(checked, key=lambda each: each.problem is not None)

    def _load(self, candidate: Candidate) -> PluginRecord:
        known = self._loaded.get(candidate)
        if known is None:
            known = self._imported(candidate)
            with self._guard:
                known = self._loaded.setdefault(candidate, known)
                self._unsettle()
        return known

    def _imported(self, candidate: Candidate) -> PluginRecord:
        """Import a candidate behind a wall: whatever its code does becomes a record."""
        from flowlang.connections._capture import captured

        loading = Loading(candidate, [], self._history)
        token = self._loading.set(loading)
        plugin: ConnectionPlugin | None = None
        problem = candidate.problem
        with captured() as output:
            try:
                if problem is None:
                    plugin = loading.chosen(candidate.load() if candidate.built_in else in_time(candidate))
            except KeyboardInterrupt:
                raise
            except PluginError as error:
                problem = str(error)
            except BaseException as error:  # noqa: BLE001 - the code is a stranger's: SystemExit and worse end here
                problem = _failed(error)
            finally:
                self._loading.reset(token)
        if problem is not None:
            _LOG.debug("connection plugin %s (%s): %s", candidate.name, candidate.source, problem)
        entry_point = None if candidate.built_in else f"{candidate.name} = {candidate.target}"
        return PluginRecord(candidate.name, plugin, candidate.source, entry_point, problem, output.text)

    def _by_likelihood(self, task: str, types: Iterable[str]) -> list[str]:
        names = self.names()
        fitting = [each for each in names if task.startswith(f"{each}_") or each.startswith(task.partition("_")[0])]
        return list(dict.fromkeys((*(each for each in types if each in names), *fitting, *names)))


def specs_of(plugin: ConnectionPlugin, origin: str) -> Mapping[str, TaskSpec]:
    """The tasks of a plugin by name; `origin` is where it comes from."""
    from flowlang.tasks.signature import spec_of

    functions = plugin.get_builtin_tasks()
    return MappingProxyType(
        {
            task: spec_of(function, name=task, connection_type=plugin.name, origin=origin)
            for task, function in functions.items()
        }
    )


def _clash(one: PluginRecord, other: PluginRecord) -> str | None:
    """Why two plugins cannot both be there, naming both packages; None when they can, or are the same class."""
    if one.plugin is None or other.plugin is None or type(one.plugin) is type(other.plugin):
        return None
    both = f"both {_owner(other)} and {_owner(one)}"
    if one.name == other.name:
        return f"{both} provide the connection type `{one.name}`; remove one of them"
    shared = sorted(set(one.plugin.get_builtin_tasks()) & set(other.plugin.get_builtin_tasks()))
    if shared:
        return f"{both} provide the task `{shared[0]}`; remove one of them"
    return None


def _owner(record: PluginRecord) -> str:
    kind = type(record.plugin)
    return f"{kind.__module__}.{kind.__qualname__} ({record.source})"


def _has_stray_tasks(plugin: ConnectionPlugin) -> bool:
    prefixes = tuple(f"{each}_" for each in (plugin.name.replace("-", "_"), plugin.task_prefix) if each)
    return not all(task.startswith(prefixes) for task in plugin.get_builtin_tasks())


def _with_schema_problem(record: PluginRecord) -> PluginRecord:
    from flowlang.connections.config import schema_of

    if record.plugin is None or record.problem is not None:
        return record
    try:
        schema_of(record.plugin)
    except PluginError as error:
        return replace(record, problem=str(error))
    return record


def _failed(error: BaseException) -> str:
    from flowlang.connections.errors import describe

    return f"importing it failed: {describe(error)}"


def _unknown(name: str, known: tuple[str, ...]) -> str:
    from flowlang.diagnostics import nearest, visible

    meant = nearest(name, known)
    listed = ", ".join(known) or "none"
    hint = f"did you mean `{meant}`?" if meant else f"known types: {listed}"
    return f"no connection type `{visible(name)}`; {hint}"


plugin_registry = PluginRegistry()
