"""Which files a command goes over, and writing one anew without ever leaving half of it."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

_FLOW = re.compile(rb"^\xef\xbb\xbf?flow[ \t]*:|^flow[ \t]*:", re.MULTILINE)
_SUFFIXES = (".yaml", ".yml")


def flow_files(paths: Sequence[str]) -> Iterator[str]:
    """The files named by `paths`, each once: a file as it is, of a folder all flows in it and below.

    A flow is a YAML file with the key `flow` at the top; folders that begin with a dot are left out. Raises `OSError`
    for a path that cannot be read.
    """
    known: set[str] = set()
    for path in paths:
        for each in _flows_in(path) if os.path.isdir(path) else (path,):
            if each not in known:
                known.add(each)
                yield each


def _flows_in(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            path = os.path.join(parent, name)
            if name.endswith(_SUFFIXES) and _FLOW.search(Path(path).read_bytes()):
                yield path


def _raise(error: OSError) -> None:
    raise error


def rewrite(path: str, text: str) -> None:
    """Put `text` into the file at `path`, all of it or nothing; its mode stays. Raises `OSError`."""
    target = os.path.realpath(path)
    mode = os.stat(target).st_mode & 0o7777
    handle, beside = tempfile.mkstemp(prefix=f".{os.path.basename(target)}.", dir=os.path.dirname(target))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, mode)
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def difference(path: str, before: str, after: str) -> str:
    """What changes, as a unified diff."""
    import difflib

    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), path, path, lineterm="")
    return "\n".join(lines)
