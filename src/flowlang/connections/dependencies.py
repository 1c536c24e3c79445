"""Whether what a plugin needs is installed: looked up as distributions, so that no driver is ever imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from flowlang.records import frozen

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from flowlang.connections.base import ConnectionPlugin

_DEEPEST = 5  # extras that need extras


@frozen
class Dependency:
    """One requirement of a plugin and what is there.

    `requirement` is as the plugin wrote it; `installed` the version found, None when there is none. `reason` says
    why it is not satisfied, or why it does not matter here; empty when all is well.
    """

    requirement: str
    name: str
    installed: str | None
    satisfied: bool
    reason: str = ""


def dependencies(plugin: ConnectionPlugin) -> tuple[Dependency, ...]:
    """Every requirement of the plugin: what `get_dependencies` lists, and its folder's `requirements.txt`."""
    from flowlang.exceptions import PluginError

    try:
        listed = [str(each) for each in plugin.get_dependencies()]
    except Exception as error:
        raise PluginError(
            f"plugin {plugin.name}: get_dependencies() failed: {type(error).__name__}: {error}"
        ) from error
    wanted = {" ".join(each.split()): None for each in (*listed, *_requirements_file(plugin))}
    return tuple(map(look_up, wanted))


def missing(plugin: ConnectionPlugin) -> tuple[Dependency, ...]:
    """The requirements of the plugin that are not satisfied."""
    return tuple(each for each in dependencies(plugin) if not each.satisfied)


def refuse_misfits(plugin: ConnectionPlugin) -> None:
    """Raise PluginError for a driver that is installed in a version the plugin does not take.

    It may be one that loses data or mixes up answers, and nothing else would tell. A driver that is missing says so
    itself when it is imported.
    """
    from flowlang.exceptions import PluginError

    misfits = [each for each in dependencies(plugin) if each.installed is not None and not each.satisfied]
    if misfits:
        found = ", ".join(f"`{each.name}`: {each.reason}" for each in misfits)
        raise PluginError(f"plugin `{plugin.name}` cannot use its driver ({found}); {pip_line(misfits)}")


def advice(plugin: ConnectionPlugin) -> str | None:
    """The command that installs what the plugin lacks, None when it lacks nothing."""
    lacking = missing(plugin)
    return pip_line(lacking) if lacking else None


def pip_line(wanted: Iterable[Dependency | str]) -> str:
    """The command that installs `wanted`, quoted for a shell."""
    import shlex

    texts = (each if isinstance(each, str) else each.requirement for each in wanted)
    return "pip install " + " ".join(shlex.quote(each.partition(";")[0].strip()) for each in texts)


def look_up(requirement: str) -> Dependency:
    """Whether one PEP 508 requirement is satisfied here: name, version, extras and markers."""
    return _looked_up(requirement, _state_of_path())


def _state_of_path() -> tuple[tuple[int, int], ...]:
    """The folders in which distributions lie, and when each was changed: another one after an installation."""
    states = []
    for each in sys.path:
        try:
            found = os.stat(each or os.curdir)
        except OSError:
            continue
        states.append((found.st_ino, found.st_mtime_ns))
    return tuple(states)


@lru_cache(maxsize=256)
def _looked_up(requirement: str, path: tuple[tuple[int, int], ...]) -> Dependency:
    """To read what is installed takes milliseconds, and each run asks for it: kept while the path stays as it is."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(requirement)
    except InvalidRequirement as error:
        reason = f"not a PEP 508 requirement: {str(error).splitlines()[0]}"
        return Dependency(requirement, requirement, None, satisfied=False, reason=reason)
    if wanted.marker is not None and not wanted.marker.evaluate():
        return Dependency(requirement, wanted.name, _version(wanted.name), satisfied=True, reason="not needed here")
    installed = _version(wanted.name)
    reason = _lack(wanted, installed)
    return Dependency(requirement, wanted.name, installed, satisfied=not reason, reason=reason)


def forget() -> None:
    """Look up anew what is installed: it has changed, and the path has not."""
    _looked_up.cache_clear()


def _lack(wanted: Requirement, installed: str | None, depth: int = 0) -> str:
    """Why `wanted` is not satisfied; empty when it is."""
    from packaging.version import InvalidVersion, Version

    if installed is None:
        return "not installed"
    try:
        version = Version(installed)
    except InvalidVersion:
        return f"the installed version {installed!r} cannot be read"
    if not wanted.specifier.contains(version, prereleases=True):
        return f"{installed} is installed, {wanted.specifier} is wanted"
    lacks = (_extra_lack(wanted.name, extra, depth) for extra in sorted(wanted.extras)) if depth < _DEEPEST else ()
    return next(filter(None, lacks), "")


def _extra_lack(name: str, extra: str, depth: int) -> str:
    from importlib import metadata

    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    distribution = metadata.distribution(name)
    provided = {canonicalize_name(each) for each in distribution.metadata.get_all("Provides-Extra") or ()}
    if canonicalize_name(extra) not in provided:
        return f"{name} has no extra {extra!r}"
    for text in distribution.requires or ():
        try:
            inner = Requirement(text)
        except InvalidRequirement:
            continue
        if inner.marker is None or inner.marker.evaluate({"extra": ""}) or not inner.marker.evaluate({"extra": extra}):
            continue
        if lack := _lack(inner, _version(inner.name), depth + 1):
            return f"extra {extra!r}: {inner.name}: {lack}"
    return ""


def _version(name: str) -> str | None:
    from importlib import metadata

    try:
        found: str | None = metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
    except Exception:  # noqa: BLE001 - damaged metadata is as good as none, and must not end the listing
        return None
    return found


def _requirements_file(plugin: ConnectionPlugin) -> Iterator[str]:
    """The requirements in the `requirements.txt` beside the plugin's class; pip's own options are left out."""
    module = getattr(sys.modules.get(type(plugin).__module__), "__file__", None)
    path = os.path.join(os.path.dirname(module), "requirements.txt") if module else ""
    if not os.path.isfile(path):
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    for line in text.replace("\\\n", " ").splitlines():
        text = line.split(" #")[0].split(" --")[0].strip()
        if text and not text.startswith(("#", "-")):
            yield text
