"""The tasks that a flow may use: of its connections' plugins, its own task files, those given to `run`, and the
file tasks. Names are resolved here, once, before the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.registry import PluginRegistry
from flowlang.exceptions import PluginError
from flowlang.records import frozen
from flowlang.tasks.signature import spec_of
from flowlang.tasks.spec import TaskSpec


@frozen
class Entry:
    """A task and, unless a plugin owns it, what to call: a function, or the file that defines it."""

    spec: TaskSpec
    function: Callable[..., Any] | None = None
    source: str | None = None


@frozen
class Provider:
    """A connection type as a flow sees it: its plugin and tasks, or the reason why it cannot be used."""

    plugin: ConnectionPlugin | None
    tasks: Mapping[str, TaskSpec]
    problem: str = ""


@dataclass(slots=True)
class Catalogue:
    """Looks tasks up for one check, and asks the registry for each connection type once. `own` are the tasks of
    the flow's files and of the caller."""

    registry: PluginRegistry
    own: dict[str, Entry] = field(default_factory=dict)
    _providers: dict[str, Provider] = field(default_factory=dict)

    def provider(self, type_: str) -> Provider:
        """What there is of a connection type."""
        found = self._providers.get(type_)
        if found is None:
            try:
                found = Provider(self.registry.get(type_), self.registry.tasks(type_))
            except PluginError as error:
                found = Provider(None, {}, str(error))
            self._providers[type_] = found
        return found

    def without_connection(self, name: str) -> Entry | None:
        """A task that no plugin owns."""
        return self.own.get(name) or file_tasks().get(name)

    def owner(self, name: str) -> ConnectionPlugin | None:
        """The installed plugin that brings the task `name`, whatever the flow's connections are."""
        try:
            return self.registry.find_task(name)
        except PluginError:
            return None

    def names(self) -> list[str]:
        """Every name there is, for did-you-mean; this loads all plugins (not their drivers)."""
        return [
            *self.own,
            *file_tasks(),
            *(name for type_ in self.registry.all() for name in self.provider(type_).tasks),
        ]


_FILES: dict[str, Entry] = {}


def file_tasks() -> Mapping[str, Entry]:
    """The tasks that read and write files."""
    if not _FILES:
        from flowlang.tasks.files import FILE_TASKS

        for name, function in FILE_TASKS.items():
            _FILES[name] = Entry(spec_of(function, name=name, origin="flowlang"), function)
    return _FILES


def own_entries(tasks: Mapping[str, Callable[..., Any]]) -> dict[str, Entry]:
    """Functions handed to `run` or `check`, as tasks."""
    return {name: Entry(spec_of(function, name=name, origin="caller"), function) for name, function in tasks.items()}
