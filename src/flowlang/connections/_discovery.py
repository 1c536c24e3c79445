"""Where plugins are found without importing any: folders of this package, and entry points of installed ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from flowlang.records import frozen

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

GROUP = "flowlang.connections"
BUILT_IN = "built-in"
SERVICE = ".service.yaml"


@frozen
class Candidate:
    """A plugin that is known to exist but is not imported.

    `source` is "built-in" or the installed package and its version; `target` what is imported (`module` or
    `module:attribute`), or the file of a service (`package:name.service.yaml`); `folder` where a built-in stands.
    `problem` is set when a package's metadata cannot be read.
    """

    name: str
    source: str
    target: str
    built_in: bool
    folder: str = ""
    problem: str | None = None

    def load(self) -> Any:
        """Import it. Returns the module, class or instance that it names; raises whatever the import raises."""
        import importlib

        module_name, _, attribute = self.target.partition(":")
        if attribute.endswith(SERVICE):
            from flowlang.services.files import packaged

            return packaged(module_name.strip(), attribute)
        found: Any = importlib.import_module(module_name.strip())
        for part in filter(None, attribute.split("[")[0].strip().split(".")):
            found = getattr(found, part)
        return found


@frozen
class Installed:
    """What was on the path at a time: when each folder changed, and the packages and plugins that stood there."""

    changed: tuple[tuple[str, int], ...]
    present: tuple[tuple[str, frozenset[str]], ...]


def look(folders: Sequence[str], before: Installed | None) -> Installed:
    """What is installed now; the folders that `before` saw are read again only when one of them changed.

    A folder of the path also changes when a flow writes a file there, so it is `present` that tells.
    """
    paths = (*folders, *sys.path)
    changed = tuple((each, _changed(each)) for each in paths)
    if before is not None and before.changed == changed:
        return before
    plugins = ((each, frozenset(_provider_folders(each))) for each in folders)
    packages = ((each, frozenset(_packages(each))) for each in sys.path)
    return Installed(changed, (*plugins, *packages))


def _changed(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0


def _packages(folder: str) -> Iterator[str]:
    try:
        names = os.listdir(folder or ".")
    except OSError:  # a zip archive, or a folder that is not there
        yield f"{folder}@{_changed(folder)}"
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info", ".egg")):
            yield name


def built_ins(package: str, folders: Iterable[str]) -> Iterator[Candidate]:
    """Each folder of `folders` that holds a provider; the first of a name hides later ones, as importing does."""
    seen: set[str] = set()
    for folder in folders:
        for name in sorted(_provider_folders(folder)):
            if name not in seen:
                seen.add(name)
                yield Candidate(name, BUILT_IN, f"{package}.{name}", built_in=True, folder=folder)


def _provider_folders(folder: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name[:1] not in "_." and any(
            os.path.exists(os.path.join(entry.path, each)) for each in ("provider.py", "provider")
        ):
            yield entry.name


def entry_points() -> list[Candidate]:
    """The entry points of the group in all installed packages, by name and package; a package whose metadata is broken
    becomes one candidate with a problem and does not hide the others."""
    return sorted(_declared(), key=lambda each: (each.name, each.source)) if _any_declared() else []


def _declared() -> Iterator[Candidate]:
    from importlib import metadata

    seen: set[str] = set()
    for each in metadata.distributions():
        if GROUP not in (_attempt(lambda: each.read_text("entry_points.txt")) or ""):  # noqa: B023 - called at once
            continue
        name = _attempt(lambda: each.metadata["Name"]) or ""  # noqa: B023
        key = name.lower().replace("_", "-").replace(".", "-")
        if key in seen:
            continue
        seen.add(key)
        # Of two copies of a package on the path, the first is the one that is imported.
        front = _attempt(lambda: metadata.distribution(name)) if name else each  # noqa: B023
        yield from _of_distribution(front or each, name)


def _any_declared() -> bool:
    """Whether any package may name our group. Where every entry of the path is a folder this is seen in the
    `entry_points.txt` files themselves, at a tenth of what importing the metadata machinery costs."""
    if any(hasattr(each, "find_distributions") and each is not PathFinder for each in sys.meta_path):
        return True
    return any(map(_declares, dict.fromkeys(sys.path)))


def _declares(folder: str) -> bool:
    try:
        names = os.listdir(folder or ".")
    except NotADirectoryError:
        return True  # an archive: only the metadata machinery can look into it
    except OSError:
        return False
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            try:
                with open(os.path.join(folder, name, "entry_points.txt"), "rb") as file:
                    if GROUP.encode() in file.read():
                        return True
            except OSError:  # most packages have none
                continue
        elif name.endswith(".egg"):
            return True
    return False


def _of_distribution(distribution: Distribution, name: str) -> Iterator[Candidate]:
    version = _attempt(lambda: distribution.version) or ""
    source = " ".join(filter(None, (name or "an unnamed package", version)))
    try:
        points: list[EntryPoint] = [each for each in distribution.entry_points if each.group == GROUP]
    except Exception as error:  # noqa: BLE001 - metadata is text that any tool may have written
        reason = f"the entry points of {source} cannot be read: {type(error).__name__}: {error}"
        yield Candidate(name or "unknown", source, "", built_in=False, problem=reason)
        return
    for each in points:
        yield Candidate(each.name, source, each.value, built_in=False)


def _attempt(read: Callable[[], str | Any]) -> Any:
    """What `read` gives, None when the metadata is damaged."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - one damaged package must not hide all others
        return None
