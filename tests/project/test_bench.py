"""The benchmarks still measure something: their flows are valid, and their figures read well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FLOWS = """
import asyncio, cache, databases, documents, flowlang, figures, sharing, web
for text in [figures.sequence(3), figures.side_by_side("bench_op", 3), figures.side_by_side("bench_waiting_op", 3)]:
    asyncio.run(figures.run(flowlang.load(text=text)))
for text in [figures.SMALLEST, figures.INSERT, figures.STREAM, figures.EXPRESSIONS]:
    flowlang.load(text=text)
for steps in (web.STEPS.format(n=1), web.LOOP.format(count=3, at_once=2)):
    flowlang.load(text=web.HEAD.format(url="http://127.0.0.1:9") + steps)
for steps in (documents.FIND.format(count=3, at_once=2), documents.INSERT, documents.READ):
    flowlang.load(text=documents.HEAD.format(url="mongodb://127.0.0.1:9") + steps)
for steps in (cache.STEP.format(n=1, key=1), cache.LOOP.format(count=3, at_once=2), cache.SET, cache.READ):
    flowlang.load(text=cache.HEAD.format(url="redis://127.0.0.1:9") + steps)
sharing.flow(databases.POSTGRES, "postgresql://me:pw@127.0.0.1:9/x")
for lines in (100, 1000):
    text = figures.shop(lines)
    assert 0.5 * lines < text.count("\\n") <= lines
    figures.check_once(text)
    figures.compose(text)
"""

FIGURES = """
from harness import Figure
from run import as_group, page
met = Figure("a", "floor", "ours", 2.0, "×", 2.5, "counted")
missed = Figure("b", "floor", "ours", 151.0, "ms", 150, "counted")
assert (met.met, missed.met) == (True, False)
shown = page({"step": as_group([met, missed], "a machine")})
assert "| a | floor | ours | 2.00 × | ≤ 2.5 × |" in shown
assert "151 ms | ≤ 150 ms **missed** |" in shown
assert "- **b**: counted." in shown
"""

DURABLE = """
from durable import report
from durable.engines import CONTENDERS, FULL, MEMORY
from durable.work import result
floors = [dict.fromkeys(report.FLOORS, 0.001)]
failed, unasked = (each.name for each in CONTENDERS[-2:])
times = {"sequential": 0.004, "parallel": 0.001, "runs 1": 10, "runs 2": 21}
full = [{"floor": floor} | times for floor in (0.001, 0.002, 0.001)]
rounds = {FULL: full, MEMORY: [{"floor": 1e-6, "sequential": 1e-5}]}
taken = report.Taken(dict.fromkeys(rounds, "a machine"), floors, rounds, {failed: "`x` cannot be installed: no wheel"})
shown = report.page(taken, CONTENDERS)
assert f"| {FULL} | 4.0 ms | 4 | 1.0 ms | 1 | 10 | 21 | " in shown, shown
assert f"| {MEMORY} | 10.0 µs | 10 |  |  |  |  | " in shown, shown
assert f"| {failed} | not measured: `x` cannot be installed: no wheel |" in shown, shown
assert f"| {unasked} |" not in shown, shown
assert "| a bare `await step(n)` | 1.0 ms |" in shown, shown
assert "| 1.0 ms | 4.0 ms | 4.00 × | ≤ 3.5 × **missed** |" in shown, shown
assert f"- {MEMORY}; {FULL}: a machine" in shown, shown
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "bench")])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_flows_that_are_measured_are_valid_and_run() -> None:
    done = run(FLOWS)
    assert done.returncode == 0, done.stderr


def test_a_missed_target_is_shown_as_missed() -> None:
    done = run(FIGURES)
    assert done.returncode == 0, done.stderr


def test_an_engine_that_cannot_be_installed_is_shown_with_the_reason() -> None:
    done = run(DURABLE)
    assert done.returncode == 0, done.stderr
