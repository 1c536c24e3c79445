"""The registry as a flow in some folder sees it: the installed types, and the services of the project.

Files are looked for when a name is asked for that no installed plugin has: a flow that uses none pays nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.registry import PluginRecord, PluginRegistry
from flowlang.exceptions import PluginError
from flowlang.services.files import Loaded, around, load

if TYPE_CHECKING:
    from flowlang.tasks.spec import TaskSpec

_SPECS: dict[type, Mapping[str, TaskSpec]] = {}
_MOST = 256


def with_services(registry: PluginRegistry, folder: str, named: tuple[str, ...] = ()) -> ProjectRegistry:
    """`registry` with the services around `folder`, and those of the files `named`, which count from there."""
    base = registry.base if isinstance(registry, ProjectRegistry) else registry
    return ProjectRegistry(base, folder, named)


class ProjectRegistry(PluginRegistry):
    """`base` and the services beside it. None of them hides a type: an installed one stays, and two files of one name
    are a clash. `used` are the files of the services that were asked for."""

    def __init__(self, base: PluginRegistry, folder: str, named: tuple[str, ...] = ()) -> None:
        # Not the tables of a registry: this one loads nothing, and there is one for each check.
        self.base = base
        self.used: set[str] = set()
        self._folder, self._named = folder, named
        self._known: dict[str, PluginRecord] | None = None
        if len(_SPECS) >= _MOST:
            _SPECS.clear()
        self._specs = _SPECS

    @property
    def _services(self) -> dict[str, PluginRecord]:
        """The services by name, read at the first call."""
        if self._known is None:
            self._known = {}
            named = [os.path.join(self._folder, each) for each in self._named]
            for file in dict.fromkeys(map(os.path.abspath, (*named, *around(self._folder)))):
                record = _record(load(file))
                before = self._known.get(record.name)
                if before is not None:
                    clash = _clash(record.name, before, record)
                    record = PluginRecord(record.name, None, record.source, before.entry_point, clash)
                self._known[record.name] = record
        return self._known

    def register(self, plugin: ConnectionPlugin | type[ConnectionPlugin]) -> None:
        self.base.register(plugin)

    @contextmanager
    def registered(self, *plugins: ConnectionPlugin | type[ConnectionPlugin]) -> Iterator[None]:
        with self.base.registered(*plugins):
            yield

    def names(self) -> tuple[str, ...]:
        return tuple(sorted({*self.base.names(), *self._services}))

    def __contains__(self, name: object) -> bool:
        return name in self.base or name in self._services

    def get(self, name: str) -> ConnectionPlugin:
        if name in self.base or name not in self._services:
            return self.base.get(name)
        record = self._services[name]
        self.used.add(record.entry_point or "")
        if record.plugin is None or record.problem is not None:
            raise PluginError(f"connection type `{name}` ({record.source}) cannot be used: {record.problem}")
        return record.plugin

    def info(self, name: str) -> PluginRecord:
        if name in self.base or name not in self._services:
            return self.base.info(name)
        return self._services[name]

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
