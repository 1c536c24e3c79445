"""Random flows whose outcome does not depend on the order in which branches take turns."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from typing import Any

import yaml

Steps = list[dict[str, Any]]
DATABASE = {"db": {"type": "sqlite", "database": "${env.EFFECTS}/marks.db"}}


def made(chance: random.Random) -> str:
    """The text of a flow with changes, keyed changes, reads, values, branches, loops, failures and handlers, rows that
    are written once or in transactions, and signals (one each: the name and the payload are the id of its step)."""
    maker = Maker(chance)
    steps = [step for _ in range(chance.randint(2, 5)) for step in maker.steps((), 0)]
    flow: dict[str, Any] = {"flow": "random", "tasks": ["effects.py"], "connections": DATABASE, "steps": steps}
    if "sqlite_execute" not in yaml.safe_dump(steps):
        del flow["connections"]
    if chance.random() < 0.4:
        flow["finally"] = [{"put": {"id": maker.name()}}]
    if chance.random() < 0.2:
        flow["steps"].append({"raise": {"type": "conflict", "message": "the end"}})
    return yaml.safe_dump(flow, sort_keys=False)


class Maker:
    """`turns` are the names of the items of the loops around a step, whose values are the numbers of their turns."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._numbers = count()

    def name(self, kind: str = "s") -> str:
        return f"{kind}{next(self._numbers)}"

    def steps(self, turns: tuple[str, ...], depth: int) -> Steps:
        kinds: list[Callable[[tuple[str, ...], int], Steps]] = [self._effect] * 3
        kinds += [self._value, self._retried, self._wait, self._once, self._transaction]
        if depth < 2:
            kinds += [self._parallel, self._loop, self._handled, self._choice, self._undone]
        if depth == 0:
            kinds += [self._signal]
        return self._chance.choice(kinds)(turns, depth)

    # ------------------------------------------------------------ what is done

    def _effect(self, turns: tuple[str, ...], depth: int) -> Steps:
        return [{self._chance.choice(["change", "change", "put", "look"]): {"id": self.name()}}]

    def _value(self, turns: tuple[str, ...], depth: int) -> Steps:
        made, used = self.name(), self.name()
        reader = self._chance.choice(["uuid()", "now()", "random()"])
        return [{"id": made, "set": {"v": f"${{{reader}}}"}}, {"put": {"id": used, "value": f"${{{made}.v}}"}}]

    def _retried(self, turns: tuple[str, ...], depth: int) -> Steps:
        retry = {"max_attempts": 3, "delay": "1ms", "jitter": False}
        return [{"refuse": {"id": self.name(), "times": self._chance.randint(1, 2)}, "retry": retry}]

    def _wait(self, turns: tuple[str, ...], depth: int) -> Steps:
        return [{"wait": "2ms"}]

    def _signal(self, turns: tuple[str, ...], depth: int) -> Steps:
        name = self.name("signal")
        return [{"id": name, "wait": {"signal": name}}, {"put": {"id": self.name(), "value": f"${{{name}.payload}}"}}]

    # ------------------------------------------------------------ rows

    def _row(self, turns: tuple[str, ...], step: str) -> dict[str, Any]:
        """A row with the step and its turn."""
        parts = " + ',' + ".join(f"str({turn})" for turn in turns)
        turn = f"${{{parts}}}" if turns else "''"
        return {"id": self.name(), "query": f"INSERT INTO marks VALUES ('{step}', {turn})"}

    def _once(self, turns: tuple[str, ...], depth: int) -> Steps:
        step = self.name("once")
        return [{"sqlite_execute": self._row(turns, step) | {"id": step, "exactly_once": True}}]

    def _transaction(self, turns: tuple[str, ...], depth: int) -> Steps:
        step = self.name("both")
        body = [{"sqlite_execute": self._row(turns, step)} for _ in range(self._chance.randint(1, 2))]
        if self._chance.random() < 0.3:
            body.append({"put": {"id": self.name()}})
        once = {"exactly_once": True} if self._chance.random() < 0.5 else {}
        return [{"id": step, "transaction": "db", **once, "do": body}]

    def _undone(self, turns: tuple[str, ...], depth: int) -> Steps:
        """A transaction that fails, and leaves nothing."""
        (step,) = self._transaction(turns, depth)
        step["do"].append({"raise": {"type": "conflict", "message": "not so"}})
        return [{"try": [step], "catch": [{"on": ["conflict"], "do": self._effect(turns, depth + 1)}]}]

    # ------------------------------------------------------------ around others

    def _parallel(self, turns: tuple[str, ...], depth: int) -> Steps:
        return [{"parallel": [{"do": self.steps(turns, depth + 1)} for _ in range(self._chance.randint(2, 4))]}]

    def _loop(self, turns: tuple[str, ...], depth: int) -> Steps:
        step, item = self.name(), self.name("item")
        loop: dict[str, Any] = {
            "for_each": list(range(self._chance.randint(1, 4))), "id": step, "as": item,
            "do": self.steps((*turns, item), depth + 1),
        }  # fmt: skip
        if self._chance.random() < 0.4:
            loop["max_concurrency"] = 2
        return [loop]

    def _handled(self, turns: tuple[str, ...], depth: int) -> Steps:
        failing = {"refuse": {"id": self.name(), "times": 9}}
        body = [*self.steps(turns, depth + 1), failing]
        return [{"try": body, "catch": [{"on": ["task"], "as": self.name(), "do": self._effect(turns, depth + 1)}]}]

    def _choice(self, turns: tuple[str, ...], depth: int) -> Steps:
        steps, other = self.steps(turns, depth + 1), self._effect(turns, depth + 1)
        return [{"if": self._chance.choice(["true", "false"]), "then": steps, "else": other}]
