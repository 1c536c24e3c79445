"""Recorded replies: written once by `--record` against the real services, read by every later run.

`orders.test.yaml` has them in `orders.replies.yaml`: for each test the calls with their inputs and what came back, in
the order of the flow's text, so that recording again changes only what has changed. Secrets are masked before anything
is written. The file is JSON's part of YAML; nothing in it is ever computed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.records import frozen
from flowlang.testing.read import SUFFIX

HEAD = "# Recorded by `flowlang test --record`. Do not edit: record again.\n"
_TURN = re.compile(r"\[(\d+)\]")


@frozen
class Recorded:
    """One call: the `attempt`th at `step`. `outputs` and `inputs` are tagged JSON; `error` is a failure of it."""

    step: str
    attempt: int
    task: str
    inputs: Mapping[str, Any]
    outputs: Any = None
    error: Mapping[str, Any] | None = None

    def as_entry(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"step": self.step, "task": self.task, "inputs": self.inputs}
        return entry | ({"error": self.error} if self.error is not None else {"outputs": self.outputs})


Recordings = dict[str, tuple[Recorded, ...]]
"""By the name of the test."""


class BadRecording(Exception):
    """The file of a recording cannot be used."""


def path_of(test_file: str) -> str:
    """Where the recordings of a test file are."""
    return f"{test_file.removesuffix(SUFFIX)}.replies.yaml"


def read_recordings(path: str) -> Recordings:
    """All recordings of a file; none when it is not there. Raises `BadRecording`."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadRecording(f"`{path}` cannot be read: {error}") from error
    try:
        found = json.loads("\n".join(line for line in text.splitlines() if not line.startswith("#")))
        return {name: tuple(_calls(entries)) for name, entries in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRecording(f"`{path}` is not what `--record` writes: record again") from error


def _calls(entries: Sequence[Mapping[str, Any]]) -> list[Recorded]:
    attempts: dict[str, int] = {}
    found = []
    for each in entries:
        step = each["step"]
        attempts[step] = attempts.get(step, 0) + 1
        found.append(
            Recorded(step, attempts[step], each["task"], each["inputs"], each.get("outputs"), each.get("error"))
        )
    return found


def write_recordings(path: str, recordings: Recordings) -> None:
    """Replace the file as a whole; without any recording it is removed."""
    filled = {name: calls for name, calls in recordings.items() if calls}
    if not filled:
        if os.path.exists(path):
            os.unlink(path)
        return
    lines = [f"{json.dumps(name, ensure_ascii=False)}: [\n{_written(calls)}\n]" for name, calls in filled.items()]
    text = HEAD + "{\n" + ",\n".join(lines) + "\n}\n"
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def _written(calls: Sequence[Recorded]) -> str:
    return ",\n".join(f"  {json.dumps(each.as_entry(), ensure_ascii=False)}" for each in calls)


def in_order(calls: Sequence[Recorded], places: Sequence[str]) -> tuple[Recorded, ...]:
    """The calls by the place of their step in the text (`places` are the paths in that order), then by turn and
    attempt: the same whatever branch was quicker."""
    rank = {path: at for at, path in enumerate(places)}

    def key(call: Recorded) -> tuple[int, list[int], int]:
        turns = [int(each) for each in _TURN.findall(call.step)]
        return rank.get(_TURN.sub("", call.step), len(rank)), turns, call.attempt

    return tuple(sorted(calls, key=key))
