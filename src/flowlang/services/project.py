"""The registry as a flow in some folder sees it: the installed types, and the services of the project.

Files are looked for when a name is asked for that no installed plugin has: a flow that uses none pays nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.registry import PluginRecord, PluginRegistry, specs_of
from flowlang.exceptions import PluginError
from flowlang.services.files import SUFFIX, Loaded, around, load, read_file

if TYPE_CHECKING:
    from flowlang.tasks.spec import TaskSpec

_SPECS: dict[type, Mapping[str, TaskSpec]] = {}
_MOST = 256


def with_services(registry: PluginRegistry, folder: str, read: Callable[[str], str] | None = None) -> ProjectRegistry:
    """`registry` with the services around `folder`. `read` gives their texts (`OSError`: none), for an editor that has
    others than the disk; left out, as `registry` reads them."""
    if isinstance(registry, ProjectRegistry):
        return ProjectRegistry(registry.base, folder, read or registry.read)
    return ProjectRegistry(registry, folder, read or read_file)


def beside(file: str) -> ProjectRegistry:
    """The types as the flow in `file` sees them."""
    from flowlang.connections import plugin_registry

    return with_services(plugin_registry, os.path.dirname(os.path.abspath(file)))


class ProjectRegistry(PluginRegistry):
    """`base` and the services around `folder`. None of them hides a type: an installed one stays, and two files of one
    name are a clash. Wherever a type is named, the path of a service file does as well; it counts from `folder`.
    `used` are the files of the services that were asked for. The folders of the path are looked at once for each type:
    what a check has found installed stays so until its end."""

    def __init__(self, base: PluginRegistry, folder: str, read: Callable[[str], str]) -> None:
        # Not the tables of a registry: this one loads nothing, and there is one for each check.
        self.base = base
        self.read = read
        self.used: set[str] = set()
        self._folder = folder
        self._around: dict[str, PluginRecord] | None = None
        self._files: dict[str, PluginRecord] = {}
        self._usable: dict[str, ConnectionPlugin] = {}

    @property
    def _services(self) -> dict[str, PluginRecord]:
        """The services around the folder by name, read at the first call."""
        if self._around is None:
            self._around = {}
            for file in around(self._folder):
                record = _record(load(file, self.read))
                before = self._around.get(record.name)
                if before is not None:
                    clash = _clash(record.name, before, record)
                    record = PluginRecord(record.name, None, record.source, before.entry_point, clash)
                self._around[record.name] = record
        return self._around

    def _own(self, name: object) -> PluginRecord | None:
        """The record of a service, by its name or its file; None for any other type."""
        if not isinstance(name, str) or name in self._usable or name in self.base:
            return None
        if not name.endswith(SUFFIX):
            return self._services.get(name)
        if name not in self._files:
            self._files[name] = _record(load(os.path.normpath(os.path.join(self._folder, name)), self.read))
        return self._files[name]

    def services(self, types: Iterable[str] = ()) -> dict[str, PluginRecord]:
        """The services around the folder by name, and by path those of all `types` so far that are named so."""
        for each in types:
            self._own(each)
        return {**self._services, **self._files}

    def register(self, plugin: ConnectionPlugin | type[ConnectionPlugin]) -> None:
        self._usable.clear()
        self.base.register(plugin)

    @contextmanager
    def registered(self, *plugins: ConnectionPlugin | type[ConnectionPlugin]) -> Iterator[None]:
        try:
            with self.base.registered(*plugins):
                self._usable.clear()
                yield
        finally:
            self._usable.clear()

    def names(self) -> tuple[str, ...]:
        return tuple(sorted({*self.base.names(), *self._services}))

    def __contains__(self, name: object) -> bool:
        return name in self._usable or name in self.base or self._own(name) is not None

    def get(self, name: str) -> ConnectionPlugin:
        plugin = self._usable.get(name)
        if plugin is None:
            plugin = self.base.settled(name)
        record = self._own(name) if plugin is None else None
        if record is None:
            self._usable[name] = plugin = self.base.get(name) if plugin is None else plugin
            return plugin
        if record.plugin is None or record.problem is not None:
            raise PluginError(f"connection type `{name}` ({record.source}) cannot be used: {record.problem}")
        self.used.add(record.entry_point or "")
        return record.plugin

    def info(self, name: str) -> PluginRecord:
        return self._own(name) or self.base.info(name)

    def tasks(self, name: str) -> Mapping[str, TaskSpec]:
        plugin = self.get(name)
        if name in self._usable:
            return self.base.tasks_of(plugin)
        record = self.info(name)
        kind = type(plugin)
        if kind not in _SPECS:
            if len(_SPECS) >= _MOST:
                _SPECS.clear()
            _SPECS[kind] = specs_of(plugin, record.source)
        return _SPECS[kind]

    def records(self) -> tuple[PluginRecord, ...]:
        """All of them. A service that is called as an installed type is there twice, and is the one with a problem."""
        found = [*self.base.records()]
        for name, record in self._services.items():
            if name in self.base:
                clash = _clash(name, self.base.info(name), record)
                record = PluginRecord(name, record.plugin, record.source, record.entry_point, clash)
            found.append(record)
        return tuple(sorted(found, key=lambda each: each.name))

    def find_task(self, task: str, types: Iterable[str] = ()) -> ConnectionPlugin | None:
        found = self.base.find_task(task, types)
        if found is None:
            for name, record in self._services.items():
                if record.plugin is not None and task in record.plugin.get_builtin_tasks():
                    return self.get(name)
        return found

    def fingerprint(self) -> tuple[object, ...]:
        return self.base.fingerprint()


def _record(loaded: Loaded) -> PluginRecord:
    """A service as listings show it. Its entry point is its file."""
    shown = os.path.relpath(loaded.file)
    source = f"file {loaded.file if shown.startswith('..') else shown}"
    plugin = loaded.plugin() if loaded.plugin is not None else None
    return PluginRecord(loaded.name, plugin, source, loaded.file, loaded.problem)


def _clash(name: str, one: PluginRecord, other: PluginRecord) -> str:
    return f"both {one.source} and {other.source} provide the connection type `{name}`; remove one of them"


def here() -> ProjectRegistry:
    """The types as a flow in the working directory sees them."""
    from flowlang.connections import plugin_registry

    return with_services(plugin_registry, os.getcwd())
