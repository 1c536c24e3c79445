"""A new plugin from the templates: a package of its own, or the guide's folder in FlowLang's tree.

    templates/package/   what every package has          templates/<kind>/   what is special to a kind

A template is a real file of a plugin called `acme`, which is what the docs show; a new plugin is the same text under
another name. Everything is made beside its target first and then moved there in one step, so that nothing is ever
half there.
"""

from __future__ import annotations

import keyword
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from flowlang.diagnostics import nearest
from flowlang.exceptions import PluginError

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "client": "a service with a client of its own, in the package or of a driver",
        "http": "a service that speaks HTTP and JSON",
        "sql": "a database with a driver of PEP 249",
    }
)
_HIDDEN = {"gitignore": ".gitignore", "github": ".github"}  # not hidden here, where tools would look at them
_NEEDS = {"http": "httpx2>=2.16"}  # what a kind stands on, as its plugin states it, too
_MODULE = "src/flowlang_acme/"
_LONGEST = 24  # letters of a name: the lines of the templates have room for so many
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_WORD = re.compile(r"flowlang-acme|acme|Acme|ACME")


# ---------------------------------------------------------------- what is asked for


def checked_name(name: str) -> str:
    """`name`, when a new connection type may be called so. Raises `PluginError` that says what would be right."""
    from flowlang.connections import plugin_registry

    if not _NAME.fullmatch(name):
        better = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_0123456789")
        hint = f": `{better}`" if _NAME.fullmatch(better) else ""
        raise PluginError(f"`{name}` cannot name a plugin: it has to begin with a letter, and hold small letters, "
                          f"digits and `_`{hint}")  # fmt: skip
    if len(name) > _LONGEST:
        raise PluginError(f"`{name}` has {len(name)} letters: {_LONGEST} at most, since every task begins with it")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise PluginError(f"`{name}` is a word of Python, which no plugin can have as its name: `{name}_service`")
    if name in plugin_registry:
        raise PluginError(
            f"there is a connection type `{name}` already ({plugin_registry.info(name).source}): choose another name"
        )
    return name


def checked_kind(kind: str) -> str:
    """`kind`, when there is one. Raises `PluginError` with the nearest."""
    if kind not in KINDS:
        close = nearest(kind, KINDS)
        hint = f"did you mean `{close}`?" if close else f"there are {', '.join(KINDS)}"
        raise PluginError(f"there is no kind of plugin `{kind}`; {hint}")
    return kind


def tree() -> Path:
    """FlowLang's own folder of connection types: of the checkout that one stands in, or of an editable install."""
    from flowlang import connections

    here = Path("src/flowlang/connections")
    if here.is_dir():
        return here
    own = Path(connections.__path__[0])
    if {"site-packages", "dist-packages"} & set(own.parts):
        raise PluginError(
            "FlowLang is installed as a package, which is no place for new files: run this in a checkout, or leave out "
            "`--in-tree` for a package of its own"
        )
    return own


# ---------------------------------------------------------------- writing


def package(name: str, kind: str, target: Path) -> list[Path]:
    """Write a whole package to `target`, which must not exist. Returns its files, in order."""
    return _written({**common(kind, name), **rendered(kind, name)}, target)


def folder(name: str, kind: str, connections: Path) -> list[Path]:
    """Write the guide's folder `connections/<name>/`. Returns its files, in order."""
    module = f"flowlang.connections.{name}"
    found = {"__init__.py": _renamed(_template("tree/__init__.py"), name)}
    for path, text in rendered(kind, name).items():
        inner = path.removeprefix(_MODULE.replace("acme", name))
        if inner != path:
            found[inner] = text.replace(f"flowlang_{name}", module)
    return _written(found, connections / name)


def common(kind: str, name: str) -> dict[str, str]:
    """What every package has, with the package that the kind stands on among its dependencies."""
    found = rendered("package", name)
    if kind in _NEEDS:
        head, mark, tail = found["pyproject.toml"].partition("]\n\n[project.optional")
        found["pyproject.toml"] = f'{head}, "{_NEEDS[kind]}"{mark}{tail}'
    return found


def rendered(part: str, name: str) -> dict[str, str]:
    """The files of a part of the templates under the new name: path → text."""
    root = files("flowlang.authoring") / "templates" / part
    return {_renamed(path, name): _renamed(text, name) for path, text in _texts(root, "")}


def _texts(folder: Traversable, above: str) -> Iterator[tuple[str, str]]:
    for each in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if each.name == "__pycache__":
            continue
        path = above + _HIDDEN.get(each.name, each.name)
        if each.is_dir():
            yield from _texts(each, f"{path}/")
        else:
            yield path, each.read_text("utf-8")


def _template(path: str) -> str:
    return (files("flowlang.authoring") / "templates" / path).read_text("utf-8")


def _renamed(text: str, name: str) -> str:
    """`text` of the plugin `acme`, as one of the plugin `name`."""
    forms = {
        "flowlang-acme": f"flowlang-{name.replace('_', '-')}",
        "acme": name,
        "ACME": name.upper(),
        "Acme": "".join(each.capitalize() for each in name.split("_")),
    }
    return _WORD.sub(lambda match: forms[match[0]], text)


def _written(texts: Mapping[str, str], target: Path) -> list[Path]:
    if os.path.lexists(target):
        raise PluginError(f"`{target}` exists already: remove it, or choose another place")
    target.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        making.chmod(0o755)  # it is private until it is whole
        for path, text in texts.items():
            file = making / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8", newline="\n")
        making.rename(target)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return [target / each for each in texts]
