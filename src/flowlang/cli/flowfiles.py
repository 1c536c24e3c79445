"""The files that `check` looks at: those that are named, and the flows, tests and services in folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

_ENDINGS = (".yaml", ".yml")
_FLOW = re.compile(rb"""^(?:\xef\xbb\xbf)?(?:[{ ]*)["']?(?:flow|steps)["']?[ \t]*:""", re.MULTILINE)
_HEAD = 65_536  # bytes in which a flow has said that it is one


def flow_files(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files at `paths`, each once: files as they are named, folders searched in the order of their names. Also the
    folders in which there is none."""
    found: dict[str, None] = {}
    empty: list[str] = []
    for path in paths:
        inside = list(_within(path)) if os.path.isdir(path) else [path]
        found |= dict.fromkeys(inside)
        if not inside:
            empty.append(path)
    return list(found), empty


def _within(folder: str) -> Iterator[str]:
    from flowlang.services.files import SUFFIX as OF_SERVICES
    from flowlang.testing.collect import walk
    from flowlang.testing.read import SUFFIX

    for path in walk(folder):
        if path.endswith((SUFFIX, OF_SERVICES)) or (path.endswith(_ENDINGS) and _is_flow(path)):
            yield path


def _is_flow(path: str) -> bool:
    """Whether a YAML file looks like a flow: it has one of the keys that every flow has at the beginning of a line.
    What cannot be read may be one, and the check says why it cannot."""
    try:
        with open(path, "rb") as file:
            return _FLOW.search(file.read(_HEAD)) is not None
    except OSError:
        return True
