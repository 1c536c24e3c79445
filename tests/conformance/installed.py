"""Puts the double where pip would put it: a distribution with an entry point, in a folder of the path."""

from __future__ import annotations

from pathlib import Path

from flowlang.connections.base import ConnectionPlugin

NEEDS = "Requires-Dist: flowlang>=0.1.0\nRequires-Dist: linekv-client>=1.0\n"


def install(folder: Path, kind: type[ConnectionPlugin], *, name: str = "linekv", needs: str = NEEDS) -> None:
    """A distribution `flowlang-linekv` whose entry point `name` leads to `kind`."""
    info = folder / "flowlang_linekv-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: flowlang-linekv\nVersion: 1.0.0\n{needs}")
    target = f"{kind.__module__}:{kind.__qualname__}"
    (info / "entry_points.txt").write_text(f"[flowlang.connections]\n{name} = {target}\n")
