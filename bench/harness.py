"""Measuring fairly: floor and ours in turn, in one run, and the medians of the rounds."""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flowlang

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. `value` is compared with `target`, in `unit`; no target means that it is only shown."""

    what: str
    floor: str
    ours: str
    value: float
    unit: str
    target: float | None
    method: str

    @property
    def met(self) -> bool:
        return self.target is None or self.value <= self.target

    @property
    def shown(self) -> str:
        return f"{self.value:,.2f} {self.unit}" if self.value < 10 else f"{self.value:,.0f} {self.unit}"

    @property
    def aim(self) -> str:
        return "" if self.target is None else f"≤ {self.target:g} {self.unit}"


def seconds(value: float) -> str:
    """A time with a unit that suits it."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1:
            return f"{value * factor:,.1f} {unit}"
    return f"{value * 1e9:,.0f} ns"


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of each function in each round: `rounds[n][k]` is function `k` in round `n`."""

    rounds: list[list[float]]

    def of(self, place: int) -> float:
        """The median of one function."""
        return statistics.median(each[place] for each in self.rounds)

    def ratio(self, place: int, floor: int = 0) -> float:
        """How many times the floor: the median of the rounds' own ratios, since the machine changes its speed."""
        return statistics.median(each[place] / each[floor] for each in self.rounds)


async def run(flow: flowlang.Flow, **options: Any) -> dict[str, Any]:
    """Run a flow that has to succeed; gives its outputs."""
    result = await flowlang.run(flow, **options)
    if result.status != "succeeded":
        raise RuntimeError(f"the flow ended as {result.status}: {result.failure or result.findings}")
    return dict(result.outputs)


def in_turn(rounds: int, *functions: Callable[[], Awaitable[object]], times: int = 1, collecting: bool = True) -> Times:
    """One round calls each function `times` times, starting with another one each time; a round that nobody counts
    comes first. All run in one event loop; without the garbage collector when `collecting` is false."""
    try:
        if not collecting:
            gc.disable()
        return Times(asyncio.run(_in_turn(rounds, functions, times)))
    finally:
        gc.enable()


async def _in_turn(rounds: int, functions: Sequence[Callable[[], Awaitable[object]]], times: int) -> list[list[float]]:
    found: list[list[float]] = []
    for number in range(rounds + 1):
        taken = [0.0] * len(functions)
        gc.collect()
        for place in range(len(functions)):
            chosen = (number + place) % len(functions)
            began = time.perf_counter()
            for _ in range(times):
                await functions[chosen]()
            taken[chosen] = (time.perf_counter() - began) / times
        if number:
            found.append(taken)
    return found


def processes_in_turn(rounds: int, *commands: Sequence[str]) -> Times:
    """The same for whole processes, from start to end."""
    found: list[list[float]] = []
    for number in range(rounds + 1):
        taken = [0.0] * len(commands)
        for place in range(len(commands)):
            chosen = (number + place) % len(commands)
            began = time.perf_counter()
            spawn(commands[chosen])
            taken[chosen] = time.perf_counter() - began
        if number:
            found.append(taken)
    return Times(found)


def spawn(words: Sequence[str]) -> str:
    """Run `python WORDS…` with bytecode allowed, as on a user's machine. Returns its stdout."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(BENCH / "floors")])
    done = subprocess.run([sys.executable, *words], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def machine() -> str:
    """Where the figures were taken, in one line."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{platform.python_implementation()} {platform.python_version()}, load {load:.1f} at the start"
    )
