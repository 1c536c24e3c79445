"""The same journal leads to the same decisions, whatever surrounds the process that goes on with it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flowlang import api, runs
from flowlang.durable.store import open_store

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ZONES = ("UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Chatham")
LOCALES = ("C", "tr_TR.UTF-8", "C.UTF-8", "de_DE.ISO-8859-1")
FLOW = """
flow: f
tasks: [effects.py]
inputs: [{name: words, type: object, required: true}]
steps:
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
outputs: [{name: o, value: "${[made, read, s.payload]}"}]
"""


def replay(folder: Path, run_id: str, number: int) -> tuple[Any, ...]:
    """What becomes of a copy of the store in one of many surroundings: outputs, journal, effects."""
    copy = folder / f"copy-{number}.db"
    shutil.copy(folder / "runs.db", copy)
    (folder / "effects.jsonl").unlink(missing_ok=True)
    surroundings = {
        "PYTHONHASHSEED": str(number), "LC_ALL": LOCALES[number % 4], "TZ": ZONES[number // 2 % 4],
    }  # fmt: skip
    words = [sys.executable, "-m", "flowlang", "runs", "resume", run_id, "--store", f"sqlite:///{copy}", "--json"]
    said = subprocess.run(
        words, cwd=ROOT, env=os.environ | surroundings, capture_output=True, text=True, timeout=60, check=False
    )
    assert said.returncode == 0, said.stderr
    with closing(sqlite3.connect(copy)) as connection:
        steps = connection.execute("SELECT path, nth, operation, state, inputs, outcome FROM flowlang_steps").fetchall()
    effects = (folder / "effects.jsonl").read_text().splitlines()
    return json.loads(said.stdout)["outputs"], sorted(map(str, steps)), sorted(effects)


@pytest.mark.parametrize("times", [2, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
async def test_one_journal_in_many_surroundings(tmp_path: Path, times: int) -> None:
    """Seeds of hashes, locales, time zones: outputs, decisions, values and effects are the same in each."""
    shutil.copy(HERE / "effects.py", tmp_path)
    (tmp_path / "f.yaml").write_text(FLOW)
    words = {"b": "İki", "a": "ışık", "c": "straße", "d": "İki", "e": "I"}
    async with await open_store(f"sqlite:///{tmp_path}/runs.db") as store:
        async with runs.hosting(store) as host:
            handle = await runs.begin(host, api.load(tmp_path / "f.yaml"), {"words": words}, files_root=str(tmp_path))
            async with asyncio.timeout(60):
                while len(await store.steps(handle.run_id)) < 5:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.02)
        before = len(await store.steps(handle.run_id))
        await store.signal(handle.run_id, "go", '{"by":"ada"}')
    first, *others = [await asyncio.to_thread(replay, tmp_path, handle.run_id, number) for number in range(times)]
    assert all(each == first for each in others)
    outputs, steps, effects = first
    assert len(outputs["o"]) == 3
    assert len(steps) > before + len(words)
    assert len(effects) == len(words) + 3
