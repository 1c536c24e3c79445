"""Puts plugins where FlowLang finds them: as folders of the package tree, and as installed packages."""

from __future__ import annotations

import shutil
from pathlib import Path

HERE = Path(__file__).parent


def folder(tree: Path, name: str = "myservice", **files: str) -> Path:
    """The guide's plugin as the folder `tree/<name>/`; `files` replace or add files by their stem."""
    target = tree / name
    shutil.copytree(HERE / "plugin", target, ignore=shutil.ignore_patterns("__pycache__"))
    for stem, text in files.items():
        (target / f"{stem}.py").write_text(text, "utf-8")
    return target


def client(site: Path) -> None:
    """The client as an installed distribution of its own."""
    shutil.copytree(HERE / "myservice", site / "myservice", ignore=shutil.ignore_patterns("__pycache__"))
    metadata(site, "myservice-client", "1.2.0")


def distribution(site: Path, target: str, *, package: str = "flowlang_myservice", name: str = "myservice") -> Path:
    """The guide's plugin as an installed package whose entry point `name` is `target`."""
    folder(site, package)
    provider = site / package / "provider.py"
    # The one line that a package of its own has to write differently.
    text = provider.read_text("utf-8").replace("from ..base import", "from flowlang.connections.base import")
    provider.write_text(text, "utf-8")
    (site / package / "__init__.py").write_text("from .provider import MyServicePlugin\n", "utf-8")
    metadata(site, package.replace("_", "-"), "1.0.0", f"[flowlang.connections]\n{name} = {target}\n")
    return site / package


def module(site: Path, package: str, text: str, entry_points: str = "", version: str = "1.0.0") -> None:
    """An installed package of one module."""
    site.mkdir(parents=True, exist_ok=True)
    (site / f"{package}.py").write_text(text, "utf-8")
    metadata(site, package.replace("_", "-"), version, f"[flowlang.connections]\n{entry_points}\n")


def metadata(site: Path, name: str, version: str, entry_points: str = "", more: str = "") -> None:
    """The `.dist-info` of an installed distribution."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}", "utf-8")
    if entry_points:
        (info / "entry_points.txt").write_text(entry_points, "utf-8")
