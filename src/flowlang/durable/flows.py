"""Flows as runs keep them: the texts of all files that a flow reaches, by the hash of them.

A run keeps the version of its flow that it began with. Where it goes on, its texts are laid out again as files, in
a folder named by their hash: so everything that reads flows reads these as it reads any others. Python files of
tasks are not kept: a link stands for them, and they are those of the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping

from flowlang.durable.records import StoredFlow
from flowlang.exceptions import StoreError

_PYTHON = ".py"


def stored(name: str, file: str, texts: Mapping[str, str]) -> StoredFlow:
    """The record of a flow in `file`, whose `texts` (by absolute path) include its own."""
    kept = {path: "" if path.endswith(_PYTHON) else text for path, text in sorted(texts.items())}
    entry = os.path.abspath(file)
    base = os.path.dirname(entry)
    # A flow is the same wherever it lies, but for the Python files: a link leads to those of one place.
    shape = {os.path.relpath(path, base): path if path.endswith(_PYTHON) else text for path, text in kept.items()}
    shape[""] = os.path.basename(entry)
    digest = hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()
    return StoredFlow(digest, name, entry, kept)


def laid_out(flow: StoredFlow, folder: str) -> str:
    """The path of the flow's own file, with all its texts around it, below `folder`. Raises `StoreError`."""
    common = os.path.commonpath([os.path.dirname(path) for path in flow.texts])
    place = os.path.join(folder, flow.hash)
    entry = os.path.join(place, os.path.relpath(flow.file, common))
    if os.path.isfile(entry):
        return entry
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        making = tempfile.mkdtemp(prefix=".making-", dir=folder)
        try:
            for path, text in flow.texts.items():
                target = os.path.join(making, os.path.relpath(path, common))
                os.makedirs(os.path.dirname(target), exist_ok=True)
                if path.endswith(_PYTHON):
                    os.symlink(path, target)
                    continue
                with open(target, "w", encoding="utf-8", newline="") as file:
                    file.write(text)
            os.rename(making, place)
        except OSError:
            if not os.path.isfile(entry):  # another process was first
                raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"the flow `{flow.name}` cannot be laid out in {folder}: {error}") from error
    return entry
