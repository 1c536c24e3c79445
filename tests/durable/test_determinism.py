"""The same journal leads to the same decisions, whatever surrounds the process that goes on with it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowlang import api, runs
from flowlang.durable import signals
from flowlang.durable.opening import open_store

HERE = Path(__file__).parent
LOCALES = ("tr_TR.UTF-8", "de_DE.ISO-8859-1", "C", "C.UTF-8")
MADE = LOCALES[:2]  # of sources of Debian's package `locales`
SUB = """
flow: sub
inputs: [{name: word, type: string, required: true}]
steps: [{id: s, set: {both: "${[upper(inputs.word), lower(inputs.word), uuid()]}"}}]
outputs: [{name: both, value: "${s.both}"}]
"""
SERVICE = """
service: NAME
kind: http
version: 1.0.0
description: A service that lies beside the flow.
base_url: https://api.example.com
operations:
  ping: {description: See whether it answers., request: {path: /ping}}
"""
FLOW = """
flow: f
tasks: [effects.py, other.py]
connections: {one: {type: one}, two: {type: two}}
inputs: [{name: words, type: object, required: true}]
steps:
  - if: "${inputs.words == {}}"
    then: [one_ping: {connection: one}, two_ping: {connection: two}, {other: {}}]
  - {id: sub, subflow: sub, inputs: {word: Iı}}
  - {id: read, set: {at: "${now()}", key: "${uuid()}", chance: "${random()}"}}
  - put: {id: first, value: "${[read.at, read.key, read.chance]}"}
  - parallel:
      - put: {id: p, value: "${keys(inputs.words)}"}
      - try: [{refuse: {id: q, times: 9}}]
        catch: [{on: [task], as: e, do: [{put: {id: r, value: "${e.type}"}}]}]
  - {id: s, wait: {signal: go}}
  - id: made
    set:
      odd: "${unique(values(inputs.words))}"
      both: "${[upper('istanbul'), lower('ISTANBUL'), sorted(values(inputs.words))]}"
      day: "${format_time(read.at, '%A %d %B %Y %H:%M %Z')}"
      gap: "${parse_time('2026-03-29T02:30:00')}"
      digest: "${hash(json(inputs.words))}"
      chance: "${[uuid(), random()]}"
  - for_each: "${merge(inputs.words, {'z': read.key})}"
    as: each
    id: l
    do:
      - if: "${random() > 0.5}"
        then: [{put: {id: heads, value: "${[each, uuid()]}"}}]
        else: [{put: {id: tails, value: "${[each, read.at]}"}}]
  - parallel:
      - put: {id: x, value: "${made.digest}"}
      - put: {id: y, value: "${made.odd}"}
outputs: [{name: o, value: "${[made, read, s.payload, sub.both]}"}]
"""


@pytest.fixture
def locales(tmp_path: Path) -> Path:
    """A folder with those of `MADE`, where their sources are there."""
    folder = tmp_path / "locales"
    folder.mkdir()
    program = shutil.which("localedef")
    for each in MADE if program else ():
        language, _, charset = each.partition(".")
        subprocess.run([program, "-i", language, "-f", charset, folder / each], capture_output=True, check=False)
    return folder


def replayed(folder: Path, run_id: str, numbers: range, locales: Path) -> list[list[Any]]:
    """What becomes of copies of the store in a process with a seed of hashes, a locale, and a place for flows of its
    own: outputs, journal, effects."""
    surroundings = {
        "PYTHONHASHSEED": str(numbers[0]), "LC_ALL": LOCALES[numbers[0] // len(numbers) % 4], "LOCPATH": str(locales),
        "XDG_DATA_HOME": str(folder / f"data-{numbers[0]}"),
    }  # fmt: skip
    words = [sys.executable, str(HERE / "replayed.py"), str(folder), run_id, *map(str, numbers)]
    said = subprocess.run(
        words, env=os.environ | surroundings, capture_output=True, text=True, timeout=300, check=False
    )
    assert said.returncode == 0, said.stderr
    return [json.loads(line) for line in said.stdout.splitlines()]


@pytest.mark.parametrize("processes", [2, pytest.param(25, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
async def test_one_journal_in_many_surroundings(tmp_path: Path, locales: Path, processes: int) -> None:
    """Seeds of hashes, locales, time zones, orders of files: outputs, decisions, values and effects are the same."""
    shutil.copy(HERE / "effects.py", tmp_path)
    (tmp_path / "other.py").write_text("import flowlang\n\n@flowlang.task\nasync def other():\n    return {}\n")
    (tmp_path / "f.yaml").write_text(FLOW)
    (tmp_path / "sub.yaml").write_text(SUB)
    for name in ("one", "two"):
        (tmp_path / f"{name}.service.yaml").write_text(SERVICE.replace("NAME", name))
    words = {"b": "İki", "a": "ışık", "c": "straße", "d": "İki", "e": "I"}
    async with await open_store(f"sqlite:///{tmp_path}/runs.db") as store:
        async with runs.hosting(store) as host:
            handle = await runs.begin(host, api.load(tmp_path / "f.yaml"), {"words": words}, files_root=str(tmp_path))
            async with asyncio.timeout(60):
                while len(await store.steps(handle.run_id)) < 5:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.02)
        before = len(await store.steps(handle.run_id))
        await signals.send(store, handle.run_id, "go", '{"by":"ada"}')
    found: list[list[Any]] = []
    for number in range(processes):
        numbers = range(4 * number, 4 * number + 4)
        found += await asyncio.to_thread(replayed, tmp_path, handle.run_id, numbers, locales)
    assert len(found) == 4 * processes
    first, *others = found
    assert all(each == first for each in others)
    outputs, status, steps, effects = first
    assert status == "succeeded"
    assert len(outputs["o"]) == 4
    assert len(steps) > before + len(words)
    assert len(effects) == len(words) + 3
    missing = [each for each in MADE if not (locales / each).exists()]
    if missing:
        pytest.skip(f"all is well but for {', '.join(missing)}, not tried: apt install locales")
