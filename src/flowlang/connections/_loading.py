"""The import of one plugin: which of the classes that register meanwhile is the one that was looked for."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Mapping
from typing import Any

from flowlang.connections._discovery import Candidate
from flowlang.connections.base import ConnectionPlugin
from flowlang.exceptions import PluginError
from flowlang.records import frozen

IMPORT_LIMIT = 20.0  # seconds
# What a module fails with that can be imported on the main thread only: it handles a signal, or makes an event loop.
_MAIN_ONLY = ("main thread", "event loop in thread")


def in_time(candidate: Candidate) -> Any:
    """What importing the candidate gives. Raises what the import raises, `PluginError` when it does not end in time.

    It runs on a thread of its own: nothing can stop an import, but one that hangs need not stop everybody else. Then
    the thread is left behind, and ends with the process. A module that goes to the main thread only, and says so, is
    imported there, if this is it; nobody watches it then.
    """
    found: list[Any] = []
    failed: list[BaseException] = []

    def load() -> None:
        try:
            found.append(candidate.load())
        except BaseException as error:  # noqa: BLE001 - it is raised again by the thread that waits
            failed.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(load,), name=f"import {candidate.target}", daemon=True)
    thread.start()
    thread.join(IMPORT_LIMIT)
    here = threading.current_thread() is threading.main_thread()
    if failed and here and any(each in str(failed[0]) for each in _MAIN_ONLY):
        return candidate.load()
    if failed:
        raise failed[0]
    if not found:
        raise PluginError(f"importing it did not end within {IMPORT_LIMIT:g} s")
    return found[0]


@frozen
class Loading:
    """The import of a candidate that is under way; `found` collects what registers itself meanwhile.

    `history` is what registered at any time: a module that was imported before does not register again.
    """

    candidate: Candidate
    found: list[ConnectionPlugin]
    history: Mapping[type, ConnectionPlugin]

    def accepts(self, plugin: ConnectionPlugin, candidates: Mapping[str, list[Candidate]]) -> bool:
        """Whether `plugin` belongs to this import: by name, or as a sibling from the same package, which is found
        again by its own entry point."""
        if plugin.name == self.candidate.name:
            return True
        siblings = candidates.get(plugin.name, ())
        if any(each.source == self.candidate.source and not each.built_in for each in siblings):
            return True
        if _package(type(plugin).__module__) != _package(self.candidate.target):
            return False  # a plugin of somebody else, imported on the way
        raise PluginError(self._misnamed(plugin))

    def chosen(self, target: Any) -> ConnectionPlugin:
        """The plugin that the imported `target` stands for. Raises `PluginError` when there is none."""
        from flowlang.connections._contract import prototype_of

        if isinstance(target, (type, ConnectionPlugin)):
            plugin = prototype_of(target)
            if plugin.name != self.candidate.name:
                raise PluginError(self._misnamed(plugin))
            return plugin
        if not hasattr(target, "__path__") and not hasattr(target, "__file__"):
            raise PluginError(f"`{self.candidate.target}` is neither a plugin's class, an instance of it, nor a module")
        name, package = self.candidate.name, _package(self.candidate.target)
        known = self.history.values()
        before = [each for each in known if each.name == name and _package(type(each).__module__) == package]
        found = [each for each in self.found if each.name == name]
        by_class = {type(each): each for each in found or before[-1:]}
        if len(by_class) == 1:
            return next(iter(by_class.values()))
        if by_class:
            raise PluginError(f"`{self.candidate.target}` registers {len(by_class)} plugins named {name!r}")
        raise PluginError(
            f"`{self.candidate.target}` registers no plugin: its __init__.py has to call plugin_registry.register(...)"
        )

    def _misnamed(self, plugin: ConnectionPlugin) -> str:
        place = "folder" if self.candidate.built_in else "entry point"
        kind = type(plugin)
        return (
            f"the {place} is called {self.candidate.name!r} but the plugin {kind.__module__}.{kind.__qualname__} "
            f"has the name {plugin.name!r}; they must be the same"
        )


def _package(module: str) -> str:
    """The folder of a built-in, the top-level package of any other module."""
    module = module.partition(":")[0].strip()
    depth = 3 if module.startswith("flowlang.connections.") else 1
    return ".".join(module.split(".")[:depth])
