"""Keeps one shared server for as long as its test run lives: a process of its own, so that no test has to be the last.

    python -m tests.servers.keeper KIND FOLDER OWNER

It starts the server of KIND in FOLDER, writes its URL to FOLDER/url (or why it could not to FOLDER/error), and stops it
when the process OWNER is gone or FOLDER/stop appears. The command itself returns at once: the keeper goes on behind it.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from tests.servers.kinds import KINDS


def main(kind: str, folder: Path, owner: int) -> int:
    server = KINDS[kind](folder / "server")
    try:
        server.start()
    except Exception:  # noqa: BLE001 - whoever waits for the file reads it
        written(folder / "error", traceback.format_exc())
        return 1
    try:
        written(folder / "url", server.url)
        while alive(owner) and not (folder / "stop").exists():
            time.sleep(0.2)
    finally:
        server.remove()
    return 0


def written(path: Path, text: str) -> None:
    """Write a file whose appearance means that it is whole."""
    path.with_suffix(".part").write_text(text)
    path.with_suffix(".part").rename(path)


def alive(process: int) -> bool:
    """Whether a process of ours still runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    if os.fork():
        os._exit(0)
    raise SystemExit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
