"""Random flows whose outcome does not depend on the order in which branches take turns."""

from __future__ import annotations

import random
from itertools import count
from typing import Any

import yaml


def made(chance: random.Random) -> str:
    """The text of a flow with changes, keyed changes, reads, values, branches, loops, failures and handlers."""
    names = (f"s{number}" for number in count())
    steps = [step for _ in range(chance.randint(2, 5)) for step in _steps(chance, names, 0)]
    flow: dict[str, Any] = {"flow": "random", "tasks": ["effects.py"], "steps": steps}
    if chance.random() < 0.4:
        flow["finally"] = [{"put": {"id": next(names)}}]
    if chance.random() < 0.2:
        flow["steps"].append({"raise": {"type": "conflict", "message": "the end"}})
    return yaml.safe_dump(flow, sort_keys=False)


def _steps(chance: random.Random, names: Any, depth: int) -> list[dict[str, Any]]:
    kinds = [_effect, _effect, _effect, _value, _retried, _wait]
    if depth < 2:
        kinds += [_parallel, _loop, _handled, _choice]
    return chance.choice(kinds)(chance, names, depth)


def _effect(chance: random.Random, names: Any, depth: int) -> list[dict[str, Any]]:
    return [{chance.choice(["change", "change", "put", "look"]): {"id": next(names)}}]


def _value(chance: random.Random, names: Any, depth: int) -> list[dict[str, Any]]:
    made, used = next(names), next(names)
    reader = chance.choice(["uuid()", "now()", "random()"])
    return [{"id": made, "set": {"v": f"${{{reader}}}"}}, {"put": {"id": used, "value": f"${{{made}.v}}"}}]


def _retried(chance: random.Random, names: Any, depth: int) -> list[dict[str, Any]]:
    return [
        {
            "refuse": {"id": next(names), "times": chance.randint(1, 2)},
            "retry": {"max_attempts": 3, "delay": "1ms", "jitter": False},
        }
    ]


def _wait(chance: random.Random, names: Any, depth: int) -> list[dict[str, Any]]:
    return [{"wait": "2ms"}]


def _parallel(chance: random.Random, names: Any, depth: int) -> list[dict[str, Any]]:
    branches = [{"do": _steps(chance, names, depth + 1)} for _ in range(chance.randint(2, 4))]
    return [{"parallel": branches}]


def _loop(chance: random.Random, names: Any, depth: int) -> list[dict[str, Any]]:
    loop: dict[str, Any] = {
        "for_each": list(range(chance.randint(1, 4))), "id": next(names), "as": next(names),
        "do": _steps(chance, names, depth + 1),
    }  # fmt: skip
    if chance.random() < 0.4:
        loop["max_concurrency"] = 2
    return [loop]


def _handled(chance: random.Random, names: Any, depth: int) -> list[dict[str, Any]]:
    failing = {"refuse": {"id": next(names), "times": 9}}
    body = [*_steps(chance, names, depth + 1), failing]
    return [{"try": body, "catch": [{"on": ["task"], "as": next(names), "do": _effect(chance, names, depth + 1)}]}]


def _choice(chance: random.Random, names: Any, depth: int) -> list[dict[str, Any]]:
    steps = _steps(chance, names, depth + 1)
    return [{"if": chance.choice(["true", "false"]), "then": steps, "else": _effect(chance, names, depth + 1)}]
