"""What was measured, as figures and as a page. Raw rounds are kept in docs/data/, and the page is made from them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from durable.engines import AWAIT, TARGETS, Contender
from durable.work import BRANCHES, RUNS, STEPS, STEPS_OF_RUN
from harness import ROOT, Figure, seconds

DATA = ROOT / "docs/data/benchmarks-durable.json"
Round = dict[str, float]
PAGE = """# Durable runs, measured

What it costs to keep the result of each step, beside the least that can be done and beside other engines that do the
same work on the same machine. Look at the ratios; the times depend on the machine.

Taken with `make bench-durable`:

{taken}

## The floors

{floors}

## FlowLang's targets

{targets}

## The engines

{engines}

## Method

The work is the same for all: a step returns a small dict and does nothing else. One run of {steps} steps, each after
the one before it; one run of {branches:,} steps side by side; and {runs} runs of {steps_of_run} steps each, submitted
together, to the end of the last one, with one worker process and with two. Everything is on one machine, client,
servers and workers: a second worker helps only where a core is free.

A turn of an engine starts its servers and workers anew, private and on free ports, does the work once on a small scale,
then times it, then stops everything. The engines take turns, and each round of all of them begins with another one;
rounds taken: {rounds}. A floor is taken three times in each turn, around the runs, and its median counts; a ratio is
the median of the rounds' own ratios, times and runs a second are medians too. FlowLang's flow is loaded before; single
runs of it are begun in the client's process, as are DBOS'. Versions are pinned in `bench/durable/requirements.txt` and
`bench/durable/package.json`. DBOS polls its queues each 0.05 s; Restate and Temporal keep their defaults, but
Temporal's file of SQLite is put to WAL and `synchronous = FULL`; Redis writes its append-only file to the disk once a
second.

Two targets were set in microseconds, on a machine on which a bare await takes {await_} µs: 60 µs for a branch of a
thousand on PostgreSQL, and 10 µs for a step that is only gone through again. They stand in the table as so many bare
awaits, since machines differ.
"""


@dataclass(slots=True)
class Taken:
    """All rounds of all engines. `where`: when and where those of an engine were taken. `missing`: why it has none."""

    where: dict[str, str] = field(default_factory=dict)
    floors: list[Round] = field(default_factory=list)
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def kept(self) -> Taken:
        """Keep it in place of what was kept of the same engines before; all that is kept now."""
        before = Taken(**json.loads(DATA.read_text("utf-8"))) if DATA.exists() else Taken()
        rounds = before.rounds | self.rounds
        missing = {name: why for name, why in (before.missing | self.missing).items() if name not in rounds}
        whole = Taken(before.where | self.where, self.floors, rounds, missing)
        DATA.write_text(json.dumps(asdict(whole), indent=1, ensure_ascii=False) + "\n", "utf-8")
        return whole


def median(rounds: list[Round], measure: str, by: str | None = None) -> float | None:
    """Of a measure, or of its ratio to that other one of the same turn; None when no turn has it."""
    known = [each[measure] / (1 if by is None else each[by]) for each in rounds if measure in each]
    return statistics.median(known) if known else None


def shown(value: float | None, form: Callable[[float], str]) -> str:
    return "" if value is None else form(value)


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
    return lines + [f"| {text} | {shown(median(rounds, name), seconds)} |" for name, text in FLOORS.items()]


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


SCALES = {"s": 1, "ms": 1e3, "µs": 1e6}


def figures(taken: Taken) -> list[Figure]:
    """FlowLang beside what it promises; of a target that was not measured there is no figure."""
    found = []
    for each in TARGETS:
        rounds = taken.rounds.get(each.engine, [])
        ours = median(rounds, each.measure)
        turns = each.by == "floor"
        floor = median(rounds, "floor") if turns else median(taken.floors, each.by)
        if ours is None or floor is None:
            continue
        ratio = (median(rounds, each.measure, "floor") if turns else None) or ours / floor
        relative = each.unit == "×"
        value, beside = (ratio, seconds(floor)) if relative else (ours * SCALES[each.unit], "")
        found.append(Figure(each.what, beside, seconds(ours), value, each.unit, each.limit, ""))
    return found


def target_lines(taken: Taken) -> list[str]:
    """The figures as rows of a table in markdown."""
    lines = ["| what | floor | ours | measured | target |", "|---|---|---|---|---|"]
    for each in figures(taken):
        missed = "" if each.met else " **missed**"
        lines.append(f"| {each.what} | {each.floor} | {each.ours} | {each.shown} | {each.aim}{missed} |")
    return lines


def cells(rounds: list[Round]) -> list[str]:
    found = []
    for measure in ("sequential", "parallel"):
        found += [shown(median(rounds, measure), seconds), shown(median(rounds, measure, "floor"), "{:.2g}".format)]
    return found + [shown(median(rounds, measure), "{:,.0f}".format) for measure in ("runs 1", "runs 2")]


def rounds_of(taken: Taken) -> str:
    counts = sorted({len(each) for each in taken.rounds.values()})
    return " to ".join(str(each) for each in dict.fromkeys([counts[0], counts[-1]])) if counts else "none"


def page(taken: Taken, contenders: tuple[Contender, ...]) -> str:
    """The page of the docs."""
    names: dict[str, list[str]] = {}
    for each in contenders:
        if each.name in taken.rounds:
            names.setdefault(taken.where[each.name], []).append(each.name)
    return PAGE.format(
        taken="\n".join(f"- {'; '.join(group)}: {where}" for where, group in names.items()),
        floors="\n".join(floor_lines(taken.floors)),
        targets="\n".join(target_lines(taken)),
        engines="\n".join(engine_lines(taken, contenders)),
        steps=STEPS, branches=BRANCHES, runs=RUNS, steps_of_run=STEPS_OF_RUN, rounds=rounds_of(taken),
        await_=AWAIT,
    )  # fmt: skip


def write(taken: Taken, contenders: tuple[Contender, ...], file: Path) -> None:
    """Keep the rounds, and write the page of all that are kept."""
    file.write_text(page(taken.kept(), contenders), "utf-8")
