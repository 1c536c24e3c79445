"""Where service files are found: beside a flow, in a folder `services` there, in the folders around it up to the root
of the project, in an installed package, or where somebody says.

The root of a project is the nearest folder that holds `.git` or `pyproject.toml`. Without one only the flow's own
folder is looked at, so that nobody else's folder brings types.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowlang.exceptions import PluginError
from flowlang.records import frozen

if TYPE_CHECKING:
    from flowlang.services.plugin import ServicePlugin
    from flowlang.services.read import Read

SUFFIX = ".service.yaml"
FOLDER = "services"
ROOT_MARKS = (".git", "pyproject.toml")
_MOST = 256  # files whose reading is kept
_DEEPEST = 64  # folders up to the root

_LISTED: dict[str, tuple[int, tuple[str, ...]]] = {}
_READ: dict[tuple[str, str], Loaded] = {}


@frozen
class Loaded:
    """A service file as a plugin; None, and the reason, when it cannot be one. `name` is the type that it is for."""

    name: str
    file: str
    plugin: type[ServicePlugin] | None
    problem: str | None = None


def around(folder: str) -> tuple[str, ...]:
    """The service files that flows in `folder` may use, the nearest first."""
    found: list[str] = []
    for each in _up(os.path.abspath(folder)):
        found += _in(each)
        found += _in(os.path.join(each, FOLDER))
    return tuple(dict.fromkeys(found))  # a folder `services` is its own, and one of the folder around it


def _up(folder: str) -> list[str]:
    """`folder` and those around it up to the root of the project."""
    path, passed = folder, []
    for _ in range(_DEEPEST):
        passed.append(path)
        if any(os.path.lexists(os.path.join(path, mark)) for mark in ROOT_MARKS):
            return passed
        above = os.path.dirname(path)
        if above == path:
            break
        path = above
    return [folder]


def _in(folder: str) -> tuple[str, ...]:
    """The service files right in a folder; it is listed again only when it changed."""
    try:
        changed = os.stat(folder).st_mtime_ns
    except OSError:
        return ()
    known = _LISTED.get(folder)
    if known is not None and known[0] == changed:
        return known[1]
    try:
        names = sorted(each for each in os.listdir(folder) if each.endswith(SUFFIX) and each != SUFFIX)
    except OSError:
        return ()
    found = tuple(os.path.join(folder, each) for each in names)
    if len(_LISTED) >= _MOST:
        _LISTED.clear()
    _LISTED[folder] = (changed, found)
    return found


# ---------------------------------------------------------------- loading


def read_file(file: str) -> str:
    with open(file, "rb") as opened:
        return opened.read().decode("utf-8-sig", "replace")


def load(file: str, read: Callable[[str], str] = read_file) -> Loaded:
    """The plugin that a service file describes, the same one as long as its text is the same. `read` gives the text of
    a file (`OSError`: none)."""
    name = os.path.basename(file).removesuffix(SUFFIX)
    try:
        text = read(file)
    except OSError as error:
        return Loaded(name, file, None, f"it cannot be read: {(error.strerror or str(error)).lower()}")
    key = (file, text)
    known = _READ.get(key)
    if known is None:
        if len(_READ) >= _MOST:
            _READ.clear()
        known = _READ[key] = _made(file, text)
    return known


def _made(file: str, text: str) -> Loaded:
    from flowlang.services.plugin import plugin_of
    from flowlang.services.read import read_service

    read = read_service(file, text)
    if read.service is None:
        return Loaded(os.path.basename(file).removesuffix(SUFFIX), file, None, _why(file, read))
    return Loaded(read.service.name, file, plugin_of(read.service))


def _why(file: str, read: Read) -> str:
    errors = [each for each in read.findings if each.severity == "error"]
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    shown = os.path.relpath(file) if not os.path.relpath(file).startswith("..") else file
    return f"{errors[0].span}: {errors[0].message}{more} (`flowlang check {shown}` tells all)"


def plugin(file: str) -> type[ServicePlugin]:
    """The connection type that a service file describes. Raises `PluginError` with the first thing that is wrong.

    plugin_registry.register(plugin("acme.service.yaml"))
    """
    loaded = load(file)
    if loaded.plugin is None:
        raise PluginError(str(loaded.problem))
    return loaded.plugin


def packaged(package: str, resource: str) -> type[ServicePlugin]:
    """The connection type of an entry point `package:name.service.yaml`: a file in the folder of a package, which is
    not imported. Raises `PluginError`."""
    from importlib.util import find_spec

    spec: Any = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    for folder in folders:
        file = os.path.join(folder, resource)
        if os.path.isfile(file):
            return plugin(file)
    where = f"the package `{package}` has no file `{resource}`" if folders else f"there is no package `{package}`"
    raise PluginError(f"{where}; is it left out of the wheel?")
