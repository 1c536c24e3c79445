"""What was measured, as figures and as a page. Raw rounds are kept in docs/data/, and the page is made from them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from durable.engines import Contender
from durable.work import BRANCHES, RUNS, STEPS, STEPS_OF_RUN
from harness import ROOT, seconds

DATA = ROOT / "docs/data/benchmarks-durable.json"
Round = dict[str, float]
PAGE = """# Durable runs, measured

What it costs to keep the result of each step, beside the least that can be done and beside other engines that do the
same work on the same machine. Look at the ratios; the times depend on the machine.

Taken with `make bench-durable`: {taken}.

## The floors

{floors}

## The engines

{engines}

## Method

The work is the same for all: a step returns a small dict and does nothing else. One run of {steps} steps, each after
the one before it; one run of {branches:,} steps side by side; and {runs} runs of {steps_of_run} steps each, submitted
together, to the end of the last one, with one worker process and with two. Everything is on one machine, client,
servers and workers: a second worker helps only where a core is free.

A turn of an engine starts its servers and workers anew, private and on free ports, does the work once on a small scale,
then times it, then stops everything. The engines take turns, and each round of all of them (here: {rounds}) begins with
another one. A floor is taken in each turn, before the runs and after them, and a ratio is the median of the rounds' own
ratios; times and runs a second are medians too. Versions are pinned in `bench/durable/requirements.txt` and
`bench/durable/package.json`. DBOS polls its queues each 0.05 s; Restate and Temporal keep their defaults, but
Temporal's file of SQLite is put to WAL and `synchronous = FULL`; Redis writes its append-only file to the disk once a
second.
"""


@dataclass(slots=True)
class Taken:
    """All rounds of all engines. `missing`: why an engine has none, or fewer."""

    where: str
    floors: list[Round] = field(default_factory=list)
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def save(self) -> None:
        DATA.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", "utf-8")


def median(rounds: list[Round], of: Callable[[Round], float]) -> float:
    return statistics.median(of(each) for each in rounds)


FLOORS = {
    "await": "a bare `await step(n)`",
    "sqlite normal": "a commit of one row by SQLite, WAL, `synchronous = NORMAL`",
    "sqlite full": "a commit of one row by SQLite, WAL, `synchronous = FULL`",
    "postgres": "a commit of one row by asyncpg",
    "postgres 1000": "a row of 1,000 that asyncpg inserts with one statement",
}


def floor_lines(rounds: list[Round]) -> list[str]:
    """The floors as rows of a table in markdown."""
    lines = ["| the least for one step | time |", "|---|---|"]
    return lines + [f"| {text} | {seconds(median(rounds, lambda each: each[name]))} |" for name, text in FLOORS.items()]  # noqa: B023


def engine_lines(taken: Taken, contenders: tuple[Contender, ...]) -> list[str]:
    """The engines as rows of a table in markdown; one that could not be measured says why."""
    lines = [
        "| engine | a step, one after the other | × floor | a step, side by side | × floor | runs/s, 1 worker "
        "| runs/s, 2 workers | the floor | a finished step is |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in contenders:
        if rounds := taken.rounds.get(each.name):
            lines.append(f"| {each.name} | {' | '.join(cells(rounds))} | {each.floor} | {each.keeps} |")
        elif each.name in taken.missing:
            lines.append(f"| {each.name} | not measured: {taken.missing[each.name]} | | | | | | | |")
    return lines


def cells(rounds: list[Round]) -> list[str]:
    found = []
    for measure in ("sequential", "parallel"):
        found.append(seconds(median(rounds, lambda each: each[measure])))  # noqa: B023
        found.append(f"{median(rounds, lambda each: each[measure] / each['floor']):.2g}")  # noqa: B023
    return [*found, *(f"{median(rounds, lambda each: each[name]):,.0f}" for name in ("runs 1", "runs 2"))]  # noqa: B023


def page(taken: Taken, contenders: tuple[Contender, ...]) -> str:
    """The page of the docs."""
    return PAGE.format(
        taken=taken.where,
        floors="\n".join(floor_lines(taken.floors)),
        engines="\n".join(engine_lines(taken, contenders)),
        steps=STEPS, branches=BRANCHES, runs=RUNS, steps_of_run=STEPS_OF_RUN, rounds=len(taken.floors),
    )  # fmt: skip


def write(taken: Taken, contenders: tuple[Contender, ...], file: Path) -> None:
    """Keep the rounds, and write the page of them."""
    taken.save()
    file.write_text(page(taken, contenders), "utf-8")
