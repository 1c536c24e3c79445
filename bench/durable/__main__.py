"""`make bench-durable`: durable steps beside their floors and beside other engines. `--write FILE` publishes the page.

    python -m durable [NAME …] [--rounds N] [--write FILE]

NAMEs are words of an engine's name (`dbos`, `celery` …); without any, all are measured. The path needs bench/ on it.
The exit code is 1 when a target of FlowLang's is missed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from durable.engines import CONTENDERS, Contender
from durable.environment import Environment, environment
from durable.report import Round, Taken, engine_lines, figures, floor_lines, target_lines, write
from harness import BENCH, ROOT, machine

TURN = 900  # seconds that a turn may take


class Failed(Exception):
    """A turn that ended badly; the text is its last line."""


def take(module: str, variant: str, python: Path, restate: Path) -> Round:
    """One turn of a script, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join([str(BENCH), str(ROOT), str(ROOT / "src")])
        child = subprocess.Popen(
            [str(python), "-m", f"durable.{module}", folder, *([variant] if variant else [])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": path, "BENCH_RESTATE": str(restate), "DO_NOT_TRACK": "1"},
        )  # fmt: skip
        try:
            output, errors = child.communicate(timeout=TURN)
        except BaseException:
            child.send_signal(signal.SIGTERM)  # it stops its servers on the way out
            child.communicate()
            raise
    if child.returncode:
        raise Failed((errors.strip() or "no word of why").splitlines()[-1])
    found: Round = json.loads(output.splitlines()[-1])
    return found


def measure(chosen: list[Contender], rounds: int, place: Environment) -> Taken:
    """All rounds; an engine that fails keeps its reason, and the others go on."""
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    taken = Taken(dict.fromkeys((each.name for each in chosen), f"{date}, {machine()}"))
    for each in chosen:
        if not each.ours and (lacking := [name for name in each.needs if name in place.missing]):
            taken.missing[each.name] = f"`{lacking[0]}` cannot be installed: {place.missing[lacking[0]]}"
    for number in range(rounds):
        taken.floors.append(take("floors", "", Path(sys.executable), place.restate))
        able = [each for each in chosen if each.name not in taken.missing]
        for contender in able[number % max(len(able), 1) :] + able[: number % max(len(able), 1)]:
            python = Path(sys.executable) if contender.ours else place.python
            try:
                found = take(contender.module, contender.variant, python, place.restate)
            except (Failed, subprocess.TimeoutExpired) as error:
                taken.missing[contender.name] = str(error)
                continue
            taken.rounds.setdefault(contender.name, []).append(found)
            print(f"round {number + 1}, {contender.name}: {json.dumps(found)}", flush=True)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure durable steps beside their floors and other engines.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="words of the engines' names; all without any")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each is measured (3)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page with the tables, in markdown")
    options = parser.parse_args()
    words = [each.lower() for each in options.names]
    chosen = [each for each in CONTENDERS if not words or any(word in each.name.lower() for word in words)]
    if not chosen:
        parser.error(f"no engine is called {' or '.join(words)}")
    taken = measure(chosen, options.rounds, environment())
    print("\n".join([*floor_lines(taken.floors), "", *target_lines(taken), "", *engine_lines(taken, tuple(chosen))]))
    for name, reason in taken.missing.items():
        print(f"{name}: {reason}")
    if options.write:
        write(taken, CONTENDERS, options.write)
    return 0 if all(each.met for each in figures(taken)) else 1


if __name__ == "__main__":
    sys.exit(main())
