"""What a plugin's folder or wheel declares, read without running any of its code.

A folder is a package (`pyproject.toml`, `setup.cfg` or `setup.py` name its entry points) or the guide's folder
`flowlang/connections/<name>/`, which is its own declaration.
"""

from __future__ import annotations

import ast
import configparser
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flowlang.exceptions import PluginError
from flowlang.records import frozen

GROUP = "flowlang.connections"


@frozen
class Declared:
    """An entry point: the connection type that it names and what is imported for it, `module` or `module:attribute`."""

    name: str
    target: str

    @property
    def module(self) -> str:
        return self.target.partition(":")[0].strip()


@frozen
class Project:
    """A plugin's folder or wheel. `distribution` and `version` are None when they are not stated as plain text.

    `roots` go before the path so that its modules can be imported; `tree` is FlowLang's folder of connection types
    when it is one of the guide's folders. `requires` are the distributions it needs, `extras` those it may use.
    """

    path: Path
    plugins: tuple[Declared, ...]
    roots: tuple[Path, ...] = ()
    tree: Path | None = None
    distribution: str | None = None
    version: str | None = None
    requires: tuple[str, ...] = ()
    extras: Mapping[str, Sequence[str]] | None = None
    requires_python: str | None = None
    declared_in: str = ""


def read(path: Path) -> Project:
    """What stands at `path`. Raises `PluginError` when that is no plugin, and says what would make it one."""
    path = path.resolve()
    if path.suffix == ".whl" and path.is_file():
        return _wheel(path)
    if not path.is_dir():
        raise PluginError(f"`{path.name}` is neither a folder nor a wheel")
    for name, reading in _READERS.items():
        if (path / name).is_file():
            found = reading(path)
            if found is not None:
                return found
    if (path / "provider.py").is_file() and (path / "__init__.py").is_file():
        return Project(
            path, (Declared(path.name, f"{GROUP}.{path.name}"),), tree=path.parent, declared_in="the name of the folder"
        )
    raise PluginError(
        f"`{path.name}` holds no plugin: it needs a `pyproject.toml` with the entry point group `{GROUP}`, or "
        "`__init__.py` and `provider.py`"
    )


# ---------------------------------------------------------------- pyproject.toml


def _pyproject(folder: Path) -> Project | None:
    try:
        document = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PluginError(f"`pyproject.toml` cannot be read: {error}") from error
    about = document.get("project", {})
    points = about.get("entry-points", {}).get(GROUP, {})
    if not points:
        return None
    plugins = tuple(Declared(name, target) for name, target in points.items())
    return Project(
        folder,
        plugins,
        roots=_roots(folder, plugins),
        distribution=about.get("name"),
        version=about.get("version"),
        requires=tuple(about.get("dependencies", ())),
        extras=about.get("optional-dependencies", {}),
        requires_python=about.get("requires-python"),
        declared_in="pyproject.toml",
    )


def _roots(folder: Path, plugins: Sequence[Declared]) -> tuple[Path, ...]:
    """Where the modules of the entry points stand: `src`, or the folder itself."""
    tops = {each.module.partition(".")[0] for each in plugins}
    places = [folder / "src", folder]
    return tuple(each for each in places if any((each / top).exists() or (each / f"{top}.py").exists() for top in tops))


# ---------------------------------------------------------------- setuptools before pyproject.toml


def _setup_cfg(folder: Path) -> Project | None:
    parser = configparser.ConfigParser()
    try:
        parser.read(folder / "setup.cfg", "utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise PluginError(f"`setup.cfg` cannot be read: {' '.join(str(error).split())}") from error
    get = parser.get
    return _setuptools(
        folder,
        "setup.cfg",
        points=get("options.entry_points", GROUP, fallback="").splitlines(),
        name=get("metadata", "name", fallback=None),
        version=get("metadata", "version", fallback=None),
        requires=get("options", "install_requires", fallback="").split("\n"),
        python=get("options", "python_requires", fallback=None),
    )


def _setup_py(folder: Path) -> Project | None:
    """The arguments of `setup(…)` that are plain values; the file is not run."""
    try:
        module = ast.parse((folder / "setup.py").read_text("utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise PluginError(f"`setup.py` cannot be read: {error}") from error
    stated: dict[str, Any] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "setup":
            stated |= {each.arg: _plain(each.value) for each in node.keywords if each.arg is not None}
    points = stated.get("entry_points")
    points = points.get(GROUP) if isinstance(points, dict) else None
    return _setuptools(
        folder,
        "setup.py",
        points=[points] if isinstance(points, str) else points or (),
        name=stated.get("name"),
        version=stated.get("version"),
        requires=stated.get("install_requires") or (),
        python=stated.get("python_requires"),
    )


def _plain(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None  # computed when setup.py runs


def _setuptools(
    folder: Path,
    file: str,
    *,
    points: Sequence[str],
    name: str | None,
    version: str | None,
    requires: Sequence[str],
    python: str | None,
) -> Project | None:
    halves = [each.partition("=") for each in points if "=" in each]
    plugins = tuple(Declared(left.strip(), right.strip()) for left, _, right in halves)
    if not plugins:
        return None
    needed = tuple(each.strip() for each in requires if each.strip())
    return Project(
        folder,
        plugins,
        roots=_roots(folder, plugins),
        distribution=name,
        version=version,
        requires=needed,
        extras={},
        requires_python=python,
        declared_in=file,
    )


_READERS = {"pyproject.toml": _pyproject, "setup.cfg": _setup_cfg, "setup.py": _setup_py}


# ---------------------------------------------------------------- wheels


def _wheel(path: Path) -> Project:
    from importlib import metadata

    found = next(iter(metadata.distributions(path=[str(path)])), None)
    if found is None:
        raise PluginError(f"`{path.name}` is no wheel: it holds no metadata")
    plugins = tuple(Declared(each.name, each.value) for each in found.entry_points if each.group == GROUP)
    if not plugins:
        raise PluginError(f"`{path.name}` holds no plugin: it has no entry point in the group `{GROUP}`")
    about = found.metadata
    return Project(
        path,
        plugins,
        roots=(path,),
        distribution=about["Name"],
        version=found.version,
        requires=tuple(each for each in found.requires or () if "extra ==" not in each),
        extras=dict(_extras(found.requires or ())),
        requires_python=about["Requires-Python"],
        declared_in=path.name,
    )


def _extras(requires: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    from packaging.requirements import Requirement

    for each in requires:
        marker = str(Requirement(each).marker or "")
        if "extra ==" in marker:
            yield marker.rpartition('"')[0].rpartition('"')[2], (each.partition(";")[0].strip(),)
