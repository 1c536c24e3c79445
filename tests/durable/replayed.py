"""Goes on with copies of one journal: a process in whose surroundings each replay is one of many.

    python replayed.py FOLDER RUN_ID NUMBER...

FOLDER holds `runs.db` and the files of the flow. For each NUMBER a line: outputs, journal, and effects. The number
decides the time zone, and in which order folders are listed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import sqlite3
import sys
import time
from typing import Any

ZONES = ("UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Chatham")
_scandir, _listdir = os.scandir, os.listdir
order = random.Random()


def listdir(*path: Any) -> list[Any]:
    names = _listdir(*path)
    order.shuffle(names)
    return names


class Shuffled:
    """What `os.scandir` gives, in another order."""

    def __init__(self, *path: Any) -> None:
        with _scandir(*path) as found:
            entries = list(found)
        order.shuffle(entries)
        self._entries = iter(entries)

    def __enter__(self) -> Shuffled:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Shuffled:
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def close(self) -> None:
        self._entries = iter(())


def replay(folder: str, run_id: str, number: int) -> list[Any]:
    from msgspec.structs import astuple

    from flowlang import runs
    from flowlang.durable.log import add, whole

    os.environ["TZ"] = ZONES[number % len(ZONES)]
    time.tzset()
    order.seed(number)
    copy, effects = os.path.join(folder, f"copy-{number}.db"), os.path.join(folder, "effects.jsonl")
    shutil.copy(os.path.join(folder, "runs.db"), copy)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(effects)
    result = asyncio.run(runs.resume(run_id, store=f"sqlite:///{copy}"))
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        rows = connection.execute("SELECT seq, entries, checksum FROM flowlang_journal ORDER BY seq").fetchall()
    known: dict[Any, Any] = {}
    add(known, rows, whole(known), run_id)
    steps = [astuple(each)[:6] for each in known.values()]
    with open(effects, encoding="utf-8") as file:
        done = file.read().splitlines()
    return [result.to_record()["outputs"], result.status, sorted(map(str, steps)), sorted(done)]


def main(folder: str, run_id: str, *numbers: str) -> None:
    order.seed(int(numbers[0]))
    os.scandir, os.listdir = Shuffled, listdir  # type: ignore[misc,assignment]
    for number in map(int, numbers):
        sys.stdout.write(json.dumps(replay(folder, run_id, number), default=str) + "\n")


main(*sys.argv[1:])
